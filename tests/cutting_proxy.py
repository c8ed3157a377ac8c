"""A TCP proxy on this machine that cuts some connections in the middle of an answer.

A client keeps a connection for many requests, so answers are counted: whatever the server says after it was sent
something is one. Some are cut within their first bytes, some later.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from tests.threaded_server import answering_at

CHUNK: Final = 16_384
LATEST: Final = 3
"""chunks; an answer that is shorter than the one drawn arrives whole"""


@dataclass
class Cuts:
    """One answer in `one_in` is cut."""

    one_in: int
    seed: int = 20
    answers: int = 0
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _draw: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._draw = np.random.default_rng(self.seed)

    def begin(self) -> int | None:
        """Of the answer that begins, the chunk in which it is cut; None: it is passed on whole."""
        with self._lock:
            self.answers += 1
            return int(self._draw.integers(LATEST)) if self._draw.integers(self.one_in) == 0 else None


@contextmanager
def cutting(endpoint: str, cuts: Cuts) -> Iterator[str]:
    """The address of a proxy in front of `endpoint` (http://host:port)."""
    target = urlsplit(endpoint)
    assert target.hostname
    address = (target.hostname, target.port or 80)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(address) as server:
                for side in (self.request, server):  # else each small answer waits for an acknowledgement
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Connection(self.request, server, cuts).run()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with answering_at(Server(("127.0.0.1", 0), Handler)) as own:
        yield own


@dataclass
class _Connection:
    client: socket.socket
    server: socket.socket
    cuts: Cuts
    _asked: threading.Event = field(default_factory=threading.Event)
    """something was sent to the server since it last said something"""

    def run(self) -> None:
        up = threading.Thread(target=self._requests, daemon=True)
        up.start()
        self._answers()
        up.join()

    def _requests(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(CHUNK):
                self._asked.set()
                self.server.sendall(data)
        self._end()

    def _answers(self) -> None:
        rest: int | None = None
        with suppress(OSError):
            while data := self.server.recv(CHUNK):
                if self._asked.is_set():
                    self._asked.clear()
                    rest = self.cuts.begin()
                if rest == 0:
                    self.cuts.made += 1
                    self.client.sendall(data[: len(data) // 2])
                    break
                rest = rest - 1 if rest is not None else None
                self.client.sendall(data)
        self._end()

    def _end(self) -> None:
        for side in (self.client, self.server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
