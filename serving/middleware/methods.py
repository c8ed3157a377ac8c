"""OPTIONS on every route, and the methods that are allowed in every refusal of another (RFC 9110, 9.3.7 and 15.5.6).

The router answers 405 before it looks at a key, and names the methods of the first route of the path; here all routes
are asked. HEAD is answered as GET (`serving.middleware.admission`), so wherever GET is allowed HEAD is.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KNOWN: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Methods:
    """ASGI middleware: answers OPTIONS with 204, and completes `Allow`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and message["status"] == HTTPStatus.METHOD_NOT_ALLOWED:
                headers = MutableHeaders(scope=message)
                headers["Allow"] = allowed = completed(of_path(scope) or headers.get("Allow", ""))
                if scope["method"] == "OPTIONS":
                    answered = True
                    await send(_no_content(allowed))
                    await send({"type": "http.response.body", "body": b""})
            if not answered:
                await send(message)

        await self._app(scope, receive, sending)


def of_path(scope: Scope) -> str:
    """The methods that some route has for the path, as `Allow` lists them."""
    routes = scope["app"].routes if "app" in scope else ()
    found = (
        method
        for method in KNOWN
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    )
    return ", ".join(found)


def completed(allowed: str) -> str:
    """The value of `Allow` with HEAD, where GET is in it, and OPTIONS."""
    methods = {method.strip() for method in allowed.split(",") if method.strip()} | {"OPTIONS"}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _no_content(allowed: str) -> Message:
    return {
        "type": "http.response.start",
        "status": HTTPStatus.NO_CONTENT,
        "headers": [(b"allow", allowed.encode("latin-1"))],
    }
