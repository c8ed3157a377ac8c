"""Bytes that were read from providers of scenes, by provider and day, over all agencies of the installation."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from cropmap.database.connection import Connection, database_errors

ADD: Final = """
INSERT INTO bytes_read (provider, day, bytes) VALUES (%s, %s, %s)
ON CONFLICT (provider, day) DO UPDATE SET bytes = bytes_read.bytes + excluded.bytes
"""


@database_errors()
def add_bytes_read(connection: Connection, provider: str, *, day: date, n_bytes: float) -> None:
    """Several processes may add to one day at once."""
    connection.execute(ADD, (provider, day, n_bytes))


@database_errors()
def bytes_read(connection: Connection, provider: str, *, until: date, days: int) -> float:
    """Of the `days` days that end with `until`."""
    query = "SELECT coalesce(sum(bytes), 0) FROM bytes_read WHERE provider = %s AND day > %s AND day <= %s"
    row = connection.execute(query, (provider, until - timedelta(days=days), until)).fetchone()
    return float(row[0]) if row else 0.0
