"""Who may ask: everybody who sends a known API key, and nobody while there is none.

What is compared is a SHA-256 of 256 random bits (`cropmap.database.keys`), so that the time an answer takes tells
nothing about a key. A key is never logged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from cropmap.database import keys
from cropmap.database.connection import Connection, borrow
from serving.errors import KeyRefusedError

log = logging.getLogger("cropmap.serving")

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="made by `cropmap api-key create NAME`")


def borrowed(request: Request) -> Iterator[Connection]:
    """A database connection for the length of a request."""
    with borrow(request.app.state.pool) as connection:
        yield connection


Reader = Annotated[Connection, Depends(borrowed)]


def presented_key(key: Annotated[str | None, Security(_header)] = None) -> str:
    """The key of the request; without one no database connection is spent on it."""
    if not key:
        raise KeyRefusedError("no API key", where="header X-API-Key")
    return key


def require_key(request: Request, key: Annotated[str, Depends(presented_key)], connection: Reader) -> None:
    if not keys.check_key(connection, key):
        log.warning("refused an unknown API key from %s", request.client.host if request.client else "?")
        raise KeyRefusedError("this API key is not known, or was revoked", where="header X-API-Key")
