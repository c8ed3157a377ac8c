"""Where an item lies, in degrees, on both sides of the antimeridian."""

from __future__ import annotations

from typing import Any

import pytest
import shapely

from cropmap.sources.catalogs.acquisition import Bbox
from cropmap.sources.catalogs.footprints import box_of, boxes_of, footprint_of, in_tile_metres, polygon_of, touches


def ring(*corners: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


@pytest.mark.parametrize(
    ("written", "box"),
    [
        (None, None),
        ([1, 2, 3, 4], (1, 2, 3, 4)),
        ([1, 2, -10, 3, 4, 90], (1, 2, 3, 4)),  # with heights
        ([179, 0, -179, 1], (179, 0, -179, 1)),  # west > east: across the antimeridian
        ([0, -90, 360, 90], (0, -90, 360, 90)),
    ],
)
def test_a_box_is_four_numbers_or_six(written: Any, box: Bbox | None) -> None:
    assert box_of({"bbox": written}) == box


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([1, 2, 3], "four or six numbers"),
        ([1, 2, 3, 4, 5], "four or six numbers"),
        ("1234", "four or six numbers"),
        ([1, 2, 3, "4"], "something else than numbers"),
        ([1, 2, 3, True], "something else than numbers"),
        ([1, 2, 3, float("nan")], "something else than numbers"),
        ([1, 4, 3, 2], "no box in degrees"),  # south of its south
        ([1, -91, 3, 2], "no box in degrees"),
        ([1, 2, 3, 90.5], "no box in degrees"),
        ([500_000, 2, 600_000, 3], "no box in degrees"),  # metres
    ],
)
def test_what_is_no_box_in_degrees_is_refused(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        box_of({"bbox": written})


@pytest.mark.parametrize(
    ("box", "halves"),
    [
        ((1, 2, 3, 4), [(1, 2, 3, 4)]),
        ((179, 0, -179, 1), [(179, 0, 180, 1), (-180, 0, -179, 1)]),
        ((179, 0, 181, 1), [(179, 0, 180, 1), (-180, 0, -179, 1)]),  # counted on beyond 180
        ((-181, 0, -179, 1), [(179, 0, 180, 1), (-180, 0, -179, 1)]),
        ((181, 0, 182, 1), [(-179, 0, -178, 1)]),  # beyond it altogether
        ((-182, 0, -181, 1), [(178, 0, 179, 1)]),
        ((180, 0, 181, 1), [(-180, 0, -179, 1)]),
    ],
)
def test_boxes_have_their_west_in_the_west(box: Bbox, halves: list[Bbox]) -> None:
    found = boxes_of({"bbox": list(box)})
    assert list(found) == halves
    assert polygon_of(box).area == pytest.approx(
        sum((east - west) * (north - south) for west, south, east, north in halves)
    )


def test_a_box_right_round_the_world_is_told_by_the_footprint() -> None:
    """A tile is one degree wide: a box of 358 degrees means the two that are left on both sides of the antimeridian."""
    whole = [-179.5, 0, 179.5, 1]
    two = {
        "type": "MultiPolygon",
        "coordinates": [
            ring((179.5, 0), (180, 0), (180, 1), (179.5, 1))["coordinates"],
            ring((-180, 0), (-179.5, 0), (-179.5, 1), (-180, 1))["coordinates"],
        ],
    }
    expected = ((179.5, 0, 180, 1), (-180, 0, -179.5, 1))
    assert boxes_of({"bbox": whole, "geometry": two}) == expected
    assert boxes_of({"geometry": two}) == expected, "also without a box"
    one = ring((179.5, 0), (-179.5, 0), (-179.5, 1), (179.5, 1))
    assert boxes_of({"geometry": one}) == expected, "also as one polygon right round the world"


def test_without_a_footprint_both_edges_of_the_world_may_be_meant() -> None:
    assert boxes_of({"bbox": [-179.5, 0, 179.5, 1]}) == ((90, 0, 180, 1), (-180, 0, -90, 1))
    half = {"bbox": [-90, 0, 90, 1], "geometry": ring((0, 0), (1, 0), (0, 1))}
    assert boxes_of(half) == ((-90, 0, 90, 1),), "180 degrees are one box still, whatever the footprint says"
    assert boxes_of({}) == ()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, "no polygon"),
        ([1, 2], "no polygon"),
        (ring((0, 0), (361, 0), (0, 1)), "no degrees"),
        (ring((0, 0), (1, 91), (0, 1)), "no degrees"),
        ({"type": "MultiPolygon", "coordinates": []}, "0 vertices"),
    ],
)
def test_what_is_no_footprint_is_refused(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        footprint_of({"geometry": written})
    assert footprint_of({"geometry": None}) is None


@pytest.mark.parametrize(
    ("other", "touch"),
    [
        ((3, 3, 5, 5), True),
        ((4, 4, 5, 5), True),  # a corner
        ((4.001, 3, 5, 5), False),
        ((0, 4.001, 9, 9), False),
        ((-9, -9, 9, 9), True),
    ],
)
def test_boxes_that_share_an_edge_touch(other: Bbox, touch: bool) -> None:
    assert touches([(2, 2, 4, 4)], [other]) is touch
    assert touches([other], [(2, 2, 4, 4)]) is touch
    assert not touches([], [other])


def test_both_ways_of_writing_one_footprint_are_one_in_metres() -> None:
    """Zone 60 ends at the antimeridian (EPSG:32660): there the two halves lie side by side, a degree in all."""
    round_the_world = shapely.Polygon([(179.5, 0), (-179.5, 0), (-179.5, 1), (179.5, 1)])
    halves = shapely.union_all([shapely.box(179.5, 0, 180, 1), shapely.box(-180, 0, -179.5, 1)])
    one, two = (in_tile_metres(shape.wkt, 32660) for shape in (round_the_world, halves))
    assert one is not None
    assert two is not None
    assert one.area == pytest.approx(111_000 * 111_000, rel=0.02)
    assert two.area == pytest.approx(one.area, rel=0.001)
    assert in_tile_metres("POLYGON ((0 0, 1 0, 0 0))", 32660) is None
