"""A database made before version 0.1.0 is upgraded to the very schema of a new one, and keeps its rows."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cropmap.database import migrations
from cropmap.database.connection import Connection, connect
from cropmap.errors import MigrationError
from tests.database.seasons import LOADED, accepted, begin, load, publish_run

ARCHIVE = Path(__file__).with_name("migrations_before_0_1_0.tar.gz")
"""the nineteen files that stood in cropmap/database/migrations until then"""

ADMITTED = "(SELECT array_agg(x::text ORDER BY x::text) FROM unnest({}) x)"
OURS = "relnamespace = 'public'::regnamespace"
CATALOGUE = {
    "relations": "SELECT relname, relkind, relowner, relrowsecurity, obj_description(oid, 'pg_class'),"  # noqa: S608
    f" {ADMITTED.format('relacl')} FROM pg_class WHERE {OURS}",
    "columns": "SELECT relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull,"  # noqa: S608
    f" pg_get_expr(adbin, adrelid), col_description(c.oid, attnum), {ADMITTED.format('attacl')} FROM pg_class c"
    " JOIN pg_attribute ON attrelid = c.oid LEFT JOIN pg_attrdef ON (adrelid, adnum) = (c.oid, attnum)"
    f" WHERE {OURS} AND attnum > 0",
    "constraints": "SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "views": "SELECT viewname, viewowner, definition FROM pg_views WHERE schemaname = 'public'",
    "triggers": "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT pg_get_functiondef(oid), proowner, "  # noqa: S608
    f" {ADMITTED.format('proacl')} FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "policies": "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies",
    "ledger": "SELECT number, name, checksum FROM schema_migration",
}


def catalogue(connection: Connection) -> dict[str, list[Any]]:
    return {part: sorted(map(repr, connection.execute(query.encode()))) for part, query in CATALOGUE.items()}


def shown(connection: Connection) -> dict[str, list[Any]]:
    """What every view shows."""
    views = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'").fetchall()
    return {view: sorted(map(repr, connection.execute(f"TABLE {view}".encode()))) for (view,) in views}


@pytest.fixture
def earlier(empty_database_url: str, tmp_path: Path) -> Iterator[Connection]:
    """A database with all nineteen, made by their own SQL."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    with connect(empty_database_url) as connection:
        assert migrations.upgrade(connection, tmp_path)[-1] == "0019_readers"
        yield connection


def fill(connection: Connection) -> None:
    """A published season with amendments, a notice, reviews and a release: no view stays empty."""
    load(connection)
    load(connection, accepted().assign(crop_code=["7", "56", "BTH"]), at=LOADED.replace(month=7))
    begin(connection, "run-1")
    publish_run(connection, report={"statistics": {"partial_regions": ["FRH01"]}})
    begin(connection, "run-2", hour=11)
    connection.execute(
        "INSERT INTO notice VALUES ('bretagne', 2018, 'a.gpkg', 2, '007', 'OVERLAP', 'with 7');"
        "INSERT INTO review_campaign VALUES ('c1', 'bretagne', 2018, 'run-1', 2, 0, 0.5, 0.1, 0.2, 0.1, 1,"
        " '{1}', now());"
        "INSERT INTO review_parcel VALUES ('c1', 'run-1', '007', 'list', 'list', 1, 1, 1),"
        " ('c1', 'run-1', '7', 'control', 'other', 2, NULL, 0.5);"
        "INSERT INTO review VALUES ('c1', '007', 1, 'wrong', 'BTH', 'Ann', '2018-07-01', NULL, 'f.csv', now()),"
        " ('c1', '007', 2, 'right', NULL, 'Ann', '2018-07-02', NULL, 'f.csv', now());"
        "INSERT INTO review_certificate VALUES ('c1', 1, false, 'TOO_FEW_REVIEWED', 0, 2, 0, 0, 'none', now()),"
        " ('c1', 2, true, 'CERTIFIED', 1, 2, 1, 1, 'one', now());"
    )
    with connection.transaction():
        connection.execute(
            "INSERT INTO release VALUES ('bretagne', 2018, 1, 'first', 'run-1', NULL, 2024, NULL, 'hash', now());"
            "INSERT INTO released_row SELECT 'bretagne', 2018, 1, nuts_id, level, crop, strucpro, concept, basis,"
            " declared_ha, mapped_ha, estimate_ha, se_ha, ci95_low_ha, ci95_high_ha, cv, n_parcels, n_holdings,"
            " obs_flag, conf_status FROM statistic WHERE run_id = 'run-1'"
        )


def test_an_earlier_database_is_upgraded_to_the_schema_of_a_new_one(
    earlier: Connection, connection: Connection
) -> None:
    fill(earlier)
    before = shown(earlier)
    assert len(before) >= 11
    assert all(before.values())
    first, *others = sorted(path.stem for path in migrations.FOLDER.glob("*.sql"))
    pending = [step.name for step in migrations.status(earlier) if step.applied_at is None]
    assert (first, pending) == ("0001_tables", others)
    assert migrations.upgrade(earlier) == others
    assert migrations.upgrade(earlier) == []
    assert shown(earlier) == before
    assert catalogue(earlier) == catalogue(connection)


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ("DELETE FROM schema_migration WHERE number = 19", 18),
        ("UPDATE schema_migration SET checksum = 'other' WHERE number = 6", 19),
        ("INSERT INTO schema_migration VALUES (20, '0020_own', 'mine')", 20),
    ],
)
def test_another_set_of_earlier_migrations_is_refused(earlier: Connection, change: str, there: int) -> None:
    earlier.execute(change.encode())
    before = catalogue(earlier)
    with pytest.raises(MigrationError, match=rf"not all applied .*[(]{there} are there[)]") as refused:
        migrations.upgrade(earlier)
    assert refused.value.mend.startswith("Upgrade with the version that has 0019_readers.sql first")
    with pytest.raises(MigrationError, match="not all applied"):
        migrations.status(earlier)
    assert catalogue(earlier) == before
