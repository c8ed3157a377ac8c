"""The audit log: who read, exported or changed rows of which parcels, and when.

An entry is written in the transaction that reads: what cannot be noted is not read. The database adds the login and the
moment. No role may change an entry. What people read with SQL of their own is not in it.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row

from cropmap.database.connection import Connection, database_errors
from cropmap.errors import InputError
from cropmap.schemas import AuditAction

LISTED: Final = 10_000
"""most parcels that an entry names one by one; above, it says how many rows there were"""
NOTE: Final = """
SELECT note_access(%(agency)s, %(season)s, %(action)s, %(subject)s, %(actor)s, %(request_id)s, %(n_rows)s,
                   %(parcel_ids)s::text[])
"""
ENTRIES: Final = """
SELECT noted_at, season, action, subject, actor, login, request_id, n_rows, parcel_ids
FROM audit_entry
WHERE agency = %(agency)s AND (%(season)s::integer IS NULL OR season = %(season)s)
      AND (%(since)s::timestamptz IS NULL OR noted_at >= %(since)s)
      AND (%(parcel_ids)s::text[] IS NULL OR parcel_ids IS NULL OR parcel_ids && %(parcel_ids)s)
ORDER BY noted_at DESC, entry_id LIMIT %(limit)s
"""
PARCELS_OF: Final = """
SELECT DISTINCT parcel_id FROM declaration
WHERE agency = %s AND holding_id = %s AND (%s::integer IS NULL OR season = %s) ORDER BY 1
"""


@database_errors()
def note(
    connection: Connection,
    *,
    agency: str,
    season: int,
    action: AuditAction,
    subject: str,
    parcel_ids: Sequence[str] | None = None,
    n_rows: int | None = None,
    actor: str = "",
    request_id: str | None = None,
) -> None:
    """Adds an entry, which is kept when the open transaction is.

    `subject` is the route or the command, `parcel_ids` the parcels of its rows, or None where they are not listed one
    by one. Without `n_rows` there are as many rows as parcels, without an `actor` it is the user of this machine.
    Raises DatabaseError for an agency that is not in the connection's scope.
    """
    listed = None if parcel_ids is None else sorted(set(parcel_ids))
    values: dict[str, Any] = {
        "agency": agency,
        "season": season,
        "action": str(action),
        "subject": subject,
        "actor": actor or user_of_machine(),
        "request_id": request_id,
        "n_rows": len(parcel_ids or ()) if n_rows is None else n_rows,
        "parcel_ids": listed if listed is not None and len(listed) <= LISTED else None,
    }
    connection.execute(NOTE, values)


def user_of_machine() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        return f"user {os.getuid()}"


@database_errors()
def entries(
    connection: Connection,
    agency: str,
    *,
    season: int | None = None,
    since: datetime | None = None,
    parcel_ids: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The newest first: noted_at, season, action, subject, actor, login, request_id, n_rows, parcel_ids.

    With `parcel_ids` those that name one of them, and those that list none: a whole list that was exported may hold
    them too.
    """
    asked = {"agency": agency, "season": season, "since": since, "limit": limit}
    wanted = None if parcel_ids is None else list(parcel_ids)
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(ENTRIES, asked | {"parcel_ids": wanted}).fetchall()


@database_errors()
def parcels_of_holding(connection: Connection, agency: str, holding_id: str, *, season: int | None = None) -> list[str]:
    """Every parcel that the holding has declared. Raises InputError where there is none."""
    rows = connection.execute(PARCELS_OF, (agency, holding_id, season, season)).fetchall()
    if not rows:
        raise InputError(f"no declaration of agency {agency} names holding {holding_id}", where="--holding")
    return [parcel_id for (parcel_id,) in rows]


@database_errors()
def prune(connection: Connection, agency: str, *, before: datetime) -> int:
    """Removes the agency's entries of earlier moments; returns how many. Only the owner of the tables may."""
    return connection.execute("DELETE FROM audit_entry WHERE agency = %s AND noted_at < %s", (agency, before)).rowcount
