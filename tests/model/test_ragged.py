"""Batches gathered from ragged series: padding is zero, and the calendar of a parcel moves as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from cropmap.dataset.batches import positions
from cropmap.dataset.series import Series
from cropmap.model.ragged import on_device

SERIES = Series(
    parcel_ids=np.array(["a", "b", "c"]),
    offsets=np.array([0, 3, 3, 5]),
    day_of_year=np.array([10, 20, 30, 40, 50], np.int16),
    reflectance=np.array([[0.1, 0.2], [0.3, np.nan], [0.5, 0.6], [0.7, 0.8], [0.9, 1.0]], np.float32),
    clear_fraction=np.array([1.0, 0.9, 0.8, 0.7, 0.6], np.float32),
    bands=("B04", "B08"),
    day_zero=date(2017, 12, 31),
)
"""a has three observations, b none, c two"""


def test_values_stand_first_and_padding_is_zero() -> None:
    reflectance, day, valid = on_device(SERIES, "cpu").batch(positions(SERIES, np.array([2, 1, 0])))
    assert valid.tolist() == [[True, True, False], [False, False, False], [True, True, True]]
    assert day.tolist() == [[40, 50, 0], [0, 0, 0], [10, 20, 30]]
    assert reflectance.shape == (3, 3, 3)
    assert np.allclose(reflectance[0], [[0.7, 0.8, 0.7], [0.9, 1.0, 0.6], [0.0, 0.0, 0.0]]), (
        "the clear fraction comes last"
    )
    assert not reflectance[1].any()
    assert reflectance[2, 1, 1].isnan(), "a missing band is no padding"


def test_every_parcel_has_its_own_shift_and_padding_none() -> None:
    ragged = on_device(SERIES, "cpu")
    _, day, _ = ragged.batch(positions(SERIES, np.array([2, 0])), shift_days=np.array([5.0, -12.0], np.float32))
    assert day.tolist() == [[45, 55, 0], [-2, 8, 18]]
    _, unmoved, _ = ragged.batch(positions(SERIES, np.array([2, 0])))
    assert unmoved.tolist() == [[40, 50, 0], [10, 20, 30]], "the series itself is not moved"


@pytest.mark.filterwarnings("error")
def test_arrays_are_shared_read_only_ones_too_without_a_warning() -> None:
    frozen = SERIES.clear_fraction.copy()
    frozen.flags.writeable = False
    ragged = on_device(replace(SERIES, clear_fraction=frozen), "cpu")
    assert ragged.clear_fraction.numpy().ctypes.data == frozen.ctypes.data
    assert ragged.day_of_year.numpy().ctypes.data == SERIES.day_of_year.ctypes.data
