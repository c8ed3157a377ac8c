"""The parameter `datetime`: a moment or an interval (RFC 3339), and the campaign years that it touches.

A campaign year is the interval from its first to its last moment, UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from cropmap.errors import InputError

OPEN: Final = ("", "..")
WHERE: Final = "datetime"
MEND: Final = "Give a moment (2018-05-01T00:00:00Z) or an interval (2018-01-01/2018-12-31, 2018-01-01/..)"


def years_of(text: str) -> tuple[int | None, int | None]:
    """The first and the last campaign year of a moment or an interval; None where it is open. Raises InputError."""
    first, separator, last = text.partition("/")
    if not separator:
        year = _year(first)
        return year, year
    begin = None if first in OPEN else _moment(first)
    end = None if last in OPEN else _moment(last)
    if begin is not None and end is not None and begin > end:
        raise InputError("the interval ends before it begins", where=WHERE, mend=MEND)
    return begin.year if begin else None, end.year if end else None


def interval_of(season: int) -> tuple[str, str]:
    """The first and the last moment of a campaign year."""
    return f"{season}-01-01T00:00:00Z", f"{season}-12-31T23:59:59Z"


def _year(text: str) -> int:
    return _moment(text).year


def _moment(text: str) -> datetime:
    try:
        if len(text) == len("2018-05-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError("neither a moment nor an interval", where=WHERE, mend=MEND) from error
