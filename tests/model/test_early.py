"""The days at which a season is looked at: the middle and the end of each month."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from cropmap.dataset.series import Series
from cropmap.model.early import fortnight_ends


def seen(*days: date, year: int = 2018) -> Series:
    day_zero = date(year - 1, 12, 31)
    n = len(days)
    return Series(
        parcel_ids=np.array(["a"]),
        offsets=np.array([0, n]),
        day_of_year=np.array([(day - day_zero).days for day in days], np.int16),
        reflectance=np.zeros((n, 1), np.float32),
        clear_fraction=np.ones(n, np.float32),
        bands=("B04",),
        day_zero=day_zero,
    )


@pytest.mark.parametrize(
    ("first", "last", "ends"),
    [
        ((2018, 3, 2), (2018, 3, 15), ["2018-03-15"]),  # the 15th belongs to the first half
        ((2018, 3, 2), (2018, 3, 16), ["2018-03-15", "2018-03-31"]),
        ((2018, 3, 15), (2018, 3, 15), ["2018-03-15"]),
        ((2018, 3, 31), (2018, 4, 1), ["2018-03-31", "2018-04-15"]),
        ((2018, 2, 20), (2018, 3, 1), ["2018-02-28", "2018-03-15"]),
        ((2020, 2, 20), (2020, 2, 29), ["2020-02-29"]),  # of a leap year
        ((2017, 12, 20), (2018, 1, 2), ["2017-12-31", "2018-01-15"]),  # over the end of a year
    ],
)
def test_from_the_first_with_an_observation_to_the_first_with_all(
    first: tuple[int, int, int], last: tuple[int, int, int], ends: list[str]
) -> None:
    series = seen(date(*last), date(*first), year=last[0])
    assert [str(day) for day in fortnight_ends(series)] == ends


def test_without_an_observation_there_is_no_day() -> None:
    assert fortnight_ends(seen()) == ()
