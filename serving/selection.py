"""Which figures of a dataflow a request asks for: keys, periods, conditions on dimensions, first and last ones.

A key has a place for each dimension but time, in their order: `A.C1110+C1500.AR_THS_HA.` An empty place (or `*`) takes
every code, `+` separates codes, and a comma separates keys. (SDMX REST 1.5 and 2.1.)
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.dissemination.sdmx_ml import SERIES
from cropmap.dissemination.sdmx_structure import TIME
from cropmap.errors import InputError
from serving.dataflows import ANY
from serving.errors import NotFoundError

Mask = NDArray[np.bool_]
PERIOD: Final = re.compile(r"(?P<year>\d{4})(-[\w:.+-]*)?")
OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "co": operator.contains,
    "nc": lambda code, value: value not in code,
    "sw": str.startswith,
    "ew": str.endswith,
}
"""of a condition on a dimension (SDMX REST 2.1)"""


@dataclass(frozen=True)
class Selection:
    key: str = "*"
    start: str = ""
    """period; the year counts"""
    end: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """dimension -> `ge:2017+le:2019`, `FRH01,FRH02`: + is and, a comma is or"""
    codes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """dimension -> those of its codes that are asked for"""
    first: int | None = None
    """observations of each series"""
    last: int | None = None


def select(table: pd.DataFrame, wanted: Selection) -> pd.DataFrame:
    """The rows of the long form that are asked for, sorted as before.

    Raises InputError for a key, a period or a condition that is none, and NotFoundError where no figure is left.
    """
    fits = by_key(table, wanted.key)
    if wanted.start:
        fits &= (table[TIME] >= year(wanted.start, where="startPeriod")).to_numpy(bool)
    if wanted.end:
        fits &= (table[TIME] <= year(wanted.end, where="endPeriod")).to_numpy(bool)
    for name, codes in wanted.codes.items():
        fits &= table[name].isin(codes).to_numpy(bool)
    for name, condition in wanted.conditions.items():
        fits &= by_condition(table, name, condition)
    chosen = table[fits]
    if wanted.first is not None or wanted.last is not None:
        chosen = _first_and_last(chosen, wanted.first, wanted.last)
    if chosen.empty:
        raise NotFoundError("no figure is released for this selection", where=wanted.key, mend="Ask for others, or all")
    return chosen.reset_index(drop=True)


def by_key(table: pd.DataFrame, key: str) -> Mask:
    """[rows] whether one of the keys has them. Raises InputError for a key of another length."""
    fits = np.zeros(len(table), dtype=bool)
    for one in key.split(","):
        places = [""] * len(SERIES) if one in (*ANY, "") else one.split(".")
        if len(places) != len(SERIES):
            raise InputError(
                f"has {len(places)} dimensions, and the dataflow has {len(SERIES)}",
                where=f"key {one}",
                mend=f"Write {'.'.join(SERIES)}, and leave a place empty for every code",
            )
        of_key = np.ones(len(table), dtype=bool)
        for name, place in zip(SERIES, places, strict=True):
            if place not in ("", "*"):
                of_key &= table[name].isin(place.split("+")).to_numpy(bool)
        fits |= of_key
    return fits


def by_condition(table: pd.DataFrame, name: str, condition: str) -> Mask:
    """[rows] whether the codes of a dimension fulfil it. Raises InputError for an unknown operator, or no period."""
    places, codes = pd.factorize(table[name])
    fits = np.ones(len(codes), dtype=bool)
    for part in re.split(r"[+ ]", condition):  # an unescaped + is a space in a query
        of_part = np.zeros(len(codes), dtype=bool)
        for one in part.split(","):
            word, colon, value = one.partition(":")
            if not colon:
                word, value = "eq", one
            compare = OPERATORS.get(word)
            if compare is None:
                mend = f"Known are: {', '.join(OPERATORS)}"
                raise InputError(f"{word!r} is no operator", where=f"c[{name}]", mend=mend)
            value = year(value, where=f"c[{name}]") if name == TIME else value
            of_part |= np.array([compare(code, value) for code in codes], dtype=bool)
        fits &= of_part
    return fits[places]


def year(period: str, *, where: str) -> str:
    """The year of a period: every figure is of a year. Raises InputError for what is no period."""
    read = PERIOD.fullmatch(period)
    if read is None:
        raise InputError(f"{period!r} is no period", where=where, mend="Write a year: 2018")
    return read["year"]


def moment(text: str | None, *, where: str) -> datetime | None:
    """A moment; a day means its end, and without a time zone UTC is meant. Raises InputError for what is none."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + is a space in a query
    except ValueError as error:
        mend = "Write a day or a time: 2018-11-03T12:00:00Z"
        raise InputError(f"{text!r} is no moment", where=where, mend=mend) from error
    if len(text) <= len("2018-11-03"):
        read = datetime.combine(read, time.max)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _first_and_last(table: pd.DataFrame, first: int | None, last: int | None) -> pd.DataFrame:
    """The first or last observations of each series, or both; the table is sorted by series and time."""
    series = table.groupby(list(SERIES), sort=False)
    kept = pd.Series(data=False, index=table.index)
    if first is not None:
        kept |= series.cumcount() < first
    if last is not None:
        kept |= series.cumcount(ascending=False) < last
    return table[kept]
