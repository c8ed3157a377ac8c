"""Who is reviewed: sizes, strata and probabilities that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cropmap.assessments.review_sample import allocate, control_strata, draw_sample, list_grid


def population(*, listed: int, conform: int, inconclusive: int) -> pd.DataFrame:
    """Mismatches with P(right) .01, .02, …; conform wheat in two regions (3:1); inconclusive maize in one."""
    verdict = ["mismatch"] * listed + ["conform"] * conform + ["inconclusive"] * inconclusive
    rest = conform + inconclusive
    return pd.DataFrame(
        {
            "parcel_id": [f"{number:04d}" for number in range(len(verdict))],
            "verdict": verdict,
            "right_probability": [*(np.arange(1, listed + 1) / 100), *[0.9] * rest],
            "crop_group": ["wheat"] * (listed + conform) + ["maize"] * inconclusive,
            "nuts_id": ["FRH01"] * listed + (["FRH01", "FRH01", "FRH01", "FRH02"] * rest)[:rest],
        }
    )


def test_the_list_is_a_simple_random_sample_and_the_rest_a_stratified_one() -> None:
    frame = population(listed=20, conform=80, inconclusive=40)
    sample = draw_sample(frame, budget=20, list_share=0.5, target=0.1, seed=3)
    listed, control = (sample.table[sample.table["part"] == part] for part in ("list", "control"))
    assert (len(listed), len(control), sample.list_size) == (10, 10, 20)
    assert set(listed["inclusion_probability"]) == {0.5}
    assert [int(parcel) + 1 for parcel in listed["parcel_id"]] == listed["list_rank"].tolist()
    # 10 draws from 120: a stratum needs 24 parcels for its two. Of 80 wheat parcels 60 lie in FRH01; the other 20, and
    # the 10 of 40 maize parcels that lie in FRH02, are too few for a stratum of their own. In proportion: 5, 2.5, 2.5
    strata = control.groupby("stratum").agg(
        drawn=("parcel_id", "size"), size=("stratum_size", "first"), share=("inclusion_probability", "first")
    )
    assert strata.to_dict("index") == {
        "conform / wheat / FRH01": {"drawn": 5, "size": 60, "share": 5 / 60},
        "inconclusive / maize / FRH01": {"drawn": 3, "size": 30, "share": 3 / 30},
        "other / other / other": {"drawn": 2, "size": 30, "share": 2 / 30},
    }


def test_the_same_seed_draws_the_same_whatever_the_order_of_the_rows() -> None:
    frame = population(listed=30, conform=60, inconclusive=30)
    first = draw_sample(frame, budget=30, list_share=0.8, target=0.1, seed=1)
    again = draw_sample(frame.sample(frac=1, random_state=5), budget=30, list_share=0.8, target=0.1, seed=1)
    pd.testing.assert_frame_equal(first.table, again.table)
    other = draw_sample(frame, budget=30, list_share=0.8, target=0.1, seed=2)
    assert other.table["parcel_id"].tolist() != first.table["parcel_id"].tolist()


def test_a_short_list_is_reviewed_whole_and_leaves_the_rest_to_the_control() -> None:
    sample = draw_sample(
        population(listed=3, conform=50, inconclusive=0), budget=20, list_share=0.8, target=0.1, seed=0
    )
    assert sample.table["part"].value_counts().to_dict() == {"control": 17, "list": 3}
    assert sample.grid == (3,)
    nobody = draw_sample(
        population(listed=0, conform=50, inconclusive=0), budget=20, list_share=0.8, target=None, seed=0
    )
    assert (nobody.list_size, nobody.grid, len(nobody.table)) == (0, (), 20)


@pytest.mark.parametrize(
    ("right", "grid"),
    [
        # 40 % of 20 is 8; the mean of the first three is 2 %, of the first five 3 %: no more than 30 % of 10 %
        ([0.01 * k for k in range(1, 21)], (8, 9, 11, 12, 13, 15, 16, 17, 19, 20)),
        # nine of ten are sure: the strict list is longer than 40 %
        ([0.0] * 9 + [0.5], (9, 10)),
    ],
)
def test_tested_lengths_follow_from_scores_alone(right: list[float], grid: tuple[int, ...]) -> None:
    assert list_grid(np.array(right), 0.1) == grid


def test_small_cells_join_over_regions_then_over_crops() -> None:
    rest = pd.DataFrame(
        {
            "verdict": ["conform"] * 16 + ["inconclusive"] * 4,
            "crop_group": ["wheat"] * 10 + ["rape"] * 6 + ["wheat", "rape", None, "nuts"],
            "nuts_id": ["A"] * 6 + ["B"] * 4 + ["A", "B"] * 3 + ["A"] * 4,
        }
    )
    # 10 draws from 20: two of them stand for four parcels
    stratum, names = control_strata(rest, 10)
    assert {names[k]: int((stratum == k).sum()) for k in range(len(names))} == {
        "conform / wheat / A": 6,
        "conform / wheat / B": 4,
        "conform / rape / other": 6,
        "inconclusive / other / other": 4,
    }


def test_allocation_is_proportional_with_a_minimum_and_adds_up() -> None:
    # 8, 1.5 and .5 in proportion; the large one pays for the minimum of the small ones
    assert allocate(np.array([80, 15, 5]), 10).tolist() == [6, 2, 2]
    assert allocate(np.array([55, 45]), 5).tolist() == [3, 2]
    assert allocate(np.array([1, 9]), 10).tolist() == [1, 9]
