"""The memory benchmark trains on mapped files that hold what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cropmap.bench.memory import CLASSES, DATES, train_mapped, write_random_dataset
from cropmap.dataset.files import open_dataset
from cropmap.schemas import Architecture


def test_a_mapped_dataset_is_trained_on(tmp_path: Path) -> None:
    write_random_dataset(tmp_path, 200)
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset.series.reflectance, np.memmap)
    assert (dataset.series.lengths == DATES).all()
    assert set(dataset.label.tolist()) == set(range(CLASSES))
    assert dataset.folds.training_mask(0).sum() == 150
    found = train_mapped(tmp_path, Architecture.LSTM, 3)
    assert found["bytes"] > 200 * DATES * 10 * 4
    assert found["peak"] > found["bytes"]
