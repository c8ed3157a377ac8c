"""Coverage fractions a reader computes by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely

from cropmap.observations.coverage import (
    TileCoverage,
    build_coverage,
    outline_hashes,
    parcel_set_hash,
    parcel_sums,
    read_outlines,
    tile_coverage,
)
from cropmap.observations.grids import Grid, Window
from cropmap.store import Store
from tests.data.make_scenes import EPSG, NORTH, WEST, parcels_at

GRID = Grid(EPSG, (10, 0, WEST, 0, -10, NORTH), width=5, height=4)
FINE = Grid(EPSG, (10, 0, WEST, 0, -10, NORTH), width=12, height=8)
COARSE = Grid(EPSG, (20, 0, WEST, 0, -20, NORTH), width=6, height=4)


def dense(parcels: gpd.GeoDataFrame, grid: Grid = GRID, inner_buffer_m: float = 0) -> np.ndarray:
    """Parcels x rows x columns of the whole grid."""
    coverage = build_coverage(parcels, grid, inner_buffer_m=inner_buffer_m)
    full = np.zeros((len(parcels), grid.height, grid.width))
    w = coverage.window
    full[:, w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width] = coverage.matrix.toarray().reshape(
        len(parcels), w.height, w.width
    )
    return full


def test_fractions_are_areas_of_overlap() -> None:
    # 15 m wide from x = 5, 10 m high from y = 7: half a column, a whole one; 0.3 and 0.7 of the rows
    (fractions,) = dense(parcels_at({"a": (5, 7, 20, 17)}))
    expected = np.zeros((4, 5))
    expected[0, :2] = [0.15, 0.30]
    expected[1, :2] = [0.35, 0.70]
    assert fractions == pytest.approx(expected, abs=1e-4)  # through EPSG:4326 and back


def test_parcels_come_in_order_of_their_id_and_share_no_rows() -> None:
    parcels = parcels_at({"b": (30, 0, 50, 10), "a": (0, 30, 10, 40)})
    coverage = build_coverage(parcels, GRID, inner_buffer_m=0)
    assert coverage.parcel_ids.tolist() == ["a", "b"]
    assert coverage.total_pixels == pytest.approx([1, 2], abs=1e-4)
    a, b = dense(parcels)
    assert np.argwhere(a > 0.5).tolist() == [[3, 0]]
    assert np.argwhere(b > 0.5).tolist() == [[0, 3], [0, 4]]


def test_the_window_is_what_the_parcels_need() -> None:
    coverage = build_coverage(parcels_at({"a": (12, 21, 28, 29)}), GRID, inner_buffer_m=0)
    assert coverage.window == Window(row_off=2, col_off=1, height=1, width=2)


def test_the_inner_buffer_is_metres_on_the_grid() -> None:
    # 40 x 30 m less 10 m on every side: 20 x 10 m, two pixels
    (fractions,) = dense(parcels_at({"a": (10, 10, 50, 40)}), inner_buffer_m=10)
    assert fractions.sum() == pytest.approx(2, abs=1e-3)
    assert fractions[2, 2:4] == pytest.approx([1, 1], abs=1e-3)


def test_a_parcel_that_vanishes_keeps_its_place() -> None:
    coverage = build_coverage(parcels_at({"a": (0, 0, 15, 40), "b": (20, 0, 50, 40)}), GRID, inner_buffer_m=10)
    assert coverage.parcel_ids.tolist() == ["a", "b"]
    assert coverage.total_pixels == pytest.approx([0, 2], abs=1e-3)
    assert coverage.starts[1] == 0


def test_nothing_left_at_all() -> None:
    coverage = build_coverage(parcels_at({"a": (0, 0, 15, 40)}), GRID, inner_buffer_m=10)
    assert (coverage.window.size, coverage.total_pixels.tolist()) == (0, [0.0])
    outside = build_coverage(parcels_at({"a": (500, 0, 700, 40)}), GRID, inner_buffer_m=10)
    assert outside.total_pixels.tolist() == [0.0]


def test_a_hole_and_two_parts_count_as_drawn() -> None:
    ring = shapely.box(0, 0, 30, 30).difference(shapely.box(10, 10, 20, 20))
    both = shapely.union_all([ring, shapely.box(40, 0, 45, 20)])
    placed = shapely.affinity.translate(both, WEST, NORTH - 30)
    parcels = gpd.GeoDataFrame({"parcel_id": ["a"]}, geometry=[placed], crs=EPSG).to_crs(4326)
    assert build_coverage(parcels, GRID, inner_buffer_m=0).total_pixels == pytest.approx([8 + 1], abs=1e-3)


def test_parcel_sums_skip_empty_parcels() -> None:
    assert parcel_sums(np.array([1.0, 2, 4, 8]), np.array([0, 0, 3, 3, 4, 4])).tolist() == [0, 7, 0, 8, 0]
    assert parcel_sums(np.empty(0), np.array([0, 0])).tolist() == [0]


def test_the_parcel_set_does_not_depend_on_order_but_on_shape() -> None:
    parcels = parcels_at({"a": (0, 0, 20, 20), "b": (20, 0, 40, 20)})
    moved = parcels_at({"a": (0, 0, 20, 20), "b": (20, 0, 40, 21)})
    assert parcel_set_hash(parcels) == parcel_set_hash(parcels.iloc[::-1])
    assert parcel_set_hash(parcels) != parcel_set_hash(moved)


def test_coverage_is_computed_once_and_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    parcels = parcels_at({"001": (0, 0, 75, 80), "b": (70, 0, 120, 41)})
    grids = {10: FINE, 20: COARSE}

    def covered() -> TileCoverage:
        return tile_coverage(store, parcels, tile="30UVU", grids=grids, inner_buffer_10m_m=10, inner_buffer_20m_m=20)

    first = covered()
    assert len(store.names("coverage")) == 2
    monkeypatch.setattr("cropmap.observations.coverage.exact_extract", None)
    again = covered()
    for resolution in ("fine", "coarse"):
        made, kept = getattr(first, resolution), getattr(again, resolution)
        assert (made.grid, made.window) == (kept.grid, kept.window)
        assert kept.parcel_ids.tolist() == ["001", "b"]
        assert (made.matrix != kept.matrix).nnz == 0
    assert first.parcel_set == again.parcel_set


@pytest.mark.slow
def test_damaged_coverage_and_outlines_are_made_again(store: Store) -> None:
    parcels = parcels_at({"001": (10, 10, 50, 40), "b": (60, 20, 100, 60)})

    def covered() -> TileCoverage:
        return tile_coverage(
            store, parcels, tile="t", grids={10: FINE, 20: COARSE}, inner_buffer_10m_m=2, inner_buffer_20m_m=2
        )

    first = covered()
    outlines = read_outlines(store, first.parcel_set)
    draw = np.random.default_rng(18)
    for name in (*store.names("coverage"), *store.names("parcel_sets")):
        path = store.local_path(name)
        whole = path.read_bytes()
        for at in draw.integers(0, len(whole) - 90, 20):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << int(draw.integers(0, 8)))]) + whole[at + 1 :])
            again = covered()
            assert (first.coarse.matrix != again.coarse.matrix).nnz == (first.fine.matrix != again.fine.matrix).nnz == 0
            assert path.read_bytes() == whole
    assert read_outlines(store, first.parcel_set) == outlines == outline_hashes(parcels)


def test_twenty_metre_pixel_under_each_ten_metre_pixel(store: Store) -> None:
    parcels = parcels_at({"a": (30, 20, 60, 50)})
    tile = tile_coverage(
        store, parcels, tile="t", grids={10: FINE, 20: COARSE}, inner_buffer_10m_m=0, inner_buffer_20m_m=0
    )
    rows, cols = np.divmod(tile.fine_scene_cells, tile.scene_window.width)
    whole = tile.fine.fractions > 0.5
    pairs = {
        (r + tile.scene_window.row_off, c + tile.scene_window.col_off)
        for r, c in zip(rows[whole].tolist(), cols[whole].tolist(), strict=True)
    }
    # 10 m columns 3, 4, 5 and rows 2, 3, 4
    assert pairs == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert (tile.fine.fractions > 0.5).sum() == 9
