"""How far a season is from the one before: its inputs, what is predicted from them, and how surely.

In: series and predictions of two seasons. Out: figures with a word for each. Nothing is read or decided here.

PSI, the population stability index, is Σ (a - e) ln(a / e) over classes with the shares e before and a now. By usage
(Siddiqi 2006, Credit Risk Scorecards; the thresholds go back to Lewis 1994) below 0.1 there is no change that matters,
below 0.25 something has, above a model should not be trusted unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.series import Series
from cropmap.predictions.predictions import Predictions

SOME_SHIFT: Final = 0.1
SHIFT: Final = 0.25
BINS: Final = 10
"""classes of equal size in the season before"""
MIN_ROWS: Final = 500
"""observations of a band in a month of either season; of fewer the index measures chance: 9 (1 / n + 1 / m)"""
HALF: Final = 0.5
"""a class without anything counts half a row, so that the index stays finite"""
UNSURE: Final = 0.5
STRANGE: Final = 0.99
"""one in a hundred training parcels ranks higher"""


class Verdict(StrEnum):
    STABLE = "stable"
    SOME_SHIFT = "some shift"
    SHIFTED = "shifted"
    UNKNOWN = "too few observations"


@dataclass(frozen=True)
class BandDrift:
    band: str
    psi: float | None
    """mean over the months, by observations of this season; None where no month has enough"""
    worst_month: str | None
    """YYYY-MM of this season"""
    worst_psi: float | None
    months: dict[str, float]
    """PSI of every month that has enough observations in both seasons"""

    @property
    def verdict(self) -> Verdict:
        return verdict(self.psi)


@dataclass(frozen=True)
class Confidence:
    parcels: int
    """with a prediction"""
    mean_probability: float | None
    """of the predicted class"""
    unsure: float | None
    """share of parcels whose predicted class has a probability below UNSURE"""
    out_of_distribution: float | None
    """share of parcels that look stranger than STRANGE of the training parcels; .01 is to be expected"""


@dataclass(frozen=True)
class CropShift:
    crop: str
    before: float
    """share of the parcels that are predicted so"""
    now: float


def verdict(psi: float | None) -> Verdict:
    if psi is None:
        return Verdict.UNKNOWN
    if psi < SOME_SHIFT:
        return Verdict.STABLE
    return Verdict.SOME_SHIFT if psi < SHIFT else Verdict.SHIFTED


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several; an unknown verdict counts only where all are unknown."""
    order = (Verdict.UNKNOWN, Verdict.STABLE, Verdict.SOME_SHIFT, Verdict.SHIFTED)
    return max(verdicts, key=order.index, default=Verdict.UNKNOWN)


def stability_index(before: NDArray[np.int64], now: NDArray[np.int64]) -> float:
    """PSI of two counts (K,) of the same classes."""
    e, a = ((counts + HALF) / (counts + HALF).sum() for counts in (before, now))
    return float(((a - e) * np.log(a / e)).sum())


def input_drift(before: Series, now: Series) -> tuple[BandDrift, ...]:
    """The reflectance of each band, month by month: months are counted from January of the season's year."""
    assert before.bands == now.bands, "seasons of the same bands are compared"
    old, new = _months(before), _months(now)
    return tuple(
        _band_drift(band, _by_month(before.reflectance[:, c], old), _by_month(now.reflectance[:, c], new), now)
        for c, band in enumerate(now.bands)
    )


def crop_shift(before: Predictions, now: Predictions) -> tuple[tuple[CropShift, ...], float]:
    """Predicted shares of every class, and their PSI."""
    assert before.crops == now.crops, "predictions of one model are compared"
    counts = [_predicted(predictions) for predictions in (before, now)]
    shares = [count / max(count.sum(), 1) for count in counts]
    rows = zip(now.crops, *shares, strict=True)
    return tuple(CropShift(crop, float(old), float(new)) for crop, old, new in rows), stability_index(*counts)


def confidence(predictions: Predictions) -> Confidence:
    seen = np.isfinite(predictions.logits).all(axis=1)
    if not seen.any():
        return Confidence(0, None, None, None)
    top = predictions.probabilities[seen].max(axis=1)
    strange = predictions.out_of_distribution[seen]
    return Confidence(
        int(seen.sum()), float(top.mean()), float((top < UNSURE).mean()), float((strange > STRANGE).mean())
    )


def _months(series: Series) -> NDArray[np.int64]:
    """(M,) months since January of the season's year; the autumn before is negative."""
    days = np.datetime64(series.day_zero, "D") + series.day_of_year.astype("timedelta64[D]")
    months: NDArray[np.int64] = (days.astype("datetime64[M]") - _january(series)).astype(np.int64)
    return months


def _january(series: Series) -> np.datetime64:
    first: np.datetime64 = (np.datetime64(series.day_zero, "D") + np.timedelta64(1, "D")).astype("datetime64[M]")
    return first


def _by_month(values: NDArray[np.float32], month: NDArray[np.int64]) -> dict[int, NDArray[np.float32]]:
    seen = np.isfinite(values)
    return {int(number): values[seen & (month == number)] for number in np.unique(month[seen])}


def _band_drift(
    band: str, before: dict[int, NDArray[np.float32]], now: dict[int, NDArray[np.float32]], series: Series
) -> BandDrift:
    both = [m for m in sorted(now) if min(len(now[m]), len(before.get(m, ()))) >= MIN_ROWS]
    if not both:
        return BandDrift(band, None, None, None, {})
    psi = {m: _binned_index(before[m], now[m]) for m in both}
    names = {m: str(_january(series) + np.timedelta64(m, "M")) for m in both}
    top = max(both, key=psi.__getitem__)
    mean = float(np.average([psi[m] for m in both], weights=[len(now[m]) for m in both]))
    return BandDrift(band, mean, names[top], psi[top], {names[m]: psi[m] for m in both})


def _binned_index(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """PSI over classes that are quantiles of what was before."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) for values in (before, now)]
    return stability_index(*counts)


def _predicted(predictions: Predictions) -> NDArray[np.int64]:
    """(K,) parcels by predicted class."""
    seen = np.isfinite(predictions.logits).all(axis=1)
    return np.bincount(predictions.logits[seen].argmax(axis=1), minlength=len(predictions.crops))
