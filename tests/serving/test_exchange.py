"""What holds for every request and every answer, whichever route: methods, sizes, names, codings, origins, versions."""

from __future__ import annotations

import gzip
import logging
import re
import socket
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import httpx
import pytest

from cropmap.errors import ConfigurationError
from serving.app import create_app
from serving.middleware.bounds import ADDRESS_BYTES, BODY_BYTES, HEADER_BYTES
from serving.middleware.compression import LEAST_BYTES, accepts_gzip
from serving.middleware.methods import completed
from serving.settings import ServingSettings
from tests.serving.conftest import Desk, running
from tests.serving.operations import OPERATIONS, allowed
from tests.serving.test_access import CLOSED, KEYED

ORIGIN = "https://maps.example.org"
OPEN = ["/health", "/docs", "/openapi.json"]

NEVER_WITHOUT_A_VERSION = ("/sdmx/", "/ogc/", "/statistics/1.0/", "/keys", "/accounts")
"""routes that came with the first version"""
PATHS = {question.address.partition("?")[0]: one.path for question, one in zip(CLOSED, OPERATIONS, strict=True)}
"""address -> path of the description"""


@pytest.fixture(scope="module")
def across(desk: Desk) -> Iterator[httpx.Client]:
    """A client of an API that pages of ORIGIN may read."""
    settings = ServingSettings(database_url=desk.database_url, cors_origins=f"{ORIGIN} http://localhost:3000")
    with running(create_app(settings)) as client:
        yield client


def raw(client: httpx.Client, request: bytes) -> bytes:
    """The whole answer to these bytes."""
    with socket.create_connection(("127.0.0.1", client.base_url.port or 80), timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


# methods


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("path", [*OPEN, *PATHS])
def test_options_names_the_methods_and_needs_no_key(api: httpx.Client, path: str, prefix: str) -> None:
    answer = httpx.options(api.base_url.join(prefix + path), trust_env=False)
    expected = allowed(PATHS[path]) if path in PATHS else "GET, HEAD, OPTIONS"
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", expected)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_another_method_is_a_problem_that_names_those_allowed(api: httpx.Client, method: str) -> None:
    for path, described in {**PATHS, "/health": "", "/docs": ""}.items():
        expected = allowed(described) if described else "GET, HEAD, OPTIONS"
        if method in expected:
            continue
        answer = api.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, expected), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["instance"] == unquote(path)


def test_options_of_nothing_is_not_found(api: httpx.Client) -> None:
    assert api.options("/v1/nowhere").status_code == 404


@pytest.mark.parametrize("path", [*OPEN, *(f"/v1{path}" for path in KEYED)])
def test_head_is_get_without_the_body(api: httpx.Client, path: str) -> None:
    head, get = (api.request(method, path, headers={"Accept-Encoding": "identity"}) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    ("allowed", "all_allowed"),
    [("GET", "GET, HEAD, OPTIONS"), ("POST", "OPTIONS, POST"), ("", "OPTIONS"), ("GET, HEAD", "GET, HEAD, OPTIONS")],
)
def test_allow_is_completed(allowed: str, all_allowed: str) -> None:
    assert completed(allowed) == all_allowed


# sizes


def test_an_address_that_is_too_long(api: httpx.Client) -> None:
    room = ADDRESS_BYTES - len("/v1/seasons?agency=")
    assert api.get(f"/v1/seasons?agency={'a' * room}").status_code == 422
    answer = api.get(f"/v1/seasons?agency={'a' * (room + 1)}")
    assert (answer.status_code, answer.json()["status"], answer.headers["connection"]) == (414, 414, "close")


def test_headers_that_are_too_long(api: httpx.Client) -> None:
    answer = api.get("/v1/seasons", headers={f"X-{n}": "x" * 1000 for n in range(HEADER_BYTES // 1000 + 1)})
    assert (answer.status_code, answer.headers["content-type"]) == (431, "application/problem+json")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * (HEADER_BYTES + 1), b"414"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-a: " + b"a" * HEADER_BYTES, b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", b"400"),
    ],
)
def test_what_the_server_itself_refuses_is_a_problem_too(api: httpx.Client, request_: bytes, status: bytes) -> None:
    head, _, body = raw(api, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in head
    assert b"\nx-request-id: " in head.lower()
    assert b'"status":' + status in body


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"Content-Length: {BODY_BYTES + 1}", b"413"),
        ("Content-Length: 99999999999999999999", b"413"),
        ("Transfer-Encoding: chunked", b"411"),
    ],
)
def test_a_body_that_is_too_large_is_not_waited_for(api: httpx.Client, head: str, status: bytes) -> None:
    answer = raw(api, f"POST /v1/seasons HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert b"\nx-request-id: " in answer.lower()


def test_a_small_body_is_passed_over(api: httpx.Client) -> None:
    assert api.request("GET", "/v1/seasons", content=b"{}").status_code == 200


# names of requests


@pytest.mark.parametrize("path", ["/health", "/v1/seasons", "/v1/nowhere", "/v1/seasons?x=1"])
def test_a_request_has_the_name_that_it_was_given(api: httpx.Client, path: str) -> None:
    assert api.get(path, headers={"X-Request-ID": "desk-7.a_B"}).headers["x-request-id"] == "desk-7.a_B"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, "-a", "a;b", "é".encode(), "<b>"])
def test_a_request_without_a_good_name_gets_one(api: httpx.Client, given: str | bytes | None) -> None:
    headers = {} if given is None else {b"X-Request-ID": given if isinstance(given, bytes) else given.encode()}
    names = {api.get("/v1/seasons", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(names) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)


def test_the_log_names_the_request(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    logger = logging.getLogger("cropmap.serving")
    kept = logger.filters
    create_app(ServingSettings(database_url=desk.database_url))
    logger.filters = [one for one in logger.filters if type(one).__name__ == "Named"]
    logger.addHandler(handler)
    try:
        wrong = {"X-API-Key": "cropmap_guessed", "X-Request-ID": "desk-8"}
        assert desk.client.get("/v1/seasons", headers=wrong).status_code == 401
    finally:
        logger.removeHandler(handler)
        logger.filters = kept
    assert "refused an unknown API key from 127.0.0.1 (request desk-8)" in capfd.readouterr().err


def test_a_failure_that_nobody_foresaw_has_the_headers_of_every_answer(desk: Desk) -> None:
    app = create_app(ServingSettings(database_url=desk.database_url))

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("hunter2")

    with running(app) as client:
        answer = client.get("/broken", headers={"X-Request-ID": "desk-9"})
    assert (answer.status_code, answer.json()["detail"]) == (500, "")
    assert (answer.headers["cache-control"], answer.headers["x-request-id"]) == ("no-store", "desk-9")


# compression


def test_a_large_answer_is_packed_for_who_accepts_it(api: httpx.Client) -> None:
    with api.stream("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    plain = api.get("/openapi.json", headers={"Accept-Encoding": "gzip;q=0, br"})
    assert (answer.headers["content-encoding"], answer.headers["content-length"]) == ("gzip", str(len(packed)))
    assert "content-encoding" not in plain.headers
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert "accept-encoding" in plain.headers["vary"].lower()
    assert gzip.decompress(packed) == plain.content
    assert len(packed) < len(plain.content) / 4


def test_a_small_answer_goes_as_it_is(api: httpx.Client) -> None:
    answer = api.get("/v1/agencies", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert len(answer.content) < LEAST_BYTES


@pytest.mark.parametrize(
    ("accepted", "is_accepted"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip; q=0", False),
        ("gzip;q=0.000", False),
        ("br", False),
        ("", False),
        ("x-gzipped", False),
    ],
)
def test_gzip_is_accepted(accepted: str, is_accepted: bool) -> None:
    assert accepts_gzip(accepted) is is_accepted


# origins


def test_pages_of_other_origins_read_nothing_by_default(api: httpx.Client) -> None:
    for answer in (
        api.get("/v1/seasons", headers={"Origin": ORIGIN}),
        api.options("/v1/seasons", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}),
    ):
        assert not any(name.startswith("access-control-") for name in answer.headers)


def test_a_browser_may_ask_without_a_key_what_it_may_send(across: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key, if-none-match"}
    answer = across.options("/v1/statistics", headers={"Origin": ORIGIN, **asked})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS, POST, PUT, DELETE"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://elsewhere.example.org", "GET", "x-api-key"),
        ("http://maps.example.org", "GET", "x-api-key"),
        (ORIGIN, "PATCH", "x-api-key"),
        (ORIGIN, "GET", "x-forwarded-proto"),
    ],
)
def test_nothing_else_is_allowed_to_a_browser(across: httpx.Client, origin: str, method: str, headers: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    assert across.options("/v1/statistics", headers={"Origin": origin, **asked}).status_code == 400


def test_a_page_of_an_allowed_origin_reads_answers_and_refusals(desk: Desk, across: httpx.Client) -> None:
    for key, status in ((desk.key, 200), ("cropmap_wrong", 401)):
        answer = across.get("/v1/seasons", headers={"Origin": ORIGIN, "X-API-Key": key})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, ORIGIN)
        assert {"ETag", "X-Request-ID"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        assert "Origin" in answer.headers["vary"]
    other = across.get("/v1/seasons", headers={"Origin": "https://elsewhere.example.org", "X-API-Key": desk.key})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("origins", ["*", "maps.example.org", "https://maps.example.org/path", "https://"])
def test_an_origin_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("CROPMAP_CORS_ORIGINS", f"https://fine.example.org {origins}")
    with pytest.raises(ConfigurationError, match="CROPMAP_CORS_ORIGINS"):
        ServingSettings.load()


# versions


@pytest.mark.parametrize("path", [path for path in KEYED if not path.startswith(NEVER_WITHOUT_A_VERSION)])
def test_a_path_without_a_version_answers_alike_and_says_that_it_will_end(api: httpx.Client, path: str) -> None:
    old, new = api.get(path), api.get(f"/v1{path}")
    assert (old.status_code, old.content.replace(b'"/assess', b'"/v1/assess')) == (200, new.content)
    since = re.fullmatch(r"@(\d+)", old.headers["deprecation"])
    assert since is not None
    until = parsedate_to_datetime(old.headers["sunset"])
    assert (until - datetime.fromtimestamp(int(since[1]), until.tzinfo)).days >= 365
    target = f"/v1{path.partition('?')[0]}"
    assert old.headers["link"] == f'<{target}>; rel="successor-version"'
    assert api.get(target).status_code in (200, 422)
    assert {"deprecation", "sunset", "link"}.isdisjoint(new.headers)


@pytest.mark.parametrize("path", [*OPEN, *(f"/v1{path}" for path in OPEN)])
def test_what_is_no_data_has_no_version(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    assert "deprecation" not in answer.headers


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v2/seasons", "/v1/v1/seasons", "/v1seasons"])
def test_there_is_no_other_version(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404


def test_pages_stay_in_their_version(api: httpx.Client) -> None:
    for prefix in ("", "/v1"):
        page = api.get(f"{prefix}/assessments?agency=bretagne&season=2018&limit=1").json()
        assert page["next"].startswith(f"{prefix}/assessments?")
        assert api.get(page["next"]).status_code == 200


def test_a_link_to_the_next_version_holds_no_name_as_it_came(api: httpx.Client) -> None:
    link = api.get("/parcels/bretagne/2018/a%3E%0D%0A,%20b").headers["link"]
    assert link == '</v1/parcels/bretagne/2018/a%3E%0D%0A%2C%20b>; rel="successor-version"'
