"""Each program can do its work with its own role, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from psycopg import sql

from cropmap.database import embedded, keys, migrations
from cropmap.database.binaries import Account, find_binaries
from cropmap.database.connection import Connection, at_database, connect, database_errors
from cropmap.errors import DatabaseError
from cropmap.schemas import AccessRole
from cropmap.store import Store
from serving.app import create_app
from serving.settings import ServingSettings
from tests.database_fixtures import short_folder
from tests.serving.conftest import fill, running

ROLES = Path(__file__).parents[2] / "infra" / "roles.sql"
PASSWORDS = {
    "CROPMAP_OWNER_PASSWORD": "owner",
    "CROPMAP_WORKER_PASSWORD": "worker's",
    "CROPMAP_API_PASSWORD": "api",
    "PREFECT_DATABASE_PASSWORD": "prefect",
    "MLFLOW_DATABASE_PASSWORD": "mlflow",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a superuser on a server of its own: roles belong to a whole cluster."""
    folder = short_folder()
    try:
        url = at_database(embedded.ensure_running(folder / "home"), "postgres")
        with connect(url) as connection:
            connection.execute("DROP DATABASE cropmap")
        for _ in range(2):  # harmless when repeated
            run_roles(url)
        yield url
    finally:
        embedded.remove(folder / "home")
        shutil.rmtree(folder)


def run_roles(url: str) -> None:
    psql = find_binaries(None, Account.for_server()) / "psql"
    command: list[str | Path] = [psql, "--no-psqlrc", "--quiet", "--file", ROLES, url]
    done = subprocess.run(command, env={"PATH": os.defpath, **PASSWORDS}, capture_output=True, text=True, check=False)
    assert (done.returncode, "ERROR" in done.stderr) == (0, False), done.stderr


@database_errors()
def run(connection: Connection, statement: str) -> None:
    connection.execute(statement)


def sign_in(server: str, role: str, password: str, database: str = "cropmap") -> str:
    """URL of a role that proves who it is; the server asks for passwords also on its socket."""
    query = server.partition("?")[2].partition("&passfile")[0]
    return f"postgresql://{role}:{quote(password, safe='')}@/{database}?{query}"


@pytest.fixture(scope="module")
def owner(server: str) -> str:
    url = sign_in(server, "cropmap_owner", "owner")
    with connect(url) as connection:
        assert migrations.upgrade(connection)
        assert migrations.upgrade(connection) == []
    return url


@pytest.fixture(scope="module")
def worker(server: str, owner: str) -> str:
    return sign_in(server, "cropmap_worker", "worker's")


@pytest.fixture(scope="module")
def season(owner: str, worker: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Store]:
    """A season that the worker's role alone has declared, observed and published; and the key that the owner made."""
    store = Store(tmp_path_factory.mktemp("roles") / "store")
    fill(worker, store)
    with connect(owner) as connection:
        return keys.create_key(connection, "desk", role=AccessRole.CONTROLLER, agency="bretagne"), store


@pytest.mark.parametrize(("role", "password"), [("cropmap_api", "api"), ("cropmap_owner", "owner")])
def test_the_api_answers_with_its_own_role_and_with_the_owners(
    server: str, season: tuple[str, Store], role: str, password: str
) -> None:
    key, store = season
    app = create_app(ServingSettings(database_url=sign_in(server, role, password), store=store.root))
    with running(app, key=key) as client:
        paths = ["/health", "/seasons", "/statistics", "/assessments?agency=bretagne&season=2018"]
        answers = {path: client.get(path) for path in [*paths, "/parcels/bretagne/2018/007?geometry=true"]}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, httpx.codes.OK)


@pytest.mark.parametrize(("role", "password"), [("cropmap_api", "api"), ("cropmap_owner", "owner")])
def test_an_administrator_makes_keys_through_the_api(
    server: str, owner: str, season: tuple[str, Store], role: str, password: str
) -> None:
    with connect(owner) as connection:
        key = keys.create_key(connection, f"IT by {role}", role=AccessRole.ADMINISTRATOR, agency="bretagne")
    new = {"name": f"by {role}@bretagne", "role": "statistician", "agency": "bretagne"}
    with running(create_app(ServingSettings(database_url=sign_in(server, role, password))), key=key) as client:
        made = client.post("/v1/keys", json=new)
        assert made.status_code == httpx.codes.CREATED
        assert client.get("/v1/statistics", headers={"X-API-Key": made.json()["key"]}).status_code == httpx.codes.OK
        assert client.delete(f"/v1/keys/{new['name']}").status_code == httpx.codes.NO_CONTENT
        assert client.post("/v1/accounts", json=new).status_code == httpx.codes.CREATED


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("cropmap_api", "DELETE FROM assessment"),
        ("cropmap_api", "SET default_transaction_read_only = off; DELETE FROM published"),
        ("cropmap_api", "CREATE TABLE mine (x int)"),
        ("cropmap_api", "CREATE TEMPORARY TABLE mine (x int)"),
        ("cropmap_worker", "DELETE FROM assessment"),
        ("cropmap_worker", "UPDATE statistic SET estimate_ha = 1"),
        ("cropmap_worker", "ALTER TABLE parcel ADD COLUMN mine int"),
        ("cropmap_worker", "INSERT INTO api_key VALUES ('mine', 'hash', now())"),
        ("cropmap_worker", "CREATE TABLE mine (x int)"),
        ("cropmap_worker", "SELECT key_hash FROM api_key"),
        ("cropmap_worker", "SELECT password_hash FROM account"),
        ("cropmap_api", "UPDATE account SET disabled_at = NULL"),
        (
            "cropmap_worker",
            "INSERT INTO prediction (run_id, parcel_id, area_ha, n_observations)"
            " SELECT run_id, 'mine', 1, 1 FROM published",
        ),
        ("cropmap_worker", "UPDATE run SET status = 'running'"),
        ("cropmap_worker", "UPDATE declaration SET crop_code = 'MIS'"),
        (
            "cropmap_worker",
            "INSERT INTO release (agency, season, number, stage, run_id, content_hash, released_at)"
            " SELECT agency, season, 9, 'final', run_id, 'x', now() FROM published",
        ),
        ("cropmap_api", "UPDATE api_key SET revoked_at = NULL"),
        (
            "cropmap_api",
            "SET default_transaction_read_only = off; INSERT INTO api_key (name, key_hash, role) VALUES ('a', 'a',"
            " 'controller')",
        ),
        (
            "cropmap_api",
            "SET default_transaction_read_only = off; SET ROLE cropmap_server_administrator;"
            " INSERT INTO api_key (name, key_hash, role) VALUES ('a', 'a', 'controller')",
        ),
        ("cropmap_api", "SELECT * FROM review"),
        ("cropmap_api", "SET default_transaction_read_only = off; SELECT lo_create(0)"),
        ("cropmap_api", "SET default_transaction_read_only = off; SELECT lo_from_bytea(0, 'mine')"),
    ],
)
def test_what_a_role_must_not_do(server: str, season: tuple[str, Store], role: str, statement: str) -> None:
    password = {"cropmap_api": "api", "cropmap_worker": "worker's"}[role]
    with (
        connect(sign_in(server, role, password)) as connection,
        pytest.raises(DatabaseError, match=r"denied|read-only|must be owner|row-level security"),
    ):
        run(connection, statement)


@pytest.mark.parametrize(
    ("role", "password", "database"),
    [
        ("prefect", "prefect", "cropmap"),
        ("mlflow", "mlflow", "prefect"),
        ("cropmap_worker", "worker's", "mlflow"),
        ("prefect", "prefect", "postgres"),
        ("mlflow", "mlflow", "template1"),
        ("cropmap_api", "api", "postgres"),
        ("cropmap_api", "wrong", "cropmap"),
        ("cropmap_reader", "", "cropmap"),
    ],
)
def test_where_a_role_must_not_go(server: str, owner: str, role: str, password: str, database: str) -> None:
    with pytest.raises(DatabaseError):
        connect(sign_in(server, role, password, database))


@pytest.mark.parametrize("role", ["prefect", "mlflow"])
def test_prefect_and_mlflow_own_a_database_each(server: str, role: str) -> None:
    with connect(sign_in(server, role, role, role)) as connection:
        connection.execute("CREATE TABLE mine (x int)")


def test_people_with_sql_see_statistics_or_parcels(server: str, season: tuple[str, Store]) -> None:
    with connect(at_database(server, "cropmap")) as connection:
        connection.execute("SET cropmap.agency = 'bretagne'")
        connection.execute("SET ROLE cropmap_reader")
        assert connection.execute("SELECT count(*) FROM crop_statistic").fetchone() == (4,)
        for table in ("crop_assessment", "crop_prediction", "declaration_log", "assessment", "api_key"):
            with pytest.raises(DatabaseError, match="denied"):
                run(connection, f"TABLE {table}")
        connection.execute("SET ROLE cropmap_controller")
        assert connection.execute("SELECT count(*) FROM crop_assessment").fetchone() == (7,)
        for table in ("crop_statistic", "released_statistic", "assessment", "api_key"):
            with pytest.raises(DatabaseError, match="denied"):
                run(connection, f"TABLE {table}")


def test_the_catalogue_counts_parcels_for_those_alone_who_may_read_them(server: str, season: tuple[str, Store]) -> None:
    with connect(at_database(server, "cropmap")) as connection:
        for role, may in {"cropmap_reader": False, "cropmap_controller": True, "cropmap_owner": True}.items():
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            assert connection.execute("SELECT count(relname) FROM pg_class WHERE relname = 'parcel'").fetchone() == (1,)
            with nullcontext() if may else pytest.raises(DatabaseError, match="denied"):
                run(connection, "SELECT reltuples FROM pg_class")
            for view in ("pg_stat_user_tables", "pg_statio_user_tables", "pg_stat_database"):
                with pytest.raises(DatabaseError, match="denied"):
                    run(connection, f"TABLE {view}")
