"""Logins of people with SQL and of workers, and the agencies whose rows each may reach. Without an entry: none."""

from __future__ import annotations

from typing import Final

from cropmap.database.connection import Connection, database_errors
from cropmap.errors import InputError

EVERY_AGENCY: Final = "*"


@database_errors()
def allow(connection: Connection, login: str, agency: str) -> None:
    """Opens an agency to a login; EVERY_AGENCY for all. Raises InputError where the server has no such login."""
    known = [name for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY 1")]
    if login not in known:
        raise InputError(f"the server has no login {login!r}", mend=f"CREATE ROLE makes one; it has {', '.join(known)}")
    connection.execute(
        "INSERT INTO login_scope (login, agency) VALUES (%s, %s) ON CONFLICT DO NOTHING", (login, agency)
    )


@database_errors()
def disallow(connection: Connection, login: str) -> None:
    """Closes every agency to a login. Raises InputError where none is open to it."""
    if connection.execute("DELETE FROM login_scope WHERE login = %s", (login,)).rowcount == 0:
        raise InputError(f"no agency is open to login {login!r}")


@database_errors()
def list_logins(connection: Connection) -> list[dict[str, str]]:
    """login and agency, EVERY_AGENCY for all; sorted."""
    rows = connection.execute("SELECT login, agency FROM login_scope ORDER BY login, agency").fetchall()
    return [{"login": login, "agency": agency} for login, agency in rows]
