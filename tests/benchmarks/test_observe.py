"""The benchmark runs, and what it compares are equal numbers. It says nothing about time."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from cropmap.bench import observe as bench
from cropmap.bench.tile import EPSG, NORTH, WEST, make_acquisitions, make_parcels
from cropmap.observations import zonal
from cropmap.observations.coverage import Coverage, TileCoverage, build_coverage, parcel_sums
from cropmap.observations.extract import observe
from cropmap.observations.raster import read_window
from cropmap.observations.tiles import tile_grids
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, SCL_CLEAR
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store

SIZE_PX, PARCELS = 600, 60

# rasterstats multiplies affine transforms with the operator that affine wants to retire
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture(scope="module")
def acquisitions(tmp_path_factory: pytest.TempPathFactory) -> list[Acquisition]:
    return make_acquisitions(tmp_path_factory.mktemp("tile"), size_px=SIZE_PX, dates=1)


def means(acquisition: Acquisition, band: str, part: Coverage, tile: TileCoverage, cells: np.ndarray) -> np.ndarray:
    """Mean DN over clear pixels, before it is rounded."""
    classes = read_window(acquisition.assets["SCL"].href, tile.coarse.grid, tile.scene_window)
    weights = part.fractions * zonal.clear_cells(classes, cells, SCL_CLEAR).astype(np.float64)
    values = read_window(acquisition.assets[band].href, part.grid, part.window).ravel().take(part.cells)
    return zonal.zonal_mean(values, weights, part.starts, clear=parcel_sums(weights, part.starts), nodata=0)


@pytest.mark.parametrize(("band", "resolution"), [("B02", 10), ("B05", 20)])
def test_means_equal_exactextract_with_a_mask(
    acquisitions: list[Acquisition], store: Store, band: str, resolution: int
) -> None:
    acquisition, fields = acquisitions[0], make_parcels(size_px=SIZE_PX, count=PARCELS)
    tile = bench.cover(store, fields, acquisitions)
    part, cells = (tile.fine, tile.fine_scene_cells) if resolution == 10 else (tile.coarse, tile.coarse_scene_cells)
    ours = dict(zip(part.parcel_ids.tolist(), means(acquisition, band, part, tile, cells), strict=True))
    theirs = bench.exactextract_means(
        acquisition, band, bench.shrunk(fields, resolution_m=resolution), bench.clear_mask(acquisition)
    )
    expected = dict(zip(theirs["parcel_id"], theirs["weighted_mean"], strict=True))
    seen = {parcel for parcel, mean in ours.items() if np.isfinite(mean)}
    assert 20 < len(seen) < PARCELS  # some are under clouds altogether
    assert seen == {parcel for parcel, mean in expected.items() if np.isfinite(mean)}
    assert [ours[p] for p in sorted(seen)] == pytest.approx([expected[p] for p in sorted(seen)], rel=1e-6)

    stored = dict(zip(part.parcel_ids.tolist(), observe(acquisition, tile)[band].to_pylist(), strict=True))
    assert all(abs(stored[parcel] - mean) <= 0.5 for parcel, mean in ours.items() if parcel in seen)
    assert {parcel for parcel, value in stored.items() if value == REFLECTANCE_NODATA} == set(ours) - seen


def test_means_of_whole_pixels_equal_rasterstats(acquisitions: list[Acquisition]) -> None:
    rasterstats = pytest.importorskip("rasterstats")
    boxes = [shapely.box(WEST + 100 * i, NORTH - 90 * i - 70, WEST + 100 * i + 50, NORTH - 90 * i) for i in range(9)]
    fields = gpd.GeoDataFrame({"parcel_id": [f"{i}" for i in range(9)]}, geometry=boxes, crs=EPSG)
    href = acquisitions[0].assets["B08"].href
    part = build_coverage(fields.to_crs(4326), tile_grids(acquisitions)[10], inner_buffer_m=0)
    values = read_window(href, part.grid, part.window).ravel().take(part.cells)
    weights = part.fractions.astype(np.float64)
    ours = zonal.zonal_mean(values, weights, part.starts, clear=parcel_sums(weights, part.starts), nodata=0)
    theirs = [found["mean"] for found in rasterstats.zonal_stats(fields, href, stats=["mean"])]
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_the_benchmark_says_what_it_measured(tmp_path: Path) -> None:
    pytest.importorskip("rasterstats")
    rows = bench.run(size_px=SIZE_PX, parcels=PARCELS, workdir=tmp_path, repeats=2, rasterstats_parcels=5)
    assert [row["what"] for row in rows] == [
        "decode the same pixels",
        "first date",
        "from the second date on",
        "exactextract",
        "rasterstats",
    ]
    seconds = [row["seconds"] for row in rows]
    assert all(isinstance(taken, float) and taken > 0 for taken in seconds)
    assert [row["target"] for row in rows if row["target"]] == ["<= 1.5", ">= 3", ">= 100"]
    assert f"{SIZE_PX} x {SIZE_PX} px, {PARCELS} parcels, {len(BANDS)} bands" in str(rows[0]["how"])
    assert list(tmp_path.iterdir()) == []
