"""An HTTP server before an S3 server on this machine, which notes what it sends and answers some requests wrongly."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

from tests.threaded_server import answering_at

ERROR: Final = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>of\nlines</Message></Error>'
OWN: Final = ("transfer-encoding", "connection", "date", "server", "content-length")
"""headers that this server writes itself"""


@dataclass(frozen=True)
class Wrong:
    """How a request is answered."""

    status: int = 0
    """of an answer of its own; 0: that of the S3 server, but as below"""
    code: str = ""
    """S3's word for the status"""
    html: bool = False
    half: bool = False
    """the first half of the body, with a length that is right for it"""
    lost: bool = False
    """the S3 server does what it is asked for, and its answer is lost"""


Rule = Callable[[str, str, int], Wrong | None]
"""Of method, path and query, and the number of such a method so far; None: answered as the S3 server does"""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: tuple[str, int]
    rule: Rule
    counts: dict[str, int]
    sent: list[int]

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = self.counts[self.command] = self.counts.get(self.command, 0) + 1
        wrong = type(self).rule(self.command, self.path, number) or Wrong()
        if wrong.status:
            text = "<html><body>Welcome\n</body></html>" if wrong.html else ERROR.format(wrong.code)
            self._say(wrong.status, [], text.encode())
            return
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        said = connection.getresponse()
        data = said.read()
        connection.close()
        if wrong.lost:
            self.close_connection = True
            return
        size = said.headers.get("Content-Length") if self.command == "HEAD" else None
        self._say(said.status, said.getheaders(), data[: len(data) // 2] if wrong.half else data, size)

    def _say(self, status: int, headers: list[tuple[str, str]], data: bytes, size: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(data)))
        self.end_headers()
        self.sent.append(len(data))  # before the reader may have it all
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815


@contextmanager
def answering(endpoint: str, rule: Rule = lambda *_: None, *, sent: list[int] | None = None) -> Iterator[str]:
    """The address of a server before `endpoint` (http://host:port). `sent` gets the bytes of each answer."""
    target = urlsplit(endpoint)
    held = {
        "target": (target.hostname, target.port),
        "rule": staticmethod(rule),
        "counts": {},
        "sent": [] if sent is None else sent,
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), held))
    server.daemon_threads = True
    with answering_at(server) as address:
        yield address
