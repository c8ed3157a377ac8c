"""The version of the API in the path, `/v1/…`, and what is said to clients that still leave it out.

The prefix is taken for the place where the application is mounted: routes do not know it, and addresses that an answer
contains have it. Routes of before the prefix answer without it too, until SUNSET (docs/api.md, "Versions").
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX: Final = "/v1"
WITHOUT_PREFIX: Final = frozenset(("agencies", "seasons", "statistics", "releases", "assessments", "parcels", "runs"))
"""first parts of the paths that were there before the prefix"""
DEPRECATED: Final = datetime(2026, 12, 1, tzinfo=UTC)
SUNSET: Final = datetime(2027, 12, 1, tzinfo=UTC)


class Versions:
    """ASGI middleware: takes the prefix off, and marks answers to requests without it as deprecated."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root, path = scope.get("root_path", ""), scope["path"]
        within = path.removeprefix(root)
        if within.startswith(f"{PREFIX}/"):
            scope["root_path"] = root + PREFIX
            await self._app(scope, receive, send)
            return
        if within.split("/")[1:2] and within.split("/")[1] in WITHOUT_PREFIX:
            send = _deprecated(send, successor=quote(root + PREFIX + within))
        await self._app(scope, receive, send)


def _deprecated(send: Send, *, successor: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Deprecation"] = f"@{int(DEPRECATED.timestamp())}"  # RFC 9745
            headers["Sunset"] = format_datetime(SUNSET, usegmt=True)  # RFC 8594
            headers.append("Link", f'<{successor}>; rel="successor-version"')
        await send(message)

    return sending
