"""What a contract is made of: columns, tables, and what other rooms derive from them. Nothing is read or written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum, StrEnum
from typing import Any, Final, Literal, Self

import pyarrow as pa

PostgresType = Literal["text", "int2", "int4", "float4", "float8", "bool", "date", "timestamptz", "bytea"]
"""as `udt_name` of information_schema.columns says it"""
Role = Literal["cropmap_reader", "cropmap_controller"]
"""database role that may read a view: of statistics, or of parcels"""
PERSONAL: Final = "personal data: hand it on to those only who may see it"


class Kind(Enum):
    """The type of a column, in every system that holds it."""

    TEXT = ("text", pa.string(), str, "object", "object")
    SMALL = ("int2", pa.int16(), int, "int16", "Int16")
    INTEGER = ("int4", pa.int32(), int, "int64", "Int64")
    SINGLE = ("float4", pa.float32(), float, "float32", "float32")
    REAL = ("float8", pa.float64(), float, "float64", "float64")
    BOOLEAN = ("bool", pa.bool_(), bool, "bool", "boolean")
    DATE = ("date", pa.date32(), date, "object", "object")
    TIME = ("timestamptz", pa.timestamp("us", tz="UTC"), datetime, "object", "object")

    def __init__(self, postgres: PostgresType, arrow: pa.DataType, python: type, pandas: str, pandas_null: str) -> None:
        self.postgres, self.arrow, self.python = postgres, arrow, python
        self.pandas, self.pandas_null = pandas, pandas_null


@dataclass(frozen=True)
class Column:
    name: str
    """with its unit, where it has one (`area_ha`)"""
    kind: Kind
    meaning: str
    """one clause"""
    null: str = ""
    """what an empty value says; without it there always is a value"""
    bounds: tuple[float, float] | None = None
    """least and greatest value"""
    words: type[StrEnum] | None = None
    """the closed list that its values are of"""
    personal: bool = False
    """personal data"""
    figure: bool = False
    """a figure of crop areas: emptied in a confidential cell, in every output"""
    masked: bool = False
    """beside the figures: emptied in a confidential cell where it is shown, in files and in the API"""
    public: bool = True
    """in the view and in the API; otherwise in the table and in files alone"""
    example: str | None = None

    @property
    def is_nullable(self) -> bool:
        return bool(self.null)

    @property
    def shown_nullable(self) -> bool:
        """As files and the API show it."""
        return self.is_nullable or self.masked

    @property
    def statement(self) -> str:
        """The meaning, and where it is personal data, that it is."""
        return f"{self.meaning}; {PERSONAL}" if self.personal else self.meaning

    @property
    def description(self) -> str:
        """The statement with what an empty value says, as the API's documentation has it."""
        empty = "; ".join(filter(None, (self.null, "a confidential cell" if self.masked else "")))
        return f"{self.statement}; null: {empty}" if empty else self.statement

    def replaced(self, **changes: Any) -> Self:
        """The same column of another table, where it is filled otherwise."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Table:
    """A table that rooms hand to each other, that is stored, or that readers see."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def only(self, *names: str) -> tuple[Column, ...]:
        """These columns, in the order of the names. Raises KeyError for one that the table does not have."""
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in names)

    def without(self, *names: str) -> tuple[Column, ...]:
        """The other columns. Raises KeyError for a name that the table does not have."""
        left_out = {column.name for column in self.only(*names)}
        return tuple(column for column in self.columns if column.name not in left_out)


@dataclass(frozen=True)
class View(Table):
    """A view for people with SQL: its name and its columns are stable."""

    reader: Role


def public(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Those that views and the API show."""
    return tuple(column for column in columns if column.public)


def copy_types(columns: Iterable[Column]) -> dict[str, PostgresType]:
    """name -> type, for COPY and for temporary tables."""
    return {column.name: column.kind.postgres for column in columns}


def pandas_types(columns: Iterable[Column]) -> dict[str, str]:
    """name -> dtype of what the database gives; text and days are objects, None where there is nothing."""
    return {column.name: column.kind.pandas_null if column.is_nullable else column.kind.pandas for column in columns}


def file_schema(columns: Iterable[Column]) -> pa.Schema:
    """Of a file that people take away: any value may be missing."""
    return pa.schema([pa.field(column.name, column.kind.arrow) for column in columns])


def stored_schema(columns: Iterable[Column]) -> pa.Schema:
    """Of an object of the store: a value is missing only where the contract lets it."""
    return pa.schema([pa.field(column.name, column.kind.arrow, nullable=column.is_nullable) for column in columns])


def figures(columns: Iterable[Column]) -> tuple[str, ...]:
    """Names of the columns that a confidential cell loses, in every output."""
    return tuple(column.name for column in columns if column.figure)


def masked(columns: Iterable[Column]) -> tuple[str, ...]:
    """Names of the columns that a confidential cell loses where it is shown."""
    return tuple(column.name for column in columns if column.figure or column.masked)
