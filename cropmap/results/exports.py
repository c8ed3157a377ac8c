"""Files out: the observations of a season, and published assessments."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final, Literal

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cropmap.assessments.review_sample import by_rank
from cropmap.contracts.columns import file_schema
from cropmap.contracts.tables import FLAGS
from cropmap.database import acquisitions as ledger
from cropmap.database import audit, queries, reviews, runs
from cropmap.database import declarations as register
from cropmap.database.connection import Connection, connect
from cropmap.dissemination import workbook
from cropmap.dissemination.spreadsheets import to_csv
from cropmap.errors import InputError
from cropmap.observations.tidy import export_tidy
from cropmap.results.published import published_run
from cropmap.schemas import AcquisitionStatus, AuditAction, CsvDialect, Finding, Verdict
from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext, ready_database

Format = Literal["csv", "xlsx", "gpkg", "parquet", "json"]
FLAG_SCHEMA: Final = file_schema(FLAGS)
"""A row of the list, as `queries.assessments` gives it."""
FLAG_NOTES: Final = (("what this is", FLAGS.meaning), *((column.name, column.description) for column in FLAGS))


def export_observations(context: SeasonContext, out: Path) -> int:
    """Writes the season's observations as one tidy Parquet file; returns the number of rows."""
    with context.connect() as connection:
        observed = ledger.read_acquisitions(connection, **context.key, status=AcquisitionStatus.OBSERVED)
    names = [
        entry.object_name
        for entry in observed
        if entry.object_name and entry.sensed_at and entry.sensed_at.date() <= context.season.end
    ]
    if not names:
        raise InputError(f"season {context.season.year} has no observation", mend="Run `cropmap observe` first")
    written = export_tidy(context.store, names, out)
    with context.connect() as connection:
        audit.note(connection, **context.key, action=AuditAction.EXPORT, subject="observations export", n_rows=written)
    return written


def export_flags(
    settings: Settings,
    *,
    agency: str,
    season: int,
    verdicts: list[str],
    format_: Format,
    certified: bool = False,
    dialect: CsvDialect = CsvDialect.PLAIN,
) -> bytes:
    """Published assessments with these verdicts, most urgent first; gpkg holds the outlines that were assessed.
    `certified`: of the mismatches only those that reviews certified, without the ones that were found right.

    Every format has the columns and types of FLAG_SCHEMA, an empty list too; what is missing is empty (JSON: null).
    """
    with connect(ready_database(settings)) as connection:
        run_id = published_run(connection, agency=agency, season=season).run_id
        rows = queries.assessments(connection, agency=agency, season=season, verdicts=verdicts, limit=None).items
        if certified:
            rows = _certified(connection, rows, run_id)
        outlines = _outlines(connection, run_id, agency=agency, season=season) if format_ == "gpkg" else None
        parcel_ids = [row["parcel_id"] for row in rows]
        audit.note(
            connection,
            agency=agency,
            season=season,
            action=AuditAction.EXPORT,
            subject="flags export",
            parcel_ids=parcel_ids,
        )
    table = pa.Table.from_pylist(rows, schema=FLAG_SCHEMA)
    if format_ == "parquet":
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()
    frame = table.to_pandas()
    if outlines is not None:
        return _gpkg(frame, outlines)
    if format_ == "xlsx":
        return workbook.write(frame, notes=FLAG_NOTES, made_at=None, title="flags")
    return to_csv(frame, dialect) if format_ == "csv" else _json(frame)


def _certified(connection: Connection, rows: list[queries.Row], run_id: str) -> list[queries.Row]:
    certified = reviews.certified_list(connection, run_id)
    if certified is None:
        statement = reviews.run_statement(connection, run_id) or "nobody has reviewed it"
        raise InputError(
            f"the list of run {run_id} is not certified: {statement}",
            where="--certified",
            mend="See `cropmap review report`, or export the list without --certified",
        )
    campaign, size = certified
    sample = reviews.read_sample(connection, campaign)
    right = set(sample.loc[sample["finding"] == str(Finding.RIGHT), "parcel_id"])
    listed = [row for row in rows if row["verdict"] == str(Verdict.MISMATCH)]
    ranked = by_rank(pd.DataFrame(listed, columns=["parcel_id", "right_probability"]))
    kept = set(ranked["parcel_id"].head(size)) - right
    return [row for row in listed if row["parcel_id"] in kept]


def _outlines(connection: Any, run_id: str, *, agency: str, season: int) -> gpd.GeoDataFrame:
    """Of the register when the run began, and as it stands for parcels that it did not hold then."""
    run = runs.read_run(connection, run_id)
    moments = [run.started_at if run else None, None]
    registers = [register.read_declarations(connection, agency=agency, season=season, as_of=m) for m in moments]
    both = gpd.GeoDataFrame(pd.concat(registers, ignore_index=True), crs=registers[0].crs)
    return both.drop_duplicates("parcel_id")[["parcel_id", "geometry"]]


def _gpkg(frame: pd.DataFrame, outlines: gpd.GeoDataFrame) -> bytes:
    shapes = frame.merge(outlines, on="parcel_id", how="left")  # keeps the order of the rows
    sink = io.BytesIO()
    gpd.GeoDataFrame(shapes, geometry="geometry", crs=outlines.crs).to_file(
        sink, driver="GPKG", layer="assessments", geometry_type="MultiPolygon", promote_to_multi=True
    )
    return sink.getvalue()


def _json(frame: pd.DataFrame) -> bytes:
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return json.dumps(records, default=str, ensure_ascii=False, indent=1, allow_nan=False).encode()
