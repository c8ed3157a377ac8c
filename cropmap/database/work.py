"""Who works on an agency. One worker at a time, held by an advisory lock of the database; a run without a worker is
closed by the next command.

The lock belongs to a session: it ends with the process, by `kill -9` too, and with the machine, two minutes after its
last answer to the server. So it states on one machine and on many whether a worker is alive.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row

from cropmap.database.connection import Connection, connect, database_errors
from cropmap.database.runs import begin_run, ensure_season
from cropmap.errors import BusyError, DatabaseError
from cropmap.masking import public
from cropmap.schemas import RunStatus

COLLISION_SECONDS: Final = 2.0
"""`status` holds the lock for a moment, to look; that is no work"""
LOOK_AGAIN_SECONDS: Final = 5.0
HOLDER: Final = "cropmap work"
"""the lock's session by name: it stays while an interruption ends this process's others"""
UNPLANNED: Final = "unplanned"
"""end of the run's id where work ended before its inputs, which make the id, were known"""
LEFT_BEHIND: Final = "nobody works on it any more: its process was killed, or its machine stopped"
STAYS_ALIVE: Final = {"keepalives": "1", "keepalives_idle": "60", "keepalives_interval": "20", "keepalives_count": "3"}
"""a lock's session is silent for hours: firewalls drop those, and a dead server is noticed by its silence alone. What
the server asks of us it is told with every connection"""


@dataclass(frozen=True)
class Work:
    """What is done for an agency, by whom, since when."""

    agency: str
    season: int
    task: str
    worker: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.task} {self.season} by {self.worker} since {self.since:%Y-%m-%d %H:%M} UTC"


@contextmanager
def claim(url: str, work: Work, *, code_version: str, wait: bool = False) -> Iterator[list[str]]:
    """The agency is this worker's while the block works. Yields the runs that were found left behind, now closed.

    Raises BusyError where another worker holds the agency; with `wait` it waits for its turn instead.
    """
    with connect(url, **STAYS_ALIVE, application_name=HOLDER) as connection:
        _lock(connection, work, wait=wait)
        try:
            left_behind = close_left_behind(connection, work.agency, at=work.since, code_version=code_version)
            _note(connection, work)
            yield left_behind
        finally:
            with suppress(DatabaseError):  # the lock ends with the session, and its row is closed by the next worker
                _release(connection, work)


def at_work(connection: Connection, agency: str) -> Work | None:
    """Who works on the agency at this moment."""
    return None if _is_free(connection, agency) else _read(connection, agency)


def close_abandoned(connection: Connection, agency: str, *, at: datetime, code_version: str) -> list[str]:
    """Closes the runs of an agency without a worker; returns their ids. Does nothing where there is one."""
    with database_errors():
        if not _try(connection, agency):
            return []
        try:
            return close_left_behind(connection, agency, at=at, code_version=code_version)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_key(agency),))


@database_errors()
def is_claimed(connection: Connection, work: Work) -> bool:
    """Whether this database is the one in which that worker works on the agency, at this moment."""
    query = "SELECT FROM work WHERE (agency, worker, since) = (%s, %s, %s) AND ended_at IS NULL"
    return connection.execute(query, (work.agency, work.worker, work.since)).rowcount > 0


@contextmanager
def held_claim(connection: Connection, work: Work) -> Iterator[None]:
    """In the block nobody else can begin to work on the agency: for what another process writes under the claim.

    Raises BusyError where the claim is another's by now: the process that held it is gone.
    """
    query = "SELECT FROM work WHERE (agency, worker, since) = (%s, %s, %s) AND ended_at IS NULL FOR SHARE"
    with database_errors(), connection.transaction():
        if not connection.execute(query, (work.agency, work.worker, work.since)).rowcount:
            raise BusyError(
                "the command that this unit was for has ended",
                where=f"agency {work.agency}",
                mend="Run the command again: what is missing is done then",
            )
        yield


@database_errors()
def close_left_behind(connection: Connection, agency: str, *, at: datetime, code_version: str) -> list[str]:
    """To be called by the worker that holds the agency: whatever runs there was left behind by another."""
    with connection.transaction():
        rows = connection.execute(
            "UPDATE run SET status = %s, finished_at = %s, detail = %s WHERE agency = %s AND status = 'running'"
            " RETURNING run_id",
            (RunStatus.INTERRUPTED.value, at, LEFT_BEHIND, agency),
        ).fetchall()
        _finish_published(connection, agency, at)
        runs = [str(row[0]) for row in rows]
        before = _read(connection, agency, open_only=True)
        if before is not None:
            if not runs and not _is_planned(connection, before):
                runs = [_unplanned(connection, before, detail=LEFT_BEHIND, at=at, code_version=code_version)]
            connection.execute("UPDATE work SET ended_at = %s WHERE agency = %s", (at, agency))
    return runs


@database_errors()
def interrupt_work(connection: Connection, work: Work, *, detail: str, at: datetime, code_version: str) -> None:
    """Notes that this worker was stopped: its run, or where none was planned yet the work itself, is interrupted."""
    with connection.transaction():
        rows = connection.execute(
            "UPDATE run SET status = %s, finished_at = %s, detail = %s"
            " WHERE agency = %s AND status = 'running' AND started_at >= %s RETURNING run_id",
            (RunStatus.INTERRUPTED.value, at, detail, work.agency, work.since),
        ).fetchall()
        _finish_published(connection, work.agency, at)
        ended = connection.execute(
            "UPDATE work SET ended_at = %s WHERE (agency, worker, since) = (%s, %s, %s) AND ended_at IS NULL"
            " RETURNING agency",
            (at, work.agency, work.worker, work.since),
        ).fetchall()
        if ended and not rows and not _is_planned(connection, work):
            _unplanned(connection, work, detail=detail, at=at, code_version=code_version)


def _is_planned(connection: Connection, work: Work) -> bool:
    """Whether a run shows that the work is done: one that is published by now, where it was stopped at the very end."""
    query = "SELECT FROM run WHERE agency = %s AND started_at >= %s"
    return connection.execute(query, (work.agency, work.since)).rowcount > 0


def _finish_published(connection: Connection, agency: str, at: datetime) -> None:
    """A published run that was looked through once more is not at work any longer either."""
    connection.execute(
        "UPDATE run SET finished_at = %s WHERE agency = %s AND status = 'published' AND finished_at IS NULL",
        (at, agency),
    )


@database_errors()
def fail_unplanned(connection: Connection, work: Work, *, detail: str, at: datetime, code_version: str) -> None:
    """Notes why work failed before its run could be planned."""
    _unplanned(connection, work, detail=detail, at=at, code_version=code_version, status=RunStatus.FAILED)


def _unplanned(
    connection: Connection,
    work: Work,
    *,
    detail: str,
    at: datetime,
    code_version: str,
    status: RunStatus = RunStatus.INTERRUPTED,
) -> str:
    run_id = f"{work.agency}-{work.season}-{UNPLANNED}"
    ensure_season(connection, agency=work.agency, season=work.season)
    begin_run(
        connection,
        run_id=run_id,
        agency=work.agency,
        season=work.season,
        as_of=None,
        code_version=code_version,
        started_at=work.since,
    )
    connection.execute(
        "UPDATE run SET status = %s, finished_at = %s, detail = %s WHERE run_id = %s",
        (status.value, at, public(f"{work.task}: {detail}"), run_id),
    )
    return run_id


@database_errors()
def _lock(connection: Connection, work: Work, *, wait: bool) -> None:
    until = time.monotonic() + COLLISION_SECONDS
    while not _try(connection, work.agency):
        if wait:
            time.sleep(LOOK_AGAIN_SECONDS)
        elif time.monotonic() < until:
            time.sleep(0.1)
        else:
            other = _read(connection, work.agency)
            raise BusyError(
                f"is being worked on ({other or 'who it is was not noted yet'})",
                where=f"agency {work.agency}",
                mend="Wait until that has ended, or end it with Ctrl-C there",
            )


@database_errors()
def _note(connection: Connection, work: Work) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO agency (agency) VALUES (%s) ON CONFLICT DO NOTHING", (work.agency,))
        connection.execute(
            "INSERT INTO work (agency, season, task, worker, since) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (agency) DO UPDATE SET season = excluded.season, task = excluded.task,"
            " worker = excluded.worker, since = excluded.since, ended_at = NULL",
            (work.agency, work.season, work.task, work.worker, work.since),
        )


@database_errors()
def _release(connection: Connection, work: Work) -> None:
    connection.execute(
        "UPDATE work SET ended_at = clock_timestamp() WHERE agency = %s AND ended_at IS NULL", (work.agency,)
    )


@database_errors()
def _read(connection: Connection, agency: str, *, open_only: bool = False) -> Work | None:
    with connection.cursor(row_factory=class_row(Work)) as cursor:
        return cursor.execute(
            "SELECT agency, season, task, worker, since FROM work WHERE agency = %s AND (NOT %s OR ended_at IS NULL)",
            (agency, open_only),
        ).fetchone()


def _try(connection: Connection, agency: str) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_key(agency),)).fetchone()
    return bool(row and row[0])


@database_errors()
def _is_free(connection: Connection, agency: str) -> bool:
    if not _try(connection, agency):
        return False
    connection.execute("SELECT pg_advisory_unlock(%s)", (_key(agency),))
    return True


def _key(agency: str) -> int:
    """The lock's number: 64 bits of the name's hash, as PostgreSQL's signed number."""
    return int.from_bytes(hashlib.sha256(f"cropmap agency {agency}".encode()).digest()[:8], "big", signed=True)
