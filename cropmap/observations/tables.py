"""Tables of parcel statistics that another system made: which column is what, and which rows can be used.

In: a Parquet schema, then its rows. Out: where the parcel, the day, the clear share and each band stand, and the rows
as arrays with a reason for every row that cannot be used. A table that cannot be read (no band, digital numbers)
is refused; a row is only ever set aside and counted.

Bands are found under the names in use: B02, B2, b02, B02_mean. The clear share is `clear_fraction` or
`1 - cloud_fraction`, both shares and no percentages; without either everything counts as clear. The day is the first
of TIME_COLUMNS there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.errors import ObservationFileError
from cropmap.schemas import RowReject
from cropmap.seasons import Season

S2_BANDS: Final = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Every Sentinel-2 band, in spectral order."""

TIME_COLUMNS: Final = ("sensed_at", "datetime", "date", "day")

PLAUSIBLE_REFLECTANCE: Final = (-0.2, 2.0)
"""Cloud tops and glint reach about 1.7, an atmospheric correction may fall a little below zero. The upper bound is
also what no median of a table that is scaled to 0-1 exceeds."""

SCALE_ROWS: Final = 100_000
"""rows that say whether a table is scaled to 0-1"""
LARGEST_SHARE: Final = 1.01
"""a share that was rounded; above it stand percentages or the 255 of a mask"""

REASONS: Final = tuple(RowReject)
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2200, 1, 1)
"""what lies outside is no day of an observation, whatever its number stands for"""
MICROSECONDS: Final = 86_400_000_000
"""of a day"""


@dataclass(frozen=True)
class Layout:
    """Where things stand in a table made elsewhere; names of columns, None where there is none."""

    parcel: str
    time: str
    clear: str | None
    cloud: str | None
    """read only where there is no `clear`"""
    pixels: str | None
    bands: Mapping[str, str]
    """Sentinel-2 name -> column, in spectral order"""
    numeric_ids: bool
    """parcels are numbers here: compared as text, and leading zeros are lost for good"""

    @property
    def columns(self) -> list[str]:
        names = (self.parcel, self.time, self.clear, self.cloud, self.pixels, *self.bands.values())
        return [name for name in names if name is not None]


@dataclass(frozen=True)
class Rows:
    """n rows; `reject` says which of the other arrays mean anything."""

    parcel_id: Any
    """(n,) Arrow text, null where the table has none"""
    day: NDArray[np.int64]
    """(n,) days since 1970 (UTC)"""
    time_us: NDArray[np.int64]
    """(n,) microseconds since 1970 (UTC)"""
    clear_fraction: NDArray[np.float32]
    """(n,) 0-1"""
    pixels: NDArray[np.float32]
    """(n,) of the parcel, NaN where the table does not say"""
    reflectance: NDArray[np.float32]
    """(n, C) in the order of the layout's bands, NaN where a band is missing"""
    reject: NDArray[np.int8]
    """(n,) position in REASONS, -1 for a row that can be used"""

    def set_aside(self, reason: RowReject, where: NDArray[np.bool_]) -> None:
        set_aside(self.reject, reason, where)


def read_layout(schema: pa.Schema, *, where: str, bands: Sequence[str] = S2_BANDS) -> Layout:
    """Finds the columns. Raises ObservationFileError where the parcel, the day or every band is missing, or where a
    column is there twice under two names."""
    names = schema.names
    time = next((name for name in TIME_COLUMNS if name in names), None)
    if "parcel_id" not in names:
        raise ObservationFileError("missing columns ['parcel_id']", where=where, mend=f"It has {names}")
    if time is None:
        raise ObservationFileError("no date column", where=where, mend=f"Name it one of {list(TIME_COLUMNS)}")
    by_band: dict[str, list[str]] = {}
    for name in names:
        by_band.setdefault(band_of(name), []).append(name)
    if twice := {band: by_band[band] for band in bands if len(by_band.get(band, ())) > 1}:
        raise ObservationFileError(f"a band stands in several columns: {twice}", where=where, mend="Keep one of each")
    band_columns = {band: by_band[band][0] for band in bands if band in by_band}
    if not band_columns:
        raise ObservationFileError(
            "no Sentinel-2 band", where=where, mend=f"One row per parcel and day, columns named like {list(bands)}"
        )
    clear, cloud, pixels = (
        name if name in names else None for name in ("clear_fraction", "cloud_fraction", "n_pixels")
    )
    used = ("parcel_id", time, clear, None if clear else cloud, pixels)
    if again := [name for name in used if name and names.count(name) > 1]:
        raise ObservationFileError(f"there are two columns {again[0]}", where=where, mend="Keep one of them")
    return Layout("parcel_id", time, *used[2:], band_columns, _is_numeric(schema, where))


def band_of(column: str) -> str:
    """The Sentinel-2 band that a column name means: "b2" and "B02_mean" are B02; other names stay as they are."""
    name = column.upper().removesuffix("_MEAN")
    if name.startswith("B") and name[1:].isdecimal() and len(name) <= 3:
        return f"B{int(name[1:]):02d}"
    return name if name == "B8A" else column


def _is_numeric(schema: pa.Schema, where: str) -> bool:
    kind = schema.field("parcel_id").type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if _is_text(kind) or pa.types.is_null(kind):
        return False
    if pa.types.is_integer(kind):
        return True
    raise ObservationFileError(f"parcel_id is {kind}, not text", where=where, mend="Write it as text")


def read_rows(table: pa.Table | pa.RecordBatch, layout: Layout, *, where: str) -> Rows:
    """The rows as arrays, each with the first reason against it. Raises ObservationFileError where a column holds
    something else than its name says, or the reflectance is not scaled to 0-1."""
    ids = pc.cast(table[layout.parcel], pa.string())
    time_us, no_day = _times(table[layout.time], layout.time, where)
    try:
        reflectance = np.column_stack([floats(table[column]) for column in layout.bands.values()])
        clear = _clear_fraction(table, layout, where)
        pixels = floats(table[layout.pixels]) if layout.pixels else np.full(len(ids), np.nan, np.float32)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ObservationFileError(f"a band or fraction is no number ({error})", where=where) from error
    _require_scale(reflectance, where)
    rows = Rows(ids, time_us // MICROSECONDS, time_us, clear, pixels, reflectance, np.full(len(ids), -1, np.int8))
    low, high = PLAUSIBLE_REFLECTANCE
    out_of_range: NDArray[np.bool_] = np.any((reflectance < low) | (reflectance > high), axis=1)
    nothing = ~np.isfinite(reflectance) | (reflectance == 0)  # no surface is black in every band: 0 is what fills up
    empty: NDArray[np.bool_] = np.all(nothing, axis=1) & (clear > 0)
    nothing_said = pc.or_kleene(pc.is_null(ids), pc.equal(ids, "")).to_numpy(zero_copy_only=False)
    rows.set_aside(RowReject.MISSING_PARCEL_ID, nothing_said.astype(bool))
    rows.set_aside(RowReject.MISSING_DATE, no_day)
    rows.set_aside(RowReject.REFLECTANCE_OUT_OF_RANGE, out_of_range)
    rows.set_aside(RowReject.NO_BAND_VALUE, empty)
    return rows


def set_aside(reject: NDArray[np.int8], reason: RowReject, where: NDArray[np.bool_]) -> None:
    """Marks rows that were usable so far: the first reason of a row stays."""
    reject[where & (reject < 0)] = REASONS.index(reason)


def outside_season(day: NDArray[np.int64], season: Season) -> NDArray[np.bool_]:
    """(n,) days since 1970 that are not in the season's window."""
    return (day < days(season.start)) | (day > days(season.end))


def count_rejects(reject: NDArray[np.int8]) -> Counter[str]:
    """How many rows each reason took."""
    codes, counts = np.unique(reject[reject >= 0], return_counts=True)
    return Counter({str(REASONS[code]): int(n) for code, n in zip(codes, counts, strict=True)})


def floats(column: Any) -> NDArray[np.float32]:
    """(n,) NaN for an empty value."""
    values: NDArray[np.float32] = pc.fill_null(pc.cast(column, pa.float32()), np.nan).to_numpy(zero_copy_only=False)
    return values


def _clear_fraction(table: pa.Table | pa.RecordBatch, layout: Layout, where: str) -> NDArray[np.float32]:
    """1 where the table says nothing; a row with an empty fraction counts as cloudy. Raises ObservationFileError where
    it is no share."""
    name = layout.clear or layout.cloud
    if name is None:
        return np.ones(len(table[layout.parcel]), np.float32)
    share = floats(table[name])
    if (above := share[share > LARGEST_SHARE]).size:
        raise ObservationFileError(
            f"column {name} reaches {above.max():g}",
            where=where,
            mend="A share is 0-1 here: divide percentages by 100, and leave empty what is not known",
        )
    clear = share if layout.clear else 1 - share
    return np.clip(np.nan_to_num(clear, nan=0.0), 0, 1).astype(np.float32)


def _times(column: Any, name: str, where: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n,) microseconds since 1970 (UTC), and (n,) where there is none, or none that anything was observed on."""
    kind = column.type
    if not (_is_text(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)):
        raise _no_dates(name, f"its type is {kind}", where)
    try:
        if _is_text(kind):
            day = pc.utf8_slice_codeunits(column, 0, 10)
            column = pc.cast(pc.if_else(pc.equal(day, ""), None, day), pa.date32())
        times = pc.cast(column, pa.timestamp("us"), safe=False)
        values: NDArray[np.int64] = pc.fill_null(pc.cast(times, pa.int64()), 0).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _no_dates(name, str(error), where) from error
    no_day: NDArray[np.bool_] = pc.is_null(times).to_numpy(zero_copy_only=False).astype(bool)
    day = values // MICROSECONDS
    return values, no_day | (day < days(FIRST_DAY)) | (day >= days(LAST_DAY))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _no_dates(name: str, why: str, where: str) -> ObservationFileError:
    return ObservationFileError(
        f"column {name} holds no dates ({why})", where=where, mend="Write ISO dates: 2018-05-31"
    )


def _require_scale(reflectance: NDArray[np.float32], where: str) -> None:
    some = reflectance[:: max(len(reflectance) // SCALE_ROWS, 1)]  # evenly picked: a median of them all costs memory
    finite = some[np.isfinite(some)]
    if len(finite) and np.median(finite) > PLAUSIBLE_REFLECTANCE[1]:
        raise ObservationFileError(
            f"median reflectance is {np.median(finite):.0f}",
            where=where,
            mend="Reflectance is 0-1 here: divide by 10 000",
        )


def days(of: date) -> int:
    """Days since 1970."""
    return (of - date(1970, 1, 1)).days
