"""What lies around a parcel: in metres of its own zone, cut at the edge of the sketch."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from cropmap.evidence.sheet import Sketch
from cropmap.results.surroundings import NEAREST_M, Surroundings, utm_zone
from cropmap.sources.mapped_outlines import Outlines

TO_DEGREES = Transformer.from_crs(32630, 4326, always_xy=True)
EAST, NORTH = 500_000.0, 5_300_000.0
"""on the middle line of zone 30"""


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [
        (-3.0, 48.0, 32630),
        (-6.0, 48.0, 32630),  # the western edge belongs to the zone
        (-6.001, 48.0, 32629),
        (0.0, 48.0, 32631),
        (0.0, 0.0, 32631),  # the equator counts to the north
        (55.5, -21.1, 32740),
        (-180.0, 10.0, 32601),
        (180.0, 10.0, 32660),  # the last zone, not a 61st
    ],
)
def test_the_zone_of_a_place(longitude: float, latitude: float, epsg: int) -> None:
    assert utm_zone(longitude, latitude) == epsg


def sketch(*boxes: tuple[float, float, float, float], crops: str = "abcdefgh") -> Sketch:
    """Of the first: boxes in metres east and north of (EAST, NORTH)."""
    placed = [
        shapely.transform(
            shapely.box(EAST + west, NORTH + south, EAST + east, NORTH + north), TO_DEGREES.transform, interleaved=False
        )
        for west, south, east, north in boxes
    ]
    parcels = gpd.GeoDataFrame({"crop": list(crops[: len(boxes)])}, geometry=placed, crs=4326)
    return Surroundings.of(parcels, Outlines.of(parcels.geometry)).sketch(0)


def extent(rings: tuple[np.ndarray, ...]) -> list[float]:
    points = np.concatenate(rings)
    return [*points.min(axis=0), *points.max(axis=0)]


def test_a_parcel_stands_in_the_middle_in_metres() -> None:
    found = sketch((0, 0, 100, 60))
    assert found.epsg == 32630
    assert found.half_width_m == NEAREST_M == 180, "1.7 x 50 m is less"
    (subject,) = found.outlines
    assert subject.is_subject
    assert subject.crop == "a"
    assert extent(subject.rings) == pytest.approx([-50, -30, 50, 30], abs=0.01)


def test_a_large_parcel_has_room_around_it() -> None:
    """Its longer side is 400 m: half of it times 1.7 are 340 m to each side."""
    assert sketch((0, 0, 100, 400)).half_width_m == pytest.approx(340, abs=0.01)


def test_neighbours_are_cut_at_the_edge_and_those_beyond_are_left_out() -> None:
    """The parcel is 100 m x 100 m around (50, 50): the sketch reaches from -130 to 230 in both directions."""
    found = sketch((0, 0, 100, 100), (100, 0, 600, 100), (231, 0, 300, 100), (0, 229, 100, 300))
    assert [one.crop for one in found.outlines] == ["a", "b", "d"]
    _, cut, above = found.outlines
    assert extent(cut.rings) == pytest.approx([50, -50, 180, 50], abs=0.01)
    assert extent(above.rings) == pytest.approx([-50, 179, 50, 180], abs=0.01)
    assert not cut.is_subject


def test_a_hole_is_a_ring_that_runs_the_other_way() -> None:
    ring = shapely.difference(shapely.box(0, 0, 300, 300), shapely.box(100, 100, 200, 200))
    placed = shapely.transform(
        shapely.transform(ring, lambda xy: np.add(xy, (EAST, NORTH))), TO_DEGREES.transform, interleaved=False
    )
    parcels = gpd.GeoDataFrame({"crop": ["a"]}, geometry=[placed], crs=4326)
    (subject,) = Surroundings.of(parcels, Outlines.of(parcels.geometry)).sketch(0).outlines
    outer, inner = subject.rings
    area = [shapely.LinearRing(ring).is_ccw for ring in (outer, inner)]
    assert area in ([True, False], [False, True])
    assert extent((inner,)) == pytest.approx([-50, -50, 50, 50], abs=0.01)
