"""Entity tags: who holds the present answer already is told so, with 304 and without a body (RFC 9110, 13.1.2).

Every answer to GET has a tag. Where a cheap query tells that the rows are those of before (`require_change`), the large
one is not made. Elsewhere the tag is that of the finished body, and spares only its way.

The tags are weak: the same answer goes out compressed or plain. Forms of an answer, as JSON and CSV, have other tags.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import serving
from cropmap.provenance import code_version, rules_hash, value_hash

ENTITY_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
OF_A_BODY: Final = ("content-length", "content-type", "content-disposition")


class UnchangedError(Exception):
    """The client holds the present answer. It is no failure: it ends the handling of the request."""


def require_change(request: Request, form: str, *state: Any) -> None:
    """Raises UnchangedError where the client holds the answer that was made from this state of the database.

    `state` are JSON-like values that differ whenever the answer to the same address would; `form` tells
    representations of one address apart. An empty state has no tag, because the answer may be 404.
    """
    if not all(state):
        return
    address = (request.scope["path"], request.scope["query_string"].decode("latin-1"))
    request.state.entity_tag = tag = f'W/"{value_hash([_rules(), *address, form, *state], length=32)}"'
    if _is_held(request.headers, tag, by_any=False):
        raise UnchangedError


async def _not_modified(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HTTPStatus.NOT_MODIFIED)


def install(app: FastAPI) -> None:
    app.add_exception_handler(UnchangedError, _not_modified)


class Conditional:
    """ASGI middleware: gives answers to GET their tag, and 304 to who holds it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message = {}

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                first, start = start, {}
                message = _tagged(scope, first, message)
                await send(first)
            await send(message)

        await self._app(scope, receive, sending)


def _tagged(scope: Scope, start: Message, body: Message) -> Message:
    """Gives `start` the tag, and turns it to 304 where the client holds it; the body that is to be sent."""
    if start["status"] not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
        return body
    headers = MutableHeaders(scope=start)
    tag = headers.get("ETag") or scope.get("state", {}).get("entity_tag")
    if tag is None and not body.get("more_body", False):
        media_type = headers.get("Content-Type", "").encode()
        tag = f'W/"{hashlib.sha256(media_type + b" " + body.get("body", b"")).hexdigest()[:32]}"'
    if tag is None:  # the answer comes in parts, and nobody knows its end
        return body
    headers["ETag"] = tag
    headers.add_vary_header("Accept-Encoding")
    if start["status"] != HTTPStatus.NOT_MODIFIED and not _is_held(Headers(scope=scope), tag):
        return body
    start["status"] = int(HTTPStatus.NOT_MODIFIED)
    for name in OF_A_BODY:
        del headers[name]
    return {"type": "http.response.body", "body": b""}


def _is_held(headers: Headers, tag: str, *, by_any: bool = True) -> bool:
    """Whether the request names the tag (weak comparison); `*` is any answer, and only one that is there."""
    named = ", ".join(headers.getlist("If-None-Match"))
    if named.strip() == "*":
        return by_any
    return tag.removeprefix("W/") in ENTITY_TAG.findall(named)


@cache
def _rules() -> str:
    """Of the code that makes answers: another one may make another answer from the same rows."""
    folders = sorted({module.parent for module in Path(serving.__file__).parent.rglob("*.py")})
    return ".".join((code_version(), *map(rules_hash, folders)))
