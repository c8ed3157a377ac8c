"""A tiny problem that can be learnt: three crops that differ in when they are green."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Final

import numpy as np

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import by_region
from cropmap.dataset.series import Series
from cropmap.model.training_config import TrainingConfig

CROPS: Final = ("barley", "maize", "meadow")
PEAK_DAY: Final = np.array([140, 215, 180])
BREADTH_DAYS: Final = np.array([20.0, 25.0, 70.0])


tiny = partial(
    TrainingConfig,
    width=16,
    heads=2,
    layers=1,
    min_steps=60,
    epochs=1,
    batch_size=16,
    learning_rate=1e-2,
    dropout=0.0,
    members=1,
)


def make_dataset(parcels: int = 90, *, regions: int = 3, seed: int = 7) -> Dataset:
    """Irregular dates (10 to 24 per parcel, one parcel without any), missing bands, one holding per two parcels."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, parcels).astype(np.int16)
    lengths = random.integers(10, 25, parcels)
    lengths[4] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    owner = np.repeat(np.arange(parcels), lengths)
    day = np.concatenate([np.sort(random.choice(np.arange(-20, 320), n, replace=False)) for n in lengths])
    green = np.exp(-(((day - PEAK_DAY[label[owner]]) / BREADTH_DAYS[label[owner]]) ** 2))
    reflectance = np.column_stack([0.12 - 0.08 * green, 0.2 + 0.3 * green]).astype(np.float32)
    reflectance += random.normal(0, 0.01, reflectance.shape).astype(np.float32)
    reflectance[random.random(reflectance.shape) < 0.05] = np.nan
    series = Series(
        parcel_ids=np.array([f"P{i:04d}" for i in range(parcels)]),
        offsets=offsets,
        day_of_year=day.astype(np.int16),
        reflectance=reflectance,
        clear_fraction=random.uniform(0.5, 1, len(day)).astype(np.float32),
        bands=("B04", "B08"),
        day_zero=date(2017, 12, 31),
    )
    region = [f"FRH0{1 + i * regions // parcels}" for i in range(parcels)]
    holding = [f"h{i // 2}" for i in range(parcels)]
    return Dataset(series, label, CROPS, by_region(region, labelled=label >= 0, holding_id=holding))
