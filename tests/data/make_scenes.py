"""Tiny Sentinel-2-like acquisitions in the real format: one cloud-optimised GeoTIFF per band, and SCL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.transform import Affine

from cropmap.schemas import BANDS, RESOLUTION_M
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset

EPSG = 32630
WEST, NORTH = 500_000, 5_300_040
"""upper left corner of every scene made here"""


def write_raster(
    path: Path,
    values: np.ndarray[Any, Any],
    *,
    pixel_m: int,
    epsg: int = EPSG,
    west: float = WEST,
    north: float = NORTH,
    blocksize: int = 512,
    compress: str = "deflate",
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="COG",
        dtype=values.dtype,
        count=1,
        height=values.shape[0],
        width=values.shape[1],
        crs=f"EPSG:{epsg}",
        transform=Affine(pixel_m, 0, west, 0, -pixel_m, north),
        nodata=0,
        compress=compress,
        blocksize=blocksize,
        overviews="NONE",
    ) as sink:
        sink.write(values, 1)
    return path


def make_acquisition(
    folder: Path,
    bands: Mapping[str, np.ndarray[Any, Any]],
    *,
    item_id: str = "S2A_30UVU_20180607_0_L2A",
    offset: float = 0.0,
    baseline: str = "02.06",
    day: datetime = datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC),
    epsg: int = EPSG,
) -> Acquisition:
    """Writes the bands (uint16 DN by name, and SCL uint8) and returns the acquisition that points at them."""
    assets = {}
    for band, values in bands.items():
        pixel_m = RESOLUTION_M[band]
        path = write_raster(folder / item_id / f"{band}.tif", values, pixel_m=pixel_m, epsg=epsg)
        assets[band] = BandAsset(
            band=band,
            href=str(path),
            scale=1.0 if band == "SCL" else 1e-4,
            offset=0.0 if band == "SCL" else offset,
            nodata=0,
            resolution_m=pixel_m,
        )
    return Acquisition(
        item_id=item_id,
        collection="sentinel-2-l2a",
        tile="30UVU",
        sensed_at=day,
        platform="sentinel-2a",
        relative_orbit=94,
        processing_baseline=baseline,
        datatake=f"{day:%Y%m%dT%H%M%S}",
        cloud_cover=0.0,
        epsg=epsg,
        bbox=(-3.0, 47.8, -2.9, 47.9),
        footprint_wkt=shapely.box(-3.0, 47.8, -2.9, 47.9).wkt,
        assets=assets,
    )


def flat_bands(*, rows: int, cols: int, dn: int = 1000, scene_class: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    """Every band constant: `rows` x `cols` at 20 m, twice as many each way at 10 m."""
    shape = {10: (2 * rows, 2 * cols), 20: (rows, cols)}
    bands: dict[str, np.ndarray[Any, Any]] = {b: np.full(shape[RESOLUTION_M[b]], dn, np.uint16) for b in BANDS}
    return {**bands, "SCL": np.full((rows, cols), scene_class, np.uint8)}


def parcels_at(boxes: Mapping[str, tuple[float, float, float, float]], *, epsg: int = EPSG) -> gpd.GeoDataFrame:
    """Parcels as rectangles: metres right of WEST and below NORTH (left, top, right, bottom) -> EPSG:4326."""
    shapes = [
        shapely.box(WEST + left, NORTH - bottom, WEST + right, NORTH - top)
        for left, top, right, bottom in boxes.values()
    ]
    return gpd.GeoDataFrame({"parcel_id": [*boxes]}, geometry=shapes, crs=f"EPSG:{epsg}").to_crs(4326)
