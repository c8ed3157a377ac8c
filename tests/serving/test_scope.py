"""A key of one agency against another over HTTP: every route of the API, asked as each role for what is the other's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cropmap.database import keys
from cropmap.database.connection import Connection, connect
from cropmap.database.releases import rows_hash
from cropmap.schemas import AccessRole
from serving.app import create_app
from serving.settings import ServingSettings
from tests.database.seasons import statistics
from tests.database.two_agencies import MARK, OTHER, fill
from tests.database_fixtures import _fresh as fresh_database
from tests.serving.conftest import running
from tests.serving.operations import OPERATIONS, Question

RELEASED = {"/releases", "/statistics/1.0", "/sdmx", "/ogc"}
OF_PARCELS = {"/assessments", "/parcels", "/ogc/collections/parcels", "/ogc/collections/assessments"}
OPENED = {
    AccessRole.CONTROLLER: {"/agencies", "/seasons", "/statistics"} | OF_PARCELS | RELEASED,
    AccessRole.STATISTICIAN: {"/agencies", "/seasons", "/statistics"} | RELEASED,
    AccessRole.OPERATOR: {"/agencies", "/seasons", "/runs"},
    AccessRole.PUBLIC: RELEASED,
    AccessRole.ADMINISTRATOR: {"/keys", "/accounts"},
}
NAME = f"{MARK}-me"
"""of a key and of an account of the other agency"""
ADDRESSES = [(OTHER, f"{MARK}-007"), ("bretagne", f"{MARK}-007"), (OTHER, "007"), ("*", "007"), ("%", "007")]


@pytest.fixture(scope="module")
def desks(cluster_url: str) -> Iterator[dict[AccessRole, dict[str, str]]]:
    """(base URL and headers) of a client of each role, of bretagne."""
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            fill(connection)
            give_crops_an_item(connection)
            made = {role: keys.create_key(connection, role, role=role, agency="bretagne") for role in AccessRole}
        with running(create_app(ServingSettings(database_url=database_url))) as client:
            url = str(client.base_url)
            yield {role: {"url": url, "key": key, "database": database_url} for role, key in made.items()}


def give_crops_an_item(connection: Connection) -> None:
    """Released areas of a crop that Eurostat's list has, so that both agencies have figures to tell."""
    content_hash = rows_hash(statistics().assign(crop="C1500"))
    connection.execute("SET session_replication_role = replica")  # a release is never changed
    connection.execute("UPDATE released_row SET crop = 'C1500'")
    connection.execute("UPDATE release SET content_hash = %s", (content_hash,))
    connection.execute("RESET session_replication_role")


def opening(path: str) -> str:
    """The part of a path that says for whom it is."""
    found = re.match(r"/statistics/1\.0|/ogc/collections/(parcels|assessments)|/[a-z]+", path)
    assert found is not None
    return found[0]


def questions(agency: str, parcel_id: str) -> Iterator[Question]:
    """Every operation with a key, with every parameter that names an agency, and without."""
    asked: dict[str, str | int] = {"agency": agency, "season": 2018, "parcel_id": parcel_id, "number": 1}
    asked |= {"flow_ref": f"{agency},CROP_AREA", "context": "*", "resource_id": "CROP_AREA", "version": "1.0"}
    asked |= {"key": "all", "provider": agency, "artefact": "dataflow"}
    asked |= {"nuts_id": "FRH0", "name": NAME}
    region = {"feature_id": f"{agency}:2018:FRH0", "name": f"{MARK}-region" if agency == OTHER else "Bretagne"}
    for one in OPERATIONS:
        asked |= region if "regions" in one.path else {"feature_id": f"{agency}:2018:{parcel_id}", "name": NAME}
        for collection_id in ("parcels", "regions") if "{collection_id}" in one.path else ("",):
            asked["collection_id"] = collection_id
            for chosen in ((), [name for name in one.query if name in asked]):
                address = one.address(asked, *chosen)
                for name in (NAME, f"{NAME}@{agency}", f"{NAME}@bretagne"):
                    body = one.sent({**asked, "name": name})
                    yield Question(one.method, address, body)
                    if body is None or "agency" not in body:
                        break
                    yield Question(one.method, address, {**body, "agency": None})
                    yield Question(one.method, address, {**body, "role": "administrator"})


def distinct(agency: str, parcel_id: str, *, method: str = "") -> list[Question]:
    """In an order that does not depend on anything else."""
    found = {str(one): one for one in questions(agency, parcel_id) if method in ("", one.method)}
    return [found[text] for text in sorted(found)]


def paths(agency: str, parcel_id: str) -> Iterator[str]:
    """Of those the addresses that are read."""
    return (question.address for question in distinct(agency, parcel_id, method="GET"))


def kept(database_url: str) -> list[Any]:
    """The other agency's keys and accounts, and those of every agency, but for when they were used."""
    with connect(database_url) as connection:
        return connection.execute(
            "SELECT to_jsonb(k) - 'last_used_at' FROM api_key k WHERE agency IS DISTINCT FROM 'bretagne'"
            " UNION ALL SELECT to_jsonb(a) - 'last_used_at' FROM account a WHERE agency IS DISTINCT FROM 'bretagne'"
            " ORDER BY 1"
        ).fetchall()


@pytest.mark.parametrize("role", AccessRole)
@pytest.mark.parametrize(("agency", "parcel_id"), ADDRESSES)
def test_no_answer_tells_of_another_agency(
    desks: dict[AccessRole, dict[str, str]], role: AccessRole, agency: str, parcel_id: str
) -> None:
    desk = desks[role]
    before = kept(desk["database"])
    with httpx.Client(base_url=desk["url"], headers={"X-API-Key": desk["key"]}, trust_env=False) as client:
        for question in distinct(agency, parcel_id):
            path, answer = question.address, question.ask(client)
            allowed = {200, 404} if opening(path) in OPENED[role] else {403}
            if question.method != "GET" and 403 not in allowed:
                allowed = {201, 403, 404, 409, 422}
            assert answer.status_code in allowed, question
            said = "" if answer.status_code in (201, 403, 404, 409, 422) else answer.text  # which repeats the question
            if answer.headers["content-type"].endswith("json") and isinstance(page := answer.json(), dict):
                page.pop("links", None)  # the same: a page of features names its own address
                said = str(page) if said else said
            if (opening(path), question.method) == ("/keys", "GET") or opening(path) == "/accounts":
                said = said.replace(f"{NAME}@bretagne", "")  # made here
            assert MARK not in said, question
            assert OTHER not in said, question
            every = agency == "*" and opening(path) in ("/sdmx", "/statistics/1.0")  # which is: of those of the key
            if agency != "bretagne" and agency in str(question) and not every:
                assert answer.status_code in (403, 404), question
            if answer.status_code == 201:
                assert (question.body["name"], question.body["agency"]) == (f"{NAME}@bretagne", "bretagne"), question
    assert kept(desk["database"]) == before


@pytest.mark.parametrize("role", AccessRole)
def test_what_is_not_there_and_what_is_anothers_are_answered_alike(
    desks: dict[AccessRole, dict[str, str]], role: AccessRole
) -> None:
    def nobodys(text: str) -> str:
        return text.replace(OTHER, "nowhere").replace(NAME, "nobody")

    desk = desks[role]
    with httpx.Client(base_url=desk["url"], headers={"X-API-Key": desk["key"]}, trust_env=False) as client:
        for question in distinct(OTHER, f"{MARK}-007"):
            body = json.loads(nobodys(json.dumps(question.body)))
            unknown = Question(question.method, nobodys(question.address), body)
            if f"{NAME}@bretagne" in str(question):
                continue  # its own
            there, nowhere = question.ask(client), unknown.ask(client)
            assert there.status_code == nowhere.status_code, question
            assert nobodys(there.text) == nobodys(nowhere.text), question


def test_each_role_reads_its_own(desks: dict[AccessRole, dict[str, str]]) -> None:
    for role, desk in desks.items():
        with httpx.Client(base_url=desk["url"], headers={"X-API-Key": desk["key"]}, trust_env=False) as client:
            answers = {path: client.get(path) for path in sorted(set(paths("bretagne", "007")))}
            for path, answer in answers.items():
                assert answer.status_code == (200 if opening(path) in OPENED[role] else 403), (role, path)
            health = client.get("/health").json()
            assert (health["newest_season"] is None) is (role in (AccessRole.PUBLIC, AccessRole.ADMINISTRATOR))


def test_every_answer_with_a_parcel_is_noted(desks: dict[AccessRole, dict[str, str]]) -> None:
    desk, answered = desks[AccessRole.CONTROLLER], set()
    with (
        connect(desk["database"]) as connection,
        httpx.Client(base_url=desk["url"], headers={"X-API-Key": desk["key"]}, trust_env=False) as client,
    ):
        for number, path in enumerate(sorted(set(paths("bretagne", "007")))):
            answer = client.get(path, headers={"X-Request-ID": f"noted-{number}"})
            noted = connection.execute(
                "SELECT action, login <> '', actor, n_rows, parcel_ids FROM audit_entry WHERE request_id = %s",
                (f"noted-{number}",),
            ).fetchall()
            if answer.status_code != 200 or '"007"' not in answer.text or "openapi" in answer.json():  # an example
                assert noted == [], path
                continue
            answered.add(opening(path))
            ((*said, n_rows, parcel_ids),) = noted
            assert said == ["read", True, "key controller"], path
            assert n_rows == len(parcel_ids), path
            assert "007" in parcel_ids, path
    assert answered == OF_PARCELS


def test_what_cannot_be_noted_is_not_answered(desks: dict[AccessRole, dict[str, str]]) -> None:
    desk = desks[AccessRole.CONTROLLER]
    with (
        connect(desk["database"]) as connection,
        httpx.Client(base_url=desk["url"], headers={"X-API-Key": desk["key"]}, trust_env=False) as client,
    ):
        connection.execute("ALTER TABLE audit_entry ADD CONSTRAINT is_full CHECK (false) NOT VALID")
        try:
            answers = [client.get(path) for path in sorted(set(paths("bretagne", "007")))]
        finally:
            connection.execute("ALTER TABLE audit_entry DROP CONSTRAINT is_full")
    assert sum(answer.status_code >= 500 for answer in answers) >= 4
    told = [str(answer.url) for answer in answers if answer.status_code == 200 and '"007"' in answer.text]
    assert [url for url in told if not url.endswith("/ogc/api")] == []
