"""Predictions part by part: other processes, on this machine or another, score some of a season's parcels each into the
store that they share, and the parts are joined in the order of the parcels.

What a network is given depends on the part alone, and so do the last bits of its scores: parcels are scored PART_ROWS
at a time. What is sent is a description; the series lie in the store. A part that is there is not made again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.dataset.series import Series
from cropmap.dataset.shared import packed_mask, unpacked_mask
from cropmap.predictions.predict import Artifact, predict
from cropmap.predictions.predictions import ROW_GROUP, Predictions, write_parts
from cropmap.store import Store

PART_ROWS: Final = 8_192
"""parcels that are scored, and later joined, at a time: 11 MB of 30 observations each"""


@dataclass(frozen=True)
class PartJob:
    """Some of a season's parcels to be scored: all that another process needs beside the store."""

    label: str
    """whose parcels they are, for a person"""
    name: str
    """of the part in the store"""
    dataset: str
    """its place in the store, once `share_series` has been called"""
    artifact_id: str
    parcels: bytes
    """which of the dataset's parcels: `packed_mask`"""
    fold: bytes
    """of each of them, as `predict` takes it: little-endian int16, compressed"""
    count: int
    """parcels"""
    words: str
    """before what a parcel is scored by"""

    @classmethod
    def of(
        cls,
        label: str,
        name: str,
        *,
        dataset: str,
        artifact_id: str,
        here: NDArray[np.bool_],
        fold: NDArray[np.int16],
        words: str,
    ) -> PartJob:
        """The parcels where `here` (N,) is true, by `fold` (N,)."""
        judged_by = zlib.compress(fold[here].astype("<i2").tobytes())
        return cls(label, name, dataset, artifact_id, packed_mask(here), judged_by, int(here.sum()), words)

    def __str__(self) -> str:
        return self.label

    def score(
        self,
        store: Store,
        series: Series,
        artifact: Artifact,
        *,
        threads: int,
        on_done: Callable[[float], None] = lambda _: None,
    ) -> str:
        """Scores the parcels into the store, unless they are there; `series` are those of the dataset. `on_done` is
        told how many parcels are done. Returns what was done. Raises ArtifactError as `predict` does."""
        if store.count_rows(self.name) == self.count:
            on_done(self.count)
            return "kept"
        here = unpacked_mask(self.parcels, len(series))
        index = np.flatnonzero(here) if here is not None else np.empty(0, np.intp)
        fold = np.frombuffer(zlib.decompress(self.fold), "<i2").astype(np.int16)

        def scored() -> Iterator[pa.Table]:
            for start in range(0, len(index), PART_ROWS):
                rows = slice(start, start + PART_ROWS)
                part = predict(
                    artifact, series.take(index[rows]), fold=fold[rows], threads=threads, on_done=lambda _: None
                )
                words = [f"{self.words}{by}" for by in part.scored_by] if self.words else part.scored_by
                yield replace(part, scored_by=words).stored(slice(None))
                on_done(len(part))

        write_parts(store, self.name, artifact.manifest.crops, scored())
        return "predicted"


def chunk_of(part_of: NDArray[np.integer], place: int) -> NDArray[np.intp]:
    """Ascending positions of the parcels that are scored in one call with the one at `place`; part_of (N,) as in
    `join_parts`."""
    own = np.flatnonzero(part_of == part_of[place])
    start = int(np.searchsorted(own, place)) // PART_ROWS * PART_ROWS
    return own[start : start + PART_ROWS]


def write_unscored(store: Store, name: str, series: Series, crops: tuple[str, ...], *, scored_by: str) -> None:
    """The predictions of a season without a model."""
    starts = range(0, len(series), ROW_GROUP)
    parts = (series.take(np.arange(start, min(start + ROW_GROUP, len(series)))) for start in starts)
    tables = (Predictions.none(part, crops, scored_by=scored_by).stored(slice(None)) for part in parts)
    write_parts(store, name, crops, tables)


def join_parts(
    store: Store,
    name: str,
    parts: Sequence[str],
    *,
    part_of: NDArray[np.integer],
    parcel_ids: NDArray[np.str_],
    crops: tuple[str, ...],
) -> None:
    """One object of the parts, in the order of `parcel_ids` (N,); part_of (N,) is the position in `parts` of the part
    that a parcel is in. Of each part one row group is in memory. Raises DamagedObjectError."""

    def joined() -> Iterator[pa.Table]:
        with ExitStack() as opened:
            rows = [_Rows(opened.enter_context(closing(store.read_rows(part)))) for part in parts]
            for start in range(0, len(part_of), ROW_GROUP):
                here = part_of[start : start + ROW_GROUP]
                order = np.argsort(here, kind="stable")
                place = np.empty(len(order), np.int64)
                place[order] = np.arange(len(order))
                counts = np.bincount(here, minlength=len(parts)).tolist()
                found = [part.take(count) for part, count in zip(rows, counts, strict=True) if count]
                table = pa.concat_tables(found).combine_chunks().take(pa.array(place))
                ids = pa.chunked_array([pa.array(parcel_ids[start : start + ROW_GROUP].tolist(), pa.string())])
                assert table["parcel_id"].equals(ids), "each part holds its own parcels"
                yield table

    write_parts(store, name, crops, joined())


class _Rows:
    """The rows of a part, some after the other."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self._held: list[pa.Table] = []

    def take(self, count: int) -> pa.Table:
        while sum(map(len, self._held)) < count:
            self._held.append(next(self._tables))
        table = pa.concat_tables(self._held)
        self._held = [table.slice(count)]
        return table.slice(0, count)
