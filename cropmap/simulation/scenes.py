"""Scenes on disk: cloud-optimised GeoTIFFs and the STAC catalogue around them, as Earth Search v1 lays them out.

An item's JSON is renamed into place after its rasters: where it exists, the scene is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pystac
import rasterio
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from shapely.geometry import box, mapping

from cropmap.schemas import BANDS, EPSG_WGS84, RESOLUTION_M
from cropmap.simulation.landscape import EPSG
from cropmap.simulation.passes import NEW_BASELINE, OFFSET, Pass

COLLECTION: Final = "sentinel-2-l2a"
TITLE: Final = "Simulation: Sentinel-2-like scenes of schematic fields in Brittany"
DESCRIPTION: Final = (
    "Simulated for tests and demonstrations, not acquired by a satellite. Read scale, offset and nodata from each "
    "asset (raster:bands), never from the date."
)
ASSET_KEYS: Final = {
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B11": "swir16",
    "B12": "swir22",
    "SCL": "scl",
}
EXTENSIONS: Final = (
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/grid/v1.0.0/schema.json",
    "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
)
PROJECTION: Final = "https://stac-extensions.github.io/projection/v{}/schema.json"
BLOCK: Final = 512
SCALE: Final = 1e-4


@dataclass(frozen=True)
class Scene:
    """One item: a tile of a pass under one processing baseline."""

    overpass: Pass
    tile: str
    baseline: str

    @property
    def item_id(self) -> str:
        """S2A_30UVU_20180102_0_L2A; the reprocessed twin counts 1."""
        platform = f"S2{self.overpass.platform[-1].upper()}"
        number = 1 if self.overpass.reprocessed_tile == self.tile and self.baseline == NEW_BASELINE else 0
        return f"{platform}_{self.tile}_{self.overpass.day:%Y%m%d}_{number}_L2A"

    @property
    def product_uri(self) -> str:
        sensed, days = self.overpass.sensed_at, 2000 if self.baseline == NEW_BASELINE else 0
        made = sensed + timedelta(days=days, hours=5)
        return (
            f"{self.item_id[:3]}_MSIL2A_{sensed:%Y%m%dT%H%M%S}_N{self.baseline.replace('.', '')}"
            f"_R{self.overpass.relative_orbit:03d}_T{self.tile}_{made:%Y%m%dT%H%M%S}.SAFE"
        )


@dataclass(frozen=True)
class Frame:
    """Where a tile's window lies: its 10 m grid."""

    transform: Affine
    height: int
    width: int

    def grid(self, resolution: int) -> tuple[Affine, int, int]:
        """Transform, height and width at 10 or 20 m."""
        times, origin = resolution // 10, (self.transform.c, self.transform.f)
        transform = Affine(resolution, 0, origin[0], 0, -resolution, origin[1])
        return transform, self.height // times, self.width // times

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        left, top = self.transform.c, self.transform.f
        bounds = (left, top - 10 * self.height, left + 10 * self.width, top)
        west, south, east, north = transform_bounds(f"EPSG:{EPSG}", f"EPSG:{EPSG_WGS84}", *bounds)
        return west, south, east, north


def stored(reflectance: npt.NDArray[np.float32], *, baseline: str) -> npt.NDArray[np.uint16]:
    """Digital numbers of a baseline: (reflectance − offset) × 10 000, at least 1 because 0 is nodata."""
    numbers = np.rint((reflectance - np.float32(OFFSET[baseline])) * np.float32(1 / SCALE))
    return np.asarray(np.clip(numbers, 1, 65_535), np.uint16)


def write_raster(path: Path, values: npt.NDArray[Any], transform: Affine) -> None:
    """A COG with nodata 0; no overviews where one block nearly holds it all."""
    partial = path.with_name(f".writing-{path.name}")
    profile = {
        "driver": "COG",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype,
        "crs": f"EPSG:{EPSG}",
        "transform": transform,
        "nodata": 0,
        "compress": "ZSTD",
        "level": 1,
        "predictor": 2,
        "blocksize": BLOCK,
        "overviews": "AUTO" if max(values.shape) > 4 * BLOCK else "NONE",
    }
    with rasterio.open(partial, "w", **profile) as target:
        target.write(values, 1)
    partial.replace(path)


def build_item(scene: Scene, frame: Frame, *, cloud_cover: float) -> pystac.Item:
    """`cloud_cover` in percent, as the scene classification counts it."""
    overpass, bbox = scene.overpass, frame.bbox
    newer = scene.baseline == NEW_BASELINE
    item = pystac.Item(
        id=scene.item_id,
        geometry=dict(mapping(box(*bbox))),
        bbox=[round(v, 7) for v in bbox],
        datetime=overpass.sensed_at,
        stac_extensions=[*EXTENSIONS, PROJECTION.format("2.0.0" if newer else "1.1.0")],
        properties={
            "title": f"{TITLE}, {scene.tile}, {overpass.day}",
            "platform": overpass.platform,
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "gsd": 10,
            "eo:cloud_cover": round(cloud_cover, 2),
            "grid:code": f"MGRS-{scene.tile}",
            "s2:mgrs_tile": scene.tile,
            "s2:processing_baseline": scene.baseline,
            "s2:product_type": "S2MSI2A",
            "s2:product_uri": scene.product_uri,
            "sat:relative_orbit": overpass.relative_orbit,
            "earthsearch:boa_offset_applied": False,
            # both versions of the projection extension are in use, so both are simulated
            **({"proj:code": f"EPSG:{EPSG}"} if newer else {"proj:epsg": EPSG}),
            "cropmap:simulation": True,
        },
    )
    for band in (*BANDS, "SCL"):
        item.add_asset(ASSET_KEYS[band], _asset(band, frame, scene.baseline))
    return item


def _asset(band: str, frame: Frame, baseline: str) -> pystac.Asset:
    resolution = RESOLUTION_M[band]
    transform, height, width = frame.grid(resolution)
    raster: dict[str, object] = {"nodata": 0, "data_type": "uint8", "spatial_resolution": resolution}
    if band != "SCL":
        raster |= {"data_type": "uint16", "bits_per_sample": 16, "scale": SCALE, "offset": OFFSET[baseline]}
    fields = {
        "gsd": resolution,
        "proj:shape": [height, width],
        "proj:transform": list(transform),
        "raster:bands": [raster],
    }
    if band != "SCL":
        fields["eo:bands"] = [{"name": ASSET_KEYS[band], "description": band}]
    return pystac.Asset(
        href=f"./{band}.tif",
        title=f"{band} - {resolution}m (simulation)",
        media_type=pystac.MediaType.COG,
        roles=["data"] if band == "SCL" else ["data", "reflectance"],
        extra_fields=fields,
    )


def write_item(folder: Path, item: pystac.Item) -> None:
    """`folder`/<item id>/<item id>.json with links to the collection and catalogue above it."""
    item.collection_id = COLLECTION
    document = item.to_dict(include_self_link=False)
    document["links"] = [
        {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
        {"rel": "parent", "href": "../collection.json", "type": "application/json"},
        {"rel": "collection", "href": "../collection.json", "type": "application/json"},
    ]
    write_json(folder / item.id / f"{item.id}.json", document)


def write_catalog(folder: Path, item_ids: Iterable[str], *, bbox: list[float], days: tuple[datetime, datetime]) -> None:
    """catalog.json and the collection below it; the items are there already."""
    catalog = pystac.Catalog("cropmap-simulation", f"{TITLE}. {DESCRIPTION}", title=TITLE)
    extent = pystac.Extent(pystac.SpatialExtent([bbox]), pystac.TemporalExtent([[day.astimezone(UTC) for day in days]]))
    collection = pystac.Collection(COLLECTION, DESCRIPTION, extent, title=TITLE, license="CC0-1.0")
    collection.extra_fields["cropmap:simulation"] = True
    for item_id in sorted(item_ids):
        link = pystac.Link("item", f"./{item_id}/{item_id}.json", media_type=pystac.MediaType.GEOJSON)
        collection.add_link(link)
    collection_document = collection.to_dict(include_self_link=False)
    collection_document["links"] = [
        {"rel": "root", "href": "../catalog.json", "type": "application/json"},
        {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
        *(link for link in collection_document["links"] if link["rel"] == "item"),
    ]
    write_json(folder / COLLECTION / "collection.json", collection_document)
    document = catalog.to_dict(include_self_link=False)
    document["links"] = [
        {"rel": "root", "href": "./catalog.json", "type": "application/json"},
        {"rel": "child", "href": f"./{COLLECTION}/collection.json", "type": "application/json", "title": TITLE},
    ]
    write_json(folder / "catalog.json", document)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(document, indent=1, ensure_ascii=False).encode())


def write_whole(path: Path, data: bytes) -> None:
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".writing-{path.name}")
    with partial.open("wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(path)
