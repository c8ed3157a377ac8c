from __future__ import annotations

import logging
import os
import shutil
import signal
from contextlib import closing
from pathlib import Path

import pytest
from psycopg import sql

from cropmap.database import embedded, queries
from cropmap.database.connection import (
    Connection,
    Pool,
    at_database,
    check_url,
    connect,
    open_pool,
    pooled_connection,
    sqlalchemy_url,
)
from cropmap.database.declarations import read_declarations
from cropmap.errors import ConfigurationError, DatabaseError, DatabaseUnavailableError
from tests.database.seasons import KEY, begin, load, predictions, publish_run
from tests.database_fixtures import short_folder


def test_urls_of_the_same_server() -> None:
    assert at_database("postgresql://me@/crop?host=/run/x", "ml flow") == "postgresql://me@/ml%20flow?host=/run/x"
    assert sqlalchemy_url("postgres://me@/crop?host=/run/x") == "postgresql+psycopg://me@/crop?host=/run/x"
    assert sqlalchemy_url("postgresql://db/crop", driver="asyncpg") == "postgresql+asyncpg://db/crop"


@pytest.mark.parametrize("url", ["mysql://db/crop", "dbname=crop", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CROPMAP_DATABASE_URL: not a PostgreSQL URL"):
        check_url(url)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="does not answer") as caught:
        connect(f"postgresql://me:s3cret@/crop?host={tmp_path}")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_tables_that_are_not_there(empty_database_url: str) -> None:
    with connect(empty_database_url) as connection, pytest.raises(DatabaseError, match="Run `cropmap db upgrade`"):
        read_declarations(connection, **KEY)


def test_database_gone_in_the_middle_of_a_run(database_url: str, connection: Connection) -> None:
    load(connection)
    begin(connection, "run-1")
    with connect(database_url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
    with pytest.raises(DatabaseUnavailableError) as caught:
        publish_run(connection)
    assert "\n" not in str(caught.value)
    with pytest.raises(DatabaseUnavailableError):
        publish_run(connection)
    with connect(database_url) as again:
        assert queries.published_seasons(again) == []
        assert publish_run(again)


def test_kill_9_while_publishing_keeps_the_season_before(tmp_path: Path, database_url: str) -> None:
    with connect(database_url) as connection:
        load(connection)
        begin(connection, "run-1")
        publish_run(connection)
        begin(connection, "run-2")
        child = os.fork()
        if child == 0:  # pragma: no cover  dies inside the transaction, after the first COPY
            with connect(database_url) as own, own.transaction():
                publish_run(own, "run-2", predictions=predictions("rapeseed"))
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        assert [row["run_id"] for row in queries.published_seasons(connection)] == ["run-1"]
        assert connection.execute("SELECT FROM prediction WHERE run_id = 'run-2'").fetchall() == []
        assert publish_run(connection, "run-2", predictions=predictions("rapeseed"))
        published = connection.execute("SELECT crop FROM crop_prediction ORDER BY parcel_id").fetchall()
        assert published == [("rapeseed",), ("maize",), (None,)]


def test_pool_serves_again_when_the_database_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="psycopg.pool")
    folder = short_folder()
    try:
        with closing(open_pool(embedded.ensure_running(folder / "home"), max_size=2, wait_seconds=1.0)) as pool:
            assert answer(pool)
            embedded.stop(folder / "home")
            with pytest.raises(DatabaseUnavailableError):
                answer(pool)
            embedded.ensure_running(folder / "home")
            assert any(answers(pool) for _ in range(30))
    finally:
        embedded.remove(folder / "home")
        shutil.rmtree(folder)


def answer(pool: Pool) -> bool:
    with pooled_connection(pool) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def answers(pool: Pool) -> bool:
    try:
        return answer(pool)
    except DatabaseUnavailableError:
        return False


def test_the_server_soon_notices_a_machine_that_vanished() -> None:
    """By TCP alone: through a socket file the server asks nothing, and reads 0 for its settings."""
    folder = short_folder()
    host = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # of this process alone: the port stays
    try:
        url = embedded.ensure_running(folder / "home")
        with connect(url) as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET listen_addresses = {}").format(host))
        with (folder / "home" / "postgres" / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {host}/8 scram-sha-256\n")
        embedded.stop(folder / "home")
        embedded.ensure_running(folder / "home")
        over_tcp = f"postgresql://cropmap@{host}/cropmap?passfile={folder / 'home' / 'postgres.pgpass'}"
        with connect(over_tcp) as connection:
            (seconds,) = connection.execute(
                "SELECT current_setting('tcp_keepalives_idle')::int + current_setting('tcp_keepalives_count')::int"
                " * current_setting('tcp_keepalives_interval')::int"
            ).fetchall()[0]
        assert 0 < seconds <= 120
    finally:
        embedded.remove(folder / "home")
        shutil.rmtree(folder)
