"""Rows that are written by COPY come back as they were, whatever is missing and however long a text is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cropmap.contracts.columns import PostgresType
from cropmap.database import copying
from cropmap.database.connection import Connection
from cropmap.database.copying import copy_frame, copy_tables, encode_rows
from cropmap.schemas import Verdict

COLUMNS: dict[str, PostgresType] = {
    "word": "text",
    "count": "int4",
    "share": "float8",
    "is_so": "bool",
    "day": "date",
    "shape": "bytea",
}


@pytest.fixture
def table(connection: Connection) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    connection.execute(f"CREATE TEMPORARY TABLE copied (key text, {columns})")
    return "copied"


def rows_of(random: np.random.Generator, count: int, *, missing: float) -> list[tuple[object, ...]]:
    def some(value: object) -> object:
        return None if random.random() < missing else value

    words = ["", "a", "été", "x" * 300, "日本", "tab\there\n", str(Verdict.CONFORM)]
    return [
        (
            some(words[int(random.integers(len(words)))]),
            some(int(random.integers(-(2**31), 2**31))),
            some(float(random.normal())),
            some(bool(random.random() < 0.5)),
            some(date(1960, 1, 1) + timedelta(days=int(random.integers(0, 50_000)))),
            some(random.bytes(int(random.integers(0, 40)))),
        )
        for _ in range(count)
    ]


def arrow_of(rows: list[tuple[object, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    arrays = [pa.array(list(c), copying.ARROW[k]) for c, k in zip(columns, COLUMNS.values(), strict=True)]
    return pa.table(arrays, names=list(COLUMNS))


def stored(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM copied").fetchall()


@pytest.mark.parametrize("missing", [0.0, 0.3, 1.0])
def test_every_kind_comes_back_from_frames_and_from_tables(connection: Connection, table: str, missing: float) -> None:
    rows = rows_of(np.random.default_rng(3), 200, missing=missing)
    wanted = [("run-1", *row) for row in rows]
    parts = [arrow_of(rows[:50]), arrow_of([]), arrow_of(rows[50:]).slice(0, 100), arrow_of(rows[150:])]
    assert copy_tables(connection, table, COLUMNS, parts, key="run-1") == 200
    assert stored(connection) == wanted
    connection.execute("TRUNCATE copied")
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    assert copy_frame(connection, table, COLUMNS, frame, key="run-1") == 200
    assert stored(connection) == wanted


@pytest.mark.parametrize("missing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("even", [False, True])
def test_rows_are_encoded_to_the_bytes_that_the_server_writes(
    connection: Connection, table: str, missing: float, even: bool
) -> None:
    rows = arrow_of(rows_of(np.random.default_rng(5), 300, missing=missing))
    if even and not missing:
        words = pa.array([f"wheat {number % 7}" for number in range(300)], pa.large_string())
        rows = rows.set_column(0, "word", words).set_column(5, "shape", pa.array([b""] * 300, pa.large_binary()))
    for part in (rows, rows.slice(7, 100), rows.slice(299)):
        connection.execute("TRUNCATE copied")
        copy_tables(connection, table, COLUMNS, [part], key="run-1")
        with connection.cursor().copy("COPY copied TO STDOUT (FORMAT BINARY)") as copy:
            written = b"".join(map(bytes, copy))
        encoded = encode_rows(part, COLUMNS, constants=["run-1"])
        assert written == copying.SIGNATURE + bytes(encoded) + copying.END


def test_texts_of_one_length_single_precision_and_words_of_a_dictionary(connection: Connection, table: str) -> None:
    part = pa.table(
        {
            "word": pa.array(["maize", "wheat", "maize"]).dictionary_encode(),
            "count": pa.array([1, 2, 3], pa.int64()),
            "share": pa.array([0.1, float("nan"), None], pa.float32()),
            "is_so": [True, False, True],
            "day": [date(2018, 5, 1)] * 3,
            "shape": [b"", b"", b""],
        }
    )
    copy_tables(connection, table, COLUMNS, [part], key="é")
    assert [row[:4] for row in stored(connection)] == [
        ("é", "maize", 1, float(np.float32(0.1))),
        ("é", "wheat", 2, None),
        ("é", "maize", 3, None),
    ]


def test_what_the_parts_raise_gives_the_copy_up(connection: Connection, table: str) -> None:
    def parts() -> Iterator[pa.Table]:
        yield arrow_of(rows_of(np.random.default_rng(1), 20_000, missing=0.1))
        raise ValueError("the object is damaged")

    with pytest.raises(ValueError, match="is damaged"):
        copy_tables(connection, table, COLUMNS, parts(), key="run-1")
    assert stored(connection) == []
    assert copy_tables(connection, table, COLUMNS, [], key="run-1") == 0
