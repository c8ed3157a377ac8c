"""Series, labels and folds together: everything that training and cross-fitting need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.dataset.folds import NOT_JUDGED, Folds
from cropmap.dataset.series import Series
from cropmap.errors import ModelError
from cropmap.provenance import content_hash

UNLABELLED = -1


@dataclass(frozen=True)
class Dataset:
    """N parcels, K classes; arrays stand in the order of `series.parcel_ids`."""

    series: Series
    label: NDArray[np.int16]
    """(N,) position in `crops`, -1 where a parcel has no label"""
    crops: tuple[str, ...]
    """(K,) class names"""
    folds: Folds

    def __post_init__(self) -> None:
        assert len(self.series) == len(self.label) == len(self.folds.fold), "one label and one fold per parcel"
        assert int(self.label.max(initial=UNLABELLED)) < len(self.crops), "a label outside the classes"

    @cached_property
    def hash(self) -> str:
        """Digest of all that a trained model depends on, except its configuration and seed."""
        return content_hash(
            self.series.hash,
            self.label.tobytes(),
            "\n".join(self.crops),
            self.folds.made_by,
            "\n".join(self.folds.names),
            self.folds.fold.tobytes(),
            self.folds.excluded.tobytes(),
            self.folds.holding.tobytes(),
        )

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """(N,) parcels with a label, a fold and at least one observation: those that accuracy is measured on."""
        return (self.label >= 0) & (self.folds.fold >= 0) & (self.series.lengths > 0)

    def never_learnt(self, left_out: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """(F, K) classes that a fold's model is trained without any parcel of; `left_out` (N,) take no part."""
        seen = self.judged if left_out is None else self.judged & ~left_out
        learnt = [
            np.bincount(self.label[seen & self.folds.training_mask(k)], minlength=len(self.crops))
            for k in range(self.folds.count)
        ]
        unlearnt: NDArray[np.bool_] = np.stack(learnt) == 0
        return unlearnt


def unlabelled(series: Series) -> Dataset:
    """Series that nothing is learnt from, as a dataset without classes and folds."""
    count = len(series)
    folds = Folds(
        made_by="random",
        fold=np.full(count, NOT_JUDGED, np.int16),
        names=(),
        excluded=np.zeros((0, count), np.bool_),
        holding=np.zeros(count, np.int64),
    )
    return Dataset(series, np.full(count, UNLABELLED, np.int16), (), folds)


@dataclass(frozen=True)
class Labels:
    label: NDArray[np.int16]
    """(N,) position in `crops`, -1 where there is none"""
    crops: tuple[str, ...]
    """classes that are frequent enough, sorted"""
    too_rare: dict[str, int]
    """classes that were left out, with their number of parcels"""


def label_parcels(crop: Sequence[str | None] | pd.Series[Any], *, min_class_parcels: int) -> Labels:
    """Numbers the classes; one with fewer than `min_class_parcels` parcels is left out, by name.

    Raises ModelError where fewer than two classes remain.
    """
    # numbered first: an array of text holds four bytes a parcel for every letter of the longest name
    code, found = pd.factorize(np.asarray(crop, dtype=object))
    number = np.bincount(code[code >= 0], minlength=len(found)).tolist()
    counts = {name: n for name, n in zip(found.tolist(), number, strict=True) if name}
    kept = [name for name in sorted(counts) if counts[name] >= min_class_parcels]
    if len(kept) < 2:
        raise ModelError(
            f"{len(kept)} class(es) have {min_class_parcels} or more labelled parcels",
            mend="A model needs two: lower assessment.min_class_parcels, or give more declarations",
        )
    position = {name: index for index, name in enumerate(kept)}
    label = np.array([*(position.get(name, UNLABELLED) for name in found), UNLABELLED], np.int16)[code]
    rare = {name: counts[name] for name in sorted(counts) if counts[name] < min_class_parcels}
    return Labels(label, tuple(kept), rare)
