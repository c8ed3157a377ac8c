"""Less of the same data: fewer parcels, dates, bands or classes of a dataset, to see what the defaults do with it.

In: a dataset. Out: datasets as others might bring them. Nothing of the training is tuned to any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset, label_parcels
from cropmap.dataset.folds import Folds
from cropmap.stages.evaluation import MIN_CLASS_PARCELS

MONTH_DAYS: Final = 30.44
FEW: Final = 1_000
"""parcels of the variants that thin something else"""

Thin = Callable[[Dataset, int], Dataset]
"""a dataset and the seed of what is drawn from it"""


@dataclass(frozen=True)
class Variant:
    name: str
    thin: Thin


def with_parcels(count: int, then: Callable[[Dataset], Dataset] = lambda dataset: dataset) -> Thin:
    """A random `count` of the judged parcels, and less of these; a class that is left with fewer than two is left
    out."""

    def thin(dataset: Dataset, seed: int) -> Dataset:
        judged = np.flatnonzero(dataset.judged)
        chosen = np.random.default_rng(seed).permutation(judged)[:count]
        return then(_some(dataset, np.sort(chosen)))

    return thin


def once_a_month(dataset: Dataset) -> Dataset:
    """The clearest observation of each parcel and month, the first of equally clear ones."""
    series = dataset.series
    parcel = np.repeat(np.arange(len(series)), series.lengths)
    month = np.floor(series.day_of_year / MONTH_DAYS).astype(np.int64)
    order = np.lexsort((series.day_of_year, -series.clear_fraction, month, parcel))
    first = np.diff(parcel[order], prepend=-1) != 0
    first |= np.diff(month[order], prepend=-1) != 0
    kept = np.zeros(len(parcel), bool)
    kept[order[first]] = True
    return replace(dataset, series=series.keep(kept))


def with_bands(*bands: str) -> Callable[[Dataset], Dataset]:
    """Some of the bands, in spectral order."""

    def thin(dataset: Dataset) -> Dataset:
        series = dataset.series
        columns = [series.bands.index(band) for band in bands]
        reflectance = np.ascontiguousarray(series.reflectance[:, columns])
        series = replace(series, reflectance=reflectance, bands=bands)
        return replace(dataset, series=series.keep(np.asarray(np.isfinite(reflectance).any(axis=1))))

    return thin


def two_classes(dataset: Dataset) -> Dataset:
    """The commonest crop against all others."""
    labelled = dataset.label >= 0
    commonest = int(np.bincount(dataset.label[labelled]).argmax())
    names = (dataset.crops[commonest], "other")
    label = np.where(labelled, dataset.label != commonest, dataset.label).astype(np.int16)
    return replace(dataset, label=label, crops=names)


VARIANTS: Final = (
    Variant("200 parcels", with_parcels(200)),
    Variant("500 parcels", with_parcels(500)),
    Variant(f"{FEW:,} parcels", with_parcels(FEW)),
    Variant(f"{FEW:,} parcels, the clearest date of a month", with_parcels(FEW, once_a_month)),
    Variant(f"{FEW:,} parcels, B02 B03 B04 B08", with_parcels(FEW, with_bands("B02", "B03", "B04", "B08"))),
    Variant(f"{FEW:,} parcels, B04 B08", with_parcels(FEW, with_bands("B04", "B08"))),
    Variant(f"{FEW:,} parcels, two classes", with_parcels(FEW, two_classes)),
)


def subset(folds: Folds, keep: NDArray[np.intp]) -> Folds:
    """The folds of some of the parcels."""
    return Folds(folds.made_by, folds.fold[keep], folds.names, folds.excluded[:, keep], folds.holding[keep])


def _some(dataset: Dataset, index: NDArray[np.intp]) -> Dataset:
    """The dataset of some parcels, with the classes that have MIN_CLASS_PARCELS of them."""
    known = label_parcels(
        [dataset.crops[k] if k >= 0 else None for k in dataset.label[index]], min_class_parcels=MIN_CLASS_PARCELS
    )
    folds = subset(dataset.folds, index)
    return Dataset(dataset.series.take(index), known.label, known.crops, _without_empty(folds, known.label))


def _without_empty(folds: Folds, label: NDArray[np.int16]) -> Folds:
    """Folds that judge nobody are left out, and who has lost its label is judged by none."""
    fold = np.where(label >= 0, folds.fold, np.int16(-1))
    used = np.unique(fold[fold >= 0])
    numbers = np.full(folds.count, -1, np.int16)
    numbers[used] = np.arange(len(used))
    names = tuple(folds.names[k] for k in used)
    return Folds(
        folds.made_by, np.where(fold >= 0, numbers[fold], np.int16(-1)), names, folds.excluded[used], folds.holding
    )
