"""The series of a season as files that are mapped: never more than a part of the parcels is in memory.

In: the observation tables of a season, one at a time. Out: a folder of plain arrays. The rows that can be used are
spilled to one temporary file, sorted by parts of the parcels; each part is then assembled by `series.assemble`, the one
path to model input, and appended to the arrays.

A folder is named by everything that its arrays depend on, so that the next command maps it without reading the
observations anew. It is a cache: its arrays are held against their digest when it is opened, and a folder that is
damaged, or that was removed, is made again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.dataset.arrays import forget_old, keep_folder, layout, open_array
from cropmap.dataset.series import Series, assemble, reflectance_of, set_unusable, stored_rows, texts
from cropmap.errors import StoreError
from cropmap.leftovers import remove_leftovers
from cropmap.processes import return_unused_memory
from cropmap.provenance import content_hash
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.seasons import Season

RECORD: Final = np.dtype(
    [("parcel", "<i4"), ("day", "<i4"), ("clear_fraction", "<f4"), ("bands", "<i2", (len(BANDS),))]
)
"""Position of the parcel, days since 1970, 0-1, stored reflectance."""
PART_PARCELS: Final = 8_192
"""parcels that are assembled at a time: 50 MB of 70 observations each"""
HELD_BYTES: Final = 32 * 2**20
"""rows that are held before they are spilled"""
WRITTEN_ROWS: Final = 65_536
"""rows that are put in order at a time"""
KEPT_FOLDERS: Final = 4
"""of the seasons that were opened last; older ones are made again where they are wanted"""
ARRAYS: Final = ("day_of_year", "reflectance", "clear_fraction")


@dataclass(frozen=True)
class Observed:
    """What the observations of a season say of its N parcels."""

    series: Series
    pixels: NDArray[np.float32]
    """(N,) 10 m pixels of each parcel, 0 where it was never seen"""


def map_observed(
    root: Path,
    key: str,
    tables: Callable[[], Iterable[pa.Table]],
    *,
    parcel_ids: pa.Array,
    season: Season,
    min_clear_fraction: float,
) -> Observed:
    """The series of `parcel_ids` (text, sorted, unique, at least one) from tables of OBSERVATION_TABLE_SCHEMA, mapped
    from a folder below `root` that `key` names; `tables` is called where that folder is still to be made.

    `key` says all that the arrays depend on. Rows are used as `build_series` uses them. Raises StoreError where the
    folder cannot be written.
    """
    remove_leftovers(root)
    folder = root / key

    def write(partial: Path) -> None:
        _write(partial, tables(), parcel_ids, season, min_clear_fraction)

    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (known := keep_folder(folder, write=write, read=_opened)) is not None:
            return known
    except OSError as error:
        why = f"cannot be written ({error.strerror or error})"
        raise StoreError(why, where=str(root), mend="Free space on its disk, or name another --home") from error
    forget_old(root, keep=folder, count=KEPT_FOLDERS)
    made = _opened(folder)
    assert made is not None, f"{folder} is not what was written"
    return made


def _opened(folder: Path) -> Observed | None:
    """None where the folder does not hold what was written."""
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    ids, offsets = (open_array(folder / f"{name}.npy") for name in ("parcel_ids", "offsets"))
    series = _series(folder, ids, offsets, bands=tuple(facts["bands"]), day_zero=date.fromisoformat(facts["day_zero"]))
    pixels = np.load(folder / "pixels.npy")
    if facts["content"] != _content(series, pixels):
        return None
    with suppress(OSError):  # another process removed it: what is mapped stays
        os.utime(folder)
    return Observed(series, pixels)


def _content(series: Series, pixels: NDArray[np.float32]) -> list[str]:
    arrays = (series.parcel_ids, series.offsets, *(getattr(series, name) for name in ARRAYS), pixels)
    return [series.hash, content_hash(pixels), *layout(*arrays)]


def _series(
    folder: Path, ids: NDArray[np.str_], offsets: NDArray[np.int64], *, bands: tuple[str, ...], day_zero: date
) -> Series:
    day_of_year, reflectance, clear_fraction = (open_array(folder / f"{name}.npy") for name in ARRAYS)
    return Series(ids, offsets, day_of_year, reflectance, clear_fraction, bands, day_zero, folder)


def _write(folder: Path, tables: Iterable[pa.Table], ids: pa.Array, season: Season, min_clear_fraction: float) -> None:
    count, parcel_ids = len(ids), _write_ids(folder / "parcel_ids.npy", ids)
    pixels = np.zeros(count, np.float32)
    lengths = np.zeros(count, np.int64)
    with _Spill(folder, parts=-(-count // PART_PARCELS)) as spill:
        _spill(tables, spill, pixels, parcel_ids, season, min_clear_fraction)
        with _Arrays(folder) as arrays:
            for part, rows in enumerate(spill):
                here = slice(part * PART_PARCELS, min((part + 1) * PART_PARCELS, count))
                series = assemble(
                    rows["parcel"].astype(np.int64) - here.start,
                    day=rows["day"].astype(np.int64),
                    clear_fraction=np.ascontiguousarray(rows["clear_fraction"]),
                    reflectance=reflectance_of(np.ascontiguousarray(rows["bands"])),
                    reject=np.full(len(rows), -1, np.int8),
                    bands=BANDS,
                    parcel_ids=parcel_ids[here],
                    season=season,
                    min_clear_fraction=min_clear_fraction,
                )
                lengths[here] = series.lengths
                arrays.append(series)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    for name, array in (("offsets", offsets), ("pixels", pixels)):
        np.save(folder / f"{name}.npy", array)
    series = _series(folder, parcel_ids, offsets, bands=BANDS, day_zero=season.day_zero)
    facts = {"bands": BANDS, "day_zero": season.day_zero.isoformat(), "content": _content(series, pixels)}
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _write_ids(path: Path, ids: pa.Array) -> NDArray[np.str_]:
    """The identifiers, mapped from their file: numpy takes four bytes for every letter of the longest in each row."""
    dtype = f"<U{max(pc.max(pc.utf8_length(ids)).as_py(), 1)}"
    written = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(len(ids),))
    for start in range(0, len(ids), PART_PARCELS):
        written[start : start + PART_PARCELS] = ids[start : start + PART_PARCELS].to_pylist()
    written.flush()
    return open_array(path)


def _spill(
    tables: Iterable[pa.Table],
    spill: _Spill,
    pixels: NDArray[np.float32],
    parcel_ids: NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
) -> None:
    """The rows that can be used to the spill, and the largest number of pixels of each parcel to `pixels`."""
    places = _Places(parcel_ids)
    for table in tables:
        if not len(table):
            continue
        parcel = places.of(table)
        known = parcel >= 0
        total = table["total_pixels"].to_numpy()
        np.fmax.at(pixels, parcel[known], total[known])
        day, clear_fraction, stored = stored_rows(table, BANDS)
        reject = np.full(len(table), -1, np.int8)
        set_unusable(
            reject,
            parcel=parcel,
            day=day,
            clear_fraction=clear_fraction,
            has_band=np.asarray((stored != REFLECTANCE_NODATA).any(axis=1)),
            season=season,
            min_clear_fraction=min_clear_fraction,
        )
        used = np.flatnonzero(reject < 0)
        records = np.empty(len(used), RECORD)
        for name, column in (("parcel", parcel), ("day", day), ("clear_fraction", clear_fraction), ("bands", stored)):
            records[name] = column[used]
        spill.add(records)


class _Places:
    """Positions of parcels: the files of a tile list the same ones, which are looked up once."""

    def __init__(self, parcel_ids: NDArray[np.str_]) -> None:
        self._ids = parcel_ids
        self._known: dict[str, NDArray[np.int32]] = {}
        """by the digest of what was looked up"""
        self._held = 0

    def of(self, table: pa.Table) -> NDArray[np.int64]:
        """(R,) position of each row's parcel, -1 where it is none of them."""
        parcels = table["parcel_id"].unify_dictionaries()
        looked_up = texts(parcels.chunk(0).dictionary)
        bytes_of = (np.frombuffer(part, np.uint8) for part in looked_up.buffers() if part)
        key = content_hash(f"{looked_up.offset} {len(looked_up)}", *bytes_of, length=64)
        if (known := self._known.get(key)) is None:
            if self._held > 2 * len(self._ids):  # files that list others each time
                self._known.clear()
                self._held = 0
            self._known[key] = known = self._find(looked_up)
            self._held += len(known)
        rows = np.concatenate([chunk.indices.to_numpy(zero_copy_only=False) for chunk in parcels.chunks])
        found: NDArray[np.int64] = known[rows].astype(np.int64)
        return found

    def _find(self, wanted: pa.Array) -> NDArray[np.int32]:
        found = np.empty(len(wanted), np.int32)
        for start in range(0, len(wanted), PART_PARCELS):  # a file of others may list all parcels at once
            names = np.array(wanted[start : start + PART_PARCELS].to_pylist(), np.str_)
            place = np.searchsorted(self._ids, names.astype(self._ids.dtype))  # else the ids would be copied as wide
            place[place == len(self._ids)] = 0
            found[start : start + PART_PARCELS] = np.where(self._ids[place] == names, place, -1)
        return found


class _Spill:
    """Rows in any order, returned part by part of the parcels; within a part in the order of their arrival."""

    def __init__(self, folder: Path, *, parts: int) -> None:
        self._folder, self._parts = folder, parts
        self._held = np.empty(max(HELD_BYTES // RECORD.itemsize, 1), RECORD)
        self._count = 0
        """of the rows that are held"""
        self._flushed: list[NDArray[np.int64]] = []
        """per flush the (parts + 1,) first rows in the file"""

    def __enter__(self) -> _Spill:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, records: NDArray[Any]) -> None:
        """(n,) of RECORD."""
        while len(records):
            some = records[: len(self._held) - self._count]
            self._held[self._count : self._count + len(some)] = some
            self._count += len(some)
            records = records[len(some) :]
            if self._count == len(self._held):
                self._flush()

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """The rows of each part."""
        self._flush()
        self._held = self._held[:0].copy()
        for part in range(self._parts):
            rows = [np.empty(0, RECORD)]
            for first in self._flushed:
                if first[part + 1] > first[part]:
                    self._file.seek(int(first[part]) * RECORD.itemsize)
                    count = int(first[part + 1] - first[part])
                    rows.append(np.frombuffer(self._file.read(count * RECORD.itemsize), RECORD))
            yield np.concatenate(rows)

    def _flush(self) -> None:
        part = self._held["parcel"][: self._count] // PART_PARCELS
        begin = int(self._flushed[-1][-1]) if self._flushed else 0
        order = np.argsort(part, kind="stable")
        self._file.seek(begin * RECORD.itemsize)
        for start in range(0, self._count, WRITTEN_ROWS):
            self._file.write(self._held[order[start : start + WRITTEN_ROWS]].data)
        sizes = np.bincount(part, minlength=self._parts)
        self._flushed.append(begin + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        self._count = 0
        return_unused_memory()  # of the files that were read meanwhile


class _Arrays:
    """The arrays of observations, written as they come; their length is known at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._rows = folder, 0
        self._shapes: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            "day_of_year": (np.dtype(np.int16), ()),
            "reflectance": (np.dtype(np.float32), (len(BANDS),)),
            "clear_fraction": (np.dtype(np.float32), ()),
        }

    def __enter__(self) -> _Arrays:
        self._files = {name: (self._folder / f"{name}.npy").open("wb") for name in ARRAYS}
        self._write_headers()
        return self

    def append(self, series: Series) -> None:
        for name, file in self._files.items():
            file.write(np.ascontiguousarray(getattr(series, name)).data)
        self._rows += len(series.day_of_year)

    def __exit__(self, *_: object) -> None:
        self._write_headers()
        for file in self._files.values():
            file.close()

    def _write_headers(self) -> None:
        """numpy leaves room in a header for a first axis that grows."""
        for name, file in self._files.items():
            dtype, shape = self._shapes[name]
            header = {"descr": dtype.str, "fortran_order": False, "shape": (self._rows, *shape)}
            file.seek(0)
            np.lib.format.write_array_header_1_0(file, header)
