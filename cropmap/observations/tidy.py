"""Observations as one plain table, out of the store and into it.

    parcel_id, datetime, clear_fraction, n_pixels, B02 ... B12 (reflectance 0-1, empty where nothing was clear)

Statistics made elsewhere come in through the same table: any subset of bands, `cloud_fraction` instead of
`clear_fraction`, both and `n_pixels` optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from cropmap.errors import ObservationFileError
from cropmap.observations.extract import OBSERVATION_VERSION
from cropmap.observations.files import iter_observations, observation_name, write_observation
from cropmap.observations.zonal import stored_reflectance
from cropmap.schemas import BANDS, OBSERVATION_SCHEMA, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.store import Store

IMPORTED: Final = "imported"
"""stands for the tile of statistics that were made elsewhere"""

UNKNOWN_PIXELS: Final = 100.0
"""a table without n_pixels counts every parcel as one hectare, so that no parcel is too small to be judged"""

IN_MEMORY_ROWS: Final = 5_000_000
"""up to here the whole table is held (about 0.4 GB), beyond it is read date by date"""

MAX_MEDIAN_REFLECTANCE: Final = 2.0
"""cloud tops reach 1.7; a larger median means digital numbers"""

_TIME: Final = pa.timestamp("us", tz="UTC")

TIDY_SCHEMA: Final = pa.schema(
    [
        pa.field("parcel_id", pa.string()),
        pa.field("datetime", _TIME),
        pa.field("clear_fraction", pa.float32()),
        pa.field("n_pixels", pa.float32()),
        *(pa.field(band, pa.float32()) for band in BANDS),
    ]
)

Array = np.ndarray[Any, np.dtype[Any]]


def export_tidy(store: Store, names: Sequence[str], target: Path, *, parcel_ids: Sequence[str] | None = None) -> int:
    """Writes the observations of these files as one Parquet file and returns the number of rows.

    One acquisition is in memory at a time, and is one row group. The file appears when all of it is written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".writing-{target.name}")
    rows = 0
    try:
        with pq.ParquetWriter(partial, TIDY_SCHEMA, compression="zstd") as writer:
            for table in iter_observations(store, names, parcel_ids=parcel_ids):
                writer.write_table(_tidy(table))
                rows += len(table)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _tidy(table: pa.Table) -> pa.Table:
    total, clear = (table[name].to_numpy() for name in ("total_pixels", "clear_pixels"))
    fraction = np.divide(clear, total, out=np.zeros_like(total), where=total > 0)
    bands = {band: table[band].to_numpy() for band in BANDS}
    columns = [
        pc.cast(table["parcel_id"], pa.string()),
        table["sensed_at"],
        pa.array(fraction),
        pa.array(total),
        *(
            pa.array(stored.astype(np.float32) / np.float32(REFLECTANCE_SCALE), mask=stored == REFLECTANCE_NODATA)
            for stored in bands.values()
        ),
    ]
    return pa.table(columns, schema=TIDY_SCHEMA)


def import_tidy(store: Store, source: Path, *, agency: str, season_year: int) -> list[str]:
    """Stores parcel statistics made elsewhere, one observation file per time of sensing; returns their names.

    The same table again leaves the same files. Raises ObservationFileError where the file is no Parquet, lacks
    parcel_id (as text: leading zeros), a date or every band, is not scaled to 0-1, or names a parcel twice at a time.
    """
    table = _open(source)
    _check_columns(table.schema, source)
    times = pc.unique(_times(table.to_table(columns=["datetime"])["datetime"], source))
    names = []
    for sensed_at in sorted(times.to_pylist()):
        rows = table.to_table(filter=_at(table.schema, sensed_at))
        observed = _observed(rows, sensed_at, source)
        item_id = f"{sensed_at:%Y%m%dT%H%M%S}"
        names.append(observation_name(agency, season_year, IMPORTED, item_id))
        metadata = {
            "item_id": item_id, "datetime": sensed_at.isoformat(), "tile": IMPORTED, "processing_baseline": "",
            "offset": "{}", "scale": "{}", "parcel_set": "", "observation_version": OBSERVATION_VERSION,
        }  # fmt: skip
        write_observation(store, names[-1], observed.replace_schema_metadata(metadata))
    return names


def _open(source: Path) -> ds.Dataset:
    try:
        if pq.read_metadata(source).num_rows <= IN_MEMORY_ROWS:
            return ds.dataset(pq.read_table(source))
        return ds.dataset(source, format="parquet")
    except (OSError, pa.ArrowInvalid) as error:
        raise ObservationFileError(
            f"cannot be read as Parquet ({error})", where=str(source), mend="Write the table as one Parquet file"
        ) from error


def _check_columns(schema: pa.Schema, source: Path) -> None:
    if missing := [name for name in ("parcel_id", "datetime") if name not in schema.names]:
        raise ObservationFileError(f"missing columns {missing}", where=str(source), mend=f"It has {schema.names}")
    if not set(BANDS) & set(schema.names):
        raise ObservationFileError("no band", where=str(source), mend=f"Name the columns like {list(BANDS)}")
    kind = schema.field("parcel_id").type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ObservationFileError(
            f"parcel_id is {kind}, not text", where=str(source), mend="Numbers lose leading zeros: write it as text"
        )


def _times(column: pa.ChunkedArray, source: Path) -> pa.ChunkedArray:
    if column.null_count:
        raise ObservationFileError(f"{column.null_count} rows without a datetime", where=str(source))
    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise ObservationFileError(
            f"datetime is {kind}", where=str(source), mend="Write it as a date or a timestamp (UTC)"
        )
    return pc.cast(column, _TIME)


def _at(schema: pa.Schema, sensed_at: datetime) -> pc.Expression:
    kind = schema.field("datetime").type
    return pc.field("datetime") == pc.scalar(pc.cast(pa.scalar(sensed_at, _TIME), kind))


def _observed(rows: pa.Table, sensed_at: datetime, source: Path) -> pa.Table:
    rows = rows.set_column(
        rows.schema.get_field_index("parcel_id"), "parcel_id", pc.cast(rows["parcel_id"], pa.string())
    ).sort_by("parcel_id")
    ids = rows["parcel_id"]
    if ids.null_count or len(pc.unique(ids)) < len(ids):
        raise ObservationFileError(f"a parcel is named twice or not at all at {sensed_at}", where=str(source))
    total = _numbers(rows, "n_pixels", source, absent=UNKNOWN_PIXELS)
    return pa.table(
        [
            ids,
            pa.array((_clear_fraction(rows, source) * total).astype(np.float32)),
            pa.array(total.astype(np.float32)),
            *(pa.array(_stored(_numbers(rows, band, source, absent=np.nan), source)) for band in BANDS),
        ],
        schema=OBSERVATION_SCHEMA,
    )


def _clear_fraction(rows: pa.Table, source: Path) -> Array:
    """1 where the table has no such column; a row with an empty fraction counts as cloudy."""
    if "cloud_fraction" in rows.column_names and "clear_fraction" not in rows.column_names:
        clear = 1 - _numbers(rows, "cloud_fraction", source, absent=0.0)
    else:
        clear = _numbers(rows, "clear_fraction", source, absent=1.0)
    fraction: Array = np.clip(np.nan_to_num(clear, nan=0.0), 0.0, 1.0)
    return fraction


def _numbers(rows: pa.Table, name: str, source: Path, *, absent: float) -> Array:
    """float64 (rows,), NaN for an empty value, `absent` where there is no such column."""
    if name not in rows.column_names:
        return np.full(len(rows), absent)
    try:
        numbers: Array = pc.fill_null(pc.cast(rows[name], pa.float64()), np.nan).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ObservationFileError(f"column {name} holds no numbers ({error})", where=str(source)) from error
    return numbers


def _stored(reflectance: Array, source: Path) -> Array:
    seen = reflectance[np.isfinite(reflectance)]
    if seen.size and np.median(seen) > MAX_MEDIAN_REFLECTANCE:
        raise ObservationFileError(
            f"the median of a band is {np.median(seen):.0f}", where=str(source),
            mend="Reflectance is 0-1 here: divide by 10 000",
        )  # fmt: skip
    return stored_reflectance(np.where(np.isfinite(reflectance), reflectance, np.nan), scale=1.0, offset=0.0)
