"""How far a parcel's series lies from all that the models were trained on.

In: series. Out: one distance per parcel, and its rank among the training parcels, each measured against the parcels of
the other folds. An observation's distance is Mahalanobis': from the mean of its time of year, with one covariance for
the whole year; a parcel's distance is the median over its observations, which an undetected cloud does not move.

Measured on simulated Brittany (1,900 training parcels, two networks, two seeds) beside the energy of the raw logits
(Liu et al. 2020, arXiv:2010.03759): water, bare bright ground, forest, reflectance x 3 and x 1.5 have a median rank of
1.00 here and more than 98 % of them stand above .99, while the energy leaves their medians at .53 to .99 and hardly any
above .99. A crop that was never trained on stands above .99 in 23-46 % of its parcels (energy: 0 %), held-out parcels
in 1-2 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series

SEASONS: Final = 12
"""parts of the year; the autumn before and the autumn of the season are one"""
YEAR_DAYS: Final = 365
PRIOR_ROWS: Final = 20
"""a part of the year counts this many rows of the whole year's mean beside its own"""
MIN_VARIANCE: Final = 1e-6
RANKS: Final = 201
RANK_DIGITS: Final = 4
"""more than 201 quantiles resolve, and fewer than the last bits of a sum that depend on the other parcels of a batch"""
LEARNT_PARCELS: Final = 20_000
"""at most: enough for every quantile"""
PARCELS: Final = 500
"""at a time: their observations stay in the processor's cache, a quarter faster than 20,000 at a time"""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Familiar:
    """What the training parcels look like, C bands."""

    mean: tuple[tuple[float, ...], ...]
    """(SEASONS, C) reflectance"""
    covariance: tuple[tuple[float, ...], ...]
    """(C, C) around those means"""
    distances: tuple[float, ...]
    """(RANKS,) evenly spaced quantiles of the training parcels' distances, each from the parcels of the other folds"""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Familiar:
        rows = {name: tuple(map(tuple, document[name])) for name in ("mean", "covariance")}
        return cls(rows["mean"], rows["covariance"], tuple(document["distances"]))


def learn_familiar(dataset: Dataset) -> Familiar:
    """From the judged parcels, which are those that some fold was trained on; from evenly picked ones of very many."""
    judged = np.flatnonzero(dataset.judged)
    judged = judged[:: -(-len(judged) // LEARNT_PARCELS)]
    series, fold = dataset.series.take(judged), dataset.folds.fold[judged]
    distances = np.full(len(fold), np.nan)
    for k in np.unique(fold):
        here, elsewhere = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        if len(elsewhere):
            distances[here] = _distances(series.take(here), *_moments(series.take(elsewhere)))
    mean, covariance = _moments(series)
    quantiles = np.quantile(distances[np.isfinite(distances)], np.linspace(0, 1, RANKS))
    return Familiar(_rounded(mean), _rounded(covariance), tuple(float(f"{q:.6g}") for q in quantiles))


def out_of_distribution(series: Series, familiar: Familiar) -> NDArray[np.float32]:
    """(N,) share of training parcels that look more ordinary than this one: uniform over parcels like them, 1 for one
    that is stranger than all of them; NaN where a parcel has no observation."""
    mean, covariance = np.array(familiar.mean), np.array(familiar.covariance)
    parts = [np.arange(start, min(start + PARCELS, len(series))) for start in range(0, len(series), PARCELS)]
    distances = np.concatenate([np.empty(0), *(_distances(series.take(part), mean, covariance) for part in parts)])
    rank = np.interp(distances, familiar.distances, np.linspace(0, 1, RANKS))
    return np.where(np.isfinite(distances), rank.round(RANK_DIGITS), np.nan).astype(np.float32)


def _moments(series: Series) -> tuple[Array, Array]:
    """(SEASONS, C) means and the (C, C) covariance around them; a missing band counts as its mean."""
    values, part = series.reflectance.astype(np.float64), _part_of_year(series)
    seen = np.isfinite(values)
    overall = np.where(seen, values, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    mean = np.empty((SEASONS, values.shape[1]))
    for season in range(SEASONS):
        rows = part == season
        summed = np.where(seen[rows], values[rows], 0).sum(axis=0) + PRIOR_ROWS * overall
        mean[season] = summed / (seen[rows].sum(axis=0) + PRIOR_ROWS)
    off = np.where(seen, values - mean[part], 0)
    return mean, off.T @ off / max(len(off), 1) + MIN_VARIANCE * np.eye(values.shape[1])


def _distances(series: Series, mean: Array, covariance: Array) -> Array:
    """(N,) median over the observations of d' S^-1 d, NaN without any. Where bands are missing the others stand for
    them: their own distance, as much larger as there are fewer of them."""
    off = series.reflectance - mean[_part_of_year(series)]
    squared = np.empty(len(off))
    pattern = np.isfinite(off) @ (1 << np.arange(off.shape[1]))
    for combination in np.unique(pattern):
        rows = np.flatnonzero(pattern == combination)
        seen = np.isfinite(off[rows[0]])
        whitening = np.linalg.cholesky(np.linalg.inv(covariance[np.ix_(seen, seen)]))
        # not `@`: the threads of BLAS wait for each other in a loop, five times as long where inference runs beside
        whitened = np.einsum("mc,cd->md", off[rows] if seen.all() else off[rows][:, seen], whitening)
        squared[rows] = np.einsum("mc,mc->m", whitened, whitened) * len(seen) / max(seen.sum(), 1)
    return _medians(squared, series)


def _medians(values: Array, series: Series) -> Array:
    """(N,) median of each parcel's values (M,), NaN where it has none."""
    length = series.lengths
    ordered = np.full((len(series), max(int(length.max(initial=0)), 1)), np.inf)
    ordered[np.arange(ordered.shape[1]) < length[:, None]] = values
    ordered.sort(axis=1)
    parcel, last = np.arange(len(series)), np.maximum(length - 1, 0)
    medians = (ordered[parcel, last // 2] + ordered[parcel, (last + 1) // 2]) / 2
    return np.where(length > 0, medians, np.nan)


def _part_of_year(series: Series) -> NDArray[np.int64]:
    """(M,) 0-11."""
    day = (series.day_of_year.astype(np.int64) - 1) % YEAR_DAYS
    return day * SEASONS // YEAR_DAYS


def _rounded(values: Array) -> tuple[tuple[float, ...], ...]:
    """Six digits: a manifest is read by people too."""
    return tuple(tuple(float(f"{value:.6g}") for value in row) for row in values)
