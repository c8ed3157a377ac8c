"""A name for every request, in its answer and in every line that is logged for it.

A client may give the name (`X-Request-ID`), so that its own log and that of the API can be read side by side. A name
that is not well formed is replaced: it would be written to the log as it came.
"""

from __future__ import annotations

import logging
import re
import uuid
from contextvars import ContextVar
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Request-ID"
WELL_FORMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """The name of the request that is being answered; empty outside of one."""
    return _current.get()


def new_name() -> str:
    return uuid.uuid4().hex


class RequestIds:
    """ASGI middleware: names the request, and says the name in its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if WELL_FORMED.fullmatch(given) else new_name()
        _current.set(name)  # each request has a task, and so a context, of its own

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        await self._app(scope, receive, sending)


class Named(logging.Filter):
    """Adds the name of the request to each message that is logged during it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if name := _current.get():
            record.msg, record.args = f"{record.getMessage()} (request {name})", ()
        return True
