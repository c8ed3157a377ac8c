"""Pages of other origins change nothing: a browser sends the name and password of a person by itself.

A browser says with each request that may change something from which origin it comes. Programs say nothing. A page of
another origin cannot send JSON without asking first (`CORSMiddleware`); this holds also where it finds a way.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import problem

READING: Final = ("GET", "HEAD", "OPTIONS")
OWN_SITES: Final = ("same-origin", "none")
"""values of Sec-Fetch-Site: a page of this origin, or nobody's page"""
REFUSED: Final = (
    "header Origin: pages of this origin may change nothing. Send the request from a program, or name the origin in "
    "CROPMAP_CORS_ORIGINS"
)


class Origins:
    """ASGI middleware: refuses requests of pages that are neither of the API's own origin nor of an allowed one."""

    def __init__(self, app: ASGIApp, *, allowed: Collection[str]) -> None:
        self._app, self._allowed = app, frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in READING and not self._is_welcome(scope):
            await problem(scope["path"], HTTPStatus.FORBIDDEN, REFUSED)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_welcome(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origins = headers.getlist("Origin")
        if not origins:
            return headers.get("Sec-Fetch-Site", "none") in OWN_SITES
        own = f"{scope['scheme']}://{headers.get('Host', '')}".lower()
        return all(origin == own or origin in self._allowed for origin in origins)
