"""Accounts of people: the name and password of a request (HTTP Basic, RFC 7617) against those of the database.

A password is checked by argon2, which takes memory and time on purpose. At most two are checked at a time, and the one
that was right is remembered for some minutes by its hash, as long as the account still has it. A wrong password and an
unknown name are answered alike, after the same time. After some wrong ones a name takes no other password for a while;
requests with the right one that was remembered are still answered.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import math
import secrets
import time
from collections.abc import Callable
from typing import Final

from fastapi import Request
from fastapi.security import HTTPBasic
from starlette.concurrency import run_in_threadpool

from cropmap.database import accounts
from cropmap.database.accounts import Account
from cropmap.database.connection import Pool, pooled_connection
from cropmap.errors import DatabaseError
from serving.errors import RateExceededError

log = logging.getLogger("cropmap.serving")

AT_A_TIME: Final = 2
"""passwords that are checked at a time; each takes 64 MiB"""
REMEMBERED_SECONDS: Final = 300.0
REMEMBERED: Final = 1000
"""right passwords; the oldest goes first"""
REFUSED_AFTER_SECONDS: Final = 0.5
WRONG: Final = 5
"""wrong passwords of a name in the time below, before it takes no other"""
WRONG_SECONDS: Final = 60.0
NOTED_SECONDS: Final = 600.0
"""how often it is noted that an account is in use"""


class BasicHeader(HTTPBasic):
    """Name and password of the header Authorization; None where there are none, or none that can be read."""

    async def __call__(self, request: Request) -> tuple[str, str] | None:  # type: ignore[override]
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(sent.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (name, password) if colon and "\x00" not in name else None


class Accounts:
    """Whose name and password a request has."""

    def __init__(self, pool: Pool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._monotonic = pool, monotonic
        self._salt = secrets.token_bytes(16)
        self._right: dict[bytes, tuple[float, str]] = {}
        """hash of name and password -> (until when it is remembered, the account's hash that it fits)"""
        self._wrong: dict[str, list[float]] = {}
        """when wrong passwords came, by name"""
        self._noted: dict[str, float] = {}
        self._checking = asyncio.Semaphore(AT_A_TIME)

    async def find(self, name: str, password: str) -> Account | None:
        """Raises RateExceededError for a name that had too many wrong passwords, and DatabaseUnavailableError."""
        started = self._monotonic()
        account = await run_in_threadpool(self._read, name)
        sent = hashlib.sha256(self._salt + f"{name}\x00{password}".encode(errors="surrogatepass")).digest()
        if account is not None and self._is_remembered(account, sent):
            return account
        async with self._checking:  # also of a name that is unknown: nothing tells which names there are
            self._refuse_guesses(name)
            if account is not None and await run_in_threadpool(accounts.is_password, account, password):
                self._remember(account, sent)
                await self._note_use(account)
                return account
            self._wrong[name] = [*self._lately_wrong(name), self._monotonic()]
        await asyncio.sleep(max(0.0, started + REFUSED_AFTER_SECONDS - self._monotonic()))
        return None

    def _read(self, name: str) -> Account | None:
        with pooled_connection(self._pool) as connection:
            return accounts.find_account(connection, name)

    def _is_remembered(self, account: Account, sent: bytes) -> bool:
        until, fits = self._right.get(sent, (0.0, ""))
        return self._monotonic() < until and fits == account.password_hash

    def _remember(self, account: Account, sent: bytes) -> None:
        while len(self._right) >= REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[sent] = self._monotonic() + REMEMBERED_SECONDS, account.password_hash

    def _refuse_guesses(self, name: str) -> None:
        if len(wrong := self._lately_wrong(name)) >= WRONG:
            error = RateExceededError("too many wrong passwords; try again later")
            error.seconds = math.ceil(wrong[0] + WRONG_SECONDS - self._monotonic())
            raise error

    def _lately_wrong(self, name: str) -> list[float]:
        """Also forgets those of other names that are long ago, so that guessed names take no memory."""
        since = self._monotonic() - WRONG_SECONDS
        if len(self._wrong) > REMEMBERED:
            self._wrong = {one: times for one, times in self._wrong.items() if times[-1] > since}
        return [moment for moment in self._wrong.get(name, []) if moment > since]

    async def _note_use(self, account: Account) -> None:
        name, now = account.holder.name, self._monotonic()
        if now - self._noted.get(name, float("-inf")) < NOTED_SECONDS:
            return
        self._noted[name] = now
        try:
            await run_in_threadpool(self._note, name)
        except DatabaseError as error:  # a copy of the database that cannot be written answers as well
            log.warning("the use of account %r was not noted: %s", name, error)

    def _note(self, name: str) -> None:
        with pooled_connection(self._pool) as connection:
            accounts.note_use(connection, name)
