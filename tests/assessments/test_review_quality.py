"""False alarms and misses of samples that fit on a sheet of paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cropmap.assessments.intervals import exact_share, weighted_share
from cropmap.assessments.review_quality import (
    FALSE_ALARMS,
    MISSES,
    Figure,
    estimate_against_found,
    figures,
    outcomes,
    share_found,
)
from tests.assessments.population import legend


def run() -> pd.DataFrame:
    """40 mismatches, half of them corn; off the list 100 conform parcels and 300 inconclusive ones."""
    verdict = ["mismatch"] * 40 + ["conform"] * 100 + ["inconclusive"] * 300
    return pd.DataFrame(
        {
            "parcel_id": [f"{number:03d}" for number in range(440)],
            "verdict": verdict,
            "declared_crop": ["corn"] * 20 + ["wheat"] * 420,
            "area_ha": [0.49, 0.5] * 220,
            "nuts_id": ["FRH01"] * 440,
        }
    )


def sample(
    listed: Sequence[str | None], conform: Sequence[str | None], inconclusive: Sequence[str | None]
) -> pd.DataFrame:
    """The first parcels of each part were drawn."""
    parts: list[tuple[str, str, int, int, Sequence[str | None]]] = [
        ("list", "list", 40, 0, listed),
        ("control", "conform", 100, 40, conform),
        ("control", "inconclusive", 300, 140, inconclusive),
    ]
    rows = [
        {
            "parcel_id": f"{first + place:03d}",
            "part": part,
            "stratum": stratum,
            "stratum_size": size,
            "inclusion_probability": len(found) / size,
            "outcome": outcome,
        }
        for part, stratum, size, first, found in parts
        for place, outcome in enumerate(found)
    ]
    return pd.DataFrame(rows)


def _figure(found: list[Figure], what: str, by: str = "all", group: str = "all") -> Figure:
    return next(f for f in found if (f.what, f.by, f.group) == (what, by, group))


@pytest.mark.slow
def test_false_alarms_and_misses_by_hand() -> None:
    found = figures(
        run(), sample(["right"] * 3 + ["wrong"] * 27, ["wrong"] + ["right"] * 9, ["wrong"] + ["right"] * 29)
    )
    alarms, misses = _figure(found, FALSE_ALARMS), _figure(found, MISSES)
    assert (alarms.parcels, alarms.judged, alarms.found) == (40, 30, 3)
    assert alarms.rate == pytest.approx(0.1)
    assert (alarms.low, alarms.high) == exact_share(3, sampled=30, population=40)
    # one miss in each stratum: both stand for ten parcels
    assert (misses.parcels, misses.judged, misses.found) == (400, 40, 2)
    assert misses.rate == pytest.approx(20 / 400)
    judged = np.arange(40)
    expected = weighted_share(np.full(40, 10.0), np.isin(judged, [0, 10]), judged < 10)
    assert (misses.low, misses.high) == expected


def test_misses_are_weighted_by_what_a_judged_parcel_stands_for() -> None:
    # of 10 conform parcels only 5 could be judged: each stands for 20, the 30 inconclusive ones for 10 each
    conform: list[str | None] = ["wrong", *["right"] * 4, *["cannot_tell"] * 3, None, None]
    misses = _figure(figures(run(), sample(["wrong"] * 30, conform, ["right"] * 30)), MISSES)
    assert (misses.drawn, misses.judged, misses.found) == (40, 35, 1)
    assert misses.rate == pytest.approx(20 / 400)
    assert misses.worst == pytest.approx((1 + 5) * 10 / 400), "whoever was not judged counts as missed"
    assert misses.note.startswith("5 of 40 drawn parcels are not judged")


def test_groups_have_a_figure_only_where_the_sample_supports_one() -> None:
    found = figures(run(), sample(["right"] * 2 + ["wrong"] * 28, ["right"] * 10, ["right"] * 30))
    corn, wheat = (_figure(found, FALSE_ALARMS, "crop", crop) for crop in ("corn", "wheat"))
    assert (corn.parcels, corn.judged, corn.found, corn.low, corn.high) == (20, 20, 2, 0.1, 0.1), "all were seen"
    assert (wheat.parcels, wheat.judged, wheat.rate) == (20, 10, None)
    assert wheat.note == "no figure: 10 judged, 20 are needed"
    sizes = {f.group: f.parcels for f in found if f.by == "size" and f.what == MISSES}
    assert sizes == {"0.5 to 2 ha": 200, "below 0.5 ha": 200}


def test_the_share_found_needs_many_controls() -> None:
    def figure(what: str, parcels: int, judged: int, rate: float, low: float, high: float) -> Figure:
        return Figure(what, "all", "all", parcels, judged, judged, 0, rate, low, high, rate, "")

    alarms = figure(FALSE_ALARMS, 500, 240, 0.1, 0.08, 0.14)
    few = share_found(alarms, figure(MISSES, 24_500, 60, 0.01, 0.0, 0.05))
    assert few == {"share": None, "note": "60 controls are judged, 300 are needed"}
    # 450 found and 245 missed; at worst 430 of 430 + 490, at best 460 of 460 + 122.5
    many = share_found(alarms, figure(MISSES, 24_500, 1_000, 0.01, 0.005, 0.02))
    assert many["share"] == pytest.approx(450 / 695)
    assert (many["low"], many["high"]) == pytest.approx((430 / 920, 460 / 582.5))


@pytest.mark.parametrize(
    ("estimated", "said"),
    [
        (0.05, "more of the list is right than was estimated"),
        (0.10, "agrees"),
        (0.20, "less of the list is right than estimated"),
        (None, "cannot be compared"),
    ],
)
def test_the_stated_rate_beside_the_found_one(estimated: float | None, said: str) -> None:
    alarms = Figure(FALSE_ALARMS, "all", "all", 500, 240, 240, 24, 0.1, 0.07, 0.14, 0.1, "")
    assert estimate_against_found(estimated, alarms)["verdict"] == said


def test_a_crop_that_is_inseparable_from_the_declared_one_is_no_mistake() -> None:
    rows: list[tuple[Any, ...]] = [
        ("wrong", "CORN", "barley"),
        ("wrong", "CORN", "wheat"),
        ("wrong", "BEE", "wheat"),
        ("wrong", None, "corn"),
        ("right", None, None),
        (None, None, "wheat"),
        ("cannot_tell", None, "wheat"),
    ]
    reviewed = pd.DataFrame(rows, columns=["finding", "found_code", "declared_crop"], dtype=object)
    found = outcomes(reviewed, legend({"corn": "fodder", "barley": "fodder"})).tolist()
    assert found == ["right", "wrong", "wrong", "wrong", "right", None, "cannot_tell"]
