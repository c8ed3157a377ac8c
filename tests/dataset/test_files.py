from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.files import open_dataset, write_dataset
from tests.model.problems import make_dataset


def _same(one: Dataset, other: Dataset) -> None:
    assert one.hash == other.hash
    np.testing.assert_array_equal(one.series.reflectance, other.series.reflectance)
    np.testing.assert_array_equal(one.folds.excluded, other.folds.excluded)
    assert (one.crops, one.series.bands, one.series.day_zero) == (
        other.crops,
        other.series.bands,
        other.series.day_zero,
    )


def test_a_dataset_comes_back_from_its_files_mapped(tmp_path: Path) -> None:
    dataset = make_dataset()
    folder = write_dataset(tmp_path, dataset)
    mapped = open_dataset(folder)
    _same(dataset, mapped)
    assert isinstance(mapped.series.reflectance, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        mapped.series.reflectance[0] = 99


def test_writing_it_twice_leaves_one_folder_and_what_was_killed_half_way_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / ".writing-of-a-killed-process").mkdir()
    first = write_dataset(tmp_path, make_dataset())
    written = (first / "reflectance.npy").stat().st_mtime_ns
    assert write_dataset(tmp_path, make_dataset()) == first
    assert (first / "reflectance.npy").stat().st_mtime_ns == written
    other = replace(make_dataset(), crops=("barley", "maize", "grass"))
    assert write_dataset(tmp_path, other) != first


def test_a_dataset_without_an_observation_has_files_too(tmp_path: Path) -> None:
    dataset = make_dataset()
    none = replace(
        dataset.series,
        offsets=np.zeros(len(dataset.series) + 1, np.int64),
        day_of_year=np.empty(0, np.int16),
        reflectance=np.empty((0, 2), np.float32),
        clear_fraction=np.empty(0, np.float32),
    )
    _same(replace(dataset, series=none), open_dataset(write_dataset(tmp_path, replace(dataset, series=none))))


@pytest.mark.parametrize("name", ["reflectance.npy", "label.npy", "facts.json"])
@pytest.mark.slow
def test_a_damaged_dataset_is_made_again(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    dataset = make_dataset()
    file = write_dataset(tmp_path, dataset) / name
    whole, draw = file.read_bytes(), np.random.default_rng(18)
    for at in draw.integers(0, len(whole), 40):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << int(draw.integers(0, 8)))]) + whole[at + 1 :])
        _same(dataset, open_dataset(write_dataset(tmp_path, dataset)))
    assert "it is made again" in caplog.text


def test_other_bytes_of_the_same_hash_are_no_dataset(tmp_path: Path) -> None:
    dataset = make_dataset()
    file = write_dataset(tmp_path, dataset) / "reflectance.npy"
    file.write_bytes(file.read_bytes().replace(b"'<f4'", b"'>f4'"))  # the hash sees bytes, not their order
    _same(dataset, open_dataset(write_dataset(tmp_path, dataset)))
