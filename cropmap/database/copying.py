"""Bulk writes: columns of a table into a PostgreSQL table by binary COPY. Missing values of any kind become NULL.

Rows are encoded a part at a time, column by column, so that a table larger than memory can be written and the server
does not wait for this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from psycopg import sql

from cropmap.contracts.columns import PostgresType
from cropmap.database.connection import Connection

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
NULL: Final = -1
"""the length of a missing value"""
PART_ROWS: Final = 8_192
"""rows that are encoded at a time: their bytes stay in the processor's cache"""
EPOCH_DAYS: Final = (date(2000, 1, 1) - date(1970, 1, 1)).days
"""PostgreSQL counts days from 2000"""

Bytes = NDArray[np.uint8]
T = TypeVar("T")


def copy_frame(
    connection: Connection, table: str, columns: Mapping[str, PostgresType], frame: pd.DataFrame, **constants: str
) -> int:
    """Copies the named columns of the frame, and text columns with one value for all rows; returns the row count."""
    arrays = [pa.array(_values(frame[name], kind), ARROW[kind]) for name, kind in columns.items()]
    return copy_tables(connection, table, columns, [pa.table(arrays, names=list(columns))], **constants)


def copy_tables(
    connection: Connection, table: str, columns: Mapping[str, PostgresType], parts: Iterable[pa.Table], **constants: str
) -> int:
    """The same of Arrow tables, one after the other in one COPY. What `parts` raises gives the COPY up."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, [*constants, *columns]))
    )
    some = (part.slice(start, PART_ROWS) for part in parts for start in range(0, len(part), PART_ROWS))
    encoded = ((encode_rows(rows, columns, constants=list(constants.values())), len(rows)) for rows in some)
    count = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(SIGNATURE)
        for data, rows in _ahead(encoded):
            copy.write(data)
            count += rows
        copy.write(END)
    return count


def _ahead(parts: Iterator[T]) -> Iterator[T]:
    """The same parts; the next one is made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, parts, None)
        while (part := following.result()) is not None:
            following = pool.submit(next, parts, None)
            yield part


def encode_rows(table: pa.Table, columns: Mapping[str, PostgresType], *, constants: Sequence[str] = ()) -> bytes:
    """Rows in the binary format of COPY, without its signature: the constants as text, then the named columns."""
    rows = len(table)
    if not rows:
        return b""
    fields = [_constant(text, rows) for text in constants]
    fields += [_field(_one_array(table[name]), kind) for name, kind in columns.items()]
    size = 2 + sum(4 + field.lengths.clip(min=0) for field in fields)  # a row: its number of fields, then each field
    end = np.cumsum(size)
    out: Bytes = np.empty(int(end[-1]), np.uint8)
    at = end - size
    block = [_big_endian(np.full(rows, len(fields)), ">i2")]  # what is as long in every row is written at once
    for field in fields:
        block.append(_big_endian(field.lengths, ">i4"))
        if field.even is not None:
            block.append(field.even)
            continue
        at = _put_block(out, at, block)
        block = []
        field.put(out, at)
        at += field.lengths.clip(min=0)
    _put_block(out, at, block)
    return out.tobytes()


@dataclass(frozen=True, eq=False)
class _Field:
    """One value of each of n rows."""

    lengths: NDArray[np.int64]
    """(n,) bytes of each value, NULL where there is none"""
    data: Bytes
    """the bytes of all values"""
    starts: NDArray[np.int64]
    """(n,) of each value in the bytes"""
    even: Bytes | None = None
    """(n, w) where all values are w bytes long and none is missing"""

    def put(self, out: Bytes, at: NDArray[np.int64]) -> None:
        there = self.lengths > 0
        lengths = self.lengths[there]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        out[np.repeat(at[there], lengths) + within] = self.data[np.repeat(self.starts[there], lengths) + within]


def _constant(text: str, rows: int) -> _Field:
    value = np.frombuffer(text.encode(), np.uint8)
    even = np.broadcast_to(value, (rows, len(value)))
    return _Field(np.full(rows, len(value), np.int64), value, np.zeros(rows, np.int64), even)


def _field(array: pa.Array, kind: PostgresType) -> _Field:
    there = pc.is_valid(array).to_numpy(zero_copy_only=False)
    if kind in ("text", "bytea"):
        return _variable(pc.cast(array, ARROW[kind]), there)
    if kind == "date":
        array = pc.cast(pc.cast(array, pa.date32()), pa.int32())
    numbers = pc.fill_null(pc.cast(array, ARROW_FIXED[kind]), False if kind == "bool" else 0)
    numbers = numbers.to_numpy(zero_copy_only=False)
    if kind == "float8":
        there &= ~np.isnan(numbers)
    data = _big_endian(numbers - EPOCH_DAYS if kind == "date" else numbers, FIXED[kind])
    width = data.shape[1]
    starts = np.arange(len(data), dtype=np.int64) * width
    return _Field(np.where(there, width, NULL), data.ravel(), starts, data if there.all() else None)


def _variable(array: pa.Array, there: NDArray[np.bool_]) -> _Field:
    """Of a large string or large binary array."""
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(content, np.uint8) if content is not None else np.empty(0, np.uint8)
    lengths = np.where(there, np.diff(bounds), NULL)
    width = int(lengths[0])
    even = width >= 0 and bool((lengths == width).all())
    whole = data[bounds[0] : bounds[-1]].reshape(len(lengths), width) if even else None
    return _Field(lengths, data, bounds[:-1], whole)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _big_endian(numbers: NDArray[Any], dtype: str) -> Bytes:
    """(n, bytes of a number)"""
    return np.ascontiguousarray(numbers, dtype).view(np.uint8).reshape(len(numbers), -1)


def _put_block(out: Bytes, at: NDArray[np.int64], block: Sequence[Bytes]) -> NDArray[np.int64]:
    """Writes values of even length beside each other; returns where what follows them begins."""
    if not block:
        return at
    values = np.concatenate(block, axis=1)
    out[at[:, None] + np.arange(values.shape[1])] = values
    after: NDArray[np.int64] = at + values.shape[1]
    return after


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
ARROW: Final[dict[PostgresType, pa.DataType]] = {
    "text": pa.large_string(),
    "int4": pa.int32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "bytea": pa.large_binary(),
}
ARROW_FIXED: Final = {**ARROW, "date": pa.int32()}
FIXED: Final = {"int4": ">i4", "float8": ">f8", "bool": "?", "date": ">i4"}
