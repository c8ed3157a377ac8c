"""The web server of the application, with limits on the time of a client and on the number of clients.

uvicorn limits only idle connections. A client that sends no request, or that reads its answer at less than a few kB per
second, would occupy a connection and the memory of the answer without limit; here it is disconnected.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from http import HTTPStatus
from typing import Any, Final

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from cropmap.errors import ConfigurationError
from serving.errors import problem
from serving.middleware import request_ids
from serving.middleware.admission import HEADERS
from serving.middleware.bounds import ADDRESS_BYTES, HEADER_BYTES
from serving.settings import ServingSettings

log = logging.getLogger("cropmap.serving")

REQUEST_SECONDS: Final = 10.0
"""for a request, head and all, from its first byte; for the first one from the connection on"""
STALLED_SECONDS: Final = 20.0
"""for a reader to take the 50 to 110 kB that asyncio holds back before it lets an answer go on"""
CONNECTIONS: Final = 2_000
"""open at once, each with at most one answer; more are refused"""


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a bound on the time a client takes to ask, and on how slowly it reads."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(REQUEST_SECONDS)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # some of a request, and not yet its whole head
            if self._patience is None:
                self._expect(REQUEST_SECONDS)
        elif not self.flow.write_paused:
            self._relax()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect(STALLED_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP, or a head without an end, with a problem that has a name as every answer has;
        uvicorn's own answer is plain text."""
        error = sys.exc_info()[1]  # uvicorn calls this where it caught it
        status, detail = HTTPStatus.BAD_REQUEST, msg
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            status, detail = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"{HEADER_BYTES} bytes are allowed"
            if b"\n" not in self.conn.trailing_data[0][:ADDRESS_BYTES]:
                status, detail = HTTPStatus.REQUEST_URI_TOO_LONG, f"{ADDRESS_BYTES} bytes are allowed"
        headers = {**HEADERS, "Connection": "close", request_ids.HEADER: (name := request_ids.new_name())}
        log.warning("refused what is no request: %s (request %s)", detail, name)
        answer = problem("", status, detail, headers=headers)
        start = h11.Response(status_code=status, headers=answer.raw_headers, reason=status.phrase)
        for event in (start, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect(self, seconds: float) -> None:
        self._relax()
        self._patience = self.loop.call_later(seconds, self.transport.abort)

    def _relax(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def config(app: FastAPI, settings: ServingSettings, **changes: Any) -> uvicorn.Config:
    """How the application is served; `changes` are uvicorn's own options."""
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "http": BoundedProtocol,
        "ws": "none",
        "access_log": False,
        "limit_concurrency": CONNECTIONS,
        "log_level": "warning",
        "server_header": False,
        "h11_max_incomplete_event_size": HEADER_BYTES,
    }
    return uvicorn.Config(app, **options | changes)


def require_free(settings: ServingSettings) -> None:
    """Raises ConfigurationError where host and port cannot be listened on; uvicorn would end the process."""
    try:
        addresses = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in addresses:
            socket.create_server(address, family=family).close()
    except (OSError, UnicodeError) as error:
        code = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
        why = os.strerror(code) if code else "there is no such address"
        raise ConfigurationError(
            f"cannot listen here ({why})",
            where=f"{settings.host}:{settings.port}",
            mend="Give another --port or --host, or end the program that listens there",
        ) from error


def run(app: FastAPI, settings: ServingSettings) -> None:
    """Serves until a signal ends it. Raises ConfigurationError where it cannot listen."""
    require_free(settings)
    uvicorn.Server(config(app, settings)).run()
