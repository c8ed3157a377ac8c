"""What training changes of a batch, and what it must leave: order, a last observation, the other parcels."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
import torch

from cropmap.dataset.series import Series
from cropmap.model.augmentation import CLOUD_OPACITY, CLOUD_REFLECTANCE, augmented
from cropmap.model.ragged import on_device
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture

PARCELS, DATES = 400, 10
DAYS = np.tile(np.arange(10, 110, 10), PARCELS)
"""each parcel was seen on days 10, 20, ... 100; its reflectance is .05 throughout"""
SERIES = Series(
    parcel_ids=np.array([f"p{n:04d}" for n in range(PARCELS)]),
    offsets=np.arange(PARCELS + 1) * DATES,
    day_of_year=DAYS.astype(np.int16),
    reflectance=np.full((PARCELS * DATES, 2), 0.05, np.float32),
    clear_fraction=np.full(PARCELS * DATES, 0.8, np.float32),
    bands=("B04", "B08"),
    day_zero=date(2017, 12, 31),
)
NOTHING = {"truncate_rate": 0.0, "drop_rate": 0.0, "shift_days": 0.0, "cloud_rate": 0.0}


def changed(seed: int = 3, **rates: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    config = TrainingConfig(architecture=Architecture.LSTM, **(NOTHING | rates))
    torch.manual_seed(seed)
    ragged, everyone = on_device(SERIES, "cpu"), np.arange(PARCELS)
    parts = augmented(SERIES, ragged, everyone, config, np.random.default_rng(seed))
    reflectance, day, valid = (part.numpy() for part in parts)
    return reflectance, day, valid


def test_without_a_rate_nothing_changes() -> None:
    reflectance, day, valid = changed()
    assert valid.all()
    assert (day == DAYS.reshape(PARCELS, DATES)).all()
    assert np.allclose(reflectance, [0.05, 0.05, 0.8])


def test_a_series_that_is_cut_keeps_its_beginning() -> None:
    """Every parcel ends on a day between its first and its last: the first dates stay, in their order, at least one."""
    _, day, valid = changed(truncate_rate=1.0)
    lengths = valid.sum(axis=1)
    assert lengths.min() >= 1
    assert len(set(lengths.tolist())) == DATES, "every length occurs among 400"
    for row, length in zip(day, lengths, strict=True):
        assert row[:length].tolist() == list(range(10, 10 * length + 1, 10))
        assert not row[length:].any()


def test_a_share_of_the_parcels_is_cut() -> None:
    """Half of 400, each shorter but for the tenth that is cut behind its last date: about 180, give or take 4 x 10."""
    _, _, valid = changed(truncate_rate=0.5)
    assert 140 <= (valid.sum(axis=1) < DATES).sum() <= 220


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_dates_are_lost_and_never_all_of_them(rate: float) -> None:
    """A batch loses a share of its dates between none and `rate`, on average half of it: the mean of 60 batches is off
    by rate / sqrt(12 x 60) = .037 of it."""
    shares = []
    for seed in range(60):
        _, day, valid = changed(seed, drop_rate=rate)
        shares.append(1 - valid.sum() / (PARCELS * DATES))
        assert valid.any(axis=1).all()
        assert (valid[:, 1:] <= valid[:, :-1]).all(), "the others move up and leave no hole"
        assert (np.diff(day, axis=1)[valid[:, 1:]] > 0).all(), "in their order"
    assert np.mean(shares) == pytest.approx(rate / 2, abs=0.12 * rate)
    assert max(shares) <= rate + 0.03


def test_the_calendar_of_a_parcel_moves_as_a_whole() -> None:
    _, day, _ = changed(shift_days=10.0)
    moved = day - DAYS.reshape(PARCELS, DATES)
    assert np.allclose(moved, moved[:, :1], atol=1e-4)
    assert moved[:, 0].std() == pytest.approx(10.0, rel=0.15)


def test_a_thin_cloud_brightens_all_bands_and_not_the_clear_fraction() -> None:
    """.05 + opacity x (cloud - .05): at least .05 + .1 x (.3 - .05) = .075, at most .05 + .6 x (.9 - .05) = .56."""
    assert (CLOUD_REFLECTANCE, CLOUD_OPACITY) == ((0.3, 0.9), (0.1, 0.6))
    reflectance, _, _ = changed(cloud_rate=0.25)
    bands, clear = reflectance[..., :2], reflectance[..., 2]
    clouded = bands[..., 0] > 0.051
    assert clouded.mean() == pytest.approx(0.25, abs=0.04)
    assert bands[clouded].min() >= 0.0749
    assert bands[clouded].max() <= 0.5601
    assert np.allclose(bands[~clouded], 0.05)
    assert np.allclose(bands[..., 0], bands[..., 1])
    assert np.allclose(clear, 0.8)


def test_the_generator_of_the_step_alone_decides_what_is_left_out() -> None:
    """Step 1,000 of a training that was resumed is step 1,000 of one that was not."""
    rates = {"truncate_rate": 0.5, "drop_rate": 0.5, "shift_days": 5.0}
    first, again, other = changed(1, **rates), changed(1, **rates), changed(2, **rates)
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert first[1].shape != other[1].shape or (first[1] != other[1]).any()
