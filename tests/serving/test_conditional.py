"""Who holds the present answer is told so, and who holds another gets the new one."""

from __future__ import annotations

from datetime import timedelta

import httpx
import psycopg
import pytest

from cropmap.database.connection import connect
from tests.serving.conftest import DAY, Desk, publish

ROUTES = [
    "/v1/agencies",
    "/v1/seasons",
    "/v1/statistics",
    "/v1/statistics?format=csv",
    "/v1/assessments?agency=bretagne&season=2018",
    "/v1/assessments?agency=bretagne&season=2018&limit=1&after=WyJydW4tMSIsIDAuOSwgIjAwNyJd",
    "/v1/parcels/bretagne/2018/007",
    "/v1/releases",
    "/v1/releases/bretagne/2018/1",
    "/v1/releases/bretagne/2018/1?format=csv",
    "/v1/runs",
    "/health",
    "/docs",
    "/openapi.json",
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ROUTES)
def test_who_holds_the_answer_is_told_so(api: httpx.Client, path: str, method: str) -> None:
    first = api.get(path)
    tag = first.headers["etag"]
    again = api.request(method, path, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert {"content-type", "content-length", "content-disposition"}.isdisjoint(again.headers)
    assert again.headers["cache-control"] == first.headers["cache-control"] == "no-store"
    assert api.get(path, headers={"If-None-Match": '"other", nonsense'}).content == first.content


@pytest.mark.parametrize("path", ROUTES)
def test_any_answer_is_held_by_who_says_so(api: httpx.Client, path: str) -> None:
    """`*`: large answers are made for it nevertheless, which costs nothing but time."""
    assert api.get(path, headers={"If-None-Match": "*"}).status_code == 304


def test_every_answer_has_a_tag_of_its_own(api: httpx.Client) -> None:
    paths = [*ROUTES, "/v1/statistics?nuts_id=FRH01", "/v1/releases/bretagne/2018/1?nuts_id=FRH01"]
    assert len({api.get(path).headers["etag"] for path in paths}) == len(paths)


def test_forms_and_codings_of_an_answer(api: httpx.Client) -> None:
    """JSON is no CSV; packed and plain are the same answer, which a weak tag says."""
    as_json, as_csv = (api.get("/v1/statistics", headers={"Accept": form}) for form in ("application/json", "text/csv"))
    held = {"Accept": "text/csv", "If-None-Match": as_json.headers["etag"]}
    assert api.get("/v1/statistics", headers=held).content == as_csv.content
    packed, plain = (api.get("/docs", headers={"Accept-Encoding": coding}) for coding in ("gzip", "identity"))
    assert packed.headers["etag"] == plain.headers["etag"]
    assert packed.headers["etag"].startswith('W/"')


def test_what_is_not_there_is_held_by_nobody(api: httpx.Client) -> None:
    for path in (
        "/v1/statistics?agency=bretagne&season=2019",
        "/v1/releases/bretagne/2018/2",
        "/v1/statistics?level=9",
    ):
        answer = api.get(path, headers={"If-None-Match": "*"})
        assert answer.status_code in (404, 422)
        assert "etag" not in answer.headers


def test_a_season_that_is_published_anew_has_another_answer(own_desk: Desk) -> None:
    paths = [path for path in ROUTES if path.startswith(("/v1/statistics", "/v1/assessments", "/v1/seasons"))]
    paths = [path for path in paths if "after=" not in path]
    before = {path: own_desk.client.get(path).headers["etag"] for path in paths}
    with connect(own_desk.database_url) as connection:
        publish(connection, "run-3", published_at=DAY + timedelta(days=1))
    for path, tag in before.items():
        answer = own_desk.client.get(path, headers={"If-None-Match": tag})
        assert answer.status_code == 200, path
        assert answer.headers["etag"] != tag


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ("statistic", "/v1/statistics"),
        ("assessment", "/v1/assessments?agency=bretagne&season=2018"),
        ("released_row", "/v1/releases/bretagne/2018/1"),
    ],
)
def test_the_rows_of_an_answer_that_is_held_are_not_read(own_desk: Desk, table: str, path: str) -> None:
    """Nobody can read the table meanwhile, and the answer is there at once."""
    tag = own_desk.client.get(path).headers["etag"]
    with psycopg.connect(own_desk.database_url) as blocker:
        blocker.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        assert own_desk.client.get(path, headers={"If-None-Match": tag}, timeout=10).status_code == 304


def test_a_key_is_needed_to_learn_that_nothing_changed(api: httpx.Client) -> None:
    tag = api.get("/v1/statistics").headers["etag"]
    address = api.base_url.join("/v1/statistics")
    assert httpx.get(address, headers={"If-None-Match": tag}, trust_env=False).status_code == 401
