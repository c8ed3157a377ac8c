"""API keys: shown once, kept as SHA-256 (a key is 256 random bits: no slow hash is needed to protect it).

A key has a role and a scope: one agency, or every agency. The database itself holds its holder to both (`enter`).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.errors import CheckViolation, UniqueViolation
from psycopg.rows import dict_row

from cropmap.database.connection import Connection, database_errors
from cropmap.errors import InputError
from cropmap.schemas import AccessRole

PREFIX: Final = "cropmap_"
"""lets secret scanners find a key that was committed somewhere"""
VALID: Final = """
SELECT key_hash, name, role, agency FROM api_key
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
ENTER: Final = """
SELECT name, role, agency, set_config('cropmap.agency', coalesce(agency, '*'), true),
       set_config('role', 'cropmap_server_' || role, true)
FROM api_key WHERE key_hash = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


class HolderRefusedError(InputError):
    """A key or an account that cannot be made as it was asked for."""


class NameTakenError(InputError):
    """A key or an account has the name already."""


class NameUnknownError(InputError):
    """No key that is valid, or no account, has the name."""


@dataclass(frozen=True)
class KeyHolder:
    name: str
    role: AccessRole
    agency: str | None
    """None: every agency"""
    is_person: bool = False
    """the holder of an account; otherwise of a key"""

    @property
    def actor(self) -> str:
        """As logs name it."""
        return f"{'account' if self.is_person else 'key'} {self.name}"


@database_errors()
def create_key(
    connection: Connection, name: str, *, role: AccessRole, agency: str | None, expires_at: datetime | None = None
) -> str:
    """Makes a key and returns it, the only time; with `agency` None it is for every agency.

    Raises HolderRefusedError when the name is empty or one of another agency, the agency has no season, or the key
    would have expired already; NameTakenError.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    if not name.strip():
        raise HolderRefusedError("a key needs a name", mend="Name who will use it")
    if agency is not None:
        require_agency(connection, agency)
    values = (name, hash_key(secret), role, agency, expires_at)
    if connection.execute("SELECT %s::timestamptz <= now()", (expires_at,)).fetchone() == (True,):
        raise HolderRefusedError("the key would have expired already", mend="Name a later day")
    try:
        connection.execute(
            "INSERT INTO api_key (name, key_hash, role, agency, expires_at) VALUES (%s, %s, %s, %s, %s)", values
        )
    except UniqueViolation as error:
        raise NameTakenError(
            f"there is a key named {name!r}", mend="Choose another name; that of a revoked key stays taken"
        ) from error
    except CheckViolation as error:
        raise refused_name(name, error, kind="a key") from error
    return secret


@database_errors()
def enter(connection: Connection, secret: str) -> KeyHolder | None:
    """Until the end of the open transaction the connection sees what the key's holder may, and no more. None for any
    other text, one that was revoked and one that expired: then nothing has changed."""
    row = connection.execute(ENTER, (hash_key(secret),)).fetchone()
    return KeyHolder(row[0], AccessRole(row[1]), row[2]) if row else None


@database_errors()
def valid_keys(connection: Connection) -> dict[str, KeyHolder]:
    """Holders of all keys that are valid now, by what is kept of the key."""
    rows = connection.execute(VALID).fetchall()
    return {kept: KeyHolder(name, AccessRole(role), agency) for kept, name, role, agency in rows}


@database_errors()
def note_use(connection: Connection, kept: str) -> None:
    """Notes that the key of which this is kept is in use now."""
    with connection.transaction():
        connection.execute("SET TRANSACTION READ WRITE")  # the API's own transactions only read
        connection.execute("SELECT note_key_use(%s)", (kept,))


@database_errors()
def revoke_key(connection: Connection, name: str) -> None:
    """Makes a key invalid for good. Raises NameUnknownError when no valid key that the session sees has this name."""
    done = connection.execute("UPDATE api_key SET revoked_at = now() WHERE name = %s AND revoked_at IS NULL", (name,))
    if done.rowcount == 0:
        raise NameUnknownError(f"there is no valid key named {name!r}")


@database_errors()
def list_keys(connection: Connection) -> list[dict[str, Any]]:
    """name, role, agency, created_at, expires_at, last_used_at and revoked_at of every key that the session sees, by
    name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT name, role, agency, created_at, expires_at, last_used_at, revoked_at FROM api_key ORDER BY name"
        ).fetchall()


def hash_key(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def require_agency(connection: Connection, agency: str) -> None:
    """Raises HolderRefusedError where the agency has no season."""
    known = [name for (name,) in connection.execute("SELECT agency FROM agency ORDER BY agency").fetchall()]
    if agency not in known:
        there = f"There are {', '.join(known)}" if known else "None has a season yet"
        raise HolderRefusedError(f"there is no agency {agency!r}", mend=there)


def refused_name(name: str, error: CheckViolation, *, kind: str) -> HolderRefusedError:
    """Why the database refuses the name of a key or an account; `kind` says which, with its article."""
    if error.diag.constraint_name == "name_of_its_agency":
        agency = name.rpartition("@")[2]
        return HolderRefusedError(
            f"a name that ends with @{agency} is for agency {agency}", mend="Choose a name with another end"
        )
    return HolderRefusedError(f"{name[:50]!r} is no name of {kind}", mend="Write 1 to 200 characters without a colon")
