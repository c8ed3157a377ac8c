"""Keys and accounts over HTTP: what an administrator makes, changes and ends, and what it cannot."""

from __future__ import annotations

import json
import logging
import re
import shlex
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from cropmap.database import accounts, keys
from cropmap.database.connection import connect
from cropmap.database.runs import ensure_season
from cropmap.schemas import AccessRole
from serving import bodies
from serving.app import create_app
from serving.openapi.examples import ANSWERS
from serving.settings import ServingSettings
from tests.database_fixtures import _fresh as fresh_database
from tests.serving.conftest import running
from tests.serving.operations import OPERATIONS
from tests.serving.test_docs import API_MD

ORIGIN = "https://admin.example.org"
LONG = "correct horse battery"
NEW_KEY = {"role": "public", "agency": "bretagne"}


@dataclass(frozen=True)
class Office:
    client: httpx.Client
    """of bretagne's administrator"""
    everywhere: httpx.Client
    """of an administrator of every agency"""
    database_url: str

    def with_key(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.client.base_url, headers={"X-API-Key": key}, trust_env=False)

    def signed_in(self, name: str, password: str) -> httpx.Client:
        return httpx.Client(base_url=self.client.base_url, auth=(name, password), trust_env=False)


@pytest.fixture(scope="module")
def office(cluster_url: str) -> Iterator[Office]:
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            for agency in ("bretagne", "bayern"):
                ensure_season(connection, agency=agency, season=2018)
            made = {
                agency: keys.create_key(connection, f"of {agency}", role=AccessRole.ADMINISTRATOR, agency=agency)
                for agency in ("bretagne", None)
            }
        settings = ServingSettings(database_url=database_url, cors_origins=ORIGIN)
        with (
            running(create_app(settings), key=made["bretagne"]) as client,
            httpx.Client(base_url=client.base_url, headers={"X-API-Key": made[None]}, trust_env=False) as everywhere,
        ):
            yield Office(client, everywhere, database_url)


def named(rows: list[dict[str, object]], name: str) -> dict[str, object]:
    (row,) = [row for row in rows if row["name"] == name]
    return row


def test_a_key_is_made_used_listed_and_revoked(office: Office) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    new = {**NEW_KEY, "name": "desk 1@bretagne", "expires_at": ends.isoformat()}
    answer = office.client.post("/v1/keys", json=new)
    assert (answer.status_code, answer.headers["cache-control"], "etag" in answer.headers) == (201, "no-store", False)
    made = answer.json()
    assert (made["name"], made["role"], made["agency"]) == ("desk 1@bretagne", "public", "bretagne")
    listed = office.client.get("/v1/keys")
    assert made["key"] not in listed.text
    row = named(listed.json(), "desk 1@bretagne")
    assert datetime.fromisoformat(str(row["expires_at"])) == ends
    assert (row["last_used_at"], row["revoked_at"]) == (None, None)
    with office.with_key(made["key"]) as desk:
        assert desk.get("/v1/releases").status_code == 200
        assert office.client.delete("/v1/keys/desk%201@bretagne").status_code == 204
        assert desk.get("/v1/releases").status_code == 401
    assert named(office.client.get("/v1/keys").json(), "desk 1@bretagne")["revoked_at"] is not None
    again = office.client.delete("/v1/keys/desk%201@bretagne")
    assert (again.status_code, again.json()["detail"]) == (404, "there is no valid key named 'desk 1@bretagne'")
    taken = office.client.post("/v1/keys", json=new)
    assert (taken.status_code, "Choose another name" in taken.json()["detail"]) == (409, True)


def test_an_account_is_made_used_given_another_password_and_disabled(office: Office) -> None:
    answer = office.client.post("/v1/accounts", json={**NEW_KEY, "name": "jane@bretagne"})
    made = answer.json()
    assert (answer.status_code, made["role"], len(made["password"])) == (201, "public", 20)
    with office.signed_in("jane@bretagne", made["password"]) as jane:
        assert jane.get("/v1/releases").status_code == 200
        typed = office.client.put("/v1/accounts/jane@bretagne/password", json={"password": LONG})
        assert (typed.status_code, typed.json()) == (200, {"name": "jane@bretagne", "password": None})
        assert jane.get("/v1/releases").status_code == 401
    with office.signed_in("jane@bretagne", LONG) as jane:
        assert jane.get("/v1/releases").status_code == 200
        assert office.client.delete("/v1/accounts/jane@bretagne").status_code == 204
        assert jane.get("/v1/releases").status_code == 401
    assert office.client.delete("/v1/accounts/jane@bretagne").status_code == 404
    assert named(office.client.get("/v1/accounts").json(), "jane@bretagne")["disabled_at"] is not None
    opened = office.client.put("/v1/accounts/jane@bretagne/password", json={})
    with office.signed_in("jane@bretagne", opened.json()["password"]) as jane:
        assert jane.get("/v1/releases").status_code == 200


def test_a_typed_password_is_not_repeated(office: Office) -> None:
    answer = office.client.post("/v1/accounts", json={**NEW_KEY, "name": "typed@bretagne", "password": LONG})
    assert (answer.status_code, answer.json()["password"]) == (201, None)
    with office.signed_in("typed@bretagne", LONG) as person:
        assert person.get("/v1/releases").status_code == 200


def test_an_administrator_may_be_a_person_and_close_their_own_account(office: Office) -> None:
    new = {"name": "boss@bretagne", "role": "administrator", "agency": "bretagne", "password": LONG}
    assert office.client.post("/v1/accounts", json=new).status_code == 201
    with office.signed_in("boss@bretagne", LONG) as boss:
        assert boss.post("/v1/keys", json={**NEW_KEY, "name": "boss's@bretagne"}).status_code == 201
        assert boss.delete("/v1/accounts/boss@bretagne").status_code == 204
        assert boss.get("/v1/keys").status_code == 401


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/accounts"])
@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"agency": "bayern"}, 403, 'key of bretagne is for agency bretagne. Write "agency": "bretagne"'),
        ({"agency": "nowhere"}, 403, 'key of bretagne is for agency bretagne. Write "agency": "bretagne"'),
        ({"agency": "*"}, 403, "is for agency bretagne"),
        ({"agency": None}, 403, "is for agency bretagne"),
        ({"agency": "bayern", "name": "x@bayern"}, 403, "is for agency bretagne"),
        ({"name": "x"}, 422, "name: not a name of the agency. Write a name that ends with @bretagne"),
        ({"name": "x@bayern"}, 422, "Write a name that ends with @bretagne"),
        ({"name": "of bayern"}, 422, "Write a name that ends with @bretagne"),
        ({"name": "@bretagne"}, 422, "Write a name that ends with @bretagne"),
        ({"name": "xbretagne"}, 422, "Write a name that ends with @bretagne"),
    ],
)
def test_an_agency_s_administrator_makes_nothing_for_others(
    office: Office, path: str, changed: dict[str, object], status: int, said: str
) -> None:
    answer = office.client.post(path, json={**NEW_KEY, "name": "mine@bretagne", **changed})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert not [
        row for row in office.everywhere.get(path).json() if row["name"] in ("mine@bretagne", changed.get("name"))
    ]


def test_an_administrator_of_every_agency_makes_any_and_ends_any(office: Office) -> None:
    for new in ({"name": "free", "agency": None}, {"name": "x@bayern", "agency": "bayern"}):
        assert office.everywhere.post("/v1/keys", json={**NEW_KEY, **new}).status_code == 201, new
    answer = office.everywhere.post("/v1/keys", json={**NEW_KEY, "name": "y@bayern"})
    assert (answer.status_code, "is for agency bayern" in answer.json()["detail"]) == (422, True)
    answer = office.everywhere.post("/v1/keys", json={**NEW_KEY, "name": "y", "agency": "bayren"})
    assert (answer.status_code, "There are bayern, bretagne" in answer.json()["detail"]) == (422, True)
    assert {"free", "x@bayern", "of bretagne"} <= {row["name"] for row in office.everywhere.get("/v1/keys").json()}
    assert {row["agency"] for row in office.client.get("/v1/keys").json()} == {"bretagne"}
    assert office.client.delete("/v1/keys/x@bayern").status_code == 404
    assert office.client.delete("/v1/keys/free").status_code == 404
    assert office.everywhere.delete("/v1/keys/x@bayern").status_code == 204


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "body: Invalid JSON"),
        (b"{", "body: Invalid JSON"),
        (b"[]", "body: Input should be an object"),
        (b"null", "body: Input should be an object"),
        (b'{"name": "\\ud800@bretagne"}', "body: Invalid JSON"),
        (b'{"name": "\xff@bretagne"}', "body"),
        ({"agency": ...}, "body.agency: Field required"),
        ({"role": "master"}, "body.role: Input should be 'operator'"),
        ({"name": 7}, "body.name: Input should be a valid string"),
        ({"name": ""}, "body.name: String should have at least 1 character"),
        ({"name": "a\nb@bretagne"}, "body.name: String should match"),
        ({"name": "a/b@bretagne"}, "body.name: String should match"),
        ({"key_hash": "x"}, "body.key_hash: Extra inputs are not permitted"),
        ({"expires_at": 1}, "body.expires_at: "),
        ({"expires_at": "2999-01-01T00:00:00"}, "body.expires_at: Input should have timezone info"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "body.expires_at: Value error, the year is 2200 at the latest"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "the key would have expired already. Name a later day"),
    ],
)
def test_a_body_that_is_none_is_told_so(office: Office, sent: bytes | dict[str, object], said: str) -> None:
    if isinstance(sent, dict):
        whole = {**NEW_KEY, "name": "x@bretagne", **sent}
        sent = json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()
    answer = office.client.post("/v1/keys", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(said)


@pytest.mark.parametrize("password", ["short", "x" * 201, "", 7])
def test_a_password_that_is_none_is_refused_and_not_repeated(office: Office, password: object) -> None:
    for method, path, more in (
        ("POST", "/v1/accounts", {**NEW_KEY, "name": "weak@bretagne"}),
        ("PUT", "/v1/accounts/typed@bretagne/password", {}),
    ):
        answer = office.client.request(method, path, json={**more, "password": password})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("body.password: ")
        assert not password or str(password) not in answer.text


WRITING = [
    (one.method, "/v1" + one.address({"name": "nobody@bretagne"}), one.sent({"name": "page@bretagne"}))
    for one in OPERATIONS
    if one.method != "GET"
]


def test_there_are_operations_that_change_something() -> None:
    assert len(WRITING) >= 5


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_of_another_type_is_refused(office: Office, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    for method, path, body in WRITING:
        if body is not None:
            answer = office.client.request(method, path, content=b'{"name": "form@bretagne"}', headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json"), path
            assert "Send JSON as application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": f"{ORIGIN}.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_changes_nothing(office: Office, headers: dict[str, str]) -> None:
    before = office.client.get("/v1/keys").json(), office.client.get("/v1/accounts").json()
    for method, path, body in WRITING:
        answer = office.client.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), path
        assert answer.json()["detail"].startswith("header Origin: ")
    assert (office.client.get("/v1/keys").json(), office.client.get("/v1/accounts").json()) == before
    assert office.client.get("/v1/keys", headers=headers).status_code == 200, "to read is for the browser to prevent"


def test_a_page_of_the_api_s_own_and_of_an_allowed_origin_may(office: Office) -> None:
    own = str(office.client.base_url).rstrip("/")
    for number, origin in enumerate((own, ORIGIN)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin" if origin == own else "cross-site"}
        new = {**NEW_KEY, "name": f"page {number}@bretagne"}
        assert office.client.post("/v1/keys", json=new, headers=headers).status_code == 201
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, x-api-key"}
        assert office.client.options("/v1/keys", headers={"Origin": ORIGIN, **asked}).status_code == 200


def raw(office: Office, head: str) -> tuple[bytes, float]:
    """The answer to a request that promises a body and does not send it, and the seconds that it took."""
    with socket.create_connection(("127.0.0.1", office.client.base_url.port or 80), timeout=20) as connection:
        begun = time.monotonic()
        connection.sendall(f"POST /v1/keys HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 9\r\n\r\n".encode())
        return connection.recv(65_536), time.monotonic() - begun


def test_no_body_is_waited_for_before_the_request_is_let_in(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.5)
    answer, seconds = raw(office, "Content-Type: application/json\r\n")
    assert answer.startswith(b"HTTP/1.1 401")
    assert seconds < 0.5
    key = office.client.headers["X-API-Key"]
    answer, seconds = raw(office, f"X-API-Key: {key}\r\nContent-Type: application/json\r\n")
    assert answer.startswith(b"HTTP/1.1 408")
    assert seconds >= 0.5


def test_of_two_who_want_a_name_one_gets_it(office: Office) -> None:
    def ask(_: int) -> int:
        return office.client.post("/v1/keys", json={**NEW_KEY, "name": "wanted@bretagne"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [201, 409, 409, 409]


def test_the_log_says_who_did_what_and_no_secret(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        made = [
            office.client.post(path, json={**NEW_KEY, "name": "logged@bretagne"}, headers={"X-Request-ID": "desk-9"})
            for path in ("/v1/keys", "/v1/accounts")
        ]
        office.client.put("/v1/accounts/logged@bretagne/password", json={"password": LONG})
        office.client.delete("/v1/accounts/logged@bretagne")
        office.client.delete("/v1/keys/logged@bretagne")
        office.client.delete("/v1/keys/nobody@bretagne")
    said = [record.getMessage() for record in caplog.records if record.name == "cropmap.serving.administration"]
    assert [line.partition(" (request ")[0] for line in said] == [
        "key of bretagne made key 'logged@bretagne': public of bretagne",
        "key of bretagne made account 'logged@bretagne': public of bretagne",
        "key of bretagne gave account 'logged@bretagne' another password",
        "key of bretagne disabled account 'logged@bretagne'",
        "key of bretagne revoked key 'logged@bretagne'",
    ]
    assert said[0].endswith("(request desk-9)")
    for secret in (made[0].json()["key"], made[1].json()["password"], LONG, office.client.headers["X-API-Key"]):
        assert secret not in caplog.text


def test_what_the_command_line_makes_and_the_api_does_are_the_same(office: Office) -> None:
    """A name that the owner gave freely is seen, changed and ended by its agency's administrator alone."""
    with connect(office.database_url) as connection:
        for agency in ("bretagne", "bayern"):
            accounts.create_account(connection, f"free {agency}", LONG, role=AccessRole.PUBLIC, agency=agency)
    assert office.client.put("/v1/accounts/free%20bretagne/password", json={}).status_code == 200
    assert office.client.delete("/v1/accounts/free%20bretagne").status_code == 204
    foreign, unknown = (
        [office.client.put(f"/v1/accounts/{name}/password", json={}), office.client.delete(f"/v1/accounts/{name}")]
        for name in ("free%20bayern", "free%20nobody")
    )
    for one, other in zip(foreign, unknown, strict=True):
        assert (one.status_code, one.text.replace("bayern", "nobody")) == (404, other.text)
    with office.signed_in("free bayern", LONG) as person:
        assert person.get("/v1/releases").status_code == 200


def test_the_requests_of_the_api_page_do_what_it_says(office: Office) -> None:
    section = API_MD.read_text().partition("\n## Keys and accounts\n")[2].partition("\n## ")[0]
    calls = re.findall(r"^curl (.*)$", section, re.MULTILINE)
    done = []
    for call in calls:
        words = shlex.split(call.replace("$API", "/v1"))
        options = dict(zip(words[:-1:2], words[1:-1:2], strict=True))
        assert options.pop("--header") == "X-API-Key: $KEY"
        body = json.loads(options["--json"]) if "--json" in options else None
        method = options.get("--request", "POST" if body is not None else "GET")
        done.append(office.client.request(method, words[-1], json=body))
        assert done[-1].is_success, (call, done[-1].text)
    assert [answer.status_code for answer in done] == [200, 201, 204, 201, 200, 200, 204]
    for made, shown in ((done[1], "POST /keys"), (done[3], "POST /accounts")):
        changing = {"key", "password", "expires_at"}
        answered, example = ({**one, **dict.fromkeys(changing & set(one))} for one in (made.json(), ANSWERS[shown]))
        assert answered == example
