"""Limits on the number of requests in progress and waiting, and the size of the pieces in which answers are sent.

Every unanswered request counts. Up to `most` are accepted; the threads of the application, one for each database
connection, take them in turn. One more is answered 429 at once, so that the accepted requests are not slowed down.
The last quarter of the places is closed to a key that has all the others, so that one key keeps no other out.
"""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import problem

PIECE_BYTES: Final = 65_536
"""of an answer that goes to the server at a time; it waits for the reader in between"""
UNREAD_BYTES: Final = 256 << 20
"""of answers that are ready and not taken by their readers yet"""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Answers hold personal data: no cache keeps them. The pages load nothing and are framed by nobody."""


class Admission:
    """ASGI middleware: counts, refuses with 429, sends in pieces, sets the headers of every answer; HEAD is GET."""

    def __init__(self, app: ASGIApp, *, most: int, unread_bytes: int = UNREAD_BYTES) -> None:
        self._app, self._most, self._unread_bytes = app, most, unread_bytes
        self._working = self._unread = 0
        self._working_of: Counter[str] = Counter()
        """the same by the key or account that was sent, valid or not"""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # the server leaves out the body of the answer to its own HEAD
            scope = {**scope, "method": "GET"}
        headers = Headers(scope=scope)
        app, key = self._app, headers.get("X-API-Key") or headers.get("Authorization", "")
        is_full = self._working >= self._most or self._unread >= self._unread_bytes
        if is_full or self._working_of[key] >= self._most - self._most // 4:
            app = problem(scope["path"], HTTPStatus.TOO_MANY_REQUESTS, BUSY, headers={"Retry-After": "1"})
        await self._answer(app, key, scope, receive, send)

    async def _answer(self, app: ASGIApp, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        working = True

        def worked() -> None:
            nonlocal working
            if working:
                working = False
                self._working -= 1
                self._working_of[key] -= 1
                if not self._working_of[key]:
                    del self._working_of[key]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
                await send(message)
                return
            worked()
            await self._send_in_pieces(message, send)

        self._working += 1
        self._working_of[key] += 1
        try:
            await app(scope, receive, sending)
        finally:
            worked()

    async def _send_in_pieces(self, message: Message, send: Send) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        left = len(body)
        self._unread += left
        try:
            for start in range(0, max(len(body), 1), PIECE_BYTES):
                piece = body[start : start + PIECE_BYTES]
                last = start + PIECE_BYTES >= len(body)
                await send({"type": "http.response.body", "body": piece, "more_body": more or not last})
                left, self._unread = left - len(piece), self._unread - len(piece)
        finally:
            self._unread -= left


BUSY: Final = "too many requests wait already; try again after a second"
