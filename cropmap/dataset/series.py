"""Parcel statistics in, one variable-length series per parcel out.

Rows are dropped only where nothing can be learnt from them (too cloudy, no band at all, outside the season's
window); a parcel without any usable row stays in, with an empty series. Nothing is resampled or filled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.errors import ObservationFileError
from cropmap.provenance import content_hash
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.seasons import Season

S2_BANDS: Final = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Every Sentinel-2 band, in spectral order: the order of the feature axis of imported tables."""

TIME_COLUMNS: Final = ("sensed_at", "datetime", "date", "day")
MAX_MEDIAN_REFLECTANCE: Final = 2.0
"""Cloud tops reach about 1.7; a larger median means that the table is not scaled to 0-1."""

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Series:
    """N parcels, M observations in all, C bands; parcel i owns the rows offsets[i]:offsets[i + 1], in time order."""

    parcel_ids: NDArray[np.str_]
    """(N,) sorted, unique"""
    offsets: NDArray[np.int64]
    """(N + 1,)"""
    day_of_year: NDArray[np.int16]
    """(M,) as Season.day_of_year counts: <= 0 in the autumn before, > 366 in the year after"""
    reflectance: NDArray[np.float32]
    """(M, C) 0-1, NaN where a band is missing"""
    clear_fraction: NDArray[np.float32]
    """(M,) 0-1, share of the parcel that was seen without cloud"""
    bands: tuple[str, ...]
    """names along C"""
    day_zero: date
    """the day that counts as 0, so that days can be turned back into dates"""

    def __len__(self) -> int:
        return len(self.parcel_ids)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) observations per parcel."""
        return np.diff(self.offsets)

    def last_days(self) -> list[date | None]:
        """Date of each parcel's last observation, None where it has none."""
        last = np.where(self.lengths > 0, self.offsets[1:] - 1, 0)
        days = self.day_of_year[last] if len(self.day_of_year) else np.zeros(len(self), np.int16)
        return [
            self.day_zero + timedelta(days=int(day)) if n else None for day, n in zip(days, self.lengths, strict=True)
        ]

    def take(self, index: NDArray[np.intp]) -> Series:
        """The series of some parcels, given by ascending positions."""
        assert np.all(np.diff(index) > 0), "positions must ascend: parcel_ids stay sorted"
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[:-1][index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Series(
            self.parcel_ids[index], offsets, self.day_of_year[rows], self.reflectance[rows],
            self.clear_fraction[rows], self.bands, self.day_zero,
        )  # fmt: skip

    @cached_property
    def hash(self) -> str:
        """Digest of everything a model sees."""
        return content_hash(
            "\n".join(self.parcel_ids.tolist()), ",".join(self.bands), self.day_zero.isoformat(),
            self.offsets.tobytes(), self.day_of_year.tobytes(), self.reflectance.tobytes(),
            self.clear_fraction.tobytes(),
        )  # fmt: skip


def build_series(
    observations: pa.Table,
    *,
    parcel_ids: Sequence[str] | NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
    bands: tuple[str, ...] = BANDS,
) -> Series:
    """Series of `parcel_ids` from stored observations (OBSERVATION_SCHEMA + `sensed_at`).

    Dropped: rows of other parcels, outside the season's window, with less than `min_clear_fraction` of the parcel
    clear, or without any band. Of several rows of a parcel on one day (two orbits or tiles) the clearest stays.
    """
    total = _floats(observations["total_pixels"])
    clear = np.divide(_floats(observations["clear_pixels"]), total, out=np.zeros_like(total), where=total > 0)
    stored = np.empty((len(observations), len(bands)), np.int16)
    for column, band in enumerate(bands):
        stored[:, column] = observations[band].to_numpy()
    reflectance = stored.astype(np.float32) / np.float32(REFLECTANCE_SCALE)
    reflectance[stored == REFLECTANCE_NODATA] = np.nan
    return _assemble(
        observations, clear_fraction=np.clip(clear, 0, 1), reflectance=reflectance, bands=bands,
        parcel_ids=parcel_ids, season=season, min_clear_fraction=min_clear_fraction, where="observations",
    )  # fmt: skip


def build_tidy_series(
    table: pa.Table,
    *,
    season: Season,
    min_clear_fraction: float,
    parcel_ids: Sequence[str] | NDArray[np.str_] | None = None,
    bands: tuple[str, ...] | None = None,
    where: str = "observations",
) -> Series:
    """Series from a table made elsewhere: `parcel_id`, a date, bands as reflectance 0-1 (any subset), and
    optionally `clear_fraction` or `cloud_fraction` (neither: everything counts as clear).

    `parcel_ids` None takes every parcel of the table, `bands` None every Sentinel-2 band that it has.
    Raises ObservationFileError where the table does not say what is needed.
    """
    bands = bands or tuple(band for band in S2_BANDS if band in table.column_names)
    needed = {"parcel_id", *bands}
    if missing := sorted(needed - set(table.column_names)):
        raise ObservationFileError(f"missing columns {missing}", where=where, mend=f"It has {table.column_names}")
    if not bands:
        raise ObservationFileError("no Sentinel-2 band", where=where, mend=f"Name the columns like {list(BANDS)}")
    try:
        reflectance = np.column_stack([_floats(table[band]) for band in bands])
        clear = _clear_fraction(table)
    except pa.ArrowInvalid as error:
        raise ObservationFileError(f"a band or fraction is no number ({error})", where=where) from error
    finite = reflectance[np.isfinite(reflectance)]
    if len(finite) and np.median(finite) > MAX_MEDIAN_REFLECTANCE:
        raise ObservationFileError(
            f"median reflectance is {np.median(finite):.0f}", where=where,
            mend="Reflectance is 0-1 here: divide by 10 000",
        )  # fmt: skip
    if parcel_ids is None:
        parcel_ids = pc.unique(_texts(table["parcel_id"])).drop_null().to_pylist()
    return _assemble(
        table, clear_fraction=clear, reflectance=reflectance, bands=bands, parcel_ids=parcel_ids,
        season=season, min_clear_fraction=min_clear_fraction, where=where,
    )  # fmt: skip


def calendar_season(table: pa.Table, *, where: str = "observations") -> Season:
    """The season of a table that does not say: the year that holds most rows, and a window over all of them."""
    days = _days(table, where=where)
    if not len(days):
        raise ObservationFileError("no rows", where=where)
    years, counts = np.unique(days.astype("datetime64[D]").astype("datetime64[Y]"), return_counts=True)
    first, last = (_EPOCH + timedelta(days=int(day)) for day in (days.min(), days.max()))
    return Season(int(str(years[np.argmax(counts)])), first, last)


def _assemble(
    table: pa.Table,
    *,
    clear_fraction: NDArray[np.float32],
    reflectance: NDArray[np.float32],
    bands: tuple[str, ...],
    parcel_ids: Sequence[str] | NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
    where: str,
) -> Series:
    ids = np.unique(np.asarray(parcel_ids, dtype=np.str_))
    parcel = _positions(table["parcel_id"], ids)
    days = _days(table, where=where)
    first, last = ((day - _EPOCH).days for day in (season.start, season.end))
    keep = (
        (parcel >= 0) & (days >= first) & (days <= last)
        & (clear_fraction >= min_clear_fraction) & np.isfinite(reflectance).any(axis=1)
    )  # fmt: skip
    rows = np.flatnonzero(keep)
    # clearest first within a day; the order of the rows themselves decides the last ties
    rows = rows[np.lexsort((-clear_fraction[rows], days[rows], parcel[rows]))]
    repeated = (np.diff(parcel[rows], prepend=-1) == 0) & (np.diff(days[rows], prepend=-1) == 0)
    rows = rows[~repeated]
    return Series(
        parcel_ids=ids,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(parcel[rows], minlength=len(ids)))]).astype(np.int64),
        day_of_year=(days[rows] - (season.day_zero - _EPOCH).days).astype(np.int16),
        reflectance=np.ascontiguousarray(reflectance[rows], np.float32),
        clear_fraction=clear_fraction[rows].astype(np.float32),
        bands=bands,
        day_zero=season.day_zero,
    )


def _texts(column: Any) -> Any:
    """Identifiers as text; dictionaries are opened."""
    return pc.cast(column, pa.string())


def _floats(column: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = pc.fill_null(pc.cast(column, pa.float32()), np.nan).to_numpy()
    return values


def _positions(column: Any, ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """Position of each row's parcel in `ids`, -1 where it is none of them."""
    found = pc.index_in(_texts(column), value_set=pa.array(ids.tolist(), pa.string()))
    positions: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return positions


def _clear_fraction(table: pa.Table) -> NDArray[np.float32]:
    """1 where the table says nothing; a row with an empty fraction counts as cloudy."""
    if "clear_fraction" in table.column_names:
        clear = _floats(table["clear_fraction"])
    elif "cloud_fraction" in table.column_names:
        clear = 1 - _floats(table["cloud_fraction"])
    else:
        return np.ones(len(table), np.float32)
    return np.clip(np.nan_to_num(clear, nan=0.0), 0, 1).astype(np.float32)


def _days(table: pa.Table, *, where: str) -> NDArray[np.int64]:
    """Days since 1970 (UTC) from the first time column there is."""
    name = next((name for name in TIME_COLUMNS if name in table.column_names), None)
    if name is None:
        raise ObservationFileError("no date column", where=where, mend=f"Name it one of {list(TIME_COLUMNS)}")
    column = table[name]
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.cast(pc.utf8_slice_codeunits(column, 0, 10), pa.date32())
        days = pc.cast(column, pa.date32(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ObservationFileError(
            f"column {name} holds no dates ({error})", where=where, mend="Write ISO dates: 2018-05-31"
        ) from error
    if days.null_count:
        raise ObservationFileError(f"{days.null_count} rows without a date in column {name}", where=where)
    values: NDArray[np.int64] = pc.cast(days, pa.int32()).to_numpy().astype(np.int64)
    return values
