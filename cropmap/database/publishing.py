"""Publication: one transaction writes a run's rows by COPY and moves the pointer that readers follow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import pandas as pd
from psycopg.types.json import Jsonb

from cropmap.contracts.columns import Table, copy_types
from cropmap.contracts.tables import STORED_ASSESSMENT, STORED_PREDICTION, STORED_STATISTIC
from cropmap.database.connection import Connection, database_errors
from cropmap.database.copying import copy_frame
from cropmap.errors import DatabaseError

FINISH: Final = """
UPDATE run
SET status = 'published', finished_at = %(published_at)s, model_version = %(model_version)s,
    nuts_version = %(nuts_version)s, n_acquisitions = coalesce(%(n_acquisitions)s, n_acquisitions),
    n_parcels = %(n_parcels)s, report = %(report)s, partial_regions = %(partial_regions)s,
    simulated = (SELECT simulated FROM season s WHERE (s.agency, s.season) = (run.agency, run.season))
WHERE run_id = %(run_id)s
"""
POINT: Final = """
INSERT INTO published (agency, season, run_id, published_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (agency, season) DO UPDATE SET run_id = excluded.run_id, published_at = excluded.published_at
WHERE published.run_id <> excluded.run_id
"""


@database_errors()
def publish(
    connection: Connection,
    *,
    run_id: str,
    agency: str,
    season: int,
    parcels: pd.DataFrame,
    predictions: pd.DataFrame,
    assessments: pd.DataFrame,
    statistics: pd.DataFrame,
    model_version: str,
    published_at: datetime,
    nuts_version: int | None = None,
    n_acquisitions: int | None = None,
    report: Mapping[str, Any] | None = None,
) -> bool:
    """Publishes a begun run; returns False where its rows are published already (they are never written again).

    `parcels` (parcel_id, holding_id, nuts_id, area_ha) gives every product row what it needs to stand for itself;
    predictions, assessments and statistics have the columns of `contracts`. Whatever fails, nothing is published and
    readers keep the season that they had. Raises DatabaseError for a run that was not begun, a row that breaks a
    constraint or a parcel that is not in `parcels`.
    """
    if not len(predictions):
        raise DatabaseError("a run without predictions is not published", where=run_id)
    about = parcels[["parcel_id", "holding_id", "nuts_id", "area_ha"]]
    with connection.transaction():
        is_new = not _lock_run(connection, run_id, agency, season)
        if is_new:
            _copy(connection, STORED_PREDICTION, run_id, _joined(predictions, about))
            _copy(connection, STORED_ASSESSMENT, run_id, _joined(assessments, about))
            _copy(connection, STORED_STATISTIC, run_id, statistics)
            connection.execute("ANALYZE prediction, assessment, statistic")  # readers come at once
            connection.execute(
                FINISH,
                {
                    "run_id": run_id,
                    "published_at": published_at,
                    "model_version": model_version,
                    "nuts_version": nuts_version,
                    "n_acquisitions": n_acquisitions,
                    "n_parcels": len(predictions),
                    "report": None if report is None else Jsonb(dict(report)),
                    "partial_regions": list((report or {}).get("statistics", {}).get("partial_regions", [])),
                },
            )
        connection.execute(POINT, (agency, season, run_id, published_at))
    return is_new


def _lock_run(connection: Connection, run_id: str, agency: str, season: int) -> bool:
    """Holds the run until the transaction ends; True when it is published already."""
    row = connection.execute(
        "SELECT status FROM run WHERE (run_id, agency, season) = (%s, %s, %s) FOR UPDATE", (run_id, agency, season)
    ).fetchone()
    if row is None:
        raise DatabaseError(f"run {run_id} was not begun", where=f"{agency} {season}")
    return bool(row[0] == "published")


def _joined(rows: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    joined = rows.merge(about, on="parcel_id", how="left", validate="one_to_one")
    lost = joined.loc[joined["area_ha"].isna(), "parcel_id"]
    if len(lost):
        raise DatabaseError(f"{len(lost)} parcels are not in the register, {lost.iloc[0]!r} among them")
    return joined


def _copy(connection: Connection, table: Table, run_id: str, frame: pd.DataFrame) -> None:
    copy_frame(connection, table.name, copy_types(table.without("run_id")), frame, run_id=run_id)
