"""Numbers as people and spreadsheets write them: `1.234,56`, `1,234.56`, `1 234,56`, `1'234.56`, `0,5`. In: a column of
text; out: numbers. Which mark is the decimal one is decided for the column as a whole. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.errors import DeclarationFileError

Mark = Literal[".", ","]
OTHER: Final[dict[Mark, Mark]] = {".": ",", ",": "."}
MAX_UNREADABLE: Final = 0.5
"""above this share of values that are no numbers the wrong column is named"""
_SPACES: Final = str.maketrans({"\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2019": "'", "\u2212": "-"})
_GROUPED: Final = re.compile(r"^([+-]?\d{1,3})([ '.,])(\d{3}(?:\2\d{3})*)(?:([.,])(\d*))?$")
_SIMPLE: Final = re.compile(r"^([+-]?\d*)([.,]?)(\d*)([eE][+-]?\d{1,3})?$")


@dataclass(frozen=True)
class _Written:
    """One value, taken apart."""

    mark: Mark | None = None
    """the decimal mark that it must have"""
    decimal: float = np.nan
    """its value"""
    grouped: float = np.nan
    """its value if its only mark (`1.234`) parts thousands; NaN where it cannot"""
    only: Mark | None = None
    """that mark"""


@dataclass(frozen=True, eq=False)
class _Column:
    """The n distinct values of a column, taken apart: in columns, because nearly every row of areas has its own."""

    rows: NDArray[np.intp]
    """of every row the position of its value; -1 where it has none"""
    words: NDArray[np.object_]
    decimal: NDArray[np.float64]
    grouped: NDArray[np.float64]
    only: NDArray[np.object_]
    """these three as in _Written"""
    marks: frozenset[Mark]
    """that some value must have"""

    @classmethod
    def of(cls, text: pd.Series[Any]) -> _Column:
        rows, words = pd.factorize(text.to_numpy(object))
        decimal, grouped = np.full((2, len(words)), np.nan)
        only = np.full(len(words), None, dtype=object)
        marks: set[Mark] = set()
        for position, word in enumerate(words):
            value = _take_apart(str(word))
            decimal[position], grouped[position], only[position] = value.decimal, value.grouped, value.only
            if value.mark:
                marks.add(value.mark)
        return cls(rows, words, decimal, grouped, only, frozenset(marks))

    def of_rows(self, values: NDArray[Any], missing: object) -> NDArray[Any]:
        """Of every row what `values` has of its value."""
        return np.append(values, np.array([missing], dtype=values.dtype))[self.rows]


def read_numbers(
    text: pd.Series[Any], near: Any = None, *, where: str = "declarations.columns.area"
) -> tuple[pd.Series[float], int]:
    """(numbers, how many values are none); NaN where there is no number or no text.

    `1.234` alone may be one and a bit, or a thousand: other values of the column decide, else `near`, about what each
    row should be (NaN where that is not known). Raises DeclarationFileError where neither does.
    """
    column = _Column.of(text)
    unclear = set(column.only) - {None}
    read = column.decimal
    if unclear:
        mark = next(iter(column.marks)) if len(column.marks) == 1 else None
        if not column.marks and len(unclear) == 1:
            mark = _nearer(column, next(iter(unclear)), near)
        if mark is None:
            raise _ambiguous((word for word, mark in zip(column.words, column.only, strict=True) if mark), where)
        read = np.where(column.only == OTHER[mark], column.grouped, column.decimal)
    numbers = pd.Series(column.of_rows(read, np.nan), index=text.index, dtype=float)
    numbers[~np.isfinite(numbers)] = np.nan
    unreadable = int((numbers.isna() & text.notna()).sum())
    return numbers, unreadable


def read_areas(text: pd.Series[Any], near: Any, *, where: str) -> tuple[pd.Series[float], int]:
    """As read_numbers; refuses a column in which most values are no numbers."""
    numbers, unreadable = read_numbers(text, near, where=where)
    if unreadable > MAX_UNREADABLE * max(int(text.notna().sum()), 1):
        sample = text[numbers.isna() & text.notna()].iloc[0]
        raise DeclarationFileError(
            f"the column of areas holds {unreadable} values that are no numbers, such as {str(sample)[:40]!r}",
            where=where,
            mend="Map another column to area, or none",
        )
    return numbers, unreadable


def _take_apart(text: str) -> _Written:
    text = text.strip().translate(_SPACES)
    if (grouped := _GROUPED.match(text)) is not None:
        first, by, groups, mark, rest = grouped.groups()
        whole = first + groups.replace(by, "")
        if mark is not None and mark != by:
            return _Written(_mark(mark), float(f"{whole}.{rest or 0}"))
        if mark is None and by in " '":
            return _Written(None, float(whole))
        if mark is None and by in groups:
            return _Written(OTHER[_mark(by)], float(whole))
        if mark is None and first.lstrip("+-") != "0":
            return _Written(None, float(f"{first}.{groups}"), float(whole), _mark(by))
    if (simple := _SIMPLE.match(text)) is not None and (simple.group(1).strip("+-") or simple.group(3)):
        whole, mark, rest, power = simple.groups()
        return _Written(
            _mark(mark) if mark else None,
            float(f"{whole or '0'}.{rest or 0}{power or ''}".replace("+.", "0.").replace("-.", "-0.")),
        )
    return _Written()


def _mark(text: str) -> Mark:
    return "." if text == "." else ","


def _nearer(column: _Column, only: Mark, near: Any) -> Mark | None:
    """The decimal mark under which the numbers come nearest to what they should be."""
    if near is None:
        return None
    expected = np.asarray(near, dtype=float)
    unclear = np.array([mark is not None for mark in column.only], dtype=bool)
    best: dict[Mark, float] = {}
    for mark in (only, OTHER[only]):
        values = np.where(unclear, column.grouped, column.decimal) if mark != only else column.decimal
        each = column.of_rows(values, np.nan)
        known = (each > 0) & (expected > 0) & column.of_rows(unclear, False)
        if not known.any():
            return None
        best[mark] = float(np.median(np.abs(np.log(each[known] / expected[known]))))
    return min(best, key=lambda mark: best[mark])


def _ambiguous(values: Iterable[Any], where: str) -> DeclarationFileError:
    some = ", ".join(str(value) for value, _ in zip(values, range(3), strict=False))
    return DeclarationFileError(
        f"numbers such as {some} can be read in two ways, with thousands or with three decimals",
        where=where,
        mend="Write the areas without marks between thousands",
    )
