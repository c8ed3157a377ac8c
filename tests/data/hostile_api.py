"""A STAC API on 127.0.0.1 that is as awkward as the real ones: tokens, no POST, invalid collections, busy, endless."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.data.make_sources_catalog import collection, served

Answer = tuple[int, Any]


@dataclass
class Awkward:
    items: Sequence[Any] = ()
    collections: Sequence[Any] = field(default_factory=lambda: [collection([])])
    page_size: int = 100
    header: tuple[str, str] | None = None
    """name and value that every request has to carry"""
    admits: Callable[[dict[str, str]], bool] = lambda _: True
    """whether the headers of a request suffice"""
    methods: Sequence[str] = ("POST", "GET")
    first: list[Answer] = field(default_factory=list)
    """answers to the first searches, status and body"""
    next_link: Callable[[str, int], dict[str, Any] | None] | None = None
    """from the server's address and the number of the page to the link to the following one"""
    endless: str | None = None
    """`body`: an answer without an end; `redirect:<address>`: every search is sent there"""
    has_collection_route: bool = True
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """method, path and headers of every request"""
    searches: list[dict[str, Any]] = field(default_factory=list)

    def page(self, search: dict[str, Any], start: int) -> dict[str, Any]:  # noqa: ARG002 - for those that filter
        return {"type": "FeatureCollection", "features": list(self.items[start : start + self.page_size])}


@contextmanager
def awkward_api(api: Awkward) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._any("GET", dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            self._any("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _any(self, method: str, search: dict[str, Any]) -> None:
            path, root = urlsplit(self.path).path, f"http://{self.headers['Host']}"
            api.seen.append((method, path, dict(self.headers)))
            lacks = api.header and self.headers.get(api.header[0]) != api.header[1]
            if lacks or not api.admits(dict(self.headers)):
                self._answer(401, {"description": "Missing Authorization header"})
            elif path == "/":
                links = [{"rel": "search", "href": f"{root}/search", "method": m} for m in ("GET", "POST")]
                data = {"rel": "data", "href": f"{root}/collections"}
                self._answer(
                    200,
                    {
                        "type": "Catalog",
                        "stac_version": "1.0.0",
                        "id": "api",
                        "description": "an API",
                        "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
                        "links": [*links, data],
                    },
                )
            elif path == "/collections":
                self._answer(200, {"collections": api.collections, "links": []})
            elif path.startswith("/collections/") and api.has_collection_route:
                named = [c for c in api.collections if isinstance(c, dict) and c.get("id") == path.split("/")[-1]]
                self._answer(200, named[0]) if named else self._answer(404, {"code": "NotFound"})
            elif path == "/search":
                self._search(method, search, root)
            else:
                self._answer(404, {"code": "NotFound"})

        def _search(self, method: str, search: dict[str, Any], root: str) -> None:
            api.searches.append({"method": method, **search})
            if method not in api.methods:
                self._answer(405, {"detail": "Method Not Allowed"})
            elif api.first:
                self._answer(*api.first.pop(0))
            elif api.endless == "body":
                self._endless()
            elif api.endless:
                self.send_response(302)
                self.send_header("Location", api.endless.removeprefix("redirect:"))
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                start = int(search.get("token") or 0)
                page = api.page(search, start)
                link = api.next_link(root, len(api.searches)) if api.next_link else None
                if link is None and start + api.page_size < len(api.items):
                    link = {
                        "rel": "next",
                        "href": f"{root}/search",
                        "method": "POST",
                        "body": {**search, "token": start + api.page_size},
                    }
                self._answer(200, {**page, "links": [link] if link else []})

        def _endless(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" " * 2**20)
            except OSError:
                pass

        def _answer(self, status: int, document: Any) -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with served(Handler) as url:
        yield url
