"""Seasons and the runs that make them. A run's id says what it is made from, so the same inputs give the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cropmap.database.connection import Connection, database_errors
from cropmap.errors import DatabaseError
from cropmap.masking import public
from cropmap.schemas import RunStatus


@dataclass(frozen=True)
class Run:
    run_id: str
    agency: str
    season: int
    as_of: date | None
    """last day of acquisitions that counted; None: the whole window"""
    status: str
    """a RunStatus; once published it stays so"""
    attempts: int
    started_at: datetime
    """of the latest attempt"""
    finished_at: datetime | None
    code_version: str
    model_version: str | None
    nuts_version: int | None
    n_acquisitions: int | None
    n_parcels: int | None
    detail: str | None
    report: dict[str, Any] | None
    """what the guards of assessments and statistics said"""


RUN_COLUMNS: Final = ", ".join(Run.__dataclass_fields__)


@database_errors()
def ensure_season(
    connection: Connection,
    *,
    agency: str,
    season: int,
    simulated: bool | None = None,
    document: Mapping[str, Any] | None = None,
) -> None:
    """Registers the season; `simulated` and the agency file (`document`) replace what is stored, None leaves it."""
    values = {
        "agency": agency,
        "season": season,
        "simulated": simulated,
        "document": None if document is None else Jsonb(dict(document)),
    }
    with connection.transaction():
        connection.execute("INSERT INTO agency (agency) VALUES (%(agency)s) ON CONFLICT DO NOTHING", values)
        connection.execute(
            "INSERT INTO season (agency, season) VALUES (%(agency)s, %(season)s) ON CONFLICT DO NOTHING", values
        )
        connection.execute(
            "UPDATE season SET simulated = coalesce(%(simulated)s, simulated),"
            " document = coalesce(%(document)s, document)"
            " WHERE agency = %(agency)s AND season = %(season)s AND (simulated, document) IS DISTINCT FROM"
            " (coalesce(%(simulated)s, simulated), coalesce(%(document)s, document))",
            values,
        )


@database_errors()
def begin_run(
    connection: Connection,
    *,
    run_id: str,
    agency: str,
    season: int,
    as_of: date | None,
    code_version: str,
    started_at: datetime,
    detail: str | None = None,
) -> Run:
    """Opens the run, or counts one more attempt at it where `started_at` is another; a published run stays published.

    Raises DatabaseError when the id belongs to another season.
    """
    connection.execute(
        "INSERT INTO run (run_id, agency, season, as_of, status, started_at, code_version, detail) VALUES"
        " (%(run_id)s, %(agency)s, %(season)s, %(as_of)s, 'running', %(started_at)s, %(code_version)s, %(detail)s)"
        " ON CONFLICT (run_id) DO UPDATE SET started_at = excluded.started_at,"
        # steps of one command begin their run anew and say the same start
        " attempts = run.attempts + (run.started_at IS DISTINCT FROM excluded.started_at)::integer,"
        " finished_at = NULL, detail = excluded.detail,"
        " status = CASE run.status WHEN 'published' THEN 'published' ELSE 'running' END"
        " WHERE (run.agency, run.season) = (excluded.agency, excluded.season)",
        {
            "run_id": run_id,
            "agency": agency,
            "season": season,
            "as_of": as_of,
            "started_at": started_at,
            "code_version": code_version,
            "detail": public(detail) if detail else detail,
        },
    )
    run = read_run(connection, run_id)
    if run is None or (run.agency, run.season) != (agency, season):
        raise DatabaseError(f"run {run_id} belongs to another season", where=f"{agency} {season}")
    return run


@database_errors()
def finish_run(
    connection: Connection,
    *,
    run_id: str,
    finished_at: datetime,
    detail: str | None = None,
    n_acquisitions: int | None = None,
    n_parcels: int | None = None,
) -> None:
    """Notes that an attempt came to its end; whether the run is published is `publish`'s word alone."""
    connection.execute(
        "UPDATE run SET finished_at = %(finished_at)s, detail = coalesce(%(detail)s, detail),"
        " n_acquisitions = coalesce(%(n_acquisitions)s, n_acquisitions), n_parcels = coalesce(%(n_parcels)s, n_parcels)"
        " WHERE run_id = %(run_id)s",
        {
            "run_id": run_id,
            "finished_at": finished_at,
            "detail": public(detail) if detail else detail,
            "n_acquisitions": n_acquisitions,
            "n_parcels": n_parcels,
        },
    )


@database_errors()
def fail_run(connection: Connection, *, run_id: str, detail: str, finished_at: datetime) -> None:
    """Notes why an attempt failed; rows that this run has published before stay published, and an interruption that
    was noted first stays the reason. Others read the run log: neither secrets nor the folders and addresses of this
    installation are kept."""
    connection.execute(
        "UPDATE run SET finished_at = %s, detail = %s,"
        " status = CASE status WHEN 'published' THEN 'published' ELSE %s END"
        " WHERE run_id = %s AND status <> 'interrupted'",
        (finished_at, public(detail), RunStatus.FAILED.value, run_id),
    )


@database_errors()
def read_run(connection: Connection, run_id: str) -> Run | None:
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(f"SELECT {RUN_COLUMNS} FROM run WHERE run_id = %s", (run_id,)).fetchone()  # noqa: S608
