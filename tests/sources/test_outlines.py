"""Repair of outlines, areas that contradict each other, and outlines that are the same."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely

from cropmap.sources.outlines import area_contradicts, area_ha, outline_keys, repair, why_hopeless

SQUARE = shapely.box(0, 0, 100, 100)


def one(shape: shapely.Geometry | None) -> np.ndarray:
    made = np.empty(1, dtype=object)
    made[0] = shape
    return made


def repaired(shape: shapely.Geometry | None) -> tuple[shapely.Geometry | None, bool, bool]:
    shapes, mended, hopeless = repair(one(shape))
    return shapes[0], bool(mended[0]), bool(hopeless[0])


def looped(height: float) -> shapely.Polygon:
    """A square of 100 with a loop of two triangles, 2 wide and `height` high in all, on its upper edge. The upper one
    runs the other way round: before a repair it counts against the lower one, after it both count, height / 2 each."""
    top = [(51, 100), (49, 100 + height), (51, 100 + height), (49, 100)]
    return shapely.Polygon([(0, 0), (100, 0), (100, 100), *top, (0, 100)])


def test_a_valid_outline_stays_and_loses_its_heights() -> None:
    shape, mended, hopeless = repaired(shapely.force_3d(SQUARE, 7.0))
    assert shape is not None
    assert shapely.equals_exact(shape, SQUARE)
    assert not shapely.has_z(shape)
    assert (mended, hopeless) == (False, False)


@pytest.mark.parametrize(("height", "kept"), [(20.0, True), (99.0, True), (101.0, False)])
def test_a_repair_may_change_the_area_by_a_hundredth(height: float, kept: bool) -> None:
    assert looped(height).area == pytest.approx(10_000)
    shape, mended, hopeless = repaired(looped(height))
    assert (mended, hopeless) == (kept, not kept)
    assert (None if shape is None else shape.area) == (pytest.approx(10_000 + height) if kept else None)


def test_a_figure_of_eight_is_given_up() -> None:
    """Its lobes have opposite signs: area 0 before, 5,000 after."""
    eight = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    assert repaired(eight) == (None, False, True)
    assert "Self-intersection" in why_hopeless(eight)


@pytest.mark.parametrize("shape", [None, shapely.Polygon()])
def test_what_is_not_there_is_not_hopeless(shape: shapely.Geometry | None) -> None:
    _, mended, hopeless = repaired(shape)
    assert (mended, hopeless) == (False, False)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (shapely.Point(1, 2), "a Point is no parcel"),
        (shapely.LineString([(0, 0), (1, 1)]), "a LineString is no parcel"),
        (shapely.GeometryCollection([shapely.Point(1, 2)]), "a GeometryCollection without polygons"),
        (shapely.Polygon([(0, 0), (1, 0), (np.inf, 1)]), "a coordinate is no finite number"),
    ],
)
def test_what_is_no_parcel_says_why(shape: shapely.Geometry, why: str) -> None:
    assert repaired(shape) == (None, False, True)
    assert why_hopeless(shape) == why


def test_of_a_collection_the_polygons_are_kept() -> None:
    other = shapely.box(200, 0, 210, 10)
    nested = shapely.GeometryCollection([SQUARE, shapely.Point(0, 0), shapely.GeometryCollection([other])])
    shape, mended, hopeless = repaired(nested)
    assert shape is not None
    assert shape.area == pytest.approx(10_100)
    assert (mended, hopeless) == (True, False)


@pytest.mark.parametrize(
    ("declared", "drawn", "contradicts"),
    [
        (1.25, 1.0, False),  # exactly a quarter
        (1.26, 1.0, True),
        (0.74, 1.0, True),
        (0.75, 1.0, False),
        (0.2, 0.1, False),  # twice as much, and still only 0.1 ha
        (0.21, 0.1, True),
        (0.0, 0.3, True),
        (np.nan, 1.0, False),
        (1.0, np.nan, False),
    ],
)
def test_a_claim_contradicts_by_a_quarter_and_a_tenth_of_a_hectare(
    declared: float, drawn: float, contradicts: bool
) -> None:
    assert area_contradicts(np.array([declared]), np.array([drawn])).tolist() == [contradicts]


def test_areas_are_hectares_of_an_equal_area_grid() -> None:
    """A degree of longitude at the equator is 111.32 km, one of latitude 110.57 km: 12,309 km²."""
    square = shapely.segmentize(shapely.box(10, 0, 11, 1), 0.01)
    known = area_ha(one(square), pyproj.CRS.from_epsg(4326))
    assert known == pytest.approx([1_230_900], rel=0.001)
    assert np.isnan(area_ha(one(None), pyproj.CRS.from_epsg(4326))).all()


def test_an_outline_is_one_wherever_it_begins_and_whichever_way_it_runs() -> None:
    turned = shapely.Polygon([(100, 100), (0, 100), (0, 0), (100, 0)])
    other = shapely.box(0, 0, 100, 100.01)
    keys = outline_keys(np.array([SQUARE, turned, shapely.reverse(SQUARE), other], dtype=object))
    assert keys[0] == keys[1] == keys[2] != keys[3]
