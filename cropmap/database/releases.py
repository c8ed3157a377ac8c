"""Releases of a season's statistics: numbered, frozen, a copy of the rows as they left. Inserted, never updated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import pandas as pd
from psycopg.rows import class_row, dict_row

from cropmap.contracts.columns import copy_types
from cropmap.contracts.tables import RELEASED_ROW, STATISTIC_COLUMNS
from cropmap.database.connection import Connection, database_errors
from cropmap.database.copying import copy_frame
from cropmap.errors import DatabaseError
from cropmap.provenance import value_hash

ROW: Final = copy_types(RELEASED_ROW.without("agency"))
RELEASES: Final = """
SELECT agency, season, number, stage, run_id, as_of, nuts_version, note, content_hash, released_at, model_version,
       simulated
FROM statistic_release WHERE (%(agency)s::text IS NULL OR agency = %(agency)s)
AND (%(season)s::int IS NULL OR season = %(season)s) ORDER BY agency, season, number
"""
ROWS: Final = """
SELECT * FROM released_statistic WHERE (agency, season, number) = (%(agency)s, %(season)s, %(number)s)
ORDER BY nuts_id COLLATE "C", crop COLLATE "C", strucpro, concept
"""
INSERT: Final = """
INSERT INTO release (agency, season, number, stage, run_id, as_of, nuts_version, note, content_hash, released_at)
VALUES (%(agency)s, %(season)s, %(number)s, %(stage)s, %(run_id)s, %(as_of)s, %(nuts_version)s, %(note)s,
        %(content_hash)s, %(released_at)s)
"""


@dataclass(frozen=True)
class Release:
    agency: str
    season: int
    number: int
    """1, 2, … in a season"""
    stage: str
    """a ReleaseStage"""
    run_id: str
    as_of: date | None
    nuts_version: int | None
    note: str | None
    content_hash: str
    """`rows_hash` of what was released"""
    released_at: datetime
    model_version: str | None = None
    simulated: bool = False

    @property
    def name(self) -> str:
        return f"release {self.number} ({self.stage})"


@database_errors()
def store_release(connection: Connection, release: Release, rows: pd.DataFrame) -> None:
    """Writes a release and its rows (STATISTIC_COLUMNS) in one transaction. Raises DatabaseError where its number is
    taken, or is not the next."""
    with connection.transaction():
        # one release of a season at a time; the key alone would let a gap in
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"{release.agency} {release.season}",))
        number = 1 + max((earlier.number for earlier in read_releases(connection, **_season(release))), default=0)
        if release.number != number:
            raise DatabaseError(
                f"{release.name} is not the next, {number} is",
                where=f"{release.agency} {release.season}",
                mend="Somebody released at the same moment: look at `cropmap stats releases`, then release again",
            )
        connection.execute(INSERT, vars(release))
        keyed = rows.assign(season=release.season, number=release.number)
        copy_frame(connection, RELEASED_ROW.name, ROW, keyed, agency=release.agency)


@database_errors()
def read_releases(connection: Connection, *, agency: str | None = None, season: int | None = None) -> list[Release]:
    """Every release, by agency, season and number."""
    with connection.cursor(row_factory=class_row(Release)) as cursor:
        return cursor.execute(RELEASES, {"agency": agency, "season": season}).fetchall()


@database_errors()
def read_rows(connection: Connection, release: Release) -> pd.DataFrame:
    """What was released: view `released_statistic`, sorted by region and crop. Raises DatabaseError where the rows are
    not those that were written."""
    rows = _rows(connection, release)
    if rows_hash(rows) != release.content_hash:
        raise DatabaseError(
            f"the rows of {release.name} are not those that were released",
            where=f"{release.agency} {release.season}",
            mend="Somebody wrote to table released_row: restore it from a backup",
        )
    return rows


@database_errors()
def count_rows(connection: Connection, release: Release) -> dict[str, Any]:
    """cells, confidential (how many of them are hidden), intact (whether they are the rows that were released)."""
    rows = _rows(connection, release)
    hidden = int((rows["conf_status"] == "C").sum())
    return {"cells": len(rows), "confidential": hidden, "intact": rows_hash(rows) == release.content_hash}


def rows_hash(rows: pd.DataFrame) -> str:
    """SHA-256 over STATISTIC_COLUMNS, independent of the order of the rows and of how a missing value is written."""
    columns = [
        [None if gone else _plain(name, value) for value, gone in zip(rows[name], rows[name].isna(), strict=True)]
        for name in STATISTIC_COLUMNS
    ]
    return value_hash(sorted((list(row) for row in zip(*columns, strict=True)), key=repr), length=64)


def _rows(connection: Connection, release: Release) -> pd.DataFrame:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(ROWS, {**_season(release), "number": release.number})
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def _plain(name: str, value: Any) -> Any:
    kind = ROW[name]
    return float(value) if kind == "float8" else int(value) if kind == "int4" else str(value)


def _season(release: Release) -> dict[str, Any]:
    return {"agency": release.agency, "season": release.season}
