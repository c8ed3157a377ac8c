"""Small real services on the loopback, as providers have them: tokens that end, signatures, and files behind both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cropmap.sources.catalogs.providers import Provider, built_in
from tests.data.make_sources_catalog import served


def provider(name: str, **keys: Any) -> Provider:
    """A provider with the generic names, as a file of an agency gives one."""
    generic = built_in("generic").model_dump()
    return Provider.model_validate({**generic, "name": name, **keys})


def of(url: str) -> str:
    """Host and port of an address."""
    return urlsplit(url).netloc


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Message
    form: dict[str, str]
    at_s: float


@dataclass
class Answer:
    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """bytes after which the connection is closed; 0: no answer at all"""


@contextmanager
def service(answer: Callable[[Request], Answer]) -> Iterator[tuple[str, list[Request]]]:
    """The address of a server, without a slash at its end, and the requests that it got."""
    seen: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._any()

        def do_HEAD(self) -> None:
            self._any()

        def do_POST(self) -> None:
            self._any()

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parts = urlsplit(self.path)
            request = Request(
                self.command, parts.path, dict(parse_qsl(parts.query)), self.headers, dict(parse_qsl(body)), time.time()
            )
            seen.append(request)
            self._send(answer(request))

        def _send(self, given: Answer) -> None:
            if given.cut_at == 0:
                self.close_connection = True
                return
            body = given.body if isinstance(given.body, bytes) else json.dumps(given.body).encode()
            status, headers = given.status, dict(given.headers)
            if status == 200 and (asked := self.headers.get("Range")):
                first, last = asked.partition("=")[2].split("-")
                start, end = int(first), min(int(last or len(body)), len(body) - 1)
                headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
                body, status = body[start : end + 1], 206
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body if given.cut_at is None else body[: given.cut_at])
            self.close_connection = given.cut_at is not None

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with served(Handler) as url:
        yield url.rstrip("/"), seen


@dataclass
class TokenService:
    """An OAuth 2.0 token endpoint: each token is good for `lasts_s`, each refresh token for one use."""

    lasts_s: float = 600.0
    client: tuple[str, str] = ("client-1", "the-secret-of-the-client")
    first_refresh: str = "the-first-refresh-token"
    fail: list[Answer] = field(default_factory=list)
    """answers to the first requests"""
    refresh: str = ""
    given: dict[str, float] = field(default_factory=dict)
    """access token: when it ends, seconds since the epoch"""

    def __call__(self, request: Request) -> Answer:
        if self.fail:
            return self.fail.pop(0)
        form = request.form
        kind = form.get("grant_type")
        refused = Answer(401, {"error": "invalid_grant", "error_description": "who are you"})
        if kind == "client_credentials" and (form.get("client_id"), form.get("client_secret")) != self.client:
            return refused
        if kind == "refresh_token" and form.get("refresh_token") not in ({self.refresh} - {""} or {self.first_refresh}):
            return refused
        if kind not in ("client_credentials", "refresh_token"):
            return Answer(400, {"error": "unsupported_grant_type"})
        token = f"the-access-token-number-{len(self.given) + 1}"
        self.given[token] = time.time() + self.lasts_s
        answer = {"access_token": token, "expires_in": self.lasts_s, "token_type": "Bearer"}
        if kind == "refresh_token":
            self.refresh = f"the-refresh-token-number-{len(self.given)}"
            answer["refresh_token"] = self.refresh
        return Answer(200, answer)

    def admits(self, request: Request) -> bool:
        """Whether a request carries a token that has not ended."""
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        return self.given.get(token, 0.0) > time.time()
