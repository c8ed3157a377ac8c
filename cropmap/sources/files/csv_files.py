"""CSV as spreadsheets and databases write it: which delimiter, which encoding, which column holds the outlines. In: a
path; out: columns as text, outlines, and the rows that have another number of fields than the header.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cropmap.errors import DeclarationFileError
from cropmap.sheets import TEXT_FORMULA
from cropmap.sources.files.containers import CSV_SUFFIXES
from cropmap.sources.files.outline_text import LOOKED_AT, WKT_NAMES, holds_outlines, parse_outlines
from cropmap.sources.outlines import Flags, Shapes

BLOCK_BYTES: Final = 1 << 26
"""larger than any row: an outline of a million vertices is 40 MB"""
DELIMITERS: Final = ";,\t|"
MAX_RAGGED: Final = 0.5
"""above this share of rows with another number of fields it is the delimiter or the quotes that are wrong"""
_HEAD_BYTES: Final = 4_000
_SEP: Final = re.compile(r'^"?sep=(.)"?\s*$', re.IGNORECASE)
"""what a spreadsheet writes above the header to say its delimiter"""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8: Final = "utf-8-sig"
csv.field_size_limit(BLOCK_BYTES)  # of the whole process: the library's own 128 kB are an outline of 5,000 vertices


@dataclass(frozen=True)
class Dialect:
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    skipped: int
    """lines above the header"""
    outline: str | None
    """the column of the outlines"""
    named: bool = True
    """whether the header has as many fields as the rows; where only one of them ends in a delimiter, `columns` has
    those of the rows, the last without a name"""


@dataclass(frozen=True)
class CsvRows:
    table: pa.Table
    """the columns as text; None throughout in a ragged row"""
    shapes: Shapes
    present: Flags
    crs: str | None
    ragged: dict[int, str]
    """position of a row -> what is wrong with its fields"""


def is_csv(source: str) -> bool:
    return Path(source).suffix.lower() in CSV_SUFFIXES


def find_dialect(source: str, *, outline: str | None = None, encoding: str | None = None) -> Dialect:
    """Raises DeclarationFileError where it is no text in that encoding."""
    read_as = _encoding(source, encoding)
    with _csv_errors(source, encoding), Path(source).open(encoding=read_as, newline="") as file:
        skipped, line, delimiter = 0, file.readline(BLOCK_BYTES), None
        while line and (not line.strip() or _SEP.match(line.strip("\r\n"))):
            sep = _SEP.match(line.strip("\r\n"))
            delimiter = sep.group(1) if sep else delimiter
            skipped, line = skipped + 1, file.readline(BLOCK_BYTES)
        delimiter = delimiter or max(DELIMITERS, key=line.count)
        columns = tuple(next(csv.reader([line], delimiter=delimiter), []))
        lines = [file.readline(BLOCK_BYTES) for _ in range(LOOKED_AT)]
        rows = list(csv.reader((row for row in lines if row.strip()), delimiter=delimiter))
        fitting = _with_trailing_delimiter(columns, rows)
        if outline is None:
            outline = _outline(fitting, rows)
    return Dialect(read_as, delimiter, fitting, skipped, outline, named=len(fitting) == len(columns))


def _with_trailing_delimiter(columns: tuple[str, ...], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The columns that most rows have: one more where they end in a delimiter and the header does not, one less where
    it is the other way round."""
    most = MAX_RAGGED * len(rows)
    if sum(len(row) == len(columns) + 1 and not row[-1].strip() for row in rows) > most:
        return (*columns, "")
    if columns and not columns[-1].strip() and sum(len(row) == len(columns) - 1 for row in rows) > most:
        return columns[:-1]
    return columns


def _outline(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """By its name, the likeliest first; else the first column whose values are outlines."""
    named = {column.strip().lower(): column for column in reversed(columns)}
    if likely := next((named[name] for name in WKT_NAMES if name in named), None):
        return likely
    for position, column in enumerate(columns):
        values = np.array([row[position] or None for row in rows if len(row) == len(columns)], dtype=object)
        if holds_outlines(values):
            return column
    return None


def _encoding(source: str, named: str | None) -> str:
    """What a byte order mark says is certain; then what a person says; UTF-16 without a mark has a zero in every other
    byte of Latin text."""
    with Path(source).open("rb") as file:
        head = file.read(_HEAD_BYTES)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked or named:
        return marked or str(named)
    half = max(len(head) // 2, 1)
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[offset::2].count(0) > 0.4 * half and head[1 - offset :: 2].count(0) < 0.1 * half:
            return name
    return _UTF8


def count_rows(source: str, dialect: Dialect) -> int:
    """Line ends below the header: near enough for a first look."""
    feeds = returns = 0
    with Path(source).open("rb") as file:
        while block := file.read(1 << 20):
            feeds, returns = feeds + block.count(b"\n"), returns + block.count(b"\r")
    return max((feeds or returns) - 1 - dialect.skipped, 0)


def read_csv(
    source: str, dialect: Dialect, columns: Sequence[str], *, named_encoding: str | None, limit: int | None
) -> CsvRows:
    """`named_encoding`: what a person named, for the error. Raises DeclarationFileError."""
    assert dialect.outline is not None, "whoever reads it has seen to that"
    wanted = list(dict.fromkeys([*columns, dialect.outline]))
    ragged: dict[int, str] = {}
    with _csv_errors(source, named_encoding):
        try:
            table = _table(source, dialect, wanted)
        except pa.ArrowInvalid as error:
            if "columns, got" not in str(error):
                raise
            table, ragged = _around_ragged_rows(source, dialect, wanted, error)
    table = _without_formulas(table.slice(0, limit), dialect.outline)
    values = table.column(dialect.outline).to_numpy(zero_copy_only=False)
    values = np.array([None if value is None or not value.strip() else value for value in values], dtype=object)
    shapes, crs = parse_outlines(values, where=source)
    present = np.array([value is not None for value in values], dtype=bool)
    unread = np.flatnonzero(present & np.array([shape is None for shape in shapes], dtype=bool))
    for row in unread:
        if "\n" in values[row].strip():
            raise DeclarationFileError(
                f"a quotation mark in row {row + 1} is not closed: it swallows the rows below",
                where=source,
                mend="Mend the row, or write the file anew with every text field in quotes",
            )
    rows = {row: why for row, why in ragged.items() if row < table.num_rows}
    return CsvRows(table, shapes, present, crs, rows)


def _table(source: str, dialect: Dialect, wanted: Sequence[str], handler: Any = None) -> pa.Table:
    plain = dialect.encoding.lower() in (_UTF8, "utf-8", "utf8")
    return pyarrow.csv.read_csv(
        source,
        read_options=pyarrow.csv.ReadOptions(
            block_size=BLOCK_BYTES,
            encoding="utf8" if plain else dialect.encoding,
            use_threads=handler is None,
            skip_rows=dialect.skipped + (not dialect.named),
            column_names=None if dialect.named else dialect.columns,
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=handler
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(wanted), column_types=dict.fromkeys(dialect.columns, pa.string())
        ),
    )


def _without_formulas(table: pa.Table, outline: str) -> pa.Table:
    """`="0056"`, by which exports keep a spreadsheet from dropping zeros, is the text 0056."""
    for position, name in enumerate(table.column_names):
        if name != outline:
            texts = pc.replace_substring_regex(table.column(position), pattern=TEXT_FORMULA.pattern, replacement=r"\1")
            table = table.set_column(position, name, texts)
    return table


def _around_ragged_rows(
    source: str, dialect: Dialect, wanted: Sequence[str], error: pa.ArrowInvalid
) -> tuple[pa.Table, dict[int, str]]:
    """The table with an empty row in the place of every ragged one. Raises `error` where most rows are."""
    ragged: dict[int, str] = {}

    def skip(row: Any) -> str:
        position = row.number - 2 - dialect.skipped  # physical rows count from 1, the header is one
        ragged[position] = f"{row.actual_columns} fields instead of {row.expected_columns}"
        return "skip"

    table = _table(source, dialect, wanted, skip)
    total = table.num_rows + len(ragged)
    if len(ragged) > MAX_RAGGED * total:
        raise error
    good = np.ones(total, dtype=bool)
    good[[position for position in ragged if position < total]] = False
    places = np.cumsum(good) - 1
    return table.take(pa.array(places, mask=~good)), ragged


@contextlib.contextmanager
def _csv_errors(source: str, encoding: str | None) -> Iterator[None]:
    try:
        yield
    except (UnicodeError, pa.ArrowException, csv.Error, LookupError, ValueError, TypeError) as error:
        raise DeclarationFileError(
            f"cannot be read as CSV ({' '.join(str(error).split())[:200]})",
            where=source,
            mend="Save it as UTF-8, one header line, fields that hold the delimiter in quotes"
            + ("" if encoding else "; or say its encoding in declarations.encoding"),
        ) from error
