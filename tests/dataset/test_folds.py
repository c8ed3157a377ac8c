from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropmap.dataset.folds import Folds, Names, at_random, by_block, by_region, from_file
from cropmap.errors import ConfigurationError

LABELLED = np.ones(6, bool)


def test_a_region_is_judged_by_a_model_of_the_other_regions() -> None:
    folds = by_region(["FRH02", "FRH01", None, "FRH02", "FRH03", "FRH01"], labelled=np.array([1, 1, 1, 1, 0, 1], bool))
    assert folds.names == ("FRH01", "FRH02")
    assert folds.fold.tolist() == [1, 0, -1, 1, -1, 0]
    assert folds.training_mask(0).tolist() == [True, False, False, True, False, False]


@pytest.mark.parametrize("names", [list, lambda names: pd.Series(names, dtype=object), lambda names: pd.Series(names)])
def test_a_parcel_with_an_empty_region_or_holding_has_none(names: Callable[[list[str | None]], Names]) -> None:
    folds = by_region(
        names(["FRH02", "", "FRH01", None]), labelled=np.ones(4, bool), holding_id=names(["", "h1", None, ""])
    )
    assert folds.names == ("FRH01", "FRH02")
    assert folds.fold.tolist() == [1, -1, 0, -1]
    assert len(set(folds.holding.tolist())) == 4


def test_a_holding_in_two_regions_teaches_neither_model_about_itself() -> None:
    folds = by_region(
        ["A", "A", "B", "B", "B", "A"], labelled=LABELLED, holding_id=["h1", "h2", "h2", "h3", None, None]
    )
    assert folds.training_mask(0).tolist() == [False, False, False, True, True, False]
    assert folds.training_mask(1).tolist() == [True, False, False, False, False, True]


def test_neighbours_of_a_judged_parcel_are_left_out_up_to_the_distance() -> None:
    xy = np.array([[0.0, 0], [100, 0], [201, 0], [0, 100], [5000, 0], [5000, 900]])
    folds = by_region(["A", "B", "B", "B", "B", "B"], labelled=LABELLED, xy=xy, neighbour_distance_m=100)
    assert folds.training_mask(0).tolist() == [False, False, True, False, True, True]
    assert folds.training_mask(1).tolist() == [False] * 6


def test_blocks_are_dealt_so_that_every_fold_sees_every_class() -> None:
    # four blocks of 1 km, each with two parcels of class 0 and one of class 1
    xy = np.array([[x + d, y + d] for x in (0.0, 1000) for y in (0.0, 1000) for d in (10, 20, 30)])
    folds = by_block(xy, label=np.array([0, 0, 1] * 4, np.int16), count=2, block_m=1000)
    assert [folds.fold[i : i + 3].tolist() for i in (0, 3, 6, 9)] == [[0] * 3, [1] * 3, [0] * 3, [1] * 3]


def test_a_written_fold_is_kept_and_an_unlisted_parcel_is_not_judged() -> None:
    folds = from_file(
        {"b": "10", "a": "2", "zz": "2", "d": "10"},
        parcel_ids=["a", "b", "c", "d"],
        labelled=np.array([1, 1, 1, 0], bool),
    )
    assert folds.names == ("10", "2")
    assert folds.fold.tolist() == [1, 0, -1, -1]


def test_a_written_fold_is_not_taught_by_the_neighbours_of_its_parcels() -> None:
    folds = from_file(
        {"a": "west", "b": "west", "c": "east", "d": "east"},
        parcel_ids=["a", "b", "c", "d"],
        labelled=np.ones(4, bool),
        xy=np.array([[0.0, 0], [900, 0], [1000, 0], [2000, 0]]),
        neighbour_distance_m=100,
    )
    assert folds.names == ("east", "west")
    assert folds.training_mask(0).tolist() == [True, False, False, False]
    assert folds.training_mask(1).tolist() == [False, False, False, True]


def test_a_random_split_says_so_and_repeats() -> None:
    label = np.tile([0, 1, 2], 20).astype(np.int16)
    first, again, other = (at_random(label=label, count=3, seed=seed) for seed in (1, 1, 2))
    assert not first.is_spatial
    assert first.fold.tolist() == again.fold.tolist() != other.fold.tolist()
    assert np.bincount(first.fold).tolist() == [20, 20, 20]


def test_one_region_or_one_block_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationError, match="by: block"):
        by_region(["DE21B"] * 6, labelled=LABELLED)
    with pytest.raises(ConfigurationError, match=r"block_size_m.*smaller"):
        by_block(np.zeros((6, 2)), label=np.zeros(6, np.int16))
    with pytest.raises(ConfigurationError, match="two or more folds"):
        from_file({"x": "1"}, parcel_ids=list("abcdef"), labelled=LABELLED)


@st.composite
def places(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int16], list[str | None]]:
    n = draw(st.integers(4, 40))
    xy = np.array(draw(st.lists(st.tuples(*[st.integers(0, 4000)] * 2), min_size=n, max_size=n)), float)
    label = np.array(draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)), np.int16)
    holding = draw(st.lists(st.sampled_from([None, "h1", "h2", "h3", "h4", "h5"]), min_size=n, max_size=n))
    return xy, label, holding


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(places(), st.integers(2, 4), st.sampled_from([0.0, 300.0]), st.booleans())
def test_no_model_judges_what_it_saw_nor_a_holding_nor_a_neighbour_of_it(
    place: tuple[NDArray[np.float64], NDArray[np.int16], list[str | None]], count: int, distance: float, spatial: bool
) -> None:
    xy, label, holding = place
    try:
        folds: Folds = (
            by_block(xy, label=label, count=count, block_m=1000, holding_id=holding, neighbour_distance_m=distance)
            if spatial
            else at_random(label=label, count=count, seed=3, holding_id=holding)
        )
    except ConfigurationError:
        return
    assert ((folds.fold >= 0) == (label >= 0)).all()
    for k in range(folds.count):
        trained, judged = np.flatnonzero(folds.training_mask(k)), np.flatnonzero(folds.fold == k)
        assert len(judged)
        assert not set(trained) & set(judged)
        assert not {holding[i] for i in trained} & {holding[i] for i in judged} - {None}
        if spatial and distance and len(trained):
            gaps = np.hypot(*(xy[trained][:, None] - xy[judged][None]).transpose(2, 0, 1))
            assert gaps.min() > distance
