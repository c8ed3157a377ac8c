"""Forward-only migrations: the numbered SQL files beside this module, each applied once, in order.

What was applied stands in `schema_migration` with its checksum. An applied file never changes; a correction is a
file with the next number. One transaction and one advisory lock: two processes cannot race, half an upgrade
cannot be.

Until version 0.1.0 nineteen other files stood here. A database with all of them has the tables of 0001_tables, so its
ledger is read as that file alone, and the files after it, which state views, grants and maps, are applied as open ones
(docs/decisions/0094-migrations-state-the-present-schema.md).
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from psycopg.errors import Diagnostic

from cropmap.database.connection import Connection, database_errors
from cropmap.errors import MigrationError

log = logging.getLogger(__name__)

FOLDER: Final = Path(__file__).parent
LOCK: Final = 0x63726F70  # "crop" as a number: the key of the lock of every process that migrates this database
FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
EARLIER_FIRST: Final = "c1ceb0a8dfee598efdc7bb1a0fb453f588573ecc5da085b52272fcd6c8e20d47"
"""checksum of the first of the files before 0.1.0"""
EARLIER_NUMBER: Final = 19
EARLIER_LEDGER: Final = "2434d0ec574e9dd5edcc6bb1edd04cf157edbbb52dd064d84a666feac64c6c50"
"""SHA-256 of the ledger that all of them leave: a line `number name checksum` each"""


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    """the file's name without its ending: 0001_tables"""
    checksum: str
    """SHA-256 of the file, hexadecimal"""
    applied_at: datetime | None
    """None while it is open"""


@database_errors()
def status(connection: Connection, folder: Path = FOLDER) -> list[Migration]:
    """Every migration of this version of the code, in order.

    Raises MigrationError when an applied file has changed, the database is newer than the code, or it has a part of the
    files before 0.1.0.
    """
    files = _files(folder)
    applied = _as_present(_applied(connection), files)
    _refuse_unknown(applied, files)
    return [_compare(path, number, applied.get(number)) for number, path in files.items()]


@database_errors()
def upgrade(connection: Connection, folder: Path = FOLDER) -> list[str]:
    """Applies what is open and returns the names; all of it or, on an error, nothing.

    Raises MigrationError as `status` does, DatabaseError when the user may not create tables.
    """
    connection.add_notice_handler(_log_notice)
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migration (number integer PRIMARY KEY, name text NOT NULL,"
                " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            _replace_earlier(connection, folder)
            done = [step.name for step in status(connection, folder) if _apply(connection, folder, step)]
            if connection.execute("SELECT to_regproc('install_maps')").fetchone() != (None,):
                connection.execute("SELECT install_maps()")
    finally:
        connection.remove_notice_handler(_log_notice)
    return done


def _replace_earlier(connection: Connection, folder: Path) -> None:
    """Writes the ledger of the files before 0.1.0 as that of the present ones."""
    applied = _applied(connection)
    present = _as_present(applied, _files(folder))
    if present is applied:
        return
    connection.execute("DELETE FROM schema_migration")
    for row in present.values():
        connection.execute(
            "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES (%s, %s, %s, %s)", row
        )


def _as_present(applied: dict[int, tuple[Any, ...]], files: dict[int, Path]) -> dict[int, tuple[Any, ...]]:
    """The ledger itself, or, where it is that of all files before 0.1.0, its equal in present files."""
    if 1 not in applied or applied[1][2] != EARLIER_FIRST:
        return applied
    lines = "".join(f"{number} {name} {checksum}\n" for number, name, checksum, _ in sorted(applied.values()))
    if hashlib.sha256(lines.encode()).hexdigest() != EARLIER_LEDGER:
        raise MigrationError(
            f"the {EARLIER_NUMBER} migrations before version 0.1.0 are not all applied as they were published"
            f" ({len(applied)} are there)",
            where="schema_migration",
            mend="Upgrade with the version that has 0019_readers.sql first (docs/running.md),"
            " or remove the database and run the season again",
        )
    return {1: (1, files[1].stem, _checksum(files[1]), applied[EARLIER_NUMBER][3])}


def _apply(connection: Connection, folder: Path, step: Migration) -> bool:
    if step.applied_at is not None:
        return False
    connection.execute((folder / f"{step.name}.sql").read_bytes())
    connection.execute(
        "INSERT INTO schema_migration (number, name, checksum) VALUES (%s, %s, %s)",
        (step.number, step.name, step.checksum),
    )
    log.info("applied migration %s", step.name)
    return True


def _files(folder: Path) -> dict[int, Path]:
    by_number = {
        int(match[1]): path for path in sorted(folder.glob("*.sql")) if (match := FILE_NAME.fullmatch(path.name))
    }
    assert list(by_number) == list(range(1, len(by_number) + 1)), (
        f"migrations are not numbered 1, 2, 3 …: {list(by_number)}"
    )
    return by_number


def _applied(connection: Connection) -> dict[int, tuple[Any, ...]]:
    if connection.execute("SELECT to_regclass('schema_migration')").fetchone() == (None,):
        return {}
    rows = connection.execute("SELECT number, name, checksum, applied_at FROM schema_migration").fetchall()
    return {row[0]: row for row in rows}


def _refuse_unknown(applied: dict[int, tuple[Any, ...]], files: dict[int, Path]) -> None:
    unknown = sorted(applied[number][1] for number in applied.keys() - files.keys())
    if unknown:
        raise MigrationError(
            f"the database is newer than this version of cropmap (it has {', '.join(unknown)})",
            where="schema_migration",
            mend="Install the version of cropmap that upgraded it, or a later one",
        )


def _compare(path: Path, number: int, row: tuple[Any, ...] | None) -> Migration:
    checksum = _checksum(path)
    if row is not None and row[2] != checksum:
        raise MigrationError(
            f"{path.name} is not the file that was applied on {row[3]:%Y-%m-%d}",
            where="schema_migration",
            mend="Restore the file; write the change as a migration with the next number",
        )
    return Migration(number, path.stem, checksum, row[3] if row else None)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _log_notice(notice: Diagnostic) -> None:
    log.warning("database: %s", notice.message_primary)
