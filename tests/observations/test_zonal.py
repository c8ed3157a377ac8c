from __future__ import annotations

import numpy as np
import pytest

from cropmap.observations import zonal
from cropmap.observations.coverage import build_coverage, parcel_sums
from cropmap.observations.grids import Grid
from cropmap.schemas import REFLECTANCE_NODATA
from tests.data.make_scenes import EPSG, NORTH, WEST, parcels_at

NINE = np.arange(1, 10, dtype=np.uint16)
GRID = Grid(EPSG, (10, 0, WEST, 0, -10, NORTH), width=3, height=3)


def mean_of(box: tuple[float, float, float, float], clear: np.ndarray | None = None, nodata: int = 0) -> float:
    """Zonal mean of 1 2 3 / 4 5 6 / 7 8 9 in one parcel."""
    coverage = build_coverage(parcels_at({"a": box}), GRID, inner_buffer_m=0)
    w = coverage.window
    part = slice(w.row_off, w.row_off + w.height), slice(w.col_off, w.col_off + w.width)
    mask = np.ones((3, 3), bool) if clear is None else clear
    weights = coverage.fractions * mask[part].ravel().take(coverage.cells).astype(float)
    values = NINE.reshape(3, 3)[part].ravel().take(coverage.cells)
    (mean,) = zonal.zonal_mean(
        values, weights, coverage.starts, clear=parcel_sums(weights, coverage.starts), nodata=nodata
    )
    return float(mean)


def test_the_square_on_the_middle() -> None:
    # half of each neighbour and a quarter of each corner: symmetric around 5
    assert mean_of((5, 5, 25, 25)) == pytest.approx(5, abs=1e-4)


def test_partial_coverage_weighs_by_area() -> None:
    # row 0 only, half of 1 and all of 2: (0.5 * 1 + 2) / 1.5
    assert mean_of((5, 0, 20, 10)) == pytest.approx(5 / 3, abs=1e-4)
    # column 2, a tenth of 3 and all of 6
    assert mean_of((20, 9, 30, 20)) == pytest.approx((0.1 * 3 + 6) / 1.1, abs=1e-3)


def test_clouded_and_missing_pixels_count_nowhere() -> None:
    clear = np.ones((3, 3), bool)
    clear[0, 1] = False
    assert mean_of((0, 0, 30, 10), clear) == pytest.approx((1 + 3) / 2, abs=1e-3)
    assert mean_of((0, 0, 30, 10), nodata=3) == pytest.approx((1 + 2) / 2, abs=1e-3)
    assert mean_of((0, 0, 30, 10), clear, nodata=3) == pytest.approx(1, abs=1e-3)
    assert np.isnan(mean_of((0, 0, 30, 10), np.zeros((3, 3), bool)))


def test_reflectance_is_scaled_offset_and_rounded() -> None:
    mean = np.array([1234.4, 1234.6, np.nan, 990.0, 70_000.0])
    stored = zonal.stored_reflectance(mean, scale=1e-4, offset=-0.1)
    assert stored.dtype == np.int16
    assert stored.tolist() == [234, 235, REFLECTANCE_NODATA, -10, 32_767]
    assert zonal.stored_reflectance(mean[:1], scale=1e-4, offset=0.0).tolist() == [1234]


def test_half_is_rounded_to_even() -> None:
    assert zonal.stored_reflectance(np.array([2.5, 3.5]), scale=1e-4, offset=0).tolist() == [2, 4]


def test_scene_classes_at_cells() -> None:
    classes = np.array([[4, 5, 6], [7, 9, 3]], np.uint8)
    cells = np.array([0, 4, 4, 3, 5])
    assert zonal.clear_cells(classes, cells, (4, 5, 6, 7)).tolist() == [True, False, False, True, False]
