"""A synthetic Sentinel-2 tile of any size, on disk in the layout of the public archives, with parcels on it.

Content is a block of smooth texture and noise, repeated: it compresses like land does (about one byte per pixel).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter

from cropmap.schemas import BANDS, RESOLUTION_M
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset

EPSG: Final = 32630
WEST, NORTH = 499_980.0, 5_300_040.0
BLOCK_PX: Final = 1024
"""pixels, the internal tiling of the public COGs; texture repeats after two blocks"""

JPEG2000: Final = "jp2"
"""as `compress`: lossless JPEG 2000 in tiles of BLOCK_PX, as Copernicus Data Space has it"""

Array = np.ndarray[Any, np.dtype[Any]]


def make_acquisitions(
    folder: Path, *, size_px: int, dates: int, compress: str = "deflate", seed: int = 0
) -> list[Acquisition]:
    """Writes `dates` acquisitions of `size_px` x `size_px` pixels at 10 m: ten bands and SCL each. `compress` is that
    of the GeoTIFFs, or JPEG2000."""
    assert size_px % 2 == 0, "a 20 m pixel is two by two 10 m pixels"
    return [
        _acquisition(folder, number, size_px=size_px, compress=compress, rng=np.random.default_rng([seed, number]))
        for number in range(dates)
    ]


def _acquisition(folder: Path, number: int, *, size_px: int, compress: str, rng: np.random.Generator) -> Acquisition:
    assets = {}
    side = min(2 * BLOCK_PX, size_px)
    relief = gaussian_filter(rng.standard_normal((side, side), np.float32), 15, mode="wrap") * 53  # sd about 1
    for band in (*BANDS, "SCL"):
        pixel_m = RESOLUTION_M[band]
        texture = _scene_classes(relief) if band == "SCL" else _land(relief, rng)
        path = folder / f"date{number}" / f"{band}.{'jp2' if compress == JPEG2000 else 'tif'}"
        _write(path, _repeated(texture, size_px * 10 // pixel_m), pixel_m=pixel_m, compress=compress)
        scale = 1.0 if band == "SCL" else 1e-4
        assets[band] = BandAsset(band, str(path), scale=scale, offset=0.0, nodata=0, resolution_m=pixel_m)
    sensed_at = datetime(2018, 5, 1, 11, tzinfo=UTC) + timedelta(days=5 * number)
    box = (-3.0, 46.8, -1.5, 47.9)
    return Acquisition(
        item_id=f"synthetic_{number}",
        collection="synthetic",
        tile="30TWT",
        sensed_at=sensed_at,
        platform=None,
        relative_orbit=None,
        processing_baseline=None,
        datatake=f"{sensed_at:%Y%m%d}",
        cloud_cover=None,
        epsg=EPSG,
        bbox=box,
        footprint_wkt=shapely.box(*box).wkt,
        assets=assets,
    )


def _land(relief: Array, rng: np.random.Generator) -> Array:
    noise = rng.normal(0, 40, relief.shape)
    values: Array = np.clip(2500 + rng.uniform(100, 400) * relief + noise, 1, 12_000).astype(np.uint16)
    return values


def _scene_classes(relief: Array) -> Array:
    """Vegetation, and a third of it under clouds and their edges."""
    high, edge = np.quantile(relief, [0.67, 0.64])
    classes: Array = np.select([relief > high, relief > edge], [9, 8], 4).astype(np.uint8)
    return classes


def _repeated(texture: Array, size: int) -> Array:
    times = -(-size // len(texture))
    return np.tile(texture, (times, times))[:size, :size]


def _write(path: Path, values: Array, *, pixel_m: int, compress: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if compress == JPEG2000:
        layout: dict[str, Any] = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    else:
        layout = {"driver": "GTiff", "compress": compress, "predictor": 2, "tiled": True}
    with rasterio.open(
        path,
        "w",
        **layout,
        dtype=values.dtype,
        count=1,
        height=values.shape[0],
        width=values.shape[1],
        crs=f"EPSG:{EPSG}",
        transform=Affine(pixel_m, 0, WEST, 0, -pixel_m, NORTH),
        nodata=None if compress == JPEG2000 else 0,  # its items state it
        blockxsize=BLOCK_PX,
        blockysize=BLOCK_PX,
        num_threads="all_cpus",
    ) as sink:
        sink.write(values, 1)


def make_parcels(*, size_px: int, count: int, seed: int = 0) -> gpd.GeoDataFrame:
    """Irregular heptagons of about 3 ha, one per cell of a square lattice, in EPSG:4326."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    step = size_px * 10 / side
    row, col = np.divmod(np.arange(count), side)
    centre = np.column_stack([WEST + (col + 0.5) * step, NORTH - (row + 0.5) * step])
    angle = np.sort(rng.uniform(0, 2 * np.pi, (count, 7)), axis=1)
    reach = rng.uniform(60, min(180, step / 2), (count, 7))
    corners = centre[:, None] + np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=2)
    names = [f"P{number:06d}" for number in range(count)]
    outlines = shapely.make_valid(shapely.polygons(corners))
    return gpd.GeoDataFrame({"parcel_id": names}, geometry=outlines, crs=EPSG).to_crs(4326)
