"""Connections to PostgreSQL, and the one place where psycopg's errors become ours.

Connections are in autocommit mode: a reader holds no transaction open while it computes, and every writer of this
room opens exactly one.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import psycopg
from psycopg_pool import ConnectionPool

from cropmap.errors import ConfigurationError, DatabaseError, DatabaseUnavailableError
from cropmap.interruption import hold_if_begun

Connection = psycopg.Connection[Any]
Pool = ConnectionPool[Connection]

CONNECT_SECONDS: Final = 10
NAME_BYTES: Final = 63
"""of an application's name, for PostgreSQL"""
GONE: Final = ("08", "57P")
"""SQLSTATE classes of a server that cannot be reached, or is going away"""
VARIABLE: Final = "CROPMAP_DATABASE_URL"
WRITE: Final = "Write postgresql://user@host:5432/database"
MEND: Final = {
    "42P01": "Run `cropmap db upgrade`",
    "42703": "Run `cropmap db upgrade`",
    "0A000": "A superuser runs infra/roles.sql: the role cropmap_copier needs BYPASSRLS",
    "22023": "A superuser runs infra/roles.sql, then the owner `cropmap db upgrade`",
    "42501": "Ask the database's owner for the role cropmap_writer (or cropmap_reader for the public views), and for"
    " the agency: `cropmap db allow`",
    "53100": "Free space on the database's disk",
}


def check_url(url: str) -> str:
    """Returns the URL; raises ConfigurationError when it is no PostgreSQL URL, or none that can be read without doubt.

    No part of it is repeated: in a malformed address any part may be the password, and libpq names the
    parts that it cannot read.
    """
    if url.partition(":")[0] not in {"postgresql", "postgres"}:
        raise ConfigurationError("not a PostgreSQL URL", where=VARIABLE, mend=WRITE)
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    try:
        urlsplit(url)
        psycopg.conninfo.conninfo_to_dict(url)
        ports = authority.rpartition("@")[2].rpartition("]")[2]
        read = authority.count("@") <= 1 and "@" not in url.partition(authority)[2].partition("?")[0]
        read = read and all(re.fullmatch(r"[^:]*(:\d*)?", port) for port in ports.split(","))
    except (psycopg.Error, ValueError):
        read = False
    if not read:
        raise ConfigurationError(
            "not a PostgreSQL URL that can be read",
            where=VARIABLE,
            mend=f"{WRITE}; in names and passwords write @ / : ? # % and blanks percent-encoded (%40 for @)",
        )
    return url


def connection_environment(url: str) -> dict[str, str]:
    """The same server, user and database as libpq's environment variables, for a program that is started beside us."""
    known = {
        "host": "PGHOST",
        "port": "PGPORT",
        "dbname": "PGDATABASE",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "passfile": "PGPASSFILE",
        "sslmode": "PGSSLMODE",
        "sslrootcert": "PGSSLROOTCERT",
    }
    parts = psycopg.conninfo.conninfo_to_dict(check_url(url))
    return {known[name]: str(value) for name, value in parts.items() if name in known and value is not None}


def at_database(url: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(check_url(url))._replace(path="/" + quote(name, safe="")))


def sqlalchemy_url(url: str, driver: str = "psycopg") -> str:
    """The same database for SQLAlchemy: MLflow (psycopg) and a Prefect server (asyncpg)."""
    # by hand: urlunsplit writes an empty network location differently for schemes that are not in its list
    return f"postgresql+{driver}://{check_url(url).partition('://')[2]}"


@contextmanager
def database_errors() -> Iterator[None]:
    """Translates psycopg's errors; usable around a block and, as `@database_errors()`, on a function.

    Raises DatabaseUnavailableError when the server cannot be reached or went away, DatabaseError for the rest. In a
    program that is being interrupted it raises none: the interruption itself has ended the connection.
    """
    try:
        yield
    except psycopg.Error as error:
        hold_if_begun()
        state = error.sqlstate or ""
        lines = (error.diag.message_primary or str(error)).strip().splitlines()
        message = "; ".join(line.strip() for line in lines[:2]) or type(error).__name__
        away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if state.startswith(GONE) or (away and not state):
            raise DatabaseUnavailableError(
                f"the database does not answer ({message})",
                mend="Start it (or let `cropmap doctor` look), then run the same command again; nothing half is kept",
            ) from error
        place = error.diag.table_name or "database"
        raise DatabaseError(message, where=place, mend=MEND.get(state, "")) from error


@database_errors()
def connect(url: str, **options: str) -> Connection:
    """An autocommit connection; use it in a `with` block. `options` are libpq's. Raises DatabaseUnavailableError.

    The server shows it under this process's name, by which `end_other_sessions` finds it.
    """
    named: dict[str, Any] = {"application_name": f"cropmap {os.getpid()} {socket.gethostname()}"[:NAME_BYTES]}
    return psycopg.connect(check_url(url), autocommit=True, options=_OPTIONS, **(named | _timeout(url) | options))


@database_errors()
def end_other_sessions(connection: Connection) -> None:
    """Ends what this process's other connections do: their transactions are rolled back and let go of their rows."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND usename = current_user AND application_name = current_setting('application_name')"
    )


@database_errors()
def open_pool(url: str, *, max_size: int, wait_seconds: float = 5.0) -> Pool:
    """A pool for serving; close it when the application ends. It opens even while the database is away."""
    return ConnectionPool(
        check_url(url),
        min_size=1,
        max_size=max_size,
        timeout=wait_seconds,
        check=ConnectionPool.check_connection,
        kwargs={"autocommit": True, **_timeout(url), "application_name": "cropmap api", "options": _OPTIONS + _CACHED},
        open=True,
    )


@contextmanager
def pooled_connection(pool: Pool) -> Iterator[Connection]:
    """A connection of the pool for the length of a block. Raises DatabaseUnavailableError."""
    with database_errors(), pool.connection() as connection:
        yield connection


# the same text for the same moment, whatever the server's or the session's time zone is; and a server that asks whether
# this machine still lives: by the system's own setting it would hold the locks of one that vanished for two hours
_OPTIONS: Final = (
    "-c timezone=UTC -c client_min_messages=warning"
    " -c tcp_keepalives_idle=60 -c tcp_keepalives_interval=20 -c tcp_keepalives_count=3"
)

# what the API reads is nearly always in memory: by the server's own estimate of a page it would look up all runs, to
# show the rows of one
_CACHED: Final = " -c random_page_cost=1.1"


def _timeout(url: str) -> dict[str, Any]:
    return {} if "connect_timeout" in parse_qs(urlsplit(url).query) else {"connect_timeout": CONNECT_SECONDS}
