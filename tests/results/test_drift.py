"""The day up to which two seasons are compared."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from cropmap.dataset.series import Series
from cropmap.errors import InputError
from cropmap.results.drift import last_observation


def series(*days: int) -> Series:
    n = len(days)
    return Series(
        parcel_ids=np.array(["a", "b"]),
        offsets=np.array([0, n, n]),
        day_of_year=np.array(days, np.int16),
        reflectance=np.zeros((n, 1), np.float32),
        clear_fraction=np.ones(n, np.float32),
        bands=("B04",),
        day_zero=date(2017, 12, 31),
    )


def test_the_last_day_on_which_anything_was_seen() -> None:
    """Day 1 is 1 January; days of the autumn before count down from 0."""
    assert last_observation(series(-30, 60, 59)) == date(2018, 3, 1)
    assert last_observation(series(0)) == date(2017, 12, 31)


def test_where_nothing_was_seen_there_is_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="no parcel was seen clearly yet"):
        last_observation(series())
