"""CSV for programs and for spreadsheets, guarded against formulas.

A spreadsheet takes a cell that begins with one of `= + - @`, a tab or a line end for a formula. A crop name from a
declarations file must not be executed in this way (OWASP, CSV injection). Such a cell is written with an apostrophe in
front, which a spreadsheet does not show. A plain number is written unchanged.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pandas as pd

from cropmap.schemas import CsvDialect

BYTE_ORDER_MARK: Final = "\ufeff"
FORMULA: Final = re.compile(r"^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
PLAIN_NUMBER: Final = re.compile(r"^[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?$")
GUARD: Final = "'"


def to_csv(frame: pd.DataFrame, dialect: CsvDialect = CsvDialect.PLAIN) -> bytes:
    """One line per row, no index; what is missing is an empty cell."""
    guarded_texts = frame.apply(lambda column: column.map(guarded) if _is_text(column) else column)
    decimal, separator = (",", ";") if dialect == CsvDialect.SEMICOLON else (".", ",")
    text: str = guarded_texts.to_csv(index=False, lineterminator="\n", sep=separator, decimal=decimal)
    return ((BYTE_ORDER_MARK if dialect != CsvDialect.PLAIN else "") + text).encode()


def guarded(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe in front; anything else as it is."""
    if isinstance(value, str) and FORMULA.match(value) and not PLAIN_NUMBER.match(value):
        return GUARD + value
    return value


def unguarded(value: Any) -> Any:
    """The text as it was before `guarded`."""
    if isinstance(value, str) and value.startswith(GUARD) and guarded(value[1:]) == value:
        return value[1:]
    return value


def _is_text(column: pd.Series[Any]) -> bool:
    return not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))
