"""Access control: a request needs a valid API key, or the name and password of an account (`serving.sign_in`); as long
as there is neither, every request is refused.

The comparison uses SHA-256 of 256 random bits (`cropmap.database.keys`), so that the duration of an answer reveals
nothing about a key. A key is never logged. The hashes of all valid keys are cached for a second, so that many wrong
keys cause no load on the database. A valid key is looked up again by the connection that answers its request, so that
a revoked key is refused at once.

A key or an account has a role, which opens some routes, and an agency. Both hold in the database too: the connection
takes on the role and the agency for the transaction that answers the request, and sees nothing without them.

A route that reads parcels notes which in the audit log, in the same transaction (`RecordedReader`, `note_read`): what
cannot be noted is not answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from starlette.concurrency import run_in_threadpool

from cropmap.database import accounts, audit, keys
from cropmap.database.connection import Connection, Pool, pooled_connection
from cropmap.database.keys import KeyHolder
from cropmap.errors import DatabaseError, DatabaseUnavailableError
from cropmap.schemas import AccessRole, AuditAction
from serving.errors import KeyRefusedError, RoleRefusedError
from serving.middleware import request_ids
from serving.sign_in import Accounts, BasicHeader

log = logging.getLogger("cropmap.serving")

FRESH_SECONDS: Final = 1.0
UNKNOWN_FRESH_SECONDS: Final = 0.1
"""the same for a key that is not among them: it may have been made just now"""
NOTED_SECONDS: Final = 600.0
"""how often it is noted that a key is in use"""

HEADER: Final = "header X-API-Key"
UNKNOWN: Final = "this API key is not known, was revoked, or has expired"
WRONG: Final = "there is no enabled account with this name and password"

OpenConnection = Callable[[], AbstractContextManager[Connection]]
Enter = Callable[[Connection], KeyHolder | None]
"""has a connection take on what the holder may see"""

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="made by `cropmap api-key create`")
_basic = BasicHeader(auto_error=False, description="an account, made by `cropmap account create`")


@contextmanager
def _checked_connection(pool: Pool, enter: Enter, *, records: bool = False) -> Iterator[Connection]:
    with pooled_connection(pool) as connection, connection.transaction():
        if records:
            connection.execute("SET TRANSACTION READ WRITE")  # the API's own transactions only read
        if enter(connection) is None:
            raise KeyRefusedError(UNKNOWN, where=HEADER)
        yield connection


class KeyRing:
    """The holders of all valid keys, as the database had them a moment ago."""

    def __init__(self, pool: Pool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._monotonic = pool, monotonic
        self._holders: Mapping[str, KeyHolder] = {}
        """by the hash of the key"""
        self._noted: dict[str, float] = {}
        """when it was noted last that a key is in use"""
        self._begun_at = self._read_at = self._made_at = float("-inf")
        """when they were read last, and when a key was made here"""
        self._away: DatabaseUnavailableError | None = None
        self._reading = asyncio.Lock()

    async def holder(self, secret: str) -> KeyHolder | None:
        """None for a key that is not known. Raises DatabaseUnavailableError while the keys cannot be read."""
        kept = keys.hash_key(secret)
        await self._refresh(FRESH_SECONDS)
        if kept not in self._holders:
            await self._refresh(UNKNOWN_FRESH_SECONDS)
        if (holder := self._holders.get(kept)) is not None:
            await self._note_use(kept, holder)
        return holder

    def read_again(self) -> None:
        """A key was made: it opens at once."""
        self._made_at = self._monotonic()

    async def _note_use(self, kept: str, holder: KeyHolder) -> None:
        now = self._monotonic()
        if now - self._noted.get(kept, float("-inf")) < NOTED_SECONDS:
            return
        self._noted = {known: then for known, then in self._noted.items() if known in self._holders} | {kept: now}
        try:
            await run_in_threadpool(self._note, kept)
        except DatabaseError as error:  # a copy of the database that cannot be written answers as well
            log.warning("the use of key %r was not noted: %s", holder.name, error)

    def _note(self, kept: str) -> None:
        with pooled_connection(self._pool) as connection:
            keys.note_use(connection, kept)

    async def _refresh(self, seconds: float) -> None:
        """Reads the keys where they are older than that; one request does it, the others wait for it."""
        async with self._reading if self._is_old(seconds) else nullcontext():
            if self._is_old(seconds):
                begun_at = self._monotonic()
                try:
                    self._holders, self._away = await run_in_threadpool(self._read), None
                except DatabaseUnavailableError as error:
                    self._away = error
                self._begun_at, self._read_at = begun_at, self._monotonic()
        if self._away is not None:
            raise self._away

    def _is_old(self, seconds: float) -> bool:
        return self._begun_at <= self._made_at or self._monotonic() - self._read_at >= seconds

    def _read(self) -> Mapping[str, KeyHolder]:
        with pooled_connection(self._pool) as connection:
            return keys.valid_keys(connection)


async def require_key(
    request: Request,
    key: Annotated[str | None, Security(_header)] = None,
    signed_in: Annotated[tuple[str, str] | None, Security(_basic)] = None,
) -> Enter:
    """How the request enters the database. Raises KeyRefusedError where it has neither a valid key nor the name and
    password of an account; the key counts where it has both."""
    if key:
        ring: KeyRing = request.app.state.keys
        holder = await ring.holder(key)
        if holder is None:
            log.warning("refused an unknown API key from %s", _where(request))
            raise KeyRefusedError(UNKNOWN, where=HEADER)
        request.state.key_holder = holder
        return partial(keys.enter, secret=key)
    if signed_in is None:
        raise KeyRefusedError("no API key", where=HEADER)
    known: Accounts = request.app.state.accounts
    account = await known.find(*signed_in)
    if account is None:
        log.warning("refused a name and password from %s", _where(request))
        error = KeyRefusedError(WRONG, where="header Authorization")
        error.challenge = 'Basic realm="cropmap", charset="UTF-8"'
        raise error
    request.state.key_holder = account.holder
    return partial(accounts.enter, account=account)


def _where(request: Request) -> str:
    return request.client.host if request.client else "?"


class RequireRole:
    """A dependency of routes that some roles may use."""

    def __init__(self, *roles: AccessRole) -> None:
        self._roles = roles

    async def __call__(self, request: Request, _enter: Annotated[Enter, Depends(require_key)]) -> None:
        """Raises RoleRefusedError where the key has none of the roles."""
        require_role(request, *self._roles)


def require_role(request: Request, *roles: AccessRole) -> None:
    """Raises RoleRefusedError where the key of the request has none of the roles."""
    holder: KeyHolder = request.state.key_holder
    if holder.role not in roles:
        raise RoleRefusedError(
            f"this {'account' if holder.is_person else 'API key'} has the role {holder.role}",
            where="header Authorization" if holder.is_person else HEADER,
            mend=f"This route is for the role {' or '.join(roles)}",
        )


async def open_connection(request: Request, enter: Annotated[Enter, Depends(require_key)]) -> OpenConnection:
    return partial(_checked_connection, request.app.state.pool, enter)


async def open_recorded_connection(request: Request, enter: Annotated[Enter, Depends(require_key)]) -> OpenConnection:
    return partial(_checked_connection, request.app.state.pool, enter, records=True)


Reader = Annotated[OpenConnection, Depends(open_connection)]
"""Lends a database connection: `with reader() as connection`. It is held for the query only, never while an answer is
prepared or sent."""
RecordedReader = Annotated[OpenConnection, Depends(open_recorded_connection)]
"""The same for routes that read parcels: `note_read` can note it on the connection."""
Writer = RecordedReader
"""The same for routes that change keys and accounts; what was done is kept when the block has ended."""


def note_read(
    request: Request, connection: Connection, *, agency: str, season: int, parcel_ids: Iterable[str | None]
) -> None:
    """Notes that the request's answer has rows of these parcels; without any, nothing."""
    if named := [parcel_id for parcel_id in parcel_ids if parcel_id is not None]:
        holder: KeyHolder = request.state.key_holder
        subject = f"{request.method} {request.scope['route'].path}"
        audit.note(
            connection,
            agency=agency,
            season=season,
            action=AuditAction.READ,
            subject=subject,
            parcel_ids=named,
            actor=holder.actor,
            request_id=request_ids.current() or None,
        )
