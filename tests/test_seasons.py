"""Which seasons are worked on at a day: by the agency's window, not by the calendar's year."""

from __future__ import annotations

from datetime import date

import pytest

from cropmap.errors import ConfigurationError
from cropmap.seasons import Season

CALENDAR = ("{season}-01-01", "{season}-12-31")
WINTER = ("{previous}-10-01", "{season}-09-30")
INTO_SPRING = ("{season}-04-01", "{next}-03-31")
SUMMER = ("{season}-04-01", "{season}-09-30")
OVERLAPPING = ("{previous}-10-01", "{season}-12-31")
SETTLING_DAYS = 14


@pytest.mark.parametrize(
    ("window", "day", "current", "worked_on"),
    [
        (CALENDAR, date(2025, 7, 1), 2025, (2025,)),
        (CALENDAR, date(2025, 12, 31), 2025, (2025,)),
        (CALENDAR, date(2026, 1, 5), 2026, (2025, 2026)),  # December's last looks come in, and are published
        (CALENDAR, date(2026, 1, 15), 2026, (2026,)),
        (WINTER, date(2025, 9, 30), 2025, (2025,)),
        (WINTER, date(2025, 10, 1), 2026, (2025, 2026)),
        (WINTER, date(2025, 10, 15), 2026, (2026,)),
        (WINTER, date(2025, 12, 31), 2026, (2026,)),
        (INTO_SPRING, date(2026, 2, 1), 2025, (2025,)),
        (INTO_SPRING, date(2026, 4, 1), 2026, (2025, 2026)),
        (SUMMER, date(2025, 12, 1), 2025, (2025,)),  # between two windows: the one that is over
        (SUMMER, date(2026, 2, 1), 2025, (2025,)),
        (OVERLAPPING, date(2025, 11, 15), 2025, (2025, 2026)),
        (("2018-01-01", "2018-12-31"), date(2025, 7, 1), 2025, (2025,)),
    ],
)
def test_the_season_is_that_of_the_window(
    window: tuple[str, str], day: date, current: int, worked_on: tuple[int, ...]
) -> None:
    found = Season.at(day, window, settling_days=SETTLING_DAYS)
    assert (found.current, found.all) == (current, worked_on)


@pytest.mark.parametrize("year", [18, 0, -1, 20_018])
def test_a_year_that_is_none_is_not_the_windows_fault(year: int) -> None:
    with pytest.raises(ConfigurationError, match="no campaign year") as caught:
        Season.from_window(year, CALENDAR)
    assert "window" not in str(caught.value)
