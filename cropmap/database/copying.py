"""Bulk writes: columns of a table into a PostgreSQL table by binary COPY. Missing values of any kind become NULL.

Rows are encoded a part at a time, column by column, so that a table larger than memory can be written and the server
does not wait for this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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

NOTHING: Final = pa.scalar(b"", pa.large_binary())
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
    with _as_copier(connection, table), connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(SIGNATURE)
        for data, rows in _ahead(encoded):
            copy.write(data)
            count += rows
        copy.write(END)
    return count


@contextmanager
def _as_copier(connection: Connection, table: str) -> Iterator[None]:
    """PostgreSQL refuses COPY where policies bind the user. The role that it takes on instead writes some tables and
    reads none, and triggers hold its rows against the user's agencies."""
    row = connection.execute(
        "SELECT row_security_active(%s::regclass), current_setting('role')", (f'"{table}"',)
    ).fetchone()
    is_bound, role = row or (False, "none")
    if not is_bound:
        yield
        return
    with connection.transaction():
        connection.execute("SET LOCAL ROLE cropmap_copier")
        yield
        connection.execute("SELECT set_config('role', %s, true)", (role,))


def _ahead(parts: Iterator[T]) -> Iterator[T]:
    """The same parts; the next one is made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, parts, None)
        while (part := following.result()) is not None:
            following = pool.submit(next, parts, None)
            yield part


def encode_rows(table: pa.Table, columns: Mapping[str, PostgresType], *, constants: Sequence[str] = ()) -> memoryview:
    """Rows in the binary format of COPY, without its signature: the constants as text, then the named columns."""
    rows = len(table)
    if not rows:
        return memoryview(b"")
    fields = [_constant(text) for text in constants]
    fields += [_field(_one_array(table[name]), kind) for name, kind in columns.items()]
    blocks: list[pa.Array] = []  # what is as long in every row is laid side by side, up to a value that is not
    block: list[bytes | NDArray[Any]] = [len(fields).to_bytes(2, "big")]
    for field in fields:
        block.append(field.lengths if isinstance(field.lengths, bytes) else field.lengths.astype(">i4"))
        if isinstance(field.values, pa.Array):
            blocks += [_laid(block, rows), field.values]
            block = []
        else:
            block.append(field.values)
    if block:
        blocks.append(_laid(block, rows))
    if len(blocks) > 1:
        blocks = [pc.binary_join_element_wise(*blocks, NOTHING, null_handling="replace", null_replacement=b"")]
    return _content(blocks[0])


@dataclass(frozen=True, eq=False)
class _Field:
    """One value of each of n rows."""

    lengths: bytes | NDArray[np.int64]
    """of a value, NULL where there is none: one for all as it is written, or (n,)"""
    values: bytes | NDArray[Any] | pa.Array
    """as they are written: one for all; (n,) of one length; or n of a large binary array, null where there is none"""


def _constant(text: str) -> _Field:
    value = text.encode()
    return _Field(_length(len(value)), value)


def _length(count: int) -> bytes:
    return count.to_bytes(4, "big", signed=True)


def _field(array: pa.Array, kind: PostgresType) -> _Field:
    if kind in ("text", "bytea"):
        return _variable(pc.cast(array, ARROW[kind]).view(pa.large_binary()))
    if kind == "date":
        array = pc.cast(pc.cast(array, pa.date32()), pa.int32())
    there = pc.is_valid(array).to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(pc.cast(array, ARROW_FIXED[kind]), False if kind == "bool" else 0)
    numbers = numbers.to_numpy(zero_copy_only=False)
    if kind == "float8":
        there &= ~np.isnan(numbers)
    written = (numbers - EPOCH_DAYS if kind == "date" else numbers).astype(FIXED[kind])
    if there.all():
        return _Field(_length(written.itemsize), written)
    return _Field(np.where(there, written.itemsize, NULL), _binary(written, there))


def _variable(array: pa.Array) -> _Field:
    """Of a large binary array."""
    lengths = pc.fill_null(pc.binary_length(array), NULL).to_numpy()
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest < longest:
        return _Field(lengths, array)
    if longest <= 0:
        return _Field(_length(longest), b"")
    return _Field(_length(longest), np.frombuffer(_content(array), f"V{longest}"))


def _laid(block: Sequence[bytes | NDArray[Any]], rows: int) -> pa.Array:
    """A large binary array: values of even length beside each other, those that are in every row once."""
    parts: list[bytes | NDArray[Any]] = []
    for values in block:
        if parts and isinstance(before := parts[-1], bytes) and isinstance(values, bytes):
            parts[-1] = before + values
        else:
            parts.append(values)
    columns = [np.frombuffer(part, f"V{len(part)}") if isinstance(part, bytes) else part for part in parts]
    laid = np.empty(rows, [(f"{number}", column.dtype) for number, column in enumerate(columns)])  # without padding
    for number, column in enumerate(columns):
        laid[f"{number}"] = column
    return _binary(laid)


def _binary(values: NDArray[Any], there: NDArray[np.bool_] | None = None) -> pa.Array:
    """The (n,) items, each as its bytes, as a large binary array over the same memory; null where not there."""
    ends = np.arange(len(values) + 1, dtype=np.int64) * values.itemsize
    valid = None if there is None else pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(values.view(np.uint8))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def _content(array: pa.Array) -> memoryview:
    """All values of a large binary array, one after the other."""
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(content)[bounds[0] : bounds[-1]]


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


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
