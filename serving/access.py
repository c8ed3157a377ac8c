"""Access control: a request needs a valid API key; as long as no key exists, every request is refused.

The comparison uses SHA-256 of 256 random bits (`cropmap.database.keys`), so that the duration of an answer reveals
nothing about a key. A key is never logged. The hashes of all valid keys are cached for a second, so that many wrong
keys cause no load on the database. A valid key is looked up again by the connection that answers its request, so that
a revoked key is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from starlette.concurrency import run_in_threadpool

from cropmap.database import keys
from cropmap.database.connection import Connection, Pool, pooled_connection
from cropmap.errors import DatabaseUnavailableError
from serving.errors import KeyRefusedError

log = logging.getLogger("cropmap.serving")

FRESH_SECONDS: Final = 1.0
UNKNOWN_FRESH_SECONDS: Final = 0.1
"""the same for a key that is not among them: it may have been made just now"""

HEADER: Final = "header X-API-Key"
UNKNOWN: Final = "this API key is not known, or was revoked"

OpenConnection = Callable[[], AbstractContextManager[Connection]]

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="made by `cropmap api-key create NAME`")


@contextmanager
def _checked_connection(pool: Pool, secret: str) -> Iterator[Connection]:
    with pooled_connection(pool) as connection:
        if not keys.check_key(connection, secret):
            raise KeyRefusedError(UNKNOWN, where=HEADER)
        yield connection


class KeyRing:
    """The hashes of all valid keys, as the database had them a moment ago."""

    def __init__(self, pool: Pool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._monotonic = pool, monotonic
        self._hashes: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._away: DatabaseUnavailableError | None = None
        self._reading = asyncio.Lock()

    async def knows(self, secret: str) -> bool:
        """Raises DatabaseUnavailableError while the keys cannot be read."""
        known = keys.hash_key(secret)
        await self._refresh(FRESH_SECONDS)
        if known not in self._hashes:
            await self._refresh(UNKNOWN_FRESH_SECONDS)
        return known in self._hashes

    async def _refresh(self, seconds: float) -> None:
        """Reads the keys where they are older than that; one request does it, the others wait for it."""
        async with self._reading if self._is_old(seconds) else nullcontext():
            if self._is_old(seconds):
                try:
                    self._hashes, self._away = await run_in_threadpool(self._read), None
                except DatabaseUnavailableError as error:
                    self._away = error
                self._read_at = self._monotonic()
        if self._away is not None:
            raise self._away

    def _is_old(self, seconds: float) -> bool:
        return self._monotonic() - self._read_at >= seconds

    def _read(self) -> frozenset[str]:
        with pooled_connection(self._pool) as connection:
            return keys.valid_hashes(connection)


async def require_key(request: Request, key: Annotated[str | None, Security(_header)] = None) -> str:
    """The key of the request. Raises KeyRefusedError where there is none, or one that is not known."""
    if not key:
        raise KeyRefusedError("no API key", where=HEADER)
    ring: KeyRing = request.app.state.keys
    if not await ring.knows(key):
        log.warning("refused an unknown API key from %s", request.client.host if request.client else "?")
        raise KeyRefusedError(UNKNOWN, where=HEADER)
    return key


async def open_connection(request: Request, key: Annotated[str, Depends(require_key)]) -> OpenConnection:
    return partial(_checked_connection, request.app.state.pool, key)


Reader = Annotated[OpenConnection, Depends(open_connection)]
"""Lends a database connection: `with reader() as connection`. It is held for the query only, never while an answer is
prepared or sent."""
