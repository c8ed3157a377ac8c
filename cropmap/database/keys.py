"""API keys: shown once, kept as SHA-256 (a key is 256 random bits: no slow hash is needed to protect it)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from cropmap.database.connection import Connection, database_errors
from cropmap.errors import InputError

PREFIX: Final = "cropmap_"
"""lets secret scanners find a key that was committed somewhere"""


@database_errors()
def create_key(connection: Connection, name: str) -> str:
    """Makes a key and returns it, the only time. Raises InputError when the name is empty or taken."""
    secret = PREFIX + secrets.token_urlsafe(32)
    if not name.strip():
        raise InputError("a key needs a name", mend="Name who will use it")
    try:
        connection.execute(
            "INSERT INTO api_key (name, key_hash, created_at) VALUES (%s, %s, now())", (name, hash_key(secret))
        )
    except UniqueViolation as error:
        raise InputError(f"there is a key named {name!r}", mend="Revoke it or choose another name") from error
    return secret


@database_errors()
def check_key(connection: Connection, secret: str) -> str | None:
    """The name of a valid key, None for any other text."""
    row = connection.execute(
        "SELECT name FROM api_key WHERE key_hash = %s AND revoked_at IS NULL", (hash_key(secret),)
    ).fetchone()
    return str(row[0]) if row else None


@database_errors()
def valid_hashes(connection: Connection) -> frozenset[str]:
    """What is kept of every key that is valid now."""
    return frozenset(row[0] for row in connection.execute("SELECT key_hash FROM api_key WHERE revoked_at IS NULL"))


@database_errors()
def revoke_key(connection: Connection, name: str) -> None:
    """Makes a key invalid for good. Raises InputError when no valid key has this name."""
    done = connection.execute("UPDATE api_key SET revoked_at = now() WHERE name = %s AND revoked_at IS NULL", (name,))
    if done.rowcount == 0:
        raise InputError(f"there is no valid key named {name!r}")


@database_errors()
def list_keys(connection: Connection) -> list[dict[str, Any]]:
    """name, created_at and revoked_at of every key, by name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT name, created_at, revoked_at FROM api_key ORDER BY name").fetchall()


def hash_key(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
