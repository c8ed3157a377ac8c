"""The observations of one parcel, read from files that each contain one acquisition of a whole tile.

A series needs one row of every file of the tile, of which there are about a hundred. Opening them for every request
would be the largest cost of the API, so what was read is kept in memory as arrays. A tile may have hundreds of
thousands of parcels: of each file the row group that has the parcel is read, and no other.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypedDict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.errors import CropmapError
from cropmap.observations.files import iter_row_groups
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.store import RowGroup, Store
from serving.errors import ObservationsUnavailableError

CACHE_BYTES: Final = 512 << 20
KNOWN_FILES: Final = 100_000
"""files whose row groups are remembered; the oldest goes first"""


@dataclass(frozen=True)
class ObservationFile:
    """An observation file of the ledger; `version` is another one whenever the file was written anew."""

    name: str
    version: str


@dataclass(frozen=True)
class _Acquisition:
    """A row group of one file in memory."""

    rows: Mapping[str, int]
    """parcel_id -> row; shared between the files of the same parcels"""
    sensed_at: datetime | None
    item_id: str
    clear_fraction: NDArray[np.float64]
    bands: NDArray[np.int16]
    """(parcels, bands), reflectance x 10 000"""

    @property
    def bytes(self) -> int:
        return self.clear_fraction.nbytes + self.bands.nbytes


class SeriesRow(TypedDict):
    """One acquisition of a parcel."""

    sensed_at: datetime | None
    clear_fraction: float
    reflectance: dict[str, float]
    """by band; NaN where no pixel is clear"""


class SeriesReader:
    """Reads series from a store and keeps the row groups that were used last, up to `cache_bytes`."""

    def __init__(self, store: Store, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._store, self._cache_bytes = store, cache_bytes
        self._kept: OrderedDict[tuple[ObservationFile, int], _Acquisition] = OrderedDict()
        self._lasts: dict[ObservationFile, tuple[str, ...]] = {}
        """the last parcel of each row group"""
        self._bytes = 0
        self._lock, self._loading = threading.Lock(), threading.Lock()

    def read(self, files: Sequence[ObservationFile], parcel_id: str) -> list[SeriesRow]:
        """The parcel by time.

        Raises ObservationsUnavailableError.
        """
        seen = [acquisition for acquisition in self._acquisitions(files, parcel_id) if parcel_id in acquisition.rows]
        seen.sort(key=lambda acquisition: (acquisition.sensed_at, acquisition.item_id))
        at = [acquisition.rows[parcel_id] for acquisition in seen]
        stored = np.array([acquisition.bands[row] for acquisition, row in zip(seen, at, strict=True)]).reshape(
            -1, len(BANDS)
        )
        values = np.where(stored == REFLECTANCE_NODATA, np.nan, stored / REFLECTANCE_SCALE).tolist()
        return [
            {
                "sensed_at": acquisition.sensed_at,
                "clear_fraction": float(acquisition.clear_fraction[row]),
                "reflectance": dict(zip(BANDS, reflectance, strict=True)),
            }
            for acquisition, row, reflectance in zip(seen, at, values, strict=True)
        ]

    def _acquisitions(self, files: Sequence[ObservationFile], parcel_id: str) -> list[_Acquisition]:
        """Of the files whose row groups may have the parcel."""
        found = self._found(files, parcel_id)
        if len(found) < len(set(files)):
            with self._loading:  # a request during the read of the same parcels finds them afterwards
                found |= self._found(files, parcel_id)
                found |= self._load([file for file in files if file not in found], parcel_id)
        return [acquisition for file in files if (acquisition := found[file])]

    def _found(self, files: Sequence[ObservationFile], parcel_id: str) -> dict[ObservationFile, _Acquisition | None]:
        """What is kept; None for a file that has no row group for the parcel."""
        found: dict[ObservationFile, _Acquisition | None] = {}
        with self._lock:
            for file in files:
                if (lasts := self._lasts.get(file)) is None:
                    continue
                key = file, bisect_left(lasts, parcel_id)
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[file] = self._kept[key]
                elif key[1] == len(lasts):
                    found[file] = None
        return found

    def _load(self, files: Sequence[ObservationFile], parcel_id: str) -> dict[ObservationFile, _Acquisition | None]:
        loaded: dict[ObservationFile, _Acquisition | None] = {}
        shared: list[tuple[pa.Array, dict[str, int]]] = []
        try:
            groups = iter_row_groups(self._store, [file.name for file in files], parcel_id)
            for file, group in zip(files, groups, strict=True):
                is_there = group.number < len(group.lasts)
                loaded[file] = acquisition = _acquisition(group.rows, shared) if is_there else None
                self._keep(file, group, acquisition)
        except (OSError, pa.ArrowInvalid, CropmapError) as error:  # a key that has expired among them
            raise ObservationsUnavailableError(
                f"observations cannot be read ({error})", where=self._store.root
            ) from error
        return loaded

    def _keep(self, file: ObservationFile, group: RowGroup, acquisition: _Acquisition | None) -> None:
        with self._lock:
            while file not in self._lasts and len(self._lasts) >= KNOWN_FILES:
                del self._lasts[next(iter(self._lasts))]
            self._lasts[file] = group.lasts
            if acquisition is not None and (file, group.number) not in self._kept:
                self._kept[file, group.number] = acquisition
                self._bytes += acquisition.bytes
            while self._bytes > self._cache_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].bytes


def _acquisition(table: pa.Table, shared: list[tuple[pa.Array, dict[str, int]]]) -> _Acquisition:
    clear, total = (table[name].to_numpy().astype(float) for name in ("clear_pixels", "total_pixels"))
    return _Acquisition(
        rows=_rows(table["parcel_id"].combine_chunks().dictionary_decode(), shared),
        sensed_at=table["sensed_at"][0].as_py() if len(table) else None,
        item_id=str(table["item_id"][0]) if len(table) else "",
        clear_fraction=np.divide(clear, total, out=np.zeros_like(clear), where=total > 0),
        bands=np.column_stack([table[band].to_numpy() for band in BANDS]),
    )


def _rows(parcel_ids: pa.Array, shared: list[tuple[pa.Array, dict[str, int]]]) -> Mapping[str, int]:
    """parcel_id -> row; one dictionary for all files that hold the same parcels, as those of a tile do."""
    for known, rows in shared:
        if known.equals(parcel_ids):
            return rows
    shared.append((parcel_ids, {parcel_id: row for row, parcel_id in enumerate(parcel_ids.to_pylist())}))
    return shared[-1][1]
