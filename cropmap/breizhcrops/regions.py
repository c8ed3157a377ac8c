"""One BreizhCrops region on disk: its entries, and the rows of each, read one array at a time.

In: `<region>.csv` and `<region>.h5`, or the folder `<region>/csv` of raw exports, one file per parcel. Out: days,
reflectance 0-1 and clear fraction of a parcel, or the reason why it has none.
"""

from __future__ import annotations

from collections import Counter as Tally
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.breizhcrops.columns import BANDS_OF, DATE_NS, Columns, Level, clear_fraction, detect_columns
from cropmap.breizhcrops.index import IndexEntry, read_index
from cropmap.breizhcrops.raw_folders import RAW_SCALE, read_breizhcrops_raw, read_breizhcrops_raw_l2a
from cropmap.errors import ObservationFileError

SAMPLE_SERIES: Final = 200
"""Columns are detected on this many series, spread over the region."""
NS_PER_DAY: Final = 86_400 * 10**9

MOST_NUMBERS: Final = 1_000_000
"""of an array: 50,000 rows, where a series has 150"""

NOT_IN_H5: Final = "path is not in the h5 file"
TOO_LARGE: Final = "array is larger than any series"
OTHER_SHAPE: Final = "array has other columns than its region"
EMPTY: Final = "series has no usable row"

ELSEWHERE: Final = "it is a link, or its values lie in another file"

Rows = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]
"""of one parcel: days since 1970 (T,) ascending, reflectance (T, C), clear fraction (T,)"""


class CompiledRegion:
    """Index and h5 file of a region; arrays are opened one by one."""

    def __init__(self, index: Path, level: Level) -> None:
        self.path, self.level = index.with_suffix(".h5"), level
        self.entries = read_index(index)
        self._group: tuple[str, h5py.Group | None] = ("", None)
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ObservationFileError(f"cannot be read as HDF5 ({error})", where=str(self.path)) from error
        try:
            self.columns = detect_columns(self._sample(), level, where=str(self.path))
        except BaseException:
            self.close()
            raise
        self.order, self.has_dates = self.columns.order, self.columns.date is not None

    def rows(self, entry: IndexEntry) -> Rows | str:
        """The parcel's rows, or the reason why there are none."""
        array = self._array(entry)
        if isinstance(array, str):
            return array
        if array.ndim != 2 or (len(array) and array.shape[1] != self.columns.count):
            return EMPTY if array.size == 0 else OTHER_SHAPE
        return _ordered(*_split(array, self.columns, self.level)) or EMPTY

    def close(self) -> None:
        self._file.close()

    def _array(self, entry: IndexEntry) -> NDArray[np.float64] | str:
        try:
            dataset = self._dataset(entry.path)
            if dataset is None or dataset.shape is None:
                return NOT_IN_H5
            return TOO_LARGE if dataset.size > MOST_NUMBERS else np.asarray(dataset[()], np.float64)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
            why = " ".join(str(error).split())
            raise ObservationFileError(f"{entry.path!r} cannot be read ({why})", where=str(self.path)) from error

    def _dataset(self, path: str) -> h5py.Dataset | None:
        """The array of that name in this very file. HDF5 would follow links into other files, and read an array from
        wherever the file says that it lies."""
        folder, _, name = path.rpartition("/")
        if self._group[0] != folder or self._group[1] is None:
            group = self._file
            for part in filter(None, folder.split("/")):
                group = _own(group, part)
                if not isinstance(group, h5py.Group):
                    return None
            self._group = folder, group
        dataset = _own(self._group[1], name)
        if not isinstance(dataset, h5py.Dataset):
            return None
        kept = dataset.id.get_create_plist()
        if kept.get_layout() == h5py.h5d.VIRTUAL or kept.get_external_count():
            raise ValueError(ELSEWHERE)
        return dataset

    def _sample(self) -> NDArray[np.float64]:
        every = max(len(self.entries) // SAMPLE_SERIES, 1)
        sampled = (self._array(entry) for entry in self.entries[::every])
        arrays = [array for array in sampled if not isinstance(array, str) and array.ndim == 2 and len(array)]
        widths = Tally(array.shape[1] for array in arrays)
        if not widths:
            raise ObservationFileError("no series of the index is in it", where=str(self.path))
        usual = widths.most_common(1)[0][0]
        return np.concatenate([array for array in arrays if array.shape[1] == usual])


def _own(group: h5py.Group, name: str) -> h5py.HLObject | None:
    """A member of the group; None without one. Raises ValueError for a link to elsewhere."""
    link = group.get(name, getlink=True) if name else None
    if link is not None and not isinstance(link, h5py.HardLink):
        raise ValueError(ELSEWHERE)
    return None if link is None else group[name]


class RawRegion:
    """A region's raw exports, one CSV per parcel; small enough to be read at once."""

    order, has_dates = "by name", True

    def __init__(self, folder: Path, level: Level) -> None:
        table = read_breizhcrops_raw(folder) if level == "L1C" else read_breizhcrops_raw_l2a(folder)
        cloud = table["qa60" if level == "L1C" else "cloud_percent"]
        parcel = table["parcel_id"].to_numpy(zero_copy_only=False).astype(np.str_)
        names, first = np.unique(parcel, return_index=True)
        codes = table["label"].take(pa.array(first)).to_pylist()
        self.entries = [IndexEntry(n, c, n) for n, c in zip(names.tolist(), codes, strict=True)]
        self._part = dict(zip(names.tolist(), np.split(np.arange(len(parcel)), first[1:]), strict=True))
        self._day = table["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
        self._bands = np.column_stack([table[band].to_numpy() for band in BANDS_OF[level]])
        self._clear = clear_fraction(cloud.to_numpy(), level)

    def rows(self, entry: IndexEntry) -> Rows | str:
        part = self._part[entry.path]
        return _ordered(self._day[part], self._bands[part], self._clear[part]) or EMPTY

    def close(self) -> None:
        pass


def open_region(folder: Path, region: str, level: Level) -> CompiledRegion | RawRegion:
    index = folder / f"{region}.csv"
    if index.is_file() and index.with_suffix(".h5").is_file():
        return CompiledRegion(index, level)
    if (folder / region / "csv").is_dir():
        return RawRegion(folder / region / "csv", level)
    raise ObservationFileError(
        f"no region {region}", where=str(folder), mend=f"It needs {region}.csv and {region}.h5, or {region}/csv/*.csv"
    )


def _split(array: NDArray[np.float64], columns: Columns, level: Level) -> Rows:
    """Days, reflectance and clear fraction of an array; row numbers for days where it has no dates, -1 for a day
    that is none."""
    if columns.date is None:
        days = np.arange(len(array))
    else:
        ns = array[:, columns.date] * columns.ns_per_unit
        known = (ns >= DATE_NS[0]) & (ns <= DATE_NS[1])
        days = (np.where(known, ns, -NS_PER_DAY) // NS_PER_DAY).astype(np.int64)
    reflectance = (array[:, columns.bands] * RAW_SCALE).astype(np.float32)
    return days, reflectance, clear_fraction(array[:, columns.cloud].astype(np.float32), level)


def _ordered(days: NDArray[np.int64], reflectance: NDArray[np.float32], clear: NDArray[np.float32]) -> Rows | None:
    """Rows with a day and a band, in time order, the clearest of each day; None where nothing is left."""
    seen = np.flatnonzero(np.isfinite(reflectance).any(axis=1) & (days >= 0))
    rows = seen[np.lexsort((-clear[seen], days[seen]))]
    rows = rows[np.diff(days[rows], prepend=-1) != 0]
    return (days[rows], reflectance[rows], clear[rows]) if len(rows) else None
