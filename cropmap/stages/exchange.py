"""Files in and out: observations, assessments, statistics. What is published is written, and nothing else."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import geopandas as gpd
import pandas as pd

from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.database import queries
from cropmap.database.connection import connect
from cropmap.errors import InputError
from cropmap.observations.tidy import export_tidy, import_tidy
from cropmap.schemas import AcquisitionStatus
from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext, ready_database

Format = Literal["csv", "gpkg", "parquet", "json"]
HECTARE_DIGITS: Final = 4
NUMERIC_IDS: Final = "parcel_id is a number in this file: compared as text, leading zeros cannot be recovered"


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
    return export_tidy(context.store, names, out)


def import_observations(context: SeasonContext, source: Path) -> dict[str, Any]:
    """Takes in parcel statistics that another system made and enters them in the ledger as observed.

    Rows that cannot be used are counted by reason; the others are kept.
    """
    with context.connect() as connection:
        parcels = register.read_declarations(connection, **context.key)
    if parcels.empty:
        raise InputError(
            f"season {context.season.year} of {context.agency.agency} has no parcels",
            mend="Run `cropmap declarations load` (or `carry-forward`) first: rows of other parcels are not taken",
        )
    taken = import_tidy(
        context.store, source, agency=context.agency.agency, season=context.season,
        parcel_ids=parcels["parcel_id"].tolist(),
    )  # fmt: skip
    with context.connect() as connection:
        ledger.record_imported(connection, **context.key, objects=_imported(context, list(taken.names)))
    rejected = sum(taken.rejected.values())
    answer = {"file": str(source), "rows": taken.rows, "accepted": taken.rows - rejected, "rejected": taken.rejected}
    note = {"note": NUMERIC_IDS} if taken.numeric_ids else {}
    return {**answer, "dates": len(taken.names), **note}


def _imported(context: SeasonContext, names: list[str]) -> list[ledger.ImportedObject]:
    objects = []
    for name in names:
        about = {key.decode(): value.decode() for key, value in context.store.read_schema(name).metadata.items()}
        objects.append(
            ledger.ImportedObject(
                item_id=about["item_id"],
                tile=about["tile"],
                object_name=name,
                sensed_at=datetime.fromisoformat(about["datetime"]),
            )
        )
    return objects


def export_flags(settings: Settings, *, agency: str, season: int, verdicts: list[str], format_: Format) -> bytes:
    """Published assessments with these verdicts, most urgent first; gpkg holds the parcels' outlines."""
    with connect(ready_database(settings)) as connection:
        _must_be_published(connection, agency, season)
        rows = queries.assessments(connection, agency=agency, season=season, verdicts=verdicts, limit=None).items
        outlines = register.read_declarations(connection, agency=agency, season=season) if format_ == "gpkg" else None
    frame = pd.DataFrame(rows, columns=None if rows else ["agency", "season", "parcel_id", "verdict"])
    if outlines is None:
        return _encoded(frame, format_)
    shapes = gpd.GeoDataFrame(frame.merge(outlines[["parcel_id", "geometry"]], on="parcel_id", how="left"))
    sink = io.BytesIO()
    shapes.set_geometry("geometry", crs=outlines.crs).to_file(sink, driver="GPKG", layer="assessments")
    return sink.getvalue()


def export_statistics(settings: Settings, *, agency: str | None, season: int, nuts: str, format_: Format) -> bytes:
    """Published statistics of a region and all below it; empty figures where CONF_STATUS is C."""
    with connect(ready_database(settings)) as connection:
        rows = queries.statistics(connection, agency=agency, season=season, nuts_id=nuts)
    if not rows:
        raise InputError(f"nothing is published for {nuts} in season {season}", where="--nuts / --season")
    return _encoded(pd.DataFrame(rows), format_)


def _must_be_published(connection: Any, agency: str, season: int) -> None:
    known = queries.published_seasons(connection)
    if not any(row["agency"] == agency and row["season"] == season for row in known):
        names = ", ".join(f"{row['agency']} {row['season']}" for row in known) or "nothing"
        raise InputError(f"{agency} {season} is not published", where="--agency / --season", mend=f"Published: {names}")


def _encoded(frame: pd.DataFrame, format_: Format) -> bytes:
    if format_ == "parquet":
        sink = io.BytesIO()
        frame.to_parquet(sink, index=False)
        return sink.getvalue()
    if format_ == "json":
        records = json.loads(frame.to_json(orient="records", date_format="iso"))
        return json.dumps(records, ensure_ascii=False, indent=1).encode()
    return frame.to_csv(index=False, lineterminator="\n").encode()
