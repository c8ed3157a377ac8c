"""Sound Arrow tables whose columns hold what nobody expects."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

VALUES: list[Any] = [
    None,
    "",
    "007",
    "x",
    "2018-05-07",
    "0000-00-00",
    "2018-05-07T11:06:21Z",
    "9" * 400,
    b"\xff",
    0,
    -1,
    2018,
    10**18,
    0.3,
    1e308,
    float("nan"),
    float("inf"),
    True,
    [0.1],
    {"a": 1},
    Decimal("0.3"),
    dt.date(1, 1, 1),
    dt.date(9999, 12, 31),
    dt.datetime(2018, 5, 7, 11, tzinfo=dt.UTC),
    dt.time(11),
    dt.timedelta(days=1),
]
TYPES: Final = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.int64(),
    pa.uint8(),
    pa.float16(),
    pa.float64(),
    pa.decimal128(12, 4),
    pa.date32(),
    pa.date64(),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("ms", tz="Europe/Paris"),
    pa.bool_(),
    pa.binary(),
    pa.null(),
    pa.list_(pa.float32()),
    pa.time64("us"),
)


def with_odd_columns(table: pa.Table, chance: random.Random) -> pa.Table:
    """The table with some columns of other types, other values, twice or not at all."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(table.num_columns)
        name = table.column_names[at]
        kind = chance.randrange(4)
        if kind == 0:
            value = chance.choice(VALUES)
            column = pa.array([value] * len(table))
        elif kind == 1:
            try:
                column = table.column(at).cast(chance.choice(TYPES), safe=False)
            except pa.ArrowException:
                column = pa.nulls(len(table), chance.choice(TYPES))
        elif kind == 2:
            column = pa.nulls(len(table), chance.choice(TYPES))
        else:
            table = table.append_column(name, table.column(at)) if chance.random() < 0.5 else table.remove_column(at)
            continue
        table = table.set_column(at, name, column)
    return table.slice(0, 0) if chance.random() < 0.1 else table
