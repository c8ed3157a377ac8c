"""Parcel statistics in, one variable-length series per parcel out.

Rows are dropped only where nothing can be learnt from them (too cloudy, no band at all, outside the season's
window); a parcel without any usable row stays in, with an empty series. Nothing is resampled or filled here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.errors import ObservationFileError
from cropmap.observations.tables import (
    REASONS,
    S2_BANDS,
    count_rejects,
    days,
    floats,
    outside_season,
    read_layout,
    read_rows,
    set_aside,
)
from cropmap.provenance import content_hash
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE, RowReject
from cropmap.seasons import Season

_EPOCH: Final = date(1970, 1, 1)
LINES: Final = 16_384
"""identifiers that are turned into text at a time: as objects they take ten times as much"""


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
    folder: Path | None = field(default=None, compare=False)
    """where the arrays are mapped from; None: they are in memory"""

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
        dates = {day: self.day_zero + timedelta(days=day) for day in np.unique(days).tolist()}  # one object a day
        return [dates[day] if n else None for day, n in zip(days.tolist(), self.lengths.tolist(), strict=True)]

    def take(self, index: NDArray[np.intp]) -> Series:
        """The series of some parcels, given by ascending positions."""
        assert np.all(np.diff(index) > 0), "positions must ascend: parcel_ids stay sorted"
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[:-1][index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Series(
            self.parcel_ids[index],
            offsets,
            self.day_of_year[rows],
            self.reflectance[rows],
            self.clear_fraction[rows],
            self.bands,
            self.day_zero,
        )

    def until(self, day: date) -> Series:
        """The series as they were known on `day`; a parcel that was not seen by then stays, without observations."""
        return self.keep(self.day_of_year <= (day - self.day_zero).days)

    def keep(self, kept: NDArray[np.bool_]) -> Series:
        """The series with some of their observations (`kept` (M,)); a parcel that loses all of them stays."""
        before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return Series(
            self.parcel_ids,
            before[self.offsets],
            self.day_of_year[kept],
            self.reflectance[kept],
            self.clear_fraction[kept],
            self.bands,
            self.day_zero,
        )

    @cached_property
    def hash(self) -> str:
        """Digest of all input of a model."""
        return content_hash(
            _lines(self.parcel_ids),
            ",".join(self.bands),
            self.day_zero.isoformat(),
            self.offsets,
            self.day_of_year,
            self.reflectance,
            self.clear_fraction,
        )


def _lines(ids: NDArray[np.str_]) -> bytes:
    """The identifiers as text, one a line."""
    parts = (ids[start : start + LINES] for start in range(0, len(ids), LINES))
    return b"\n".join("\n".join(part.tolist()).encode() for part in parts)


def build_series(
    observations: pa.Table,
    *,
    parcel_ids: Sequence[str] | NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
    bands: tuple[str, ...] = BANDS,
) -> Series:
    """Series of `parcel_ids` from stored observations (OBSERVATION_SCHEMA + `sensed_at`).

    Not used: rows outside the season's window, with less than `min_clear_fraction` of the parcel clear, without any
    band, or of other parcels. Of several rows of a parcel on one day (two orbits or tiles) the clearest is used.
    """
    return _from_stored(observations, parcel_ids, season, min_clear_fraction, bands)[0]


def reject_observations(
    observations: pa.Table,
    *,
    parcel_ids: Sequence[str] | NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
    bands: tuple[str, ...] = BANDS,
) -> NDArray[np.int8]:
    """(R,) position in `observations.tables.REASONS` of why `build_series` does not use a row, -1 where it does."""
    return _from_stored(observations, parcel_ids, season, min_clear_fraction, bands)[1]


def clear_fractions(observations: pa.Table) -> NDArray[np.float32]:
    """(R,) share of the parcel that was clear, 0 for a parcel without a pixel."""
    total = floats(observations["total_pixels"])
    clear = np.divide(floats(observations["clear_pixels"]), total, out=np.zeros_like(total), where=total > 0)
    return np.clip(clear, 0, 1)


def stored_rows(
    observations: pa.Table, bands: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int16]]:
    """Day since 1970 (UTC) and clear fraction (R,), and the stored reflectance (R, C) of observations."""
    stored = np.empty((len(observations), len(bands)), np.int16)
    for column, band in enumerate(bands):
        stored[:, column] = observations[band].to_numpy()
    return _days(observations["sensed_at"]), clear_fractions(observations), stored


def reflectance_of(stored: NDArray[np.int16]) -> NDArray[np.float32]:
    """0-1, NaN where a band is missing."""
    reflectance = stored.astype(np.float32) / np.float32(REFLECTANCE_SCALE)
    reflectance[stored == REFLECTANCE_NODATA] = np.nan
    return reflectance


def _from_stored(
    observations: pa.Table,
    parcel_ids: Sequence[str] | NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
    bands: tuple[str, ...],
) -> tuple[Series, NDArray[np.int8]]:
    reject = np.full(len(observations), -1, np.int8)
    day, clear_fraction, stored = stored_rows(observations, bands)
    ids = np.unique(np.asarray(parcel_ids, dtype=np.str_))
    series = assemble(
        positions_of(texts(observations["parcel_id"]), pa.array(ids.tolist(), pa.string())),
        day=day,
        clear_fraction=clear_fraction,
        reflectance=reflectance_of(stored),
        reject=reject,
        bands=bands,
        parcel_ids=ids,
        season=season,
        min_clear_fraction=min_clear_fraction,
    )
    return series, reject


@dataclass(frozen=True)
class TidySeries:
    """The series of a table made elsewhere, and what was left out."""

    series: Series
    excluded: dict[str, int]
    """rows that were not used, by RowReject; rows of parcels that were not asked for are not among them"""
    numeric_ids: bool
    """the table names its parcels by numbers: compared as text, leading zeros are lost"""


def read_tidy_series(
    table: pa.Table,
    *,
    min_clear_fraction: float,
    season: Season | None = None,
    parcel_ids: Sequence[str] | NDArray[np.str_] | None = None,
    bands: tuple[str, ...] | None = None,
    where: str = "observations",
) -> TidySeries:
    """Series from a table made elsewhere: `parcel_id`, a date, bands as reflectance 0-1 (any subset), and
    optionally `clear_fraction` or `cloud_fraction`; what names are understood stands in `observations.tables`.

    `season` None takes the table's own (`calendar_season`), `parcel_ids` None every parcel of the table, `bands` None
    every Sentinel-2 band that it has, in spectral order. Raises ObservationFileError where the table does not say
    what is needed or no row can be used.
    """
    layout = read_layout(table.schema, where=where, bands=bands or S2_BANDS)
    if missing := sorted(set(bands or ()) - set(layout.bands)):
        raise ObservationFileError(f"missing columns {missing}", where=where, mend=f"It has {table.column_names}")
    rows = read_rows(table.select(layout.columns), layout, where=where)
    if not (usable := rows.reject < 0).any():
        raise ObservationFileError(
            f"none of {len(usable)} rows can be used ({dict(count_rejects(rows.reject))})",
            where=where,
            mend="A row needs a parcel, a date and a band",
        )
    season = season or calendar_season(rows.day[usable])
    if parcel_ids is None:
        parcel_ids = pc.unique(rows.parcel_id).drop_null().to_pylist()
    ids = np.unique(np.asarray(parcel_ids, dtype=np.str_))
    series = assemble(
        positions_of(rows.parcel_id, pa.array(ids.tolist(), pa.string())),
        day=rows.day,
        clear_fraction=rows.clear_fraction,
        reflectance=rows.reflectance,
        reject=rows.reject,
        bands=tuple(layout.bands),
        parcel_ids=ids,
        season=season,
        min_clear_fraction=min_clear_fraction,
    )
    excluded: Counter[str] = count_rejects(rows.reject)
    excluded.pop(RowReject.UNKNOWN_PARCEL, None)
    return TidySeries(series, dict(sorted(excluded.items())), layout.numeric_ids)


def calendar_season(day: NDArray[np.int64]) -> Season:
    """The season of rows (days since 1970) that do not say: the year that holds most of them, and a window over all
    of them from the year before to the year after; a stray date (1970) lies outside."""
    years, counts = np.unique(day.astype("datetime64[D]").astype("datetime64[Y]"), return_counts=True)
    year = int(str(years[np.argmax(counts)]))
    first, last = (_EPOCH + timedelta(days=int(number)) for number in (day.min(), day.max()))
    return Season(year, max(first, date(year - 1, 1, 1)), min(last, date(year + 1, 12, 31)))


def set_unusable(
    reject: NDArray[np.int8],
    *,
    parcel: NDArray[np.int64],
    day: NDArray[np.int64],
    clear_fraction: NDArray[np.float32],
    has_band: NDArray[np.bool_],
    season: Season,
    min_clear_fraction: float,
) -> None:
    """Marks the rows that no series uses whatever other rows there are."""
    set_aside(reject, RowReject.OUTSIDE_SEASON, outside_season(day, season))
    set_aside(
        reject, RowReject.TOO_CLOUDY, ~(clear_fraction >= min_clear_fraction)
    )  # where it is not known, it is cloudy
    set_aside(reject, RowReject.NO_BAND_VALUE, ~has_band)
    set_aside(reject, RowReject.UNKNOWN_PARCEL, parcel < 0)


def assemble(
    parcel: NDArray[np.int64],
    *,
    day: NDArray[np.int64],
    clear_fraction: NDArray[np.float32],
    reflectance: NDArray[np.float32],
    reject: NDArray[np.int8],
    bands: tuple[str, ...],
    parcel_ids: NDArray[np.str_],
    season: Season,
    min_clear_fraction: float,
) -> Series:
    """The series of the rows that are used, each of the parcel at a position of `parcel_ids` (sorted), -1 for none of
    them. Decides of every row whether it is: `reject`, which says what was decided before, says it all afterwards."""
    set_unusable(
        reject,
        parcel=parcel,
        day=day,
        clear_fraction=clear_fraction,
        has_band=np.asarray(np.isfinite(reflectance).any(axis=1)),
        season=season,
        min_clear_fraction=min_clear_fraction,
    )
    rows = np.flatnonzero(reject < 0)
    start, window = days(season.start), days(season.end) - days(season.start) + 1
    slot = parcel[rows] * window + (day[rows] - start)  # one number per parcel and day: one sort instead of two
    order = np.argsort(slot, kind="stable")
    repeated = np.diff(slot[order], prepend=-1) == 0
    if repeated.any():  # clearest first within a day; the order of the rows themselves decides the last ties
        order = np.lexsort((-clear_fraction[rows], slot))
    reject[rows[order[repeated]]] = REASONS.index(RowReject.DUPLICATE_PARCEL_DATE)
    rows = rows[order[~repeated]]
    return Series(
        parcel_ids=parcel_ids,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(parcel[rows], minlength=len(parcel_ids)))]).astype(np.int64),
        day_of_year=(day[rows] - days(season.day_zero)).astype(np.int16),
        reflectance=np.ascontiguousarray(reflectance[rows], np.float32),
        clear_fraction=clear_fraction[rows].astype(np.float32),
        bands=bands,
        day_zero=season.day_zero,
    )


def texts(column: Any) -> Any:
    """Identifiers as text; dictionaries are opened."""
    return pc.cast(column, pa.string())


def _days(column: Any) -> NDArray[np.int64]:
    """Days since 1970 (UTC) of the time of sensing, which every stored row has."""
    values: NDArray[np.int64] = pc.cast(pc.cast(column, pa.date32(), safe=False), pa.int32()).to_numpy()
    return values.astype(np.int64)


def positions_of(parcel_id: Any, ids: pa.Array) -> NDArray[np.int64]:
    """Position of each row's parcel in `ids`, -1 where it is none of them."""
    index = pc.index_in(parcel_id, value_set=ids)
    positions: NDArray[np.int64] = pc.fill_null(index, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return positions
