"""Less of the same data: that each variant lacks what its name says and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import Folds
from cropmap.dataset.series import Series
from tests.studies.brittany import simulated_brittany
from tests.studies.thinned import VARIANTS, Variant, once_a_month, two_classes, with_bands


@pytest.fixture(scope="module")
def whole() -> Dataset:
    return simulated_brittany(parcels=300, seed=1).dataset


def test_fewer_parcels_keep_their_crop_their_fold_and_their_series(whole: Dataset) -> None:
    few = Variant(100).of(whole, seed=0)
    assert len(few.series) == 100
    at = np.searchsorted(whole.series.parcel_ids, few.series.parcel_ids)
    np.testing.assert_array_equal(few.series.lengths, whole.series.lengths[at])
    for i, k in enumerate(at):
        if few.label[i] >= 0:
            assert few.crops[few.label[i]] == whole.crops[whole.label[k]]
            assert few.folds.names[few.folds.fold[i]] == whole.folds.names[whole.folds.fold[k]]
        else:
            assert few.folds.fold[i] < 0
    assert np.bincount(few.label[few.label >= 0]).min() >= 2
    again = Variant(100).of(whole, seed=0)
    assert again.hash == few.hash
    other = Variant(100).of(whole, seed=1)
    assert other.series.parcel_ids.tolist() != few.series.parcel_ids.tolist()


def test_a_fold_that_judges_nobody_is_left_out() -> None:
    """A crop of one parcel goes, and with it the fold in which that parcel stood alone."""
    series = Series(
        parcel_ids=np.array([f"p{i}" for i in range(5)]),
        offsets=np.arange(6),
        day_of_year=np.arange(5, dtype=np.int16),
        reflectance=np.full((5, 1), 0.2, np.float32),
        clear_fraction=np.ones(5, np.float32),
        bands=("B04",),
        day_zero=date(2017, 12, 31),
    )
    folds = Folds("file", np.array([0, 1, 1, 2, 2], np.int16), ("a", "b", "c"), np.zeros((3, 5), bool), np.arange(5))
    dataset = Dataset(series, np.array([2, 0, 0, 1, 1], np.int16), ("maize", "rape", "wheat"), folds)
    few = Variant(5).of(dataset, seed=0)
    assert few.crops == ("maize", "rape")
    assert few.folds.names == ("b", "c")
    assert few.folds.fold.tolist() == [-1, 0, 0, 1, 1]
    assert few.folds.excluded.shape == (2, 5)


def test_the_clearest_observation_of_a_month_stays() -> None:
    series = Series(
        parcel_ids=np.array(["a", "b"]),
        offsets=np.array([0, 4, 5]),
        day_of_year=np.array([3, 10, 20, 40, 10], np.int16),
        reflectance=np.zeros((5, 1), np.float32),
        clear_fraction=np.array([0.9, 1.0, 1.0, 0.6, 0.7], np.float32),
        bands=("B04",),
        day_zero=date(2017, 12, 31),
    )
    folds = Folds("file", np.array([0, 1], np.int16), ("x", "y"), np.zeros((2, 2), bool), np.arange(2))
    thinned = once_a_month(Dataset(series, np.array([0, 1], np.int16), ("maize", "rape"), folds)).series
    assert thinned.day_of_year.tolist() == [10, 40, 10]
    assert thinned.lengths.tolist() == [2, 1]


def test_bands_and_classes(whole: Dataset) -> None:
    two = with_bands("B04", "B08").change(whole)
    assert two.series.bands == ("B04", "B08")
    columns = [whole.series.bands.index(band) for band in two.series.bands]
    np.testing.assert_array_equal(two.series.reflectance, whole.series.reflectance[:, columns])
    binary = two_classes(whole)
    assert binary.crops[1] == "other"
    assert ((binary.label == 0) == (whole.label == whole.crops.index(binary.crops[0]))).all()
    assert ((binary.label < 0) == (whole.label < 0)).all()


def test_a_variant_fits_where_there_is_enough_to_take_away(whole: Dataset) -> None:
    fitting = [variant for variant in VARIANTS if variant.fits(whole)]
    assert [variant.name for variant in fitting] == ["200 parcels"]
    thinned = fitting[0].of(whole, seed=1)
    assert thinned.judged.sum() > 150
    assert thinned.folds.count >= 2
    green = replace(whole, series=replace(whole.series, bands=tuple(f"X{k}" for k in range(len(whole.series.bands)))))
    assert not Variant(100, bands=frozenset({"B04"})).fits(green)
    assert Variant(100).fits(green)
