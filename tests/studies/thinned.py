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
from cropmap.results.evaluation import MIN_CLASS_PARCELS

MONTH_DAYS: Final = 30.44
FEW: Final = 1_000
"""parcels of the variants that thin something else"""

Change = Callable[[Dataset], Dataset]


@dataclass(frozen=True)
class Variant:
    parcels: int
    """so many of the judged parcels"""
    less: str = ""
    """what else is taken away, in words"""
    change: Change = lambda dataset: dataset
    """takes it away"""
    bands: frozenset[str] = frozenset()
    """bands that this needs"""

    @property
    def name(self) -> str:
        return ", ".join(part for part in (f"{self.parcels:,} parcels", self.less) if part)

    def fits(self, dataset: Dataset) -> bool:
        """Whether there is enough to take away from."""
        return int(dataset.judged.sum()) > self.parcels and self.bands <= set(dataset.series.bands)

    def of(self, dataset: Dataset, *, seed: int) -> Dataset:
        """The parcels are drawn with the seed; a class that is left with fewer than two is left out."""
        chosen = np.random.default_rng(seed).permutation(np.flatnonzero(dataset.judged))[: self.parcels]
        return self.change(_some(dataset, np.sort(chosen)))


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


def only(*bands: str) -> Change:
    """Some of the bands, in spectral order."""

    def change(dataset: Dataset) -> Dataset:
        series = dataset.series
        columns = [series.bands.index(band) for band in bands]
        reflectance = np.ascontiguousarray(series.reflectance[:, columns])
        series = replace(series, reflectance=reflectance, bands=bands)
        return replace(dataset, series=series.keep(np.asarray(np.isfinite(reflectance).any(axis=1))))

    return change


def two_classes(dataset: Dataset) -> Dataset:
    """The commonest crop against all others."""
    labelled = dataset.label >= 0
    commonest = int(np.bincount(dataset.label[labelled]).argmax())
    names = (dataset.crops[commonest], "other")
    label = np.where(labelled, dataset.label != commonest, dataset.label).astype(np.int16)
    return replace(dataset, label=label, crops=names)


def with_bands(*bands: str) -> Variant:
    return Variant(FEW, " ".join(bands), only(*bands), frozenset(bands))


VARIANTS: Final = (
    Variant(200),
    Variant(500),
    Variant(FEW),
    Variant(FEW, "the clearest date of a month", once_a_month),
    with_bands("B02", "B03", "B04", "B08"),
    with_bands("B04", "B08"),
    Variant(FEW, "two classes", two_classes),
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
