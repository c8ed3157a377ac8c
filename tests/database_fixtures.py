"""The embedded database for tests: one cluster a session (and worker), a fresh migrated database a test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
import pytest
from psycopg import sql

from cropmap.database import embedded, migrations
from cropmap.database.connection import Connection, at_database, connect
from cropmap.errors import CropmapError

SHORT: Final = Path("/tmp")  # noqa: S108  a socket's path is limited
PREFIX: Final = "cropmap-of-"

_numbers = itertools.count(1)


def short_folder() -> Path:
    """A new folder for homes: its process stands in its name. A server outlives its process: those of tests that were
    killed are ended, and their folders removed, by the next test that wants one."""
    for left in SHORT.glob(f"{PREFIX}*.*"):
        pid = left.name.removeprefix(PREFIX).partition(".")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)) and left.stat().st_uid == os.getuid():
            for home in left.iterdir():
                with suppress(CropmapError):
                    embedded.remove(home)
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}.", dir=SHORT))
    folder.chmod(0o711)
    return folder


@contextmanager
def cluster() -> Iterator[str]:
    """URL of a new cluster whose database `cropmap` is migrated; it is removed at the end."""
    # not pytest's own folder: when root runs the tests, the server's unprivileged user must be able to enter;
    # and short, because a socket's path is limited
    folder = short_folder()
    try:
        url = embedded.ensure_running(folder / "home")
        with connect(url) as connection:
            migrations.upgrade(connection)
            # nothing here outlives the session: spare the disk
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        embedded.remove(folder / "home")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A running cluster whose database `cropmap` is migrated and stays as it is: the template of every test."""
    with cluster() as url:
        yield url


@contextmanager
def databases(count: int) -> Iterator[list[str]]:
    """URLs of so many migrated databases on a cluster of their own, for studies."""
    with cluster() as url, ExitStack() as stack:
        fresh = contextmanager(_fresh)
        yield [stack.enter_context(fresh(url, template="cropmap")) for _ in range(count)]


def _fresh(cluster_url: str, *, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with connect(at_database(cluster_url, "postgres")) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        yield at_database(cluster_url, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(cluster_url: str) -> Iterator[str]:
    """libpq URL of a fresh database with every migration applied; dropped after the test."""
    yield from _fresh(cluster_url, template="cropmap")


@pytest.fixture
def fresh_database(cluster_url: str) -> Iterator[str]:
    """A second one, for tests that compare two."""
    yield from _fresh(cluster_url, template="cropmap")


@pytest.fixture
def empty_database_url(cluster_url: str) -> Iterator[str]:
    """libpq URL of a fresh database without any table."""
    yield from _fresh(cluster_url, template="template0")


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with connect(database_url) as opened:
        yield opened
