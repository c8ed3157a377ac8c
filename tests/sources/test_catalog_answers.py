"""Answers of APIs that are written, packed, redirected or broken off otherwise than most: no item is lost by it."""

from __future__ import annotations

import copy
import gzip
import json
import socketserver
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from cropmap.errors import CatalogError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs import stac_io
from cropmap.sources.catalogs.places import CatalogAccess
from cropmap.sources.catalogs.redirects import check_redirects
from cropmap.sources.catalogs.sign_in import backoff, patience
from cropmap.sources.catalogs.sign_in.opening import opening_of
from tests.data.hostile_api import Awkward, awkward_api
from tests.data.make_sources_catalog import COLLECTION, collection, served
from tests.data.sign_in_services import Answer, Request, service
from tests.sources.test_catalog_access import ITEMS, days, find
from tests.threaded_server import answering_at

DAYS = [1, 11, 21]
LANDING = {
    "type": "Catalog",
    "stac_version": "1.0.0",
    "id": "api",
    "description": "an API",
    "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
    "links": [],
}


def page(features: Any = ITEMS, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features, "links": [], **more}


Link = Callable[[str, int], dict[str, Any]]


@pytest.mark.parametrize(
    ("link", "methods"),
    [
        pytest.param(
            lambda root, n: {"href": f"{root}/search", "method": "post", "merge": True, "body": {"token": n}},
            ["POST"] * 3,
            id="a method in small letters",
        ),
        pytest.param(
            lambda root, n: {"href": f"{root}/search", "body": {"token": n, "collections": [COLLECTION]}},
            ["POST"] * 3,
            id="a body and no method",
        ),
        pytest.param(
            lambda _, n: {"href": f"?token={n}", "method": "GET", "body": None},
            ["POST", "GET", "GET"],
            id="a query alone, after the address of the page",
        ),
        pytest.param(
            lambda root, n: {"href": f"{root}/search?token={n}", "headers": {"X-After": ["a", "b"], "X-Page": n}},
            ["POST", "GET", "GET"],
            id="headers that are lists and numbers",
        ),
        pytest.param(
            lambda root, n: {"href": f"{root}/search?token={n}", "method": "DELETE", "headers": None},
            ["POST", "GET", "GET"],
            id="a method that would change something",
        ),
    ],
)
def test_pages_are_followed_however_the_link_is_written(link: Link, methods: list[str]) -> None:
    def following(root: str, number: int) -> dict[str, Any] | None:
        return None if number > 2 else {"rel": "next", **link(root, number)}

    api = Awkward(ITEMS, page_size=1, next_link=following)
    with awkward_api(api) as url:
        assert days(find(url)) == DAYS
    assert [search["method"] for search in api.searches] == methods
    sent = [headers.get("X-After") for _, path, headers in api.seen if path == "/search"]
    assert sent[1:] == (["a, b"] * 2 if "X-After" in str(link("", 1)) else [None, None])
    if methods == ["POST"] * 3:
        assert all(search["collections"] == [COLLECTION] for search in api.searches)


@pytest.mark.parametrize("links", ["next", ["next", None, 5], {"rel": "next"}, [{"rel": "next", "href": 5}]])
def test_what_is_no_link_costs_no_item(links: Any) -> None:
    with awkward_api(Awkward(first=[(200, {**page(), "links": links})])) as url:
        assert days(find(url)) == DAYS


def test_a_page_in_the_middle_may_hold_nothing_new() -> None:
    """The API counts from the start, gives one item a page, and one came in between two pages."""
    order = [0, 1, 1, 2]
    link = {"rel": "next", "href": "/search"}
    answers = [(200, page([ITEMS[at]], links=[link] if n < 3 else [])) for n, at in enumerate(order)]
    with awkward_api(Awkward(first=answers)) as url:
        found = find(url)
    assert days(found) == DAYS
    assert [item.reason for item in found.unusable] == [QuarantineReason.DUPLICATE]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_search_that_is_sent_on_stays_a_search(status: int) -> None:
    """By GET and without its body it would ask for everything, and get the first items of any collection."""

    def answer(request: Request) -> Answer:
        if request.path == "/search":
            return Answer(status, b"", {"Location": "/search/"})
        if request.path == "/search/":
            is_search = request.method == "POST" and int(request.headers.get("Content-Length") or 0) > 0
            return Answer(200, page() if is_search else page([]))
        return Answer(200, collection([]) if "collections" in request.path else LANDING)

    with service(answer) as (url, _):
        assert days(find(url)) == DAYS


def packed_otherwise() -> dict[str, tuple[bytes, dict[str, str]]]:
    items = copy.deepcopy(ITEMS)
    items[0]["properties"] |= {"title": "Île-de-Bréhat", "s2:snow": float("nan")}
    text = json.dumps(page(items), ensure_ascii=False)
    plain = text.replace("NaN", "null")
    return {
        "a byte order mark": (b"\xef\xbb\xbf" + plain.encode(), {}),
        "Latin-1, as it says": (plain.encode("latin-1"), {"Content-Type": "application/json; charset=iso-8859-1"}),
        "UTF-16, as it says": (plain.encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}),
        "NaN, as Python writes it": (text.encode(), {}),
        "gzip": (gzip.compress(plain.encode()), {"Content-Encoding": "gzip"}),
    }


def answering(search: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if request.path == "/search":
            return search(request)
        return Answer(200, collection([]) if "collections" in request.path else LANDING)

    return answer


@pytest.mark.parametrize("how", packed_otherwise())
def test_a_page_that_is_packed_otherwise(how: str) -> None:
    body, headers = packed_otherwise()[how]
    with service(answering(lambda _: Answer(200, body, headers))) as (url, _):
        assert days(find(url)) == DAYS


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b" \n<!DOCTYPE html><html>log in</html>", {}, r"a web page in place of JSON: .*log in"),
        (b"\x1f\x8b\x08broken", {"Content-Encoding": "gzip"}, "not packed as it says"),
        (gzip.compress(b" " * (80 << 20)), {"Content-Encoding": "gzip"}, "longer than 64 MiB"),
        (b"\xff\xff{", {"Content-Type": "application/json; charset=no-such"}, "not UTF-8"),
    ],
    ids=["a page to log in", "broken gzip", "a bomb", "no encoding"],
)
def test_an_answer_that_cannot_be_read_is_one_clear_line(body: bytes, headers: dict[str, str], message: str) -> None:
    with (
        service(answering(lambda _: Answer(200, body, headers))) as (url, _),
        pytest.raises(CatalogError, match=message) as caught,
    ):
        find(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", ["with its length", "packed and without its end"])
def test_an_answer_that_breaks_off_is_asked_for_again(cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_io, "BACKOFF_S", 0.01)
    broken = [
        Answer(200, page(), cut_at=500)
        if cut == "with its length"
        else Answer(200, gzip.compress(json.dumps(page()).encode())[:-100], {"Content-Encoding": "gzip"})
        for _ in range(3)
    ]
    with service(answering(lambda _: broken.pop() if broken else Answer(200, page()))) as (url, _):
        assert days(find(url)) == DAYS
    assert not broken


def test_an_answer_that_breaks_off_every_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_io, "BACKOFF_S", 0.01)
    with (
        service(answering(lambda _: Answer(200, page(), cut_at=500))) as (url, asked),
        pytest.raises(CatalogError, match="an answer was cut off"),
    ):
        find(url)
    assert len([request for request in asked if request.path == "/search"]) == 6


def test_an_answer_shows_no_header_of_the_operator() -> None:
    with (
        service(answering(lambda request: Answer(401, {"no such key": request.headers["X-Key"]}))) as (url, _),
        pytest.raises(CatalogError, match=r"401.*no such key.*\*\*\*") as caught,
    ):
        find(url, access=CatalogAccess(headers={"X-Key": "9f8e7d6c5b"}))
    assert "9f8e7d6c5b" not in str(caught.value)


@contextmanager
def trickling() -> Iterator[str]:
    """The address of a server whose every answer comes byte by byte and has no end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.02)
            except OSError:
                pass

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with served(Handler) as url:
        yield url


TRICKLES = {
    "headers": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "the length of a part": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
}


@contextmanager
def trickling_from(start: bytes) -> Iterator[str]:
    """The address of a server whose every answer begins so, and goes on byte by byte without an end."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(65_536)
                self.request.sendall(start)
                while True:
                    self.request.sendall(b"a")
                    time.sleep(0.02)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with answering_at(Server(("127.0.0.1", 0), Handler)) as address:
        yield address


@pytest.mark.parametrize("start", TRICKLES.values(), ids=TRICKLES)
def test_what_trickles_in_before_the_content_has_an_end_too(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte begins the time without a byte anew."""
    monkeypatch.setattr(patience, "HEADERS_TIME_S", 0.3)
    monkeypatch.setattr(patience, "RETRIES", 1)
    monkeypatch.setattr(stac_io, "DOCUMENT_TIME_S", 0.3)
    with trickling_from(start) as url:
        with pytest.raises(CatalogError, match=r"was not complete after|Read timed out"):
            find(url)
        began = time.monotonic()
        check_redirects(f"{url}/a.tif")
        backoff.stated_wait(opening_of(f"{url}/a.tif"), f"{url}/a.tif")
        assert time.monotonic() - began < 5


def test_an_answer_that_trickles_in_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_io, "DOCUMENT_TIME_S", 0.3)
    with trickling() as url, pytest.raises(CatalogError, match="was not complete after"):
        find(url)
