"""The random forest's calendar: each band interpolated to fixed slots."""

from __future__ import annotations

from datetime import date

import numpy as np

from cropmap.bench.accuracy import SEASON_DAYS, SLOT_DAYS, calendar_features
from cropmap.dataset.series import Series


def test_bands_are_interpolated_between_observations_and_held_outside() -> None:
    series = Series(
        parcel_ids=np.array(["a", "b"]),
        offsets=np.array([0, 2, 2]),
        day_of_year=np.array([47, 77], np.int16),
        reflectance=np.array([[0.1, np.nan], [0.4, 0.6]], np.float32),
        clear_fraction=np.ones(2, np.float32),
        bands=("B04", "B08"),
        day_zero=date(2017, 12, 31),
    )
    slots = np.arange(SEASON_DAYS[0], SEASON_DAYS[1] + 1, SLOT_DAYS)
    features = calendar_features(series).reshape(2, len(slots), 2)
    assert slots[:4].tolist() == [32, 47, 62, 77]
    np.testing.assert_allclose(features[0, :5, 0], [0.1, 0.1, 0.25, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(features[0, :, 1], 0.6, atol=1e-6)
    assert not features[1].any()
