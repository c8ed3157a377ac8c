"""Compression of answers with gzip, for clients that accept it (RFC 9110, 12.5.3).

Starlette's middleware compresses; large answers in a thread of its own. It looks for the word alone, so a client that
refuses gzip (`gzip;q=0`) is kept from it here.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

LEAST_BYTES: Final = 1_400
"""a smaller answer fits into one packet as it is"""
LEVEL: Final = 5
"""half the time of level 9, for a few per cent more bytes"""


class Compression:
    """ASGI middleware: gzip, unless the client refuses it."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain, self._packed = app, GZipMiddleware(app, LEAST_BYTES, LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "http" and accepts_gzip(Headers(scope=scope).get("Accept-Encoding", ""))
        await (self._packed if wanted else self._plain)(scope, receive, send)


def accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header names gzip with a weight above 0."""
    for item in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding == "gzip":
            weights = [parameter.removeprefix("q=") for parameter in parameters if parameter.startswith("q=")]
            return not weights or weights[0].strip("0.") != ""
    return False
