"""Limits on the size of a request: its address, its headers and its body.

The bodies that the API reads are small, so a large one is a mistake, and one of unknown length could go on without end.
The server drops the connection after such a refusal (`Connection: close`), so that nobody has to read the rest.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import problem

ADDRESS_BYTES: Final = 8_192
"""path and query, as they were sent"""
HEADER_BYTES: Final = 16_384
"""names and values of all headers"""
BODY_BYTES: Final = 16_384


class Bounds:
    """ASGI middleware: refuses what is too long before anything else looks at it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := _refusal(scope)):
            status, detail = refusal
            answer = problem(scope["path"][:200], status, detail, headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _refusal(scope: Scope) -> tuple[HTTPStatus, str] | None:
    """Status and detail for a request that is too large; None for any other."""
    headers = Headers(scope=scope)
    address = len(b"?".join(part for part in (scope.get("raw_path", b""), scope.get("query_string", b"")) if part))
    if address > ADDRESS_BYTES:
        return HTTPStatus.REQUEST_URI_TOO_LONG, f"the address has {address} bytes, and {ADDRESS_BYTES} are allowed"
    size = sum(len(name) + len(value) for name, value in headers.raw)
    if size > HEADER_BYTES:
        detail = f"the headers have {size} bytes, and {HEADER_BYTES} are allowed"
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail
    if "transfer-encoding" in headers:
        return HTTPStatus.LENGTH_REQUIRED, "the length of the body is not stated. Send Content-Length, or no body"
    if int(headers.get("content-length", "0")) > BODY_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have {BODY_BYTES} bytes. Send a shorter one, or none"
    return None
