"""How early in the season the crops can be told apart: the out-of-fold networks on series that are cut at a day.

In: a dataset and what its cross-fitting gave; nothing is trained again. Out: one row per day.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series
from cropmap.model.calibration import calibrations_elsewhere
from cropmap.model.evaluation import evaluate
from cropmap.model.fitting import OutOfFold
from cropmap.model.training import logits_of
from cropmap.progress import Counter

MID_MONTH: Final = 15


@dataclass(frozen=True)
class DateScore:
    date: date
    """only what was acquired until this day went in"""
    n: int
    """judged parcels that were seen by then; the scores are theirs"""
    unseen: int
    """judged parcels without any observation by then"""
    observations: float
    """mean number of observations of the parcels that were seen"""
    oa: float | None
    """overall accuracy; this and the others None where no parcel was seen"""
    kappa: float | None
    macro_f1: float | None
    ece: float | None
    """calibration error under the calibration of the whole season, which is what a run without retraining has"""


def fortnight_ends(series: Series) -> tuple[date, ...]:
    """The 15th and the last day of each month, from the first that has an observation behind it to the first that has
    all of them."""
    if not len(series.day_of_year):
        return ()
    first, last = (
        series.day_zero + timedelta(days=int(day)) for day in (series.day_of_year.min(), series.day_of_year.max())
    )
    ends = [_fortnight_end(first)]
    while ends[-1] < last:
        ends.append(_fortnight_end(ends[-1] + timedelta(days=1)))
    return tuple(ends)


def score_by_date(dataset: Dataset, out: OutOfFold, days: Sequence[date]) -> tuple[DateScore, ...]:
    """Scores of the judged parcels by the network of their fold, on what was known at each of these days."""
    judged = np.flatnonzero(dataset.judged)
    fold, label = dataset.folds.fold[judged], dataset.label[judged]
    whole = out.cross_fit.logits[judged]
    adjusted = out.cross_fit.config.logit_adjustment
    calibrations = calibrations_elsewhere(whole, label, fold, logit_adjustment=adjusted)
    networks = {k: out.cross_fit.network(k, dataset) for k in calibrations}
    scores = []
    with Counter(f"by date {out.cross_fit.config.architecture}", total=len(days), unit="dates") as counter:
        for day in days:
            series = dataset.series.until(day)
            probabilities = np.full(whole.shape, np.nan, np.float32)
            for k in calibrations:
                seen = np.flatnonzero((fold == k) & (series.lengths[judged] > 0))
                logits = logits_of(networks[k], series, judged[seen])
                probabilities[seen] = calibrations[k].probabilities(logits)
            scores.append(_score(day, series.lengths[judged], label, probabilities, dataset.crops))
            counter.add()
    return tuple(scores)


def _fortnight_end(day: date) -> date:
    end = MID_MONTH if day.day <= MID_MONTH else calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=end)


def _score(
    day: date,
    lengths: NDArray[np.int64],
    label: NDArray[np.int16],
    probabilities: NDArray[np.float32],
    crops: tuple[str, ...],
) -> DateScore:
    seen = lengths > 0
    if not seen.any():
        return DateScore(day, 0, len(seen), 0.0, None, None, None, None)
    evaluation = evaluate(label[seen], probabilities[seen], crops)
    return DateScore(
        day,
        evaluation.n,
        int((~seen).sum()),
        float(lengths[seen].mean()),
        evaluation.oa,
        evaluation.kappa,
        evaluation.macro_f1,
        evaluation.ece,
    )
