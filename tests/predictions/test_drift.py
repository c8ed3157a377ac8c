from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import log

import numpy as np
import pytest

from cropmap.dataset.series import Series
from cropmap.predictions.drift import Verdict, confidence, crop_shift, input_drift, stability_index, verdict, worst
from cropmap.predictions.predictions import Predictions

ROWS = 2_000


def test_the_index_is_the_sum_over_classes() -> None:
    # shares (.5, .5) before, (.8, .2) now, with half a row added to each count
    before, now = np.array([500, 500]), np.array([800, 200])
    expected = 0.3 * log(0.8 / 0.5) + (-0.3) * log(0.2 / 0.5)
    assert stability_index(before, now) == pytest.approx(expected, abs=1e-3)
    assert stability_index(before, before * 7) == pytest.approx(0, abs=1e-6)
    assert stability_index(np.array([1000, 0]), np.array([0, 1000])) < 20  # an empty class is no infinity


@pytest.mark.parametrize(
    ("psi", "word"),
    [(0.09, Verdict.STABLE), (0.1, Verdict.SOME_SHIFT), (0.25, Verdict.SHIFTED), (None, Verdict.UNKNOWN)],
)
def test_the_word_for_an_index(psi: float | None, word: Verdict) -> None:
    assert verdict(psi) is word


def test_the_worst_word_counts_and_no_word_does_not() -> None:
    assert worst([Verdict.STABLE, Verdict.UNKNOWN, Verdict.SOME_SHIFT]) is Verdict.SOME_SHIFT
    assert worst([]) is Verdict.UNKNOWN


def season(year: int, *, green: float = 0.3, month: int = 5, rows: int = ROWS) -> Series:
    """One parcel per row: B04 the same every year, B08 around `green`, all on the tenth of a month."""
    noise = np.random.default_rng(year).normal(0, 0.02, (rows, 2))
    day_zero = date(year - 1, 12, 31)
    return Series(
        parcel_ids=np.array([f"P{i:05d}" for i in range(rows)]),
        offsets=np.arange(rows + 1),
        day_of_year=np.full(rows, (date(year, month, 10) - day_zero).days, np.int16),
        reflectance=(np.array([0.1, green]) + noise).astype(np.float32),
        clear_fraction=np.ones(rows, np.float32),
        bands=("B04", "B08"),
        day_zero=day_zero,
    )


def test_a_band_that_moved_is_named_with_its_month() -> None:
    red, infrared = input_drift(season(2018), season(2019, green=0.33))  # one and a half standard deviations
    assert (red.band, red.verdict) == ("B04", Verdict.STABLE)
    assert red.psi == pytest.approx(0, abs=0.03)
    assert infrared.verdict is Verdict.SHIFTED
    assert infrared.worst_month == "2019-05"
    assert infrared.months == {"2019-05": infrared.psi}


def test_months_that_one_season_lacks_are_not_compared() -> None:
    for now in (season(2019, month=6), season(2019, rows=499)):
        band = input_drift(season(2018), now)[0]
        assert (band.psi, band.worst_month, band.verdict) == (None, None, Verdict.UNKNOWN)


def predictions(*probabilities: tuple[float, float], strange: float = 0.5) -> Predictions:
    count = len(probabilities)
    with np.errstate(invalid="ignore"):
        logits = np.log(np.array(probabilities, np.float32))
    return Predictions(
        parcel_ids=np.array([f"P{i}" for i in range(count)]),
        crops=("maize", "wheat"),
        logits=logits,
        scored_by=["fold 0"] * count,
        n_observations=np.full(count, 3, np.int32),
        last_observation=[None] * count,
        out_of_distribution=np.full(count, strange, np.float32),
    )


def test_predicted_crops_and_confidence() -> None:
    before = predictions((0.9, 0.1), (0.8, 0.2), (0.3, 0.7), (np.nan, np.nan))
    now = predictions((0.6, 0.4), (0.1, 0.9), strange=0.995)
    crops, psi = crop_shift(before, now)
    assert [(c.crop, c.now) for c in crops] == [("maize", 0.5), ("wheat", 0.5)]
    assert [c.before for c in crops] == pytest.approx([2 / 3, 1 / 3])
    assert psi == pytest.approx((0.625 - 0.5) * log(0.625 / 0.5) * 1 + (0.375 - 0.5) * log(0.375 / 0.5))
    sure = confidence(before)
    assert (sure.parcels, sure.unsure, sure.out_of_distribution) == (3, 0, 0)
    assert sure.mean_probability == pytest.approx(0.8)
    assert confidence(now).out_of_distribution == 1
    three = replace(now, crops=("a", "b", "c"), logits=np.log(np.array([[0.4, 0.35, 0.25]] * 2, np.float32)))
    assert confidence(three).unsure == 1
