from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from cropmap.contracts import tables
from cropmap.database import migrations
from cropmap.database.connection import Connection, connect
from cropmap.errors import MigrationError

VIEWS = {view.name for view in tables.VIEWS}
NUMBER = len(list(migrations.FOLDER.glob("*.sql")))
LAST = max(int(path.name[:4]) for path in migrations.FOLDER.glob("*.sql"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, copy)
    return copy


def test_upgrade_applies_every_file_in_order_and_only_once(empty_database_url: str) -> None:
    with connect(empty_database_url) as connection:
        assert all(step.applied_at is None for step in migrations.status(connection))
        first = migrations.upgrade(connection)
        assert first[:3] == ["0001_tables", "0002_views", "0003_roles"]
        assert first == sorted(path.stem for path in migrations.FOLDER.glob("*.sql"))
        before = migrations.status(connection)
        assert migrations.upgrade(connection) == []
        assert migrations.status(connection) == before


def test_changed_file_is_refused(connection: Connection, folder: Path) -> None:
    with (folder / "0002_views.sql").open("a") as file:
        file.write("-- later thought\n")
    with pytest.raises(MigrationError, match=r"0002_views\.sql is not the file that was applied"):
        migrations.upgrade(connection, folder)


def test_newer_database_is_refused(connection: Connection, folder: Path) -> None:
    (folder / f"{LAST + 1:04d}_next.sql").write_text("CREATE TABLE next_thing (id integer);")
    assert migrations.upgrade(connection, folder) == [f"{LAST + 1:04d}_next"]
    with pytest.raises(MigrationError, match=r"newer than this version of cropmap [(]it has \d{4}_next"):
        migrations.status(connection)


def test_failing_migration_leaves_nothing(connection: Connection, folder: Path) -> None:
    (folder / f"{LAST + 1:04d}_good.sql").write_text("CREATE TABLE good (id integer);")
    (folder / f"{LAST + 2:04d}_bad.sql").write_text("CREATE TABLE bad (id nonsense);")
    with pytest.raises(Exception, match="nonsense"):
        migrations.upgrade(connection, folder)
    assert connection.execute("SELECT to_regclass('good')").fetchone() == (None,)
    assert migrations.status(connection)


def test_two_processes_do_not_race(empty_database_url: str) -> None:
    results: list[list[str]] = []

    def run() -> None:
        with connect(empty_database_url) as connection:
            results.append(migrations.upgrade(connection))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, results)) == [0, 0, NUMBER]


READER = {"crop_statistic", "statistic_release", "released_statistic"}
CONTROLLER = VIEWS - READER


@pytest.mark.parametrize(("role", "views"), [("cropmap_reader", READER), ("cropmap_controller", CONTROLLER)])
def test_a_role_sees_its_views_and_nothing_else(connection: Connection, role: str, views: set[str]) -> None:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'p')"
        " AND has_table_privilege(%s, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')",
        (role,),
    ).fetchall()
    assert {row[0] for row in rows} - {"crop_map", "geometry_columns", "geography_columns", "spatial_ref_sys"} == views
    connection.execute(f"SET ROLE {role}".encode())
    for view in views:
        assert connection.execute(f"TABLE {view}".encode()).fetchall() == []
    for other in VIEWS - views | {"assessment", "statistic", "api_key", "run"}:
        with pytest.raises(Exception, match="permission denied"):
            connection.execute(f"TABLE {other}".encode())


def test_writer_cannot_change_products_or_keys(connection: Connection) -> None:
    connection.execute("SET ROLE cropmap_writer")
    for statement in (
        "UPDATE prediction SET crop = 'maize'",
        "DELETE FROM statistic",
        "TRUNCATE published",
        "INSERT INTO api_key VALUES ('me', 'x', now())",
        "DROP TABLE review",
    ):
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            connection.execute(statement.encode())


def test_an_owner_who_is_no_superuser_can_upgrade(empty_database_url: str) -> None:
    with connect(empty_database_url) as connection:
        connection.execute("CREATE ROLE plain_owner; GRANT ALL ON SCHEMA public TO plain_owner")
        connection.execute("SET ROLE plain_owner")
        try:
            assert len(migrations.upgrade(connection)) == NUMBER
            assert connection.execute("SELECT count(*) FROM run_log").fetchone() == (0,)
        finally:
            connection.execute("RESET ROLE; DROP OWNED BY plain_owner; DROP ROLE plain_owner")
