from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from cropmap.dataset.batches import by_length, pad, positions, shuffled
from cropmap.dataset.dataset import Dataset, label_parcels
from cropmap.dataset.folds import by_region
from cropmap.dataset.series import Series
from cropmap.errors import ModelError

SERIES = Series(
    parcel_ids=np.array(["a", "b", "c"]),
    offsets=np.array([0, 2, 2, 5]),
    day_of_year=np.array([-3, 10, 20, 30, 370], np.int16),
    reflectance=np.array([[1, 2], [3, np.nan], [5, 6], [7, 8], [9, 10]], np.float32),
    clear_fraction=np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32),
    bands=("B04", "B08"),
    day_zero=date(2017, 12, 31),
)


def test_a_batch_is_padded_at_the_end_with_clear_fraction_as_last_channel() -> None:
    batch = pad(SERIES, np.array([2, 0, 1]))
    assert batch.reflectance.shape == (3, 3, 3)
    assert batch.valid.tolist() == [[True] * 3, [True, True, False], [False] * 3]
    np.testing.assert_array_equal(batch.day_of_year, [[20, 30, 370], [-3, 10, 0], [0, 0, 0]])
    np.testing.assert_array_equal(
        batch.reflectance[1], np.array([[1, 2, 0.1], [3, np.nan, 0.2], [0, 0, 0]], np.float32)
    )
    assert not batch.reflectance[2].any()


def test_observations_that_are_left_out_leave_no_hole() -> None:
    picked = positions(SERIES, np.array([0, 2])).keep(np.array([[0, 1, 1], [1, 0, 1]], bool))
    assert picked.valid.tolist() == [[True, False], [True, True]]
    assert picked.row.tolist() == [[1, 0], [2, 4]]


def test_a_batch_of_empty_series_still_has_one_step() -> None:
    assert pad(SERIES, np.array([1])).reflectance.shape == (1, 1, 3)
    nothing = replace(
        SERIES,
        offsets=np.zeros(4, np.int64),
        day_of_year=SERIES.day_of_year[:0],
        reflectance=SERIES.reflectance[:0],
        clear_fraction=SERIES.clear_fraction[:0],
    )
    assert not pad(nothing, np.array([0, 1])).valid.any()


def test_batches_by_length_hold_every_observed_parcel_once_short_ones_first() -> None:
    batches = [batch.tolist() for batch in by_length(np.array([5, 0, 2, 9, 2, 7]), batch_size=2)]
    assert batches == [[2, 4], [0, 5], [3]]


def test_shuffled_batches_cover_the_index_once_and_repeat_with_the_seed() -> None:
    lengths = np.arange(100) % 17 + 1
    index = np.arange(3, 90)
    first, again, other = (
        shuffled(lengths, index, batch_size=8, random=np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert sorted(np.concatenate(first).tolist()) == index.tolist()
    assert [b.tolist() for b in first] == [b.tolist() for b in again] != [b.tolist() for b in other]


def test_rare_classes_are_left_out_by_name() -> None:
    labels = label_parcels(["wheat", None, "maize", "wheat", "hops", "maize", "rye"], min_class_parcels=2)
    assert labels.crops == ("maize", "wheat")
    assert labels.label.tolist() == [1, -1, 0, 1, -1, 0, -1]
    assert labels.too_rare == {"hops": 1, "rye": 1}
    with pytest.raises(ModelError, match=r"^1 class\(es\) have 2 or more"):
        label_parcels(["wheat", "wheat", "rye"], min_class_parcels=2)


def test_the_hash_of_a_dataset_follows_its_labels_and_observations() -> None:
    folds = by_region(["A", "B", "A"], labelled=np.array([True, True, True]))
    dataset = Dataset(SERIES, np.array([0, 1, 1], np.int16), ("maize", "wheat"), folds)
    assert dataset.judged.tolist() == [True, False, True]
    relabelled = replace(dataset, label=np.array([1, 1, 1], np.int16))
    darker = replace(dataset, series=replace(SERIES, reflectance=SERIES.reflectance - np.float32(0.01)))
    assert len({dataset.hash, relabelled.hash, darker.hash}) == 3
    assert replace(dataset).hash == dataset.hash


def test_what_a_folds_model_never_learns_is_known() -> None:
    series = replace(
        SERIES,
        parcel_ids=np.array(list("abcdef")),
        offsets=np.arange(7),
        day_of_year=np.arange(6, dtype=np.int16),
        reflectance=np.zeros((6, 2), np.float32),
        clear_fraction=np.ones(6, np.float32),
    )
    label = np.array([0, 1, 2, 0, 1, 1], np.int16)  # the third crop grows in the first region alone
    region = ["N", "N", "N", "S", "S", "S"]
    dataset = Dataset(
        series, label, ("corn", "hop", "rape"), by_region(region, labelled=label >= 0, holding_id=[None] * 6)
    )
    assert dataset.never_learnt().tolist() == [[False, False, True], [False, False, False]]
    left_out = np.array([False, True, False, False, False, False])
    assert dataset.never_learnt(left_out).tolist() == [[False, False, True], [False, True, False]]
