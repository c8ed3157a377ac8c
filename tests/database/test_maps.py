"""Other binaries than the wheel's, and maps inside the database where PostGIS is available."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropmap.database import embedded, migrations
from cropmap.database.connection import Connection, connect
from tests.database.seasons import KEY, begin, load, publish_run
from tests.database_fixtures import short_folder

DEBIAN = Path("/usr/lib/postgresql/15/bin")
POSTGIS = Path("/usr/share/postgresql/15/extension/postgis.control")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not POSTGIS.is_file():
        pytest.skip("needs Debian's postgresql-15-postgis-3")
    folder = short_folder()
    try:
        yield embedded.ensure_running(folder / "home", pg_bin=DEBIAN)
    finally:
        embedded.remove(folder / "home")
        shutil.rmtree(folder)


def test_maps_follow_the_register_and_the_reader_sees_them(url: str) -> None:
    with connect(url) as connection:
        assert migrations.upgrade(connection)
        assert migrations.upgrade(connection) == []
        load(connection)
        begin(connection, "run-1")
        publish_run(connection)
        connection.execute("SET cropmap.agency = 'bretagne'; SET ROLE cropmap_controller")
        rows = connection.execute(
            "SELECT parcel_id, crop, verdict, ST_AsText(ST_Envelope(geometry)), ST_SRID(geometry) FROM crop_map"
            " WHERE geometry && ST_MakeEnvelope(-1.95, 46, -1.85, 49, 4326)"
        ).fetchall()
    assert rows == [("007", "wheat", "mismatch", "POLYGON((-2 48,-2 48.3,-1.9 48.3,-1.9 48,-2 48))", 4326)]


def test_postgis_that_comes_later_brings_its_maps_with_the_next_upgrade(url: str) -> None:
    with connect(embedded.create_database(url, "later")) as connection:
        migrations.upgrade(connection)
        connection.execute("DROP VIEW crop_map; ALTER TABLE parcel DROP COLUMN geometry; DROP EXTENSION postgis")
        load(connection)
        migrations.upgrade(connection)
        count = connection.execute("SELECT count(geometry) FROM parcel WHERE season = %s", (KEY["season"],))
        assert count.fetchone() == (3,)


def test_who_may_not_install_postgis_goes_without_maps(url: str) -> None:
    with connect(embedded.create_database(url, "plain")) as connection:
        connection.execute("CREATE ROLE plain_owner; GRANT ALL ON SCHEMA public TO plain_owner; SET ROLE plain_owner")
        migrations.upgrade(connection)
        assert connection.execute("SELECT to_regclass('crop_map')::text, install_maps()").fetchone() == (None, False)


def test_without_postgis_everything_else_is_there(connection: Connection) -> None:
    assert connection.execute("SELECT to_regclass('crop_map')::text, install_maps()").fetchone() == (None, False)
