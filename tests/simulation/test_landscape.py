import numpy as np
import pytest
import shapely

from cropmap.simulation.landscape import BACKGROUND_SHARE, EPSG, FIELD_HA, HEDGE_M, REGIONS, Landscape, lay_out


@pytest.fixture(scope="module")
def land() -> Landscape:
    return lay_out(parcels=300, seed=3)


def test_as_many_valid_fields_as_asked_for(land: Landscape) -> None:
    assert len(land.fields) == len(land.region) == len(land.xy) == 300
    assert shapely.is_valid(land.fields).all()
    assert set(shapely.get_type_id(land.fields)) == {shapely.GeometryType.POLYGON}


def test_fields_do_not_overlap_and_keep_a_hedge_between(land: Landscape) -> None:
    tree = shapely.STRtree(land.fields)
    left, right = tree.query(shapely.buffer(land.fields, 2 * HEDGE_M))
    pairs = left < right
    assert pairs.sum() > 300  # neighbours were found at all
    shared = shapely.area(shapely.intersection(land.fields[left[pairs]], land.fields[right[pairs]]))
    assert shared.max() == 0


def test_every_field_lies_in_its_region(land: Landscape) -> None:
    inside = shapely.covers(shapely.buffer(land.regions, 0.5)[land.region], land.fields)
    assert inside.all()
    assert np.bincount(land.region).tolist() == [83, 66, 77, 74]  # 300 by the weights of the four regions


def test_regions_adjoin_without_gap_or_overlap(land: Landscape) -> None:
    together = shapely.union_all(shapely.buffer(land.regions, 1.0))
    assert len(REGIONS) == len(land.regions)
    assert shapely.get_type_id(together) == shapely.GeometryType.POLYGON
    assert len(together.interiors) == 0
    overlap = shapely.area(shapely.intersection(land.regions[0], land.regions[3]))
    assert overlap < 1.0
    assert land.regions[1].distance(land.regions[2]) > 500  # Finistère does not touch Ille-et-Vilaine


def test_areas_are_those_of_fields(land: Landscape) -> None:
    hectares = shapely.area(land.fields) / 1e4
    assert hectares.mean() == pytest.approx(FIELD_HA, rel=0.15)
    assert 0.35 < np.log(hectares).std() < 0.8
    empty = shapely.area(land.backgrounds).sum() / 1e4
    assert empty / (empty + hectares.sum()) == pytest.approx(BACKGROUND_SHARE, abs=0.07)


def test_edges_follow_no_axis(land: Landscape) -> None:
    boxes = shapely.area(shapely.envelope(land.fields))
    assert np.median(shapely.area(land.fields) / boxes) < 0.93


def test_the_seed_decides(land: Landscape) -> None:
    again, other = lay_out(parcels=300, seed=3), lay_out(parcels=300, seed=4)
    assert shapely.equals_exact(again.fields, land.fields).all()
    assert not shapely.equals_exact(other.fields, land.fields).any()


def test_rectangles_at_scale_lie_on_two_tiles() -> None:
    land = lay_out(parcels=60, seed=1, irregular=False)
    assert EPSG == 32630
    assert {shapely.get_num_coordinates(f) for f in land.fields} == {5}
