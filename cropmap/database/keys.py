"""API keys: shown once, kept as SHA-256 (a key is 256 random bits: no slow hash is needed to protect it).

A key has a role and a scope: one agency, or every agency. The database itself holds its holder to both (`enter`).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.errors import UniqueViolation
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


@dataclass(frozen=True)
class KeyHolder:
    name: str
    role: AccessRole
    agency: str | None
    """None: every agency"""
    is_person: bool = False
    """the holder of an account; otherwise of a key"""


@database_errors()
def create_key(
    connection: Connection, name: str, *, role: AccessRole, agency: str | None, expires_at: datetime | None = None
) -> str:
    """Makes a key and returns it, the only time; with `agency` None it is for every agency.

    Raises InputError when the name is empty or taken, the agency has no season, or the key would have expired already.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    if not name.strip():
        raise InputError("a key needs a name", mend="Name who will use it")
    if agency is not None:
        require_agency(connection, agency)
    values = (name, hash_key(secret), role, agency, expires_at)
    if connection.execute("SELECT %s::timestamptz <= now()", (expires_at,)).fetchone() == (True,):
        raise InputError("the key would have expired already", where="--expires", mend="Name a later day")
    try:
        connection.execute(
            "INSERT INTO api_key (name, key_hash, role, agency, expires_at, created_at)"
            " VALUES (%s, %s, %s, %s, %s, now())",
            values,
        )
    except UniqueViolation as error:
        raise InputError(f"there is a key named {name!r}", mend="Revoke it or choose another name") from error
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
    """Makes a key invalid for good. Raises InputError when no valid key has this name."""
    done = connection.execute("UPDATE api_key SET revoked_at = now() WHERE name = %s AND revoked_at IS NULL", (name,))
    if done.rowcount == 0:
        raise InputError(f"there is no valid key named {name!r}")


@database_errors()
def list_keys(connection: Connection) -> list[dict[str, Any]]:
    """name, role, agency, created_at, expires_at, last_used_at and revoked_at of every key, by name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT name, role, agency, created_at, expires_at, last_used_at, revoked_at FROM api_key ORDER BY name"
        ).fetchall()


def hash_key(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def require_agency(connection: Connection, agency: str) -> None:
    """Raises InputError where the agency has no season."""
    known = [name for (name,) in connection.execute("SELECT agency FROM agency ORDER BY agency").fetchall()]
    if agency not in known:
        there = f"There are {', '.join(known)}" if known else "None has a season yet"
        raise InputError(f"there is no agency {agency!r}", where="--agency", mend=there)
