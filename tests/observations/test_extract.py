"""Whole acquisitions as real COGs; expected values by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasterio.errors import NotGeoreferencedWarning

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.errors import SceneError
from cropmap.observations.coverage import TileCoverage, tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.tiles import tile_grids
from cropmap.schemas import BANDS, BANDS_10M, BANDS_20M, REFLECTANCE_NODATA, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store
from tests.data.make_scenes import EPSG, flat_bands, make_acquisition, parcels_at, write_raster

ROWS, COLS = 6, 9
"""at 20 m: 120 m down, 180 m across"""
PARCELS = parcels_at(
    {
        "007": (20, 0, 80, 60),  # 36 fine pixels, 9 coarse ones
        "A1": (100, 40, 140, 120),  # 32 and 8
        "sliver": (160, 0, 165, 20),  # 1 and a quarter
    }
)


@pytest.fixture
def acquisition(tmp_path: Path) -> Acquisition:
    return make_acquisition(tmp_path, flat_bands(rows=ROWS, cols=COLS))


def cover(store: Store, acquisition: Acquisition, buffer_m: float = 0) -> TileCoverage:
    return tile_coverage(
        store,
        PARCELS,
        tile="30UVU",
        grids=tile_grids([acquisition]),
        inner_buffer_10m_m=buffer_m,
        inner_buffer_20m_m=buffer_m,
    )


def test_both_grids_the_mask_and_the_offset(store: Store, tmp_path: Path) -> None:
    bands = flat_bands(rows=ROWS, cols=COLS, dn=1500)
    bands["B02"][0:2, 2:4] = 1900  # 4 of the 36 fine pixels of 007, and the one 20 m pixel above them
    bands["B05"][2, 3] = 2400  # 1 of its 9 coarse pixels
    bands["SCL"][2, 2:4] = 9  # clouds: 2 of 9 coarse, 8 of 36 fine pixels of 007, the one at (2, 3) among them
    acquisition = make_acquisition(tmp_path, bands, offset=-0.1, baseline="05.00")
    coverage = cover(store, acquisition)
    table = observe(acquisition, coverage)
    assert table.schema.equals(OBSERVATION_SCHEMA)
    rows = {row["parcel_id"]: row for row in table.to_pylist()}
    assert list(rows) == ["007", "A1", "sliver"]
    seen = rows["007"]
    assert (seen["clear_pixels"], seen["total_pixels"]) == pytest.approx((28, 36), abs=1e-3)
    assert seen["B02"] == round(500 + 400 * 4 / 28)
    assert seen["B05"] == 500  # its bright pixel is under the cloud
    assert {rows["A1"][band] for band in BANDS} == {500}
    assert rows["sliver"]["total_pixels"] == pytest.approx(1, abs=1e-3)
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["item_id"] == acquisition.item_id
    assert metadata["datetime"] == "2018-06-07T11:06:21+00:00"
    assert json.loads(metadata["offset"]) == dict.fromkeys(BANDS, -0.1)
    assert (metadata["tile"], metadata["processing_baseline"]) == ("30UVU", "05.00")
    assert metadata["parcel_set"] == coverage.parcel_set


def test_nodata_is_never_offset_nor_averaged(store: Store, tmp_path: Path) -> None:
    bands = flat_bands(rows=ROWS, cols=COLS, dn=1200)
    bands["B8A"][:, :] = 0
    bands["B03"][0:6, 2:5] = 0  # the left half of 007
    row = observe(acq := make_acquisition(tmp_path, bands, offset=-0.1), cover(store, acq)).to_pylist()[0]
    assert row["B8A"] == REFLECTANCE_NODATA
    assert row["B03"] == 200
    assert row["clear_pixels"] == pytest.approx(36, abs=1e-3)


def test_negative_reflectance_is_kept(store: Store, tmp_path: Path) -> None:
    bands = flat_bands(rows=ROWS, cols=COLS, dn=1300)
    bands["B12"][:] = 970
    acquisition = make_acquisition(tmp_path, bands, offset=-0.1)
    assert observe(acquisition, cover(store, acquisition))["B12"].to_pylist() == [-30, -30, -30]


def test_parcels_that_vanish_have_rows_without_pixels(store: Store, acquisition: Acquisition) -> None:
    row = observe(acquisition, cover(store, acquisition, buffer_m=10)).to_pylist()[2]
    assert (row["parcel_id"], row["total_pixels"], row["clear_pixels"]) == ("sliver", 0, 0)
    assert {row[band] for band in BANDS} == {REFLECTANCE_NODATA}


def test_an_all_cloud_scene_is_legal(store: Store, tmp_path: Path) -> None:
    acquisition = make_acquisition(tmp_path, flat_bands(rows=ROWS, cols=COLS, scene_class=9))
    table = observe(acquisition, cover(store, acquisition))
    assert table["clear_pixels"].to_pylist() == [0, 0, 0]
    assert table["total_pixels"].to_pylist() == pytest.approx([36, 32, 1], abs=1e-3)
    assert all(set(table[band].to_pylist()) == {REFLECTANCE_NODATA} for band in BANDS)


def test_which_classes_are_clear_is_an_argument(store: Store, tmp_path: Path) -> None:
    acquisition = make_acquisition(tmp_path, flat_bands(rows=ROWS, cols=COLS, scene_class=2))
    assert observe(acquisition, cover(store, acquisition))["clear_pixels"].to_pylist() == [0, 0, 0]
    with_dark = observe(acquisition, cover(store, acquisition), clear_classes=(2, 4, 5))
    assert with_dark["clear_pixels"].to_pylist() == pytest.approx([36, 32, 1], abs=1e-3)


def test_threads_do_not_change_the_numbers(store: Store, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bands = flat_bands(rows=ROWS, cols=COLS)
    for band in BANDS:
        bands[band] = rng.integers(1, 6000, bands[band].shape).astype(np.uint16)
    acquisition = make_acquisition(tmp_path, bands)
    coverage = cover(store, acquisition)
    assert observe(acquisition, coverage, threads=1).equals(observe(acquisition, coverage, threads=4))


def broken(acquisition: Acquisition, coverage: TileCoverage) -> SceneError:
    with pytest.raises(SceneError) as caught:
        observe(acquisition, coverage)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("band", ["B08", "SCL"])
def test_a_truncated_file(store: Store, acquisition: Acquisition, band: str) -> None:
    coverage = cover(store, acquisition)
    path = Path(acquisition.assets[band].href)
    path.write_bytes(path.read_bytes()[:-40])
    error = broken(acquisition, coverage)
    assert (error.reason, error.where) == (QuarantineReason.UNREADABLE_FILE, str(path))


def test_a_file_that_is_no_raster(store: Store, acquisition: Acquisition) -> None:
    coverage = cover(store, acquisition)
    Path(acquisition.assets["B11"].href).write_text("<html>504 Gateway Timeout</html>")
    assert broken(acquisition, coverage).reason == QuarantineReason.UNREADABLE_FILE


def test_a_missing_file_and_a_missing_band(store: Store, acquisition: Acquisition) -> None:
    coverage = cover(store, acquisition)
    without = replace(acquisition, assets={b: a for b, a in acquisition.assets.items() if b != "B06"})
    error = broken(without, coverage)
    assert error.reason == QuarantineReason.MISSING_BAND
    assert "B06" in str(error)
    Path(acquisition.assets["B06"].href).unlink()
    error = broken(acquisition, coverage)
    assert error.reason == QuarantineReason.MISSING_BAND
    assert "B06.tif" in error.where


def test_the_wrong_reference_system_and_grid(store: Store, acquisition: Acquisition) -> None:
    coverage = cover(store, acquisition)
    path = Path(acquisition.assets["B02"].href)
    values = np.full((2 * ROWS, 2 * COLS), 1000, np.uint16)
    write_raster(path, values, pixel_m=10, epsg=EPSG + 1)
    error = broken(acquisition, coverage)
    assert error.reason == QuarantineReason.WRONG_CRS
    assert f"EPSG:{EPSG + 1}" in str(error)
    write_raster(path, values, pixel_m=10, west=500_005)
    assert broken(acquisition, coverage).reason == QuarantineReason.WRONG_GRID
    write_raster(path, values[:, :-1], pixel_m=10)
    assert broken(acquisition, coverage).reason == QuarantineReason.WRONG_GRID


def test_values_that_are_no_digital_numbers(store: Store, acquisition: Acquisition) -> None:
    coverage = cover(store, acquisition)
    path = Path(acquisition.assets["B04"].href)
    write_raster(path, np.full((2 * ROWS, 2 * COLS), 0.1, np.float32), pixel_m=10)
    assert "float32" in str(broken(acquisition, coverage))


def test_grids_are_what_most_of_the_first_acquisitions_have(tmp_path: Path) -> None:
    odd = make_acquisition(tmp_path, flat_bands(rows=4, cols=4), item_id="odd")
    good = [make_acquisition(tmp_path, flat_bands(rows=ROWS, cols=COLS), item_id=f"good{i}") for i in range(2)]
    lost = replace(odd, assets={**odd.assets, "B02": replace(odd.assets["B02"], href=str(tmp_path / "no.tif"))})
    grids = tile_grids([lost, odd, *good])
    assert (grids[10].height, grids[10].width, grids[20].width) == (2 * ROWS, 2 * COLS, COLS)
    with pytest.raises(SceneError, match=r"no\.tif"):
        tile_grids([lost])


@pytest.mark.filterwarnings(f"ignore::{NotGeoreferencedWarning.__module__}.{NotGeoreferencedWarning.__qualname__}")
def test_a_file_without_a_reference_system(store: Store, acquisition: Acquisition) -> None:
    import rasterio

    coverage = cover(store, acquisition)
    profile = {"count": 1, "dtype": "uint16", "height": 2 * ROWS, "width": 2 * COLS}
    with rasterio.open(acquisition.assets["B03"].href, "w", driver="GTiff", **profile) as sink:
        sink.write(np.ones((2 * ROWS, 2 * COLS), np.uint16), 1)
    assert broken(acquisition, coverage).reason == QuarantineReason.WRONG_CRS


def test_bands_are_read_on_their_own_grid(store: Store, acquisition: Acquisition) -> None:
    """A 20 m band delivered at 10 m (or the reverse) is refused, not resampled."""
    coverage = cover(store, acquisition)
    fine, coarse = BANDS_10M[0], BANDS_20M[0]
    swapped = {**acquisition.assets, coarse: acquisition.assets[fine]}
    assert broken(replace(acquisition, assets=swapped), coverage).reason == QuarantineReason.WRONG_GRID
