"""Parcels that claim the same ground: squares in metres, whose common area is a product of two numbers."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from cropmap.sources.declarations.overlaps import STRIP, Overlaps, find_overlaps


def squares(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([shapely.box(*each) for each in boxes], dtype=object)


def pairs(found: Overlaps) -> list[tuple[int, int]]:
    return list(zip(found.first.tolist(), found.second.tolist(), strict=True))


def test_a_pair_is_found_once_with_its_area_and_the_share_of_the_smaller() -> None:
    """200 m x 100 m and 100 m x 100 m share 50 m x 100 m: half a hectare, half of the smaller."""
    found = find_overlaps(squares((0, 0, 200, 100), (150, 0, 250, 100)))
    assert pairs(found) == [(0, 1)]
    assert found.area_ha == pytest.approx([0.5])
    assert found.share == pytest.approx([0.5])
    assert shapely.equals(found.shapes[0], shapely.box(150, 0, 200, 100))


@pytest.mark.parametrize(("width", "found"), [(0.99, 0), (1.0, 1)])
def test_less_than_a_pixel_is_nothing(width: float, found: int) -> None:
    """100 m long: 1 m x 100 m is 0.01 ha, of 1 ha 1 per cent."""
    assert len(find_overlaps(squares((0, 0, 100, 100), (100 - width, 0, 200 - width, 100)))) == found


@pytest.mark.parametrize(("height", "found"), [(101.0, 0), (100.0, 1)])
def test_less_than_a_hundredth_of_the_smaller_is_a_hedge(height: float, found: int) -> None:
    """10 m x 10 m in the corner of two parcels of 100 m x `height`: 0.01 ha of 1 ha, or of 1.01 ha."""
    both = squares((0, 0, 100, height), (90, height - 10, 190, 2 * height - 10))
    assert len(find_overlaps(both)) == found


def test_the_smaller_of_the_two_decides() -> None:
    """0.01 ha of a field of 100 ha, which is all of the strip that lies in it."""
    found = find_overlaps(squares((0, 0, 1_000, 1_000), (0, 0, 10, 10)))
    assert found.share == pytest.approx([1.0])


def test_neighbours_that_touch_do_not_overlap() -> None:
    assert len(find_overlaps(squares((0, 0, 100, 100), (100, 0, 200, 100), (100, 100, 200, 200)))) == 0


def test_boxes_may_overlap_where_outlines_do_not() -> None:
    """Two triangles of one square, on both sides of its diagonal."""
    halves = [shapely.Polygon([(0, 0), (100, 0), (100, 100)]), shapely.Polygon([(0, 0), (100, 100), (0, 100)])]
    assert len(find_overlaps(np.array(halves, dtype=object))) == 0


def test_three_on_one_place_are_three_pairs_in_order() -> None:
    found = find_overlaps(squares((0, 0, 100, 100), (0, 0, 100, 100), (0, 0, 100, 100)))
    assert pairs(found) == [(0, 1), (0, 2), (1, 2)]


def test_pairs_are_found_across_strips_as_a_tree_finds_them() -> None:
    """More squares than a strip holds, one of them from the south of all to their north."""
    random = np.random.default_rng(1)
    west, south = random.uniform(0, 30_000, (2, STRIP + 2_000))
    shapes = shapely.box(west, south, west + 100, south + 100)
    shapes[STRIP] = shapely.box(10_000, 0, 10_010, 30_000)
    found = find_overlaps(shapes)
    first, second = shapely.STRtree(shapes).query(shapes)
    first, second = first[first < second], second[first < second]
    area_m2 = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    expected = sorted(zip(first[area_m2 >= 100].tolist(), second[area_m2 >= 100].tolist(), strict=True))
    assert pairs(found) == expected
    assert STRIP in found.first
    assert found.area_ha == pytest.approx(shapely.area(found.shapes) / 10_000)
