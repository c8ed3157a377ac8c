"""A hostile client of one agency against another: no row, name or count of it, on any path. What is tried is listed by
the database itself, so that a new table, view or function is tried without anyone thinking of it."""

# ruff: noqa: S608  statements of constants

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pandas as pd
import psycopg
import pytest
from psycopg import sql

from cropmap.database import accounts, keys, logins
from cropmap.database.code_lists import store_names, store_regions
from cropmap.database.connection import Connection, connect
from cropmap.database.copying import copy_frame
from cropmap.dissemination.names import CodeName
from cropmap.errors import DatabaseError, InputError
from cropmap.schemas import AccessRole
from tests.database.seasons import regions
from tests.database.two_agencies import MARK, OTHER, fill, tables
from tests.database_fixtures import _fresh as fresh_database

RELATIONS: Final = """
SELECT c.relname, c.relkind::text,
       array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE has_column_privilege(c.oid, a.attnum, 'SELECT'))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.relnamespace = 'public'::regnamespace
GROUP BY c.oid ORDER BY 1
"""
FUNCTIONS: Final = """
SELECT p.oid::regproc::text, proargtypes::regtype[]::text[] FROM pg_proc p JOIN pg_type t ON t.oid = prorettype
WHERE pronamespace = 'public'::regnamespace AND t.typname <> 'trigger' AND has_function_privilege(p.oid, 'EXECUTE')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
LOGINS: Final = {
    "hostile_reader": "cropmap_reader",
    "hostile_controller": "cropmap_controller",
    "hostile_worker": "cropmap_writer",
    "hostile_api": "cropmap_server",
    "unlisted_controller": "cropmap_controller",
    "unlisted_worker": "cropmap_writer",
}
ADMINISTERED: Final = {"agency", "api_key", "account"}
"""what an administrator reads"""
DECLARATIONS: Final = (
    "",
    f"SET cropmap.agency = '{OTHER}'",
    "SET cropmap.agency = '*'",
    f"SET ROLE {{role}}; SET cropmap.agency = '{OTHER}'",
    "SET row_security = off",
)
"""what a login of people may try first"""
GIVEN: Final = {"integer": "2018", "bigint": "1", "name": "hostile_api", "text[]": f"{{{MARK}}}"}
"""what a function is called with, by the type of its parameter; a text is the other agency's name"""


@pytest.fixture(scope="module")
def url(cluster_url: str) -> Iterator[str]:
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            fill(connection)
            for login, role in LOGINS.items():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(sql.Identifier(login), sql.Identifier(role))
                )
                if login.startswith("hostile") and role != "cropmap_server":
                    logins.allow(connection, login, "bretagne")
        yield database_url
        with connect(database_url) as connection:
            for login in LOGINS:
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))


@contextmanager
def signed_in(url: str, login: str, before: str = "") -> Iterator[Connection]:
    """As if the login had connected: its session user is the login, and not a superuser that took on a role."""
    with connect(url) as connection:
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(login)))
        if before:
            connection.execute(before.encode())
        yield connection


def rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """What the session reads of each relation; a relation that it may not read is refused as a whole."""
    found = {}
    for name, _, columns in connection.execute(RELATIONS).fetchall():
        if columns:
            chosen = sql.SQL(", ").join(map(sql.Identifier, columns))
            with connection.transaction():
                found[name] = connection.execute(
                    sql.SQL("SELECT {} FROM {}").format(chosen, sql.Identifier(name))
                ).fetchall()
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name)))
    return found


def tried(connection: Connection, statement: sql.Composed) -> list[tuple[Any, ...]] | psycopg.Error:
    """The answer, or the error; a statement that fails is taken back."""
    try:
        with connection.transaction():
            cursor = connection.execute(statement)
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        return error


def is_others(value: object) -> bool:
    return MARK in str(value) or OTHER in str(value)


def assert_nothing_of_others(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    found = rows(connection)
    for name, lines in found.items():
        assert not [line for line in lines if is_others(line)], name
    for name, lines in found.items():
        copied = sql.SQL("COPY (SELECT count(*) FROM {}) TO STDOUT").format(sql.Identifier(name))
        try:
            with connection.transaction(), connection.cursor().copy(copied) as copy:
                assert b"".join(map(bytes, copy)).decode().strip() == str(len(lines)), name
        except psycopg.errors.InsufficientPrivilege:
            pass  # some of its columns alone
    assert not is_others(connection.execute("SELECT * FROM pg_stats WHERE schemaname = 'public'").fetchall())
    return found


def test_every_table_of_agencies_has_policies(url: str) -> None:
    with connect(url) as connection:
        secured = connection.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
        assert [name for (name,) in secured] == tables(connection)


@pytest.mark.parametrize("role", AccessRole)
def test_a_key_of_one_agency_reads_nothing_of_another(url: str, role: AccessRole) -> None:
    with connect(url) as connection:
        secret = keys.create_key(connection, f"{role} of one", role=role, agency="bretagne")
    with signed_in(url, "hostile_api") as connection, connection.transaction():
        holder = keys.enter(connection, secret)
        assert holder == keys.KeyHolder(f"{role} of one", role, "bretagne")
        found = assert_nothing_of_others(connection)
    own = {name for name, lines in found.items() if lines} - {"schema_migration"}
    if role is AccessRole.ADMINISTRATOR:
        assert own == ADMINISTERED
        return
    assert not own & ADMINISTERED
    assert {"season", "released_statistic" if role is not AccessRole.OPERATOR else "run_log"} <= own
    parcels = {"parcel", "declaration", "prediction", "assessment", "acquisition"}
    assert own & parcels == (parcels if role is AccessRole.CONTROLLER else set())


@pytest.mark.parametrize("role", AccessRole)
def test_a_key_of_every_agency_reads_both(url: str, role: AccessRole) -> None:
    with connect(url) as connection:
        secret = keys.create_key(connection, f"{role} of all", role=role, agency=None)
    with signed_in(url, "hostile_api") as connection, connection.transaction():
        assert keys.enter(connection, secret)
        name = "agency" if role is AccessRole.ADMINISTRATOR else "season"
        assert {line[0] for line in rows(connection)[name]} == {"bretagne", OTHER}


def test_the_api_sees_nothing_before_it_declares(url: str) -> None:
    with signed_in(url, "hostile_api") as connection:
        assert set(rows(connection)) == {"account", "api_key", "schema_migration"}
        for role in AccessRole:
            with connection.transaction():
                connection.execute("SELECT set_config('role', %s, true)", (f"cropmap_server_{role}",))
                assert {name: lines for name, lines in rows(connection).items() if lines} == {}, role


@contextmanager
def administering(url: str, agency: str | None = "bretagne") -> Iterator[Connection]:
    """A session of the API's login, for a transaction that is taken back, that took on an administrator's key."""
    name = f"administrator {uuid.uuid4()}"
    with connect(url) as connection:
        secret = keys.create_key(connection, name, role=AccessRole.ADMINISTRATOR, agency=agency)
    with signed_in(url, "hostile_api") as connection, connection.transaction(force_rollback=True):
        assert keys.enter(connection, secret) is not None
        yield connection


def test_an_administrator_changes_nothing_of_another_agency_and_no_other_table(url: str) -> None:
    with connect(url) as owner:
        before = _others(owner)
    for name in before:
        with administering(url) as connection:
            columns = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                " AND attgenerated = ''",
                (name,),
            ).fetchall()
            table, first = sql.Identifier(name), sql.Identifier(columns[0][0])
            statements = [
                sql.SQL("DELETE FROM {}").format(table),
                sql.SQL("TRUNCATE {} CASCADE").format(table),
                sql.SQL("INSERT INTO {0} SELECT * FROM {0}").format(table),
                sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM {0}").format(table, first),
                *(sql.SQL("UPDATE {0} SET {1} = {1}").format(table, sql.Identifier(one)) for (one,) in columns),
                *(sql.SQL("UPDATE {0} SET {1} = NULL").format(table, sql.Identifier(one)) for (one,) in columns),
            ]
            for statement in statements:
                answer = tried(connection, statement)
                assert not is_others(answer), statement
                assert isinstance(answer, psycopg.Error) or name in {"api_key", "account"}, statement
            connection.execute("SET SESSION AUTHORIZATION DEFAULT")
            assert _others(connection) == before, name


@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE api_key SET {column} = {column}" for column in ("name", "agency", "role", "key_hash", "expires_at")),
        *(f"UPDATE account SET {column} = {column}" for column in ("name", "agency", "role", "created_at")),
        "UPDATE api_key SET revoked_at = NULL",
        "UPDATE api_key SET agency = NULL, role = 'controller'",
        "SELECT key_hash FROM api_key",
        "SELECT password_hash FROM account",
        "SELECT name FROM api_key WHERE key_hash = 'hash'",
        "UPDATE api_key SET revoked_at = now() RETURNING key_hash",
        "INSERT INTO api_key (name, key_hash, role) VALUES ('x', 'x', 'controller')",
        f"INSERT INTO api_key (name, key_hash, role, agency) VALUES ('x@{OTHER}', 'x', 'controller', '{OTHER}')",
        "INSERT INTO api_key (name, key_hash, role, agency) VALUES ('x', 'x', 'controller', '*')",
        "INSERT INTO api_key (name, key_hash, role, agency) VALUES ('x', 'x', 'controller', 'bretagne')",
        f"INSERT INTO api_key (name, key_hash, role, agency) VALUES ('{MARK}-me', 'x', 'controller', 'bretagne')",
        "INSERT INTO api_key (name, key_hash, role, agency, last_used_at)"
        " VALUES ('x@bretagne', 'x', 'controller', 'bretagne', now())",
        "INSERT INTO account (name, password_hash, role) VALUES ('x', 'x', 'controller')",
        f"INSERT INTO account (name, password_hash, role, agency) VALUES ('x@{OTHER}', 'x', 'controller', '{OTHER}')",
        "INSERT INTO agency VALUES ('mine')",
        "SELECT note_key_use('hash')",
        "DELETE FROM api_key",
        "SELECT * FROM login_scope",
    ],
)
def test_an_administrator_s_session_cannot_rise(url: str, statement: str) -> None:
    """Neither its own keys nor those of others: what a key is does not change, and its hash is not read."""
    with administering(url) as connection:
        answer = tried(connection, sql.SQL(statement))  # type: ignore[arg-type]
        assert isinstance(answer, psycopg.errors.InsufficientPrivilege), answer
        assert not is_others(answer), answer


def test_an_administrator_makes_and_ends_what_is_its_agency_s(url: str) -> None:
    with administering(url) as connection:
        made = keys.create_key(connection, "x@bretagne", role=AccessRole.PUBLIC, agency="bretagne")
        accounts.create_account(connection, "x@bretagne", "x" * 12, role=AccessRole.PUBLIC, agency="bretagne")
        accounts.set_password(connection, "x@bretagne", "y" * 12)
        accounts.disable_account(connection, "x@bretagne")
        keys.revoke_key(connection, "me")  # the owner gave it the name
        for name in (f"{MARK}-me", "nobody"):
            with pytest.raises(InputError, match=f"there is no valid key named '{name}'"):
                keys.revoke_key(connection, name)
            with pytest.raises(InputError, match=f"there is no account named '{name}'"):
                accounts.set_password(connection, name, "y" * 12)
            with pytest.raises(InputError, match=f"there is no enabled account named '{name}'"):
                accounts.disable_account(connection, name)
        connection.execute("SET SESSION AUTHORIZATION DEFAULT")
        assert keys.hash_key(made) in keys.valid_keys(connection)


def test_an_administrator_of_every_agency_makes_and_ends_any(url: str) -> None:
    with administering(url, None) as connection:
        assert {row["agency"] for row in keys.list_keys(connection)} == {"bretagne", OTHER, None}
        keys.create_key(connection, "free", role=AccessRole.ADMINISTRATOR, agency=None)
        keys.create_key(connection, f"x@{OTHER}", role=AccessRole.PUBLIC, agency=OTHER)
        keys.revoke_key(connection, f"{MARK}-me")
        for agency in ("bretagne", None):
            refused = pytest.raises(InputError, match=f"a name that ends with @{OTHER} is for agency {OTHER}")
            with refused, connection.transaction():
                keys.create_key(connection, f"y@{OTHER}", role=AccessRole.PUBLIC, agency=agency)


@pytest.mark.parametrize("login", [login for login in LOGINS if login != "hostile_api"])
@pytest.mark.parametrize("declared", DECLARATIONS)
def test_a_login_of_one_agency_reads_nothing_of_another(url: str, login: str, declared: str) -> None:
    with signed_in(url, login, declared.format(role=LOGINS[login])) as connection:
        if "row_security" in declared and LOGINS[login] == "cropmap_writer":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rows(connection)
            return
        found = assert_nothing_of_others(connection)
    seen = {name for name, lines in found.items() if lines} - {"schema_migration"}
    assert bool(seen) is login.startswith("hostile")


@pytest.mark.parametrize("login", LOGINS)
def test_no_function_tells_of_another_agency(url: str, login: str) -> None:
    with signed_in(url, login) as connection:
        for name, arguments in connection.execute(FUNCTIONS).fetchall():
            given = [GIVEN.get(kind, OTHER) for kind in arguments]
            call = sql.SQL("SELECT {}({})::text").format(
                sql.SQL(name),
                sql.SQL(", ").join(
                    sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))
                    for value, kind in zip(given, arguments, strict=True)
                ),
            )
            answer = tried(connection, call)
            assert MARK not in str(answer), name
            if not isinstance(answer, psycopg.errors.InsufficientPrivilege):
                assert answer in ([("false",)], [("{}",)], [("{bretagne}",)], [("{run-1}",)], [(None,)]), (name, answer)


@pytest.mark.parametrize("login", ["hostile_worker", "unlisted_worker"])
def test_a_worker_changes_nothing_of_another_agency(url: str, login: str) -> None:
    with connect(url) as owner:
        before = _others(owner)
    with signed_in(url, login) as connection:
        for name in before:
            columns = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                " AND attgenerated = ''",
                (name,),
            ).fetchall()
            first = sql.Identifier(columns[0][0])
            for statement in (
                sql.SQL("UPDATE {0} SET {1} = {1}").format(sql.Identifier(name), first),
                sql.SQL("DELETE FROM {}").format(sql.Identifier(name)),
                sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(name)),
                sql.SQL("INSERT INTO {} SELECT * FROM {} LIMIT 1").format(sql.Identifier(name), sql.Identifier(name)),
            ):
                with connection.transaction(force_rollback=True):
                    answer = tried(connection, statement)
                    assert not is_others(answer), statement
                    connection.execute("SET SESSION AUTHORIZATION DEFAULT")
                    assert _others(connection) == before, statement
                connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(login)))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO agency VALUES ('a third one')",
        f"INSERT INTO season (agency, season) VALUES ('{OTHER}', 2019)",
        f"INSERT INTO run (run_id, agency, season, status, started_at, code_version)"
        f" VALUES ('new', '{OTHER}', 2018, 'running', now(), '1')",
        f"UPDATE season SET agency = '{OTHER}', season = 2030 WHERE season = 2018",
        f"INSERT INTO rejection VALUES ('{OTHER}', 2018, 'b.gpkg', 1, NULL, 'UNKNOWN_CODE', '')",
        f"SET ROLE cropmap_copier; INSERT INTO rejection VALUES ('{OTHER}', 2018, 'b', 1, NULL, 'UNKNOWN_CODE', '')",
        f"SET ROLE cropmap_copier; INSERT INTO notice VALUES ('{OTHER}', 2018, 'b', 1, '1', 'OVERLAP', '')",
        "SET ROLE cropmap_copier; INSERT INTO prediction (run_id, parcel_id, area_ha, n_observations)"
        " VALUES ('begun', 'new', 1, 1)",
        f"SET ROLE cropmap_copier; INSERT INTO review_parcel VALUES ('{MARK}-campaign', '{MARK}-run', '{MARK}-7',"
        " 'control', 'other', 2, NULL, 1)",
        "INSERT INTO review_campaign SELECT 'mine', 'bretagne', 2018, 'begun', 1, 1, 0.5, 0.1, 0.1, 0.1, 1, '{1}',"
        " now()",
        "SET ROLE cropmap_copier; SELECT * FROM prediction",
        "SET ROLE cropmap_owner",
        "SET ROLE cropmap_server_controller",
        "INSERT INTO login_scope VALUES ('hostile_worker', '*')",
        "SELECT * FROM login_scope",
    ],
)
def test_a_worker_writes_nothing_for_another_agency(url: str, statement: str) -> None:
    with connect(url) as owner:
        owner.execute(
            "INSERT INTO run (run_id, agency, season, status, started_at, code_version)"
            " VALUES ('begun', %s, 2018, 'running', now(), '1') ON CONFLICT DO NOTHING",
            (OTHER,),
        )
    with (
        signed_in(url, "hostile_worker") as connection,
        pytest.raises(psycopg.Error, match=r"denied|security|not exist"),
    ):
        connection.execute(statement.encode())


def test_a_worker_copies_into_its_own_run(url: str) -> None:
    with signed_in(url, "hostile_worker") as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO run (run_id, agency, season, status, started_at, code_version)"
            " VALUES ('mine', 'bretagne', 2018, 'running', now(), '1')"
        )
        columns = {"parcel_id": "text", "area_ha": "float8", "n_observations": "int4"}
        rows_ = pd.DataFrame({"parcel_id": ["a", "b"], "area_ha": [1.0, 2.0], "n_observations": [1, 2]})
        assert copy_frame(connection, "prediction", columns, rows_, run_id="mine") == 2  # type: ignore[arg-type]
        assert connection.execute("SELECT current_user").fetchone() == ("hostile_worker",)
        assert connection.execute("SELECT count(*) FROM prediction WHERE run_id = 'mine'").fetchone() == (2,)


def test_a_worker_stores_regions_of_its_own_agency_alone(url: str) -> None:
    with signed_in(url, "hostile_worker") as connection, connection.transaction(force_rollback=True):
        moved = replace(regions(), nuts_version=2021)
        assert store_regions(connection, agency="bretagne", season=2018, regions=moved) == 3
        assert store_regions(connection, agency="bretagne", season=2018, regions=moved) == 0
        with pytest.raises(DatabaseError, match="security"):
            store_regions(connection, agency=OTHER, season=2018, regions=moved)


def test_a_worker_names_codes_of_its_own_agency_alone(url: str) -> None:
    others = [CodeName("crops", "C1500", "fr", "mine")]
    with signed_in(url, "hostile_worker") as connection, connection.transaction(force_rollback=True):
        assert store_names(connection, agency="bretagne", names=others) == 1
        assert store_names(connection, agency="bretagne", names=others) == 0
        with pytest.raises(DatabaseError, match="security"):
            store_names(connection, agency=OTHER, names=others)


def test_logins_are_opened_and_closed(url: str) -> None:
    with connect(url) as connection:
        logins.allow(connection, "unlisted_controller", OTHER)
        assert {"login": "unlisted_controller", "agency": OTHER} in logins.list_logins(connection)
        with signed_in(url, "unlisted_controller") as people:
            assert {line[0] for line in people.execute("SELECT agency FROM crop_assessment")} == {OTHER}
        logins.disallow(connection, "unlisted_controller")
        with pytest.raises(InputError, match="no agency is open to login 'unlisted_controller'"):
            logins.disallow(connection, "unlisted_controller")
        with pytest.raises(InputError, match="the server has no login 'nobody'"):
            logins.allow(connection, "nobody", OTHER)


def _others(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(
            (
                line
                for line in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))).fetchall()
                if is_others(line)
            ),
            key=repr,
        )
        for name in tables(connection)
    }
