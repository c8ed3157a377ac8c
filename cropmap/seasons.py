"""A season is a campaign year and the window of acquisitions that describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from cropmap.errors import ConfigurationError


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

        Raises ConfigurationError when a date cannot be read or the window is empty.
        """
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

    def until(self, as_of: date | None) -> Season:
        """The season as it was known on `as_of`: later acquisitions do not exist yet."""
        return self if as_of is None or as_of >= self.end else Season(self.year, self.start, as_of)

    def day_of_year(self, day: date) -> int:
        """Days since 31 December before the season's year: 1 is 1 January, the autumn before is <= 0."""
        return (day - self.day_zero).days

    @property
    def day_zero(self) -> date:
        return date(self.year, 1, 1) - timedelta(days=1)
