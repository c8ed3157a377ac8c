"""The audit log: what an entry says, how entries are found, and that nobody writes or changes one by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from cropmap.database import audit
from cropmap.database.connection import Connection
from cropmap.errors import DatabaseError, InputError
from cropmap.schemas import AuditAction
from tests.database.seasons import KEY, load

ROLES = ("cropmap_reader", "cropmap_controller", "cropmap_writer", "cropmap_copier", "cropmap_server_controller")


@pytest.fixture
def known(connection: Connection) -> Connection:
    """With a season of bretagne."""
    load(connection)
    return connection


def subjects(connection: Connection, parcel_ids: list[str] | None = None) -> list[str]:
    return [entry["subject"] for entry in audit.entries(connection, "bretagne", parcel_ids=parcel_ids)]


def test_an_entry_says_who_did_what_and_when(known: Connection) -> None:
    before = datetime.now(UTC)
    audit.note(known, **KEY, action=AuditAction.READ, subject="explain", parcel_ids=["7", "007", "7"])
    (entry,) = audit.entries(known, "bretagne")
    assert before <= entry.pop("noted_at") <= datetime.now(UTC)
    assert entry == {
        "season": 2018,
        "action": "read",
        "subject": "explain",
        "actor": audit.user_of_machine(),
        "login": known.info.user,
        "request_id": None,
        "n_rows": 3,
        "parcel_ids": ["007", "7"],
    }


def test_entries_are_found_by_parcel_by_holding_and_by_time(known: Connection) -> None:
    audit.note(known, **KEY, action=AuditAction.READ, subject="one", parcel_ids=["007"])
    audit.note(known, **KEY, action=AuditAction.READ, subject="another", parcel_ids=["7"])
    audit.note(known, **KEY, action=AuditAction.EXPORT, subject="all", n_rows=20_000)
    many = [str(number) for number in range(audit.LISTED + 1)]
    audit.note(known, **KEY, action=AuditAction.EXPORT, subject="many", parcel_ids=many)
    assert subjects(known) == ["many", "all", "another", "one"]
    assert subjects(known, ["007"]) == ["many", "all", "one"], "whole lists may hold it too"
    assert audit.entries(known, "bretagne", season=2017) == []
    assert audit.entries(known, "bretagne", since=datetime.now(UTC) + timedelta(minutes=1)) == []
    assert [entry["n_rows"] for entry in audit.entries(known, "bretagne", limit=2)] == [audit.LISTED + 1, 20_000]


def test_a_holding_is_known_by_what_it_declared(known: Connection) -> None:
    declared = known.execute("SELECT holding_id, parcel_id FROM declaration WHERE holding_id IS NOT NULL").fetchall()
    holding = declared[0][0]
    parcels = sorted({parcel_id for whose, parcel_id in declared if whose == holding})
    assert audit.parcels_of_holding(known, "bretagne", holding) == parcels
    assert audit.parcels_of_holding(known, "bretagne", holding, season=2018) == parcels
    with pytest.raises(InputError, match="no declaration of agency bretagne names holding nobody"):
        audit.parcels_of_holding(known, "bretagne", "nobody")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_entry (agency, season, action, subject, login, actor, n_rows)"
        " VALUES ('bretagne', 2018, 'read', 'forged', 'me', 'me', 1)",
        "UPDATE audit_entry SET actor = 'somebody else'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
    ],
)
def test_no_role_adds_changes_or_removes_an_entry_by_itself(known: Connection, role: str, statement: str) -> None:
    audit.note(known, **KEY, action=AuditAction.READ, subject="explain", parcel_ids=["007"])
    known.execute("SET cropmap.agency = 'bretagne'")
    known.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    with pytest.raises(psycopg.errors.InsufficientPrivilege), known.transaction():
        known.execute(statement.encode())
    known.execute("RESET ROLE")
    assert subjects(known) == ["explain"]


def test_an_entry_of_another_agency_is_refused(known: Connection) -> None:
    known.execute("SET cropmap.agency = 'bayern'")
    known.execute("SET ROLE cropmap_writer")
    with pytest.raises(DatabaseError, match="permission denied: another agency"):
        audit.note(known, **KEY, action=AuditAction.READ, subject="explain", parcel_ids=["007"])


def test_the_owner_removes_old_entries(known: Connection) -> None:
    audit.note(known, **KEY, action=AuditAction.READ, subject="old", parcel_ids=["007"])
    known.execute("UPDATE audit_entry SET noted_at = noted_at - interval '10 years'")
    audit.note(known, **KEY, action=AuditAction.READ, subject="new", parcel_ids=["007"])
    assert audit.prune(known, "bayern", before=datetime.now(UTC)) == 0
    assert audit.prune(known, "bretagne", before=datetime.now(UTC) - timedelta(days=365)) == 1
    assert subjects(known) == ["new"]
