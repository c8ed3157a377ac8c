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
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sheets import TEXT_FORMULA
from cropmap.sources.files.containers import CSV_SUFFIXES
from cropmap.sources.files.outline_text import (
    LOOKED_AT,
    WKT_NAMES,
    holds_outlines,
    parse_outlines,
    refuse_several_systems,
)
from cropmap.sources.outlines import Flags, Shapes

BLOCK_BYTES: Final = (1 << 20, 1 << 23, 1 << 26)
"""that are read at a time: more where a row is longer, for an outline of a million vertices is 40 MB; Arrow reads some
32 blocks ahead"""
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
csv.field_size_limit(BLOCK_BYTES[-1])  # of the whole process: the library's own 128 kB are an outline of 5,000 vertices


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
    """Some rows, in the order of the file."""

    table: pa.Table
    """the columns as text; None throughout in a ragged row"""
    shapes: Shapes
    present: Flags
    crs: str | None
    """that some of them state"""
    ragged: dict[int, str]
    """position of a row in the table -> what is wrong with its fields"""


def is_csv(source: str) -> bool:
    return Path(source).suffix.lower() in CSV_SUFFIXES


def find_dialect(source: str, *, outline: str | None = None, encoding: str | None = None) -> Dialect:
    """Raises DeclarationFileError where it is no text in that encoding."""
    read_as = _encoding(source, encoding)
    with _csv_errors(source, encoding), Path(source).open(encoding=read_as, newline="") as file:
        skipped, line, delimiter = 0, file.readline(BLOCK_BYTES[-1]), None
        while line and (not line.strip() or _SEP.match(line.strip("\r\n"))):
            sep = _SEP.match(line.strip("\r\n"))
            delimiter = sep.group(1) if sep else delimiter
            skipped, line = skipped + 1, file.readline(BLOCK_BYTES[-1])
        delimiter = delimiter or max(DELIMITERS, key=line.count)
        columns = tuple(next(csv.reader([line], delimiter=delimiter), []))
        lines = [file.readline(BLOCK_BYTES[-1]) for _ in range(LOOKED_AT)]
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
    source: str,
    dialect: Dialect,
    columns: Sequence[str],
    *,
    named_encoding: str | None,
    limit: int | None,
    part_rows: int,
) -> Iterator[CsvRows]:
    """All rows, or the first `limit`, in parts of at most `part_rows`; at least one part.

    `named_encoding`: what a person named, for the error. Raises DeclarationFileError: before the first part where the
    file is no table of text, after the last one where its outlines cannot be used.
    """
    assert dialect.outline is not None, "whoever reads it has seen to that"
    done, systems, swallowing = 0, set[str](), 0
    for rows, ragged in _parts(source, dialect, [*columns, dialect.outline], part_rows, named_encoding):
        table = _without_formulas(rows.slice(0, None if limit is None else limit - done), dialect.outline)
        values = table.column(dialect.outline).to_numpy(zero_copy_only=False)
        values = np.array([None if value is None or not value.strip() else value for value in values], dtype=object)
        shapes, stated = parse_outlines(values)
        present = np.array([value is not None for value in values], dtype=bool)
        unread = np.flatnonzero(present & shapely.is_missing(shapes))
        swallowing = swallowing or next((done + int(row) + 1 for row in unread if "\n" in values[row].strip()), 0)
        systems |= stated
        here = {row: why for row, why in ragged.items() if row < len(shapes)}
        yield CsvRows(table, shapes, present, min(stated, default=None), here)
        done += len(shapes)
        if done == limit:
            break
    refuse_several_systems(systems, where=source)
    if swallowing:
        raise DeclarationFileError(
            f"a quotation mark in row {swallowing} is not closed: it swallows the rows below",
            where=source,
            mend="Mend the row, or write the file anew with every text field in quotes",
        )


def _parts(
    source: str, dialect: Dialect, columns: Sequence[str], part_rows: int, named_encoding: str | None
) -> Iterator[tuple[pa.Table, dict[int, str]]]:
    """(the columns, position of a ragged row in the part -> what is wrong with its fields) of some rows after the
    other. A ragged row is empty.

    The file is read twice: only its end shows whether all of it is text, and how many rows are ragged.
    """
    wanted, done, told = list(dict.fromkeys(columns)), 0, 0
    with _csv_errors(source, named_encoding):
        whole = _look_through(source, dialect, wanted)
        why = list(whole.ragged.values())
        good_before = np.array(list(whole.ragged), dtype=np.intp) - np.arange(len(why))
        for table in _stream(source, dialect, wanted, whole.block_bytes, lambda _: "skip"):
            for start in range(0, max(table.num_rows, 1), part_rows):
                part = table.slice(start, part_rows)
                end = done + part.num_rows
                until = len(why) if end == whole.good else int(np.searchsorted(good_before, end))
                rows = np.insert(np.arange(part.num_rows), good_before[told:until] - done, -1)
                ragged = dict(zip(np.flatnonzero(rows < 0).tolist(), why[told:until], strict=True))
                yield part.take(pa.array(rows, mask=rows < 0)) if ragged else part, ragged
                done, told = end, until


@dataclass(frozen=True)
class _Whole:
    """What only all rows show."""

    block_bytes: int
    """that are read at a time"""
    good: int
    """rows that have as many fields as the header"""
    ragged: dict[int, str]
    """position of every other row -> what is wrong with its fields"""


def _look_through(source: str, dialect: Dialect, wanted: Sequence[str]) -> _Whole:
    """Raises ArrowInvalid where a column is no text, and where most rows are ragged."""
    for block_bytes in BLOCK_BYTES[:-1]:
        with contextlib.suppress(pa.ArrowInvalid):  # a row is longer than a block; or the last try says what is wrong
            return _count(source, dialect, wanted, block_bytes)
    return _count(source, dialect, wanted, BLOCK_BYTES[-1])


def _count(source: str, dialect: Dialect, wanted: Sequence[str], block_bytes: int) -> _Whole:
    ragged: dict[int, str] = {}

    def skip(row: Any) -> str:
        position = row.number - 2 - dialect.skipped  # physical rows count from 1, the header is one
        ragged[position] = f"{row.actual_columns} fields instead of {row.expected_columns}"
        return "skip"

    try:
        good = sum(table.num_rows for table in _stream(source, dialect, wanted, block_bytes))
    except pa.ArrowInvalid as error:
        if "columns, got" not in str(error):
            raise
        good = sum(table.num_rows for table in _stream(source, dialect, wanted, block_bytes, skip))
        if len(ragged) > MAX_RAGGED * (good + len(ragged)):
            raise
    return _Whole(block_bytes, good, ragged)


def _stream(
    source: str, dialect: Dialect, wanted: Sequence[str], block_bytes: int, handler: Any = None
) -> Iterator[pa.Table]:
    """The good rows of one block after the other, at least one table. One thread: several read ahead, a block for each
    processor, and number no rows."""
    plain = dialect.encoding.lower() in (_UTF8, "utf-8", "utf8")
    reader = pyarrow.csv.open_csv(
        source,
        read_options=pyarrow.csv.ReadOptions(
            block_size=block_bytes,
            encoding="utf8" if plain else dialect.encoding,
            use_threads=False,
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
    with reader:
        tables = (pa.Table.from_batches([batch]) for batch in reader)
        yield next(tables, reader.schema.empty_table())
        yield from tables


def _without_formulas(table: pa.Table, outline: str) -> pa.Table:
    """`="0056"`, by which exports keep a spreadsheet from dropping zeros, is the text 0056."""
    for position, name in enumerate(table.column_names):
        if name != outline:
            texts = pc.replace_substring_regex(table.column(position), pattern=TEXT_FORMULA.pattern, replacement=r"\1")
            table = table.set_column(position, name, texts)
    return table


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
