"""Bretagne with a row in every table, and Bayern, which is its copy: whatever is Bayern's bears a mark."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pandas as pd
from psycopg import sql

from cropmap.database import releases, reviews
from cropmap.database.code_lists import store_regions
from cropmap.database.connection import Connection
from tests.database.seasons import AWKWARD, KEY, PUBLISHED, begin, load, publish_run, regions, statistics
from tests.database.test_reviews import campaign, findings, sample

OTHER: Final = "bayern"
MARK: Final = "SECRET"
RENAMED: Final = {
    "bretagne": OTHER,
    "run-1": f"{MARK}-run",
    "c1": f"{MARK}-campaign",
    "007": f"{MARK}-007",
    "7": f"{MARK}-7",
    AWKWARD: f"{MARK}-awkward",
    "0001": f"{MARK}-0001",
    "30UVU": f"{MARK}-tile",
    "me": f"{MARK}-me",
    "hash": f"{MARK}-hash",
    "Bretagne": f"{MARK}-region",
    "Maïs grain": f"{MARK}-crop",
}
"""values of Bretagne, and what they are in Bayern"""
NOT_OF_AN_AGENCY: Final = {"schema_migration", "bytes_read", "login_scope", "spatial_ref_sys"}
ROWS_BY_HAND: Final = """
INSERT INTO notice VALUES ('bretagne', 2018, 'a.gpkg', 2, '007', 'OVERLAP', '');
INSERT INTO audit_entry (agency, season, action, subject, login, actor, n_rows, parcel_ids)
VALUES ('bretagne', 2018, 'read', 'explain', 'me', 'me', 1, ARRAY['007']);
INSERT INTO api_key (name, key_hash, role, agency) VALUES ('me', 'hash', 'controller', 'bretagne');
INSERT INTO account (name, password_hash, role, agency) VALUES ('me', 'hash', 'controller', 'bretagne');
INSERT INTO erasure_key (agency) VALUES ('bretagne');
INSERT INTO erasure (agency, season, holding_hash, erased_at, removed)
VALUES ('bretagne', 2018, '\\x00', now(), '{}');
INSERT INTO code_name VALUES ('bretagne', 'crops', 'C1500', 'fr', 'Maïs grain');
INSERT INTO work VALUES ('bretagne', 2018, 'season run', 'me', now(), NULL);
INSERT INTO acquisition (agency, season, item_id, tile, status, object_name)
VALUES ('bretagne', 2018, 'item', '30UVU', 'observed', 'observations/bretagne/2018/30UVU/item.parquet');
"""


def fill(connection: Connection) -> None:
    """Both agencies. `connection` is a superuser's."""
    load(connection)
    store_regions(connection, **KEY, regions=regions())
    begin(connection, "run-1")
    publish_run(connection)
    reviews.store_campaign(connection, campaign(), sample())
    found = findings(("007", "wrong", "BTH", "me", None, None))
    reviews.store_findings(
        connection, "c1", found, source_file="field.csv", imported_at=datetime(2018, 11, 7, tzinfo=UTC)
    )
    certify(connection)
    release(connection, statistics())
    connection.execute(ROWS_BY_HAND)
    _copy_agency(connection)


def certify(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO review_certificate"
        " VALUES ('c1', 1, false, 'SAMPLE_TOO_SMALL', 0, 2, 1, 0, 'Not certified.', now())"
    )


def release(connection: Connection, table: pd.DataFrame) -> None:
    about = releases.Release(
        **KEY,
        number=1,
        stage="first",
        run_id="run-1",
        as_of=None,
        nuts_version=2024,
        note=None,
        content_hash=releases.rows_hash(table),
        released_at=PUBLISHED,
    )
    releases.store_release(connection, about, table)


def tables(connection: Connection) -> list[str]:
    """Every table that holds rows of agencies."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows if name not in NOT_OF_AN_AGENCY]


def _copy_agency(connection: Connection) -> None:
    text = "to_jsonb(t)::text"
    for old, new in RENAMED.items():
        text = f"replace({text}, {_json(old)}, {_json(new)})"
    connection.execute("SET session_replication_role = replica")  # neither triggers nor references
    for name in tables(connection):
        rows = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = ''",
            (name,),
        ).fetchall()
        columns = sql.SQL(", ").join(sql.Identifier(column) for (column,) in rows)
        copied = connection.execute(
            sql.SQL(
                "INSERT INTO {0} ({1}) SELECT {1} FROM (SELECT (jsonb_populate_record(NULL::{0}, ({2})::jsonb)).*"
                " FROM {0} t) renamed"
            ).format(sql.Identifier(name), columns, sql.SQL(text))
        )
        assert copied.rowcount > 0, f"{name} has no row of Bretagne: give it one here"
    connection.execute("RESET session_replication_role; ANALYZE")


def _json(value: str) -> str:
    return sql.Literal(f'"{value}"').as_string()
