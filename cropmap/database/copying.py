"""Bulk writes: columns of a table into a PostgreSQL table by binary COPY. Missing values of any kind become NULL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

import pandas as pd
from psycopg import sql

from cropmap.contracts.columns import PostgresType
from cropmap.database.connection import Connection


def copy_frame(
    connection: Connection, table: str, columns: Mapping[str, PostgresType], frame: pd.DataFrame, **constants: str
) -> int:
    """Copies the named columns of the frame, and text columns with one value for all rows; returns the row count."""
    names, types = [*constants, *columns], [*["text"] * len(constants), *columns.values()]
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    values = [_values(frame[name], kind) for name, kind in columns.items()]
    head = tuple(constants.values())
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in zip(*values, strict=True):
            copy.write_row((*head, *row))
    return len(frame)


def _values(column: pd.Series[Any], kind: PostgresType) -> list[Any]:
    convert, missing = CONVERT[kind], column.isna().tolist()
    return [None if gone else convert(value) for value, gone in zip(column.tolist(), missing, strict=True)]


def _date(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


CONVERT: Final[dict[PostgresType, Callable[[Any], Any]]] = {
    "text": str,  # of a StrEnum too: its value
    "int4": int,
    "float8": float,
    "bool": bool,
    "date": _date,
    "bytea": bytes,
}
