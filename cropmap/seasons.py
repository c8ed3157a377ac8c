"""A season is a campaign year and the window of acquisitions that describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypedDict

from cropmap.errors import ConfigurationError

YEARS: Final = range(1980, 2101)
"""campaign years; Sentinel-2 began in 2015, imported tables may be older"""


class SeasonKey(TypedDict):
    """The natural key of everything that a season writes; passed as `**key`."""

    agency: str
    """short name"""
    season: int
    """campaign year"""


@dataclass(frozen=True)
class SeasonsAt:
    """The seasons that are worked on at a day."""

    all: tuple[int, ...]
    """those that ended a while ago and whose last acquisitions still come in, then those whose window holds the day"""
    current: int
    """the one that a person means by "this season\""""


@dataclass(frozen=True)
class Season:
    year: int
    start: date
    """first day of the acquisition window, inclusive"""
    end: date
    """last day of the acquisition window, inclusive"""

    @classmethod
    def from_window(cls, year: int, window: tuple[str, str]) -> Season:
        """`window` holds two ISO dates in which `{season}`, `{previous}` and `{next}` stand for years.

        Raises ConfigurationError when a date cannot be read or the window is empty, and for a year that is none.
        """
        if year not in YEARS:
            raise ConfigurationError(
                f"{year} is no campaign year", where="season", mend="Write it with four digits, such as --season 2018"
            )
        try:
            start, end = (
                date.fromisoformat(text.format(season=year, previous=year - 1, next=year + 1)) for text in window
            )
        except (ValueError, KeyError, IndexError) as error:
            raise ConfigurationError(
                f"window {list(window)} is not two dates ({error})",
                where="acquisitions.window",
                mend='Write ["{season}-01-01", "{season}-12-31"]',
            ) from error
        if end < start:
            raise ConfigurationError(f"window ends {end} before it starts {start}", where="acquisitions.window")
        return cls(year=year, start=start, end=end)

    @classmethod
    def at(cls, day: date, window: tuple[str, str], *, settling_days: int) -> SeasonsAt:
        """The seasons of a window at a day; between two windows the one that ended last.

        Where windows overlap the older one is current: its register is there.
        """
        near = [cls.from_window(year, window) for year in range(day.year - 2, day.year + 3)]
        if near[0].start == near[-1].start:  # the window names its year
            return SeasonsAt((day.year,), day.year)
        now = [season.year for season in near if season.start <= day <= season.end]
        over = [season for season in near if season.end < day]
        settling = [season.year for season in over if day <= season.end + timedelta(days=settling_days)]
        last = max(over, key=lambda season: season.end).year
        current = now[0] if now else last
        return SeasonsAt(tuple(sorted({*settling, *now, current})), current)

    def until(self, as_of: date | None) -> Season:
        """The season as it was known on `as_of`: later acquisitions do not exist yet."""
        return self if as_of is None or as_of >= self.end else Season(self.year, self.start, as_of)

    def day_of_year(self, day: date) -> int:
        """Days since 31 December before the season's year: 1 is 1 January, the autumn before is <= 0."""
        return (day - self.day_zero).days

    @property
    def day_zero(self) -> date:
        return date(self.year, 1, 1) - timedelta(days=1)
