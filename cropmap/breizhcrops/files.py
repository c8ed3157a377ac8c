"""Genuine BreizhCrops folders: regions on disk in, one flat ragged block of series out.

    <root>/classmapping.csv
    <root>/<year>/<level>/<region>.csv, <region>.h5      index and arrays
    <root>/<year>/<level>/<region>/csv/<parcel>.csv      or the raw exports that they were compiled from

All regions of a year (608,000 series) are read one array at a time into memory that is set aside once: float32
reflectance is all that stays. A series that cannot be used is counted by its reason.
Layout: Russwurm, Pelletier, Zollner, Lefèvre, Körner (2020), BreizhCrops.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.breizhcrops.columns import BANDS_OF, Level
from cropmap.breizhcrops.index import ClassMapping, IndexEntry
from cropmap.breizhcrops.regions import CompiledRegion, RawRegion, Rows, open_region
from cropmap.errors import ObservationFileError
from cropmap.progress import Counter

REGIONS: Final = ("frh01", "frh02", "frh03", "frh04")
"""The four departments of Brittany that the published splits are made of."""
YEARS: Final = (2017, 2018)

WITHOUT_CLASS: Final = "crop code is in no class"
DUPLICATE_ID: Final = "parcel id is listed before"


@dataclass(frozen=True)
class BreizhCropsData:
    """N series of one or several regions, M rows in all; series i owns the rows offsets[i]:offsets[i + 1]."""

    parcel_ids: NDArray[np.str_]
    """(N,) "<region>/<id>", ascending"""
    region: NDArray[np.int16]
    """(N,) position in `regions`"""
    label: NDArray[np.int16]
    """(N,) position in `crops`"""
    offsets: NDArray[np.int64]
    """(N + 1,)"""
    day: NDArray[np.int32]
    """(M,) days since 1970, ascending within a series; the row's number where the release has no dates"""
    reflectance: NDArray[np.float32]
    """(M, C) 0-1"""
    clear_fraction: NDArray[np.float32]
    """(M,) 0-1"""
    bands: tuple[str, ...]
    regions: tuple[str, ...]
    crops: tuple[str, ...]
    has_dates: bool
    """False for the first L2A release: rows are in time order, without dates"""
    left_out: dict[str, dict[str, int]]
    """per region: reason → series"""
    order: dict[str, str]
    """per region: how its columns were ordered"""


@dataclass
class _Block:
    """Flat arrays that grow; `used` rows of them hold something."""

    day: NDArray[np.int32]
    reflectance: NDArray[np.float32]
    clear: NDArray[np.float32]
    used: int = 0
    lengths: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, rows: int, bands: int) -> _Block:
        # np.empty only reserves: memory is allocated when a row is written
        return cls(np.empty(rows, np.int32), np.empty((rows, bands), np.float32), np.empty(rows, np.float32))

    def append(self, rows: Rows) -> None:
        days, reflectance, clear = rows
        end = self.used + len(days)
        if end > len(self.day):
            more = max(end, 2 * len(self.day))
            for name in ("day", "reflectance", "clear"):
                old = getattr(self, name)
                new = np.empty((more, *old.shape[1:]), old.dtype)
                new[: self.used] = old[: self.used]
                setattr(self, name, new)
        part = slice(self.used, end)
        self.day[part], self.reflectance[part], self.clear[part] = days, reflectance, clear
        self.lengths.append(len(days))
        self.used = end


def find_regions(root: Path, *, year: int, level: Level) -> tuple[str, ...]:
    """Regions of a year and level that can be read, sorted."""
    folder = root / str(year) / level
    compiled = {path.stem for path in folder.glob("*.h5") if path.with_suffix(".csv").is_file()}
    raw = {path.parent.name for path in folder.glob("*/csv") if any(path.glob("*.csv"))}
    return tuple(sorted(compiled | raw))


def read_breizhcrops(
    root: Path, *, year: int, level: Level, regions: Sequence[str], mapping: ClassMapping
) -> BreizhCropsData:
    """Every series of `regions` (ascending) that has a class and a row. Raises ObservationFileError."""
    assert list(regions) == sorted(regions), "parcel ids ascend with their regions"
    bands = BANDS_OF[level]
    block = _Block.of(_expected_rows(root, year, level, regions), len(bands))
    number = {crop: k for k, crop in enumerate(mapping.crops)}
    ids: list[str] = []
    region_of: list[int] = []
    label: list[int] = []
    left_out: dict[str, dict[str, int]] = {}
    order: dict[str, str] = {}
    dated: set[bool] = set()
    for position, region in enumerate(regions):
        reader = open_region(root / str(year) / level, region, level)
        tally: Tally[str] = Tally()
        for entry, rows in _usable(reader, region, mapping, tally):
            block.append(rows)
            ids.append(f"{region}/{entry.parcel_id}")
            region_of.append(position)
            label.append(number[mapping.crop_of[entry.crop_code]])
        left_out[region], order[region] = dict(sorted(tally.items())), reader.order
        dated.add(reader.has_dates)
    if len(dated) > 1:
        raise ObservationFileError("some regions have dates and some have not", where=str(root / str(year) / level))
    return BreizhCropsData(
        parcel_ids=np.array(ids, np.str_),
        region=np.array(region_of, np.int16),
        label=np.array(label, np.int16),
        offsets=np.concatenate([[0], np.cumsum(block.lengths)]).astype(np.int64),
        day=block.day[: block.used],
        reflectance=block.reflectance[: block.used],
        clear_fraction=block.clear[: block.used],
        bands=bands,
        regions=tuple(regions),
        crops=mapping.crops,
        has_dates=dated == {True},
        left_out=left_out,
        order=order,
    )


def _usable(
    reader: CompiledRegion | RawRegion, region: str, mapping: ClassMapping, tally: Tally[str]
) -> Iterator[tuple[IndexEntry, Rows]]:
    """Entries with their rows; all others are tallied by reason."""
    before = ""
    with closing(reader), Counter(f"read {region}", total=len(reader.entries), unit="series") as counter:
        for entry in reader.entries:
            counter.add()
            repeated, before = entry.parcel_id == before, entry.parcel_id
            if repeated or entry.crop_code not in mapping.crop_of:
                tally[DUPLICATE_ID if repeated else WITHOUT_CLASS] += 1
                continue
            rows = reader.rows(entry)
            if isinstance(rows, str):
                tally[rows] += 1
            else:
                yield entry, rows


def _expected_rows(root: Path, year: int, level: Level, regions: Sequence[str]) -> int:
    """Rows to set memory aside for, by the size of the files; a little more than there are."""
    folder = root / str(year) / level
    sizes = [path.stat().st_size for r in regions if (path := folder / f"{r}.h5").is_file()]
    columns = len(BANDS_OF[level]) + 4
    return sum(sizes) // (columns * 8) + 1024
