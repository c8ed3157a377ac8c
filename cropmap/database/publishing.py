"""Publication: one transaction writes a run's rows by COPY and moves the pointer that readers follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.types.json import Jsonb

from cropmap.contracts.columns import Table, copy_types, file_schema
from cropmap.contracts.tables import ASSESSMENT, PREDICTION, STORED_ASSESSMENT, STORED_PREDICTION, STORED_STATISTIC
from cropmap.database.connection import Connection, database_errors
from cropmap.database.copying import copy_frame, copy_tables
from cropmap.errors import DatabaseError

Rows = pd.DataFrame | Iterable[pa.Table]
"""a frame, or tables one after the other"""

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
    predictions: Rows,
    assessments: Rows,
    statistics: pd.DataFrame,
    model_version: str,
    published_at: datetime,
    nuts_version: int | None = None,
    n_acquisitions: int | None = None,
    report: Mapping[str, Any] | None = None,
) -> bool:
    """Publishes a begun run; returns False where its rows are published already (they are never written again).

    `parcels` (parcel_id, holding_id, nuts_id, area_ha) gives every product row what it needs to stand for itself;
    predictions, assessments and statistics have the columns of `contracts`; the first two may come in parts, of which
    one is in memory at a time. Whatever fails, nothing is published and readers keep the season that they had. Raises
    DatabaseError for a run that was not begun or has no predictions, a row that breaks a constraint or a parcel that is
    not in `parcels`.
    """
    about = _About(parcels)
    with connection.transaction():
        is_new = not _lock_run(connection, run_id, agency, season)
        if is_new:
            predicted = _copy(connection, STORED_PREDICTION, run_id, map(about.joined, _parts(predictions, PREDICTION)))
            if not predicted:
                raise DatabaseError("a run without predictions is not published", where=run_id)
            _copy(connection, STORED_ASSESSMENT, run_id, map(about.joined, _parts(assessments, ASSESSMENT)))
            copy_frame(
                connection, "statistic", copy_types(STORED_STATISTIC.without("run_id")), statistics, run_id=run_id
            )
            connection.execute("ANALYZE prediction, assessment, statistic")  # readers come at once
            connection.execute(
                FINISH,
                {
                    "run_id": run_id,
                    "published_at": published_at,
                    "model_version": model_version,
                    "nuts_version": nuts_version,
                    "n_acquisitions": n_acquisitions,
                    "n_parcels": predicted,
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


def _parts(rows: Rows, contract: Table) -> Iterable[pa.Table]:
    if isinstance(rows, pd.DataFrame):
        return [pa.Table.from_pandas(rows, schema=file_schema(contract), preserve_index=False)]
    return rows


class _About:
    """What a product row has of its parcel."""

    COLUMNS: Final = {"holding_id": pa.string(), "nuts_id": pa.string(), "area_ha": pa.float64()}

    def __init__(self, parcels: pd.DataFrame) -> None:
        self._ids, self._parcels = pa.array(parcels["parcel_id"], pa.string()), parcels

    def joined(self, rows: pa.Table) -> pa.Table:
        """The rows with their parcel's columns. Raises DatabaseError for a parcel that is not there."""
        ids = rows["parcel_id"].cast(pa.string())
        start = pc.index(self._ids, ids[0]).as_py() if len(ids) else 0
        if start >= 0 and ids.equals(pa.chunked_array([self._ids.slice(start, len(ids))])):
            # a season's rows come in the register's order: nothing is looked up
            of_parcel = self._parcels.iloc[start : start + len(ids)]
        else:
            found = pc.index_in(ids, self._ids)
            if lost := found.null_count:
                first = rows["parcel_id"].filter(found.is_null())[0].as_py()
                raise DatabaseError(f"{lost} parcels are not in the register, {first!r} among them")
            of_parcel = self._parcels.iloc[found.to_numpy()]
        for name, kind in self.COLUMNS.items():
            rows = rows.append_column(name, pa.array(of_parcel[name], kind, from_pandas=True))
        return rows


def _copy(connection: Connection, table: Table, run_id: str, parts: Iterable[pa.Table]) -> int:
    return copy_tables(connection, table.name, copy_types(table.without("run_id")), parts, run_id=run_id)
