"""Spatial folds: who judges whom.

Every labelled parcel belongs to one fold and is scored by the model of that fold. That model was trained on the
other folds only, minus every parcel of a holding that the fold contains, minus every parcel within
`neighbour_distance_m` (centroid to centroid, EPSG:3035) of a parcel that it judges. So no declaration is judged by a
model that saw it, its holding or its neighbours. Two cases have no neighbours: a random split, which is for comparison
only, and a table of parcel statistics (`cropmap evaluate --observations`), which has no places.

Leave-one-region-out and blocks follow Roberts et al. 2017, Ecography 40:913.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.errors import ConfigurationError

FoldMaker = Literal["region", "block", "file", "random"]
Names: TypeAlias = "Sequence[str | None] | pd.Series[Any]"
"""of the region or the holding of each parcel"""

NOT_JUDGED: Final = -1
BLOCK_M: Final = 10_000.0
"""block side where the caller names none; the agency file's default is smaller"""


@dataclass(frozen=True)
class Folds:
    """N parcels, K folds."""

    made_by: FoldMaker
    fold: NDArray[np.int16]
    """(N,) 0..K-1, -1 where a parcel is not judged (unlabelled, or without a region)"""
    names: tuple[str, ...]
    """(K,) what a report calls each fold"""
    excluded: NDArray[np.bool_]
    """(K, N) parcels that fold k's model must not be trained on although they lie outside the fold"""
    holding: NDArray[np.int64]
    """(N,) a number per holding, so that what must not be torn apart can be kept together"""

    @property
    def is_spatial(self) -> bool:
        """False for a random split: its accuracy says nothing about a place that was not seen."""
        return self.made_by != "random"

    @cached_property
    def count(self) -> int:
        return len(self.names)

    def training_mask(self, k: int) -> NDArray[np.bool_]:
        """(N,) parcels that fold k's model may learn from."""
        mask: NDArray[np.bool_] = (self.fold >= 0) & (self.fold != k) & ~self.excluded[k]
        return mask


def by_region(
    nuts_id: Names,
    *,
    labelled: NDArray[np.bool_],
    holding_id: Names | None = None,
    xy: NDArray[np.float64] | None = None,
    neighbour_distance_m: float = 0.0,
) -> Folds:
    """Leave one NUTS region out. Raises ConfigurationError where labelled parcels lie in fewer than two regions."""
    fold, names = _by_name(nuts_id, labelled)
    if len(names) < 2:
        raise ConfigurationError(
            f"labelled parcels lie in {len(names)} region(s): {list(names)}",
            where="model.folds",
            mend="Use `folds: {by: block}`",
        )
    return _separate("region", fold, names, holding_id, xy, neighbour_distance_m)


def by_block(
    xy: NDArray[np.float64],
    *,
    label: NDArray[np.int16],
    count: int = 5,
    block_m: float = BLOCK_M,
    holding_id: Names | None = None,
    neighbour_distance_m: float = 0.0,
) -> Folds:
    """Square blocks of side `block_m` on centroids `xy` (N, 2; EPSG:3035), dealt to `count` folds so that each
    gets its share of every class. Fewer folds where there are fewer blocks; ConfigurationError below two.
    """
    blocks, block = np.unique(np.floor(xy / block_m).astype(np.int64), axis=0, return_inverse=True)
    dealt = _deal(_class_counts(block.ravel(), label, groups=len(blocks)), count)
    used = np.unique(dealt[dealt >= 0])
    if len(used) < 2:
        raise ConfigurationError(
            f"labelled parcels lie in {len(used)} block(s) of {block_m:g} m",
            where="model.folds.block_size_m",
            mend="Choose a smaller one",
        )
    fold = np.where(label >= 0, dealt[block.ravel()], NOT_JUDGED).astype(np.int16)
    names = tuple(f"block fold {k}" for k in range(len(used)))
    return _separate("block", fold, names, holding_id, xy, neighbour_distance_m)


def from_file(
    assigned: Mapping[str, str | int],
    *,
    parcel_ids: Iterable[str],
    labelled: NDArray[np.bool_],
    holding_id: Names | None = None,
    xy: NDArray[np.float64] | None = None,
    neighbour_distance_m: float = 0.0,
) -> Folds:
    """Folds from a file (parcel_id -> fold). A labelled parcel that is not listed is not judged."""
    fold, names = _by_name([str(assigned.get(parcel, "")) for parcel in parcel_ids], labelled)
    if len(names) < 2:
        raise ConfigurationError(
            f"the folds file puts labelled parcels into {len(names)} fold(s)",
            where="model.folds.file",
            mend="It needs two or more folds, and the parcel_id of the declarations",
        )
    return _separate("file", fold, names, holding_id, xy, neighbour_distance_m)


def at_random(*, label: NDArray[np.int16], count: int = 5, seed: int, holding_id: Names | None = None) -> Folds:
    """Holdings dealt at random. For measuring what a random split pretends, never for publishing: neighbours stand
    on both sides, `is_spatial` is False and reports say so.
    """
    holding = _holding_codes(holding_id, len(label))
    groups = int(holding.max(initial=-1)) + 1
    order = np.random.default_rng(seed).permutation(groups)
    dealt = np.empty(groups, np.int16)
    dealt[order] = _deal(_class_counts(holding, label, groups=groups)[order], count)
    fold = np.where(label >= 0, dealt[holding], NOT_JUDGED).astype(np.int16)
    names = tuple(f"random fold {k}" for k in range(int(fold.max(initial=NOT_JUDGED)) + 1))
    if len(names) < 2:
        raise ConfigurationError("labelled parcels belong to fewer than two holdings", where="model.folds")
    return _separate("random", fold, names, holding_id, None, 0.0)


def _by_name(name: Names, labelled: NDArray[np.bool_]) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """(N,) the fold of each labelled parcel by the name of where it lies, and the names, sorted."""
    code, names = _numbered(name)
    used = np.flatnonzero(np.bincount(code[labelled & (code >= 0)], minlength=len(names)))
    position = np.full(len(names) + 1, NOT_JUDGED, np.int16)  # the last one is of no name
    position[used] = np.arange(len(used))
    return np.where(labelled, position[code], np.int16(NOT_JUDGED)), tuple(names[place] for place in used.tolist())


def _numbered(name: Names) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) position of each name among the sorted names, -1 where there is none or an empty one. An array of text would
    hold four bytes a parcel for every letter of the longest."""
    encoded = pa.array(name, pa.string(), from_pandas=True).dictionary_encode()
    found = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(found, kind="stable")
    unnamed = int((found == "").sum())  # sorts first
    rank = np.empty(len(found) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(found)) - unnamed, NOT_JUDGED
    return rank[pc.fill_null(encoded.indices, len(found)).to_numpy()], found[order].tolist()[unnamed:]


def _separate(
    made_by: FoldMaker,
    fold: NDArray[np.int16],
    names: tuple[str, ...],
    holding_id: Names | None,
    xy: NDArray[np.float64] | None,
    neighbour_distance_m: float,
) -> Folds:
    holding = _holding_codes(holding_id, len(fold))
    excluded = np.zeros((len(names), len(fold)), bool)
    for k in range(len(names)):
        judged = fold == k
        excluded[k] = np.isin(holding, holding[judged]) & ~judged
        if xy is not None and neighbour_distance_m > 0:
            excluded[k, _neighbours(xy, judged, neighbour_distance_m * (1 + 1e-9))] = True
    return Folds(made_by, fold, names, excluded, holding)


def _neighbours(xy: NDArray[np.float64], judged: NDArray[np.bool_], below_m: float) -> NDArray[np.intp]:
    """Positions that are closer than that to one that is judged, and are not judged themselves. Only the surroundings
    of those are searched: a country has a hundred regions, each a fold."""
    from scipy.spatial import cKDTree  # a tenth of a second, and an observing splits nothing

    inside = xy[judged]
    surroundings = (inside.min(axis=0) - below_m, inside.max(axis=0) + below_m)
    near = np.flatnonzero(~judged & (xy >= surroundings[0]).all(axis=1) & (xy <= surroundings[1]).all(axis=1))
    distance, _ = cKDTree(inside).query(xy[near], distance_upper_bound=below_m)
    found: NDArray[np.intp] = near[np.isfinite(distance)]
    return found


def _holding_codes(holding_id: Names | None, count: int) -> NDArray[np.int64]:
    """(N,) one number per holding; a parcel whose holding is not known is a holding of its own."""
    if holding_id is None:
        return np.arange(count)
    codes, known = _numbered(holding_id)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(known) + np.arange(len(alone))
    return codes


def _class_counts(group: NDArray[np.int64], label: NDArray[np.int16], *, groups: int) -> NDArray[np.int64]:
    """(groups, classes) labelled parcels of each class in each group."""
    counts = np.zeros((groups, int(label.max(initial=-1)) + 1), np.int64)
    np.add.at(counts, (group[label >= 0], label[label >= 0]), 1)
    return counts


def _deal(counts: NDArray[np.int64], folds: int) -> NDArray[np.int16]:
    """Deals groups (G, K classes) to folds, largest group first, each to where the class shares stay most even.

    Returns (G,) fold of each group, -1 for a group without labelled parcels; folds that are used count from 0.
    """
    share = counts / np.maximum(counts.sum(axis=0), 1)  # rare classes weigh as much as frequent ones
    held = np.zeros((folds, counts.shape[1]))
    dealt = np.full(len(counts), NOT_JUDGED, np.int16)
    for group in np.argsort(-counts.sum(axis=1), kind="stable"):
        if counts[group].sum() == 0:
            break
        fold = int(np.argmin((held * share[group]).sum(axis=1) + 1e-6 * held.sum(axis=1)))
        held[fold] += share[group]
        dealt[group] = fold
    return dealt
