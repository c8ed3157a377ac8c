"""A real HTTP server of files that keeps when each request came, how long it lasted, and how many bytes it gave.

It may be busy for a while, as object stores and catalogues are: 503 or 429, with a Retry-After or without one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.data.make_sources_catalog import served

PIECE: Final = 16_384


@dataclass(frozen=True)
class Served:
    """One request: seconds of `time.monotonic`."""

    path: str
    began: float
    ended: float
    status: int
    n_bytes: int


@dataclass(frozen=True)
class Busy:
    """An answer instead of the file."""

    status: int = 503
    retry_after: str | None = None


@dataclass
class Meter:
    folder: Path
    refuse: Callable[[str], Busy | None] = lambda _: None
    """path -> how it is refused, None: not at all"""
    lasts_s: float = 0.0
    """of each answer, at least"""
    url: str = ""
    answered: list[Served] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def forget(self) -> None:
        with self._lock:
            self.answered, self.most_at_once = [], 0

    def most_ahead(self, bytes_per_second: float) -> float:
        """Bytes by which what was given since any moment was at most ahead of a rate."""
        ahead = highest = 0.0
        before: float | None = None
        for one in sorted(self.answered, key=lambda one: one.began):
            ahead = max(ahead - bytes_per_second * (one.began - (before or one.began)), 0) + one.n_bytes
            highest, before = max(highest, ahead), one.began
        return highest


@contextmanager
def metered(folder: Path, **how: Any) -> Iterator[Meter]:
    """A server of the files below a folder."""
    meter = Meter(folder, **how)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            began, path = time.monotonic(), urlsplit(self.path).path
            with meter.counted():
                status, body, headers = self._answer(path)
                time.sleep(meter.lasts_s)
                n_bytes = 0 if self.command == "HEAD" else len(body)
                meter.answered.append(Served(path, began, time.monotonic(), status, n_bytes))
            # whoever has the last byte may ask again at once
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body[:n_bytes])

        def _answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
            if (busy := meter.refuse(path)) is not None:
                return busy.status, b"", {"Retry-After": busy.retry_after} if busy.retry_after else {}
            file = meter.folder / path.lstrip("/")
            if not file.is_file():
                return 404, b"", {}
            body = file.read_bytes()
            if not (asked := self.headers.get("Range")):
                return 200, body, {}
            first, last = asked.partition("=")[2].split("-")
            start, end = int(first), min(int(last or len(body)), len(body) - 1)
            return 206, body[start : end + 1], {"Content-Range": f"bytes {start}-{end}/{len(body)}"}

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:  # of a client that was killed
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with served(Handler) as url:
        meter.url = url.rstrip("/")
        yield meter
