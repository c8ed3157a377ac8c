"""Who may read which column: the page is what the database grants, and parcels are for controllers alone."""

from __future__ import annotations

import re
from pathlib import Path

from cropmap.contracts import tables
from cropmap.database.connection import Connection
from cropmap.database.rights import ROLES, as_markdown, column_rights

PAGE = Path(__file__).parents[2] / "docs" / "rights.md"
CONTROLLERS = {"cropmap_controller", "cropmap_server_controller"}
OF_ONE_FARM = re.compile(
    r"parcel_id|parcel_ids|holding_id|home_tile|wkb|box|geometry|geom|priority|verdict|probability"
)
"""names of columns with data of single parcels and holdings"""


def test_the_page_is_what_the_database_grants(connection: Connection) -> None:
    rights = [one for one in column_rights(connection) if one.table != "crop_map"]  # where PostGIS is
    assert PAGE.read_text(encoding="utf-8") == as_markdown(rights), "docs/rights.md is out of date; run `make docs`"


def test_columns_of_single_farms_are_for_controllers_alone(connection: Connection) -> None:
    rights = column_rights(connection)
    personal = [one for one in rights if OF_ONE_FARM.search(one.column)]
    assert len(personal) > 30
    assert [(one.table, one.column, one.roles) for one in personal if one.roles - CONTROLLERS] == []


def test_every_public_view_has_the_readers_of_its_contract(connection: Connection) -> None:
    readers = {role: {one.table for one in column_rights(connection) if role in one.roles} for role in ROLES}
    for view in tables.VIEWS:
        assert view.name in readers[view.reader], view.name


def test_hashes_are_read_by_the_login_of_the_api_alone(connection: Connection) -> None:
    """It looks up who asks; nobody whom it lets in reads them."""
    rows = connection.execute(
        "SELECT rolname, has_column_privilege(oid, 'api_key', 'key_hash', 'SELECT'),"
        " has_column_privilege(oid, 'account', 'password_hash', 'SELECT')"
        " FROM pg_roles WHERE rolname LIKE 'cropmap%' AND NOT rolsuper"
    ).fetchall()
    assert len(rows) >= 10
    assert [row for row in rows if row[1] or row[2]] == [("cropmap_server", True, True)]


def test_nobody_else_has_to_do_with_keys_and_accounts(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT DISTINCT rolname FROM pg_roles, unnest(ARRAY['api_key', 'account']) held,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) action"
        " WHERE rolname LIKE 'cropmap%' AND NOT rolsuper AND has_any_column_privilege(oid, held, action) ORDER BY 1"
    ).fetchall()
    assert rows == [("cropmap_server",), ("cropmap_server_administrator",)]
