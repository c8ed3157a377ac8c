"""Accounts of people: a name and a password, of which argon2id is kept (RFC 9106).

An account has a role and a scope, as a key has them. The database itself holds its holder to both (`enter`). A password
that was changed, and an account that was disabled, open nothing from then on.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.errors import CheckViolation, UniqueViolation
from psycopg.rows import dict_row

from cropmap.database.connection import Connection, database_errors
from cropmap.database.keys import (
    HolderRefusedError,
    KeyHolder,
    NameTakenError,
    NameUnknownError,
    refused_name,
    require_agency,
)
from cropmap.schemas import AccessRole

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 200
FIND: Final = "SELECT name, role, agency, password_hash FROM account WHERE name = %s AND disabled_at IS NULL"
ENTER: Final = """
SELECT name, role, agency, set_config('cropmap.agency', coalesce(agency, '*'), true),
       set_config('role', 'cropmap_server_' || role, true)
FROM account WHERE name = %s AND password_hash = %s AND disabled_at IS NULL
"""
hasher: Final = PasswordHasher()
_hashing: Final = threading.BoundedSemaphore(2)
"""of passwords that are set at a time: each takes 64 MiB"""


@dataclass(frozen=True)
class Account:
    holder: KeyHolder
    password_hash: str


def made_password() -> str:
    """A password of 120 random bits."""
    return secrets.token_urlsafe(15)


@database_errors()
def create_account(connection: Connection, name: str, password: str, *, role: AccessRole, agency: str | None) -> None:
    """With `agency` None it is for every agency.

    Raises HolderRefusedError when the name is empty, has a colon or a control character or is one of another agency,
    the password is too short or too long, or the agency has no season; NameTakenError.
    """
    hashed = _hashed(password)
    if agency is not None:
        require_agency(connection, agency)
    try:
        connection.execute(
            "INSERT INTO account (name, role, agency, password_hash) VALUES (%s, %s, %s, %s)",
            (name, role, agency, hashed),
        )
    except UniqueViolation as error:
        raise NameTakenError(f"there is an account named {name!r}", mend="Choose another name") from error
    except CheckViolation as error:
        raise refused_name(name, error, kind="an account") from error


@database_errors()
def set_password(connection: Connection, name: str, password: str) -> None:
    """The account is enabled by it. Raises HolderRefusedError for a password as above, and NameUnknownError where no
    account that the session sees has the name."""
    done = connection.execute(
        "UPDATE account SET password_hash = %s, password_set_at = now(), disabled_at = NULL WHERE name = %s",
        (_hashed(password), name),
    )
    if done.rowcount == 0:
        raise NameUnknownError(f"there is no account named {name!r}")


@database_errors()
def disable_account(connection: Connection, name: str) -> None:
    """Closes the account at once. Raises NameUnknownError where no enabled one that the session sees has the name."""
    done = connection.execute("UPDATE account SET disabled_at = now() WHERE name = %s AND disabled_at IS NULL", (name,))
    if done.rowcount == 0:
        raise NameUnknownError(f"there is no enabled account named {name!r}")


@database_errors()
def list_accounts(connection: Connection) -> list[dict[str, Any]]:
    """name, role, agency, created_at, password_set_at, last_used_at and disabled_at of every account that the session
    sees, by name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT name, role, agency, created_at, password_set_at, last_used_at, disabled_at FROM account"
            " ORDER BY name"
        ).fetchall()


@database_errors()
def find_account(connection: Connection, name: str) -> Account | None:
    """The enabled account of this name."""
    row = connection.execute(FIND, (name,)).fetchone()
    return Account(KeyHolder(row[0], AccessRole(row[1]), row[2], is_person=True), row[3]) if row else None


@database_errors()
def enter(connection: Connection, account: Account) -> KeyHolder | None:
    """Until the end of the open transaction the connection sees what the account's holder may, and no more. None where
    it was disabled or its password was changed since: then nothing has changed."""
    row = connection.execute(ENTER, (account.holder.name, account.password_hash)).fetchone()
    return KeyHolder(row[0], AccessRole(row[1]), row[2], is_person=True) if row else None


@database_errors()
def note_use(connection: Connection, name: str) -> None:
    """Notes that the account is in use now."""
    with connection.transaction():
        connection.execute("SET TRANSACTION READ WRITE")  # the API's own transactions only read
        connection.execute("SELECT note_account_use(%s)", (name,))


def is_password(account: Account, password: str) -> bool:
    """Takes 64 MiB and a good part of a second of one processor, on purpose."""
    try:
        return hasher.verify(account.password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _hashed(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise HolderRefusedError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", mend="Choose another password"
        )
    with _hashing:
        return hasher.hash(password)
