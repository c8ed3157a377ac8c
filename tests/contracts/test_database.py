"""The migrations are held to the contracts: columns, types, what may be empty, words and bounds of a real database."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from cropmap import schemas
from cropmap.contracts import tables
from cropmap.contracts.columns import Table, View, copy_types, figures
from cropmap.database.connection import Connection

ELSEWHERE: dict[tuple[str, str], type[StrEnum]] = {
    ("acquisition", "status"): schemas.AcquisitionStatus,
    ("acquisition", "reason"): schemas.QuarantineReason,
    ("acquisition", "warning"): schemas.AcquisitionWarning,
    ("run", "status"): schemas.RunStatus,
    ("release", "stage"): schemas.ReleaseStage,
    ("api_key", "role"): schemas.AccessRole,
    ("account", "role"): schemas.AccessRole,
    ("audit_entry", "action"): schemas.AuditAction,
    ("review_campaign", "purpose"): schemas.ReviewPurpose,
    ("review_certificate", "reason"): schemas.CertificateReason,
}
"""closed words of tables that have no contract: they are no rows of a public table"""
COPIED = {("released_row", "basis")}
"""checked where they are copied from"""
NUMBER = r"\(?(-?[\d.]+)\)?(?:::double precision)?"


def columns_of(connection: Connection, name: str) -> dict[str, tuple[str, bool]]:
    """name -> (type, whether it may be empty), without columns that the database computes of others"""
    rows = connection.execute(
        "SELECT column_name, udt_name, is_nullable = 'YES' FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'",
        (name,),
    )
    return {column: (kind, nullable) for column, kind, nullable in rows}


def checks(connection: Connection) -> list[tuple[str, str, str]]:
    """(table, name, definition) of every CHECK."""
    return connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'public'::regnamespace ORDER BY 1, 2"
    ).fetchall()


@pytest.mark.parametrize("table", tables.STORED, ids=lambda table: table.name)
def test_a_stored_table_has_the_columns_of_its_contract_and_no_other(connection: Connection, table: Table) -> None:
    contract = {column.name: (column.kind.postgres, column.is_nullable) for column in table}
    assert columns_of(connection, table.name) == contract


@pytest.mark.parametrize("table", [tables.DECLARATION, tables.REGION], ids=lambda table: table.name)
def test_what_is_stored_with_outlines_has_the_columns_of_its_contract(connection: Connection, table: Table) -> None:
    stored = columns_of(connection, table.name)
    for column in table:
        assert stored[column.name] == (column.kind.postgres, column.is_nullable), column.name


@pytest.mark.parametrize("view", tables.VIEWS, ids=lambda view: view.name)
def test_a_public_view_has_the_columns_of_its_contract_and_no_other(connection: Connection, view: View) -> None:
    found = {name: kind for name, (kind, _) in columns_of(connection, view.name).items()}
    assert found == copy_types(view)
    assert len(view.columns) == len(found)
    readable = connection.execute("SELECT has_any_column_privilege(%s, %s, 'SELECT')", (view.reader, view.name))
    assert readable.fetchone() == (True,)


def test_every_view_has_a_contract(connection: Connection) -> None:
    rows = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'").fetchall()
    maps = {"crop_map", "geometry_columns", "geography_columns"}  # where PostGIS is
    assert {row[0] for row in rows} - maps == {view.name for view in tables.VIEWS}


def test_closed_words_are_those_of_the_vocabulary(connection: Connection) -> None:
    found = {}
    for table, _, definition in checks(connection):
        if said := re.fullmatch(
            r"CHECK \(\((\w+) = ANY \(ARRAY\[(.*)\]\)\)\)|CHECK \(\((\w+) = ('\w+')::text\)\)", definition
        ):
            found[table, said[1] or said[3]] = set(re.findall(r"'(\w+)'", said[2] or said[4]))
    stated = {(table.name, column.name): column.words for table in tables.STORED for column in table if column.words}
    expected = {place: words for place, words in (stated | ELSEWHERE).items() if place not in COPIED}
    assert found == {place: set(map(str, words)) for place, words in expected.items()}


def test_bounds_that_the_database_checks_are_those_of_the_contract(connection: Connection) -> None:
    stated = {(table.name, column.name): column.bounds for table in (*tables.STORED, tables.REGION) for column in table}
    found = {}
    for table, _, definition in checks(connection):
        for column, low, high in re.findall(rf"\((\w+) >=? {NUMBER}\) AND \(\1 <= {NUMBER}\)", definition):
            if (table, column) in stated:
                found[table, column] = (float(low), float(high))
    assert len(found) >= 6
    for place, bounds in found.items():
        assert bounds == pytest.approx(stated[place], abs=1e-5), place  # float32 may end above 1 by a bit


@pytest.mark.parametrize("constraint", ["statistic_confidential", "released_confidential"])
def test_a_confidential_cell_is_kept_empty_of_every_figure(connection: Connection, constraint: str) -> None:
    (definition,) = [text for _, name, text in checks(connection) if name == constraint]
    (inside,) = re.findall(r"num_nonnulls\((.*?)\)", definition)
    assert set(inside.split(", ")) == set(figures(tables.STATISTIC))
