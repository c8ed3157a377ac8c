"""Observations as one plain table, out of the store and into it.

    parcel_id, datetime, clear_fraction, n_pixels, B02 ... B12 (reflectance 0-1, empty where nothing was clear)

Statistics made elsewhere come in through the same table, in any of the forms that `tables` reads; rows that cannot be
used are counted by reason, and the others are kept.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.errors import ObservationFileError
from cropmap.observations.extract import OBSERVATION_VERSION
from cropmap.observations.files import iter_observations, observation_name, write_observation
from cropmap.observations.spill import RECORD, DaySpill
from cropmap.observations.tables import Layout, Rows, count_rejects, outside_season, read_layout, read_rows
from cropmap.observations.zonal import stored_reflectance
from cropmap.progress import Counter
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE, RowReject
from cropmap.seasons import Season
from cropmap.store import Store

IMPORTED: Final = "imported"
"""stands for the tile of statistics that were made elsewhere"""

UNKNOWN_PIXELS: Final = 100.0
"""a table without n_pixels counts every parcel as one hectare, so that no parcel is too small to be judged"""

BATCH_ROWS: Final = 131_072
"""rows that are decoded at a time"""

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

    Some rows of one acquisition are in memory at a time, and are one row group. The file appears when all of it is
    written.
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


@dataclass(frozen=True)
class Imported:
    """What became of a table made elsewhere."""

    names: tuple[str, ...]
    """the observation files, one per day"""
    rows: int
    rejected: dict[str, int]
    """rows that were not used, by RowReject"""
    numeric_ids: bool
    """the table names its parcels by numbers: they were compared as text, and leading zeros are lost"""


def import_tidy(store: Store, source: Path, *, agency: str, season: Season, parcel_ids: Sequence[str]) -> Imported:
    """Stores parcel statistics made elsewhere, one observation file per day, of these parcels and this season.

    The table is read batch by batch and may be larger than memory. The same table again leaves the same files. Raises
    ObservationFileError where the file is no Parquet, lacks parcel_id, a date or every band, is not scaled to 0-1, or
    holds no row that can be used; nothing is stored then.
    """
    file = _open(source)
    layout = read_layout(file.schema_arrow, where=str(source), bands=BANDS)
    known = pa.array(sorted(set(parcel_ids)), pa.string())
    rejected: Tally[str] = Tally()
    first_seen: dict[int, int] = {}
    names = []
    with DaySpill() as spill:
        for rows in _batches(file, layout, source):
            position = pc.fill_null(pc.index_in(rows.parcel_id, value_set=known), -1).to_numpy(zero_copy_only=False)
            rows.set_aside(RowReject.OUTSIDE_SEASON, outside_season(rows.day, season))
            rows.set_aside(RowReject.UNKNOWN_PARCEL, position < 0)
            rejected.update(count_rejects(rows.reject))
            kept = rows.reject < 0
            _note_first(first_seen, rows.day[kept], rows.time_us[kept])
            spill.add(rows.day[kept], _records(rows, layout, position)[kept])
        if not len(spill):
            raise _nothing_usable(file.metadata.num_rows, rejected, layout, source)
        for day, records in spill:
            once = _once_per_parcel(records)
            if again := len(records) - len(once):
                rejected[RowReject.DUPLICATE_PARCEL_DATE] += again
            sensed_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first_seen[day])
            names.append(_store_day(store, once, known, sensed_at, agency=agency, season=season))
    return Imported(tuple(names), file.metadata.num_rows, dict(sorted(rejected.items())), layout.numeric_ids)


def _open(source: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(source, pre_buffer=False)  # else whole columns wait in memory: 1.6 GB for 20 M rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ObservationFileError(
            f"cannot be read as Parquet ({error})", where=str(source), mend="Write the table as one Parquet file"
        ) from error


def _batches(file: pq.ParquetFile, layout: Layout, source: Path) -> Iterator[Rows]:
    with Counter("import", total=file.metadata.num_rows, unit="rows") as counter:
        batches = file.iter_batches(BATCH_ROWS, columns=layout.columns)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, ValueError, pa.ArrowException) as error:
                raise ObservationFileError(f"is broken ({error})", where=str(source)) from error
            if batch is None:
                return
            yield read_rows(batch, layout, where=str(source))
            counter.add(len(batch))


def _records(rows: Rows, layout: Layout, position: Array) -> Array:
    """(n,) of RECORD."""
    records = np.zeros(len(position), RECORD)
    records["parcel"] = position
    records["clear_fraction"] = rows.clear_fraction
    records["pixels"] = np.where(np.isfinite(rows.pixels), rows.pixels, UNKNOWN_PIXELS)
    records["bands"] = REFLECTANCE_NODATA
    stored = stored_reflectance(
        np.where(np.isfinite(rows.reflectance), rows.reflectance, np.nan).astype(np.float64), scale=1.0, offset=0.0
    )
    for column, band in enumerate(layout.bands):
        records["bands"][:, BANDS.index(band)] = stored[:, column]
    return records


def _note_first(first_seen: dict[int, int], day: Array, time_us: Array) -> None:
    """The earliest time of each day: what a file of several tiles is dated with."""
    order = np.lexsort((time_us, day))
    days, starts = np.unique(day[order], return_index=True)
    for number, time in zip(days.tolist(), time_us[order][starts].tolist(), strict=True):
        first_seen[number] = min(time, first_seen.get(number, time))


def _once_per_parcel(records: Array) -> Array:
    """Sorted by parcel; of several rows of a parcel the clearest stays, of equally clear ones the first."""
    records = records[np.lexsort((-records["clear_fraction"], records["parcel"]))]
    once: Array = records[np.diff(records["parcel"], prepend=-1) != 0]
    return once


def _nothing_usable(rows: int, rejected: Tally[str], layout: Layout, source: Path) -> ObservationFileError:
    hint = "Parcels are numbers here: leading zeros are lost, write them as text" if layout.numeric_ids else ""
    return ObservationFileError(
        f"none of {rows} rows can be used ({dict(rejected)})",
        where=str(source),
        mend=hint or "The parcel_id is that of the season's declarations, the dates lie in its window",
    )


def _store_day(
    store: Store, records: Array, known: pa.Array, sensed_at: datetime, *, agency: str, season: Season
) -> str:
    item_id = f"{sensed_at:%Y%m%d}"
    name = observation_name(agency, season.year, IMPORTED, item_id)
    table = pa.table(
        [
            known.take(pa.array(records["parcel"])),
            pa.array(records["clear_fraction"] * records["pixels"]),
            pa.array(records["pixels"]),
            *(pa.array(np.ascontiguousarray(records["bands"][:, column])) for column in range(len(BANDS))),
        ],
        schema=OBSERVATION_SCHEMA,
    )
    metadata = {
        "item_id": item_id,
        "datetime": sensed_at.isoformat(),
        "tile": IMPORTED,
        "processing_baseline": "",
        "offset": "{}",
        "scale": "{}",
        "parcel_set": "",
        "observation_version": OBSERVATION_VERSION,
    }
    write_observation(store, name, table.replace_schema_metadata(metadata))
    return name
