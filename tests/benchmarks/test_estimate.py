"""The benchmark of the estimate makes the population that it says, and estimates it."""

from __future__ import annotations

from cropmap.bench.estimate import country, estimate, nuts3


def test_the_population_is_what_the_row_says() -> None:
    frame, scores, sample = country(3_000, 8, 20, 50)
    assert (len(frame), frame["nuts_id"].nunique(), len(scores.crops), len(sample)) == (3_000, 20, 8, 50)
    assert 0.9 < frame["crop_code"].notna().mean() < 0.94
    assert sample["inclusion_probability"].between(0, 1, inclusive="right").all()
    assert len({nuts3(number) for number in range(1_500)}) == 1_500


def test_it_is_estimated_in_whole() -> None:
    found = estimate(3_000, 8, 20, 50)
    parents = {nuts3(number)[:length] for number in range(20) for length in (2, 3, 4, 5)}
    assert found["rows"] == 8 * len(parents)
    assert found["peak"] >= found["inputs"] > 0
