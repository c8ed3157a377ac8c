"""What a STAC item says about one Sentinel-2 acquisition: from an item's dictionary to values, or a reason.

Understands the items of Earth Search v1, Copernicus Data Space and Planetary Computer, in STAC 1.0 (`raster:bands`,
`proj:epsg`) and STAC 1.1 (`bands`, `proj:code`). Never looks at pixels, and never lets the date decide anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pyproj import CRS
from pyproj.exceptions import ProjError
from shapely.errors import ShapelyError

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition, Bbox
from cropmap.sources.catalogs.footprints import box_of, footprint_of, polygon_of
from cropmap.sources.catalogs.item_assets import ASSET_KEYS, asset_key, band_asset
from cropmap.sources.catalogs.item_identity import (
    baseline_of,
    datatake_of,
    generated_at_of,
    relative_orbit_of,
    sensed_at_of,
    tile_of,
)
from cropmap.sources.catalogs.places import Places
from cropmap.sources.catalogs.plain_text import id_problem, kept_id, one_line

PLANETARY_COMPUTER: Final = ("planetarycomputer.microsoft.com", "sentinel2l2a01.blob.core.windows.net")
"""Its catalogue and its files. Its items state no offset; by its documentation the pixels are those of ESA, so the
offset is -0.1 from baseline 04.00 on (microsoft/PlanetaryComputer#134)."""
MALFORMED: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    ShapelyError,
    ProjError,
)
"""what a field of an unexpected type, depth or size gives"""
EPSG_CODE: Final = re.compile(r"(?:.*EPSG[:/](?:[^:/,]*[:/])?\s*)?(\d+)(?:\.0)?", re.IGNORECASE)
"""EPSG:32632, urn:ogc:def:crs:EPSG::32632, http://www.opengis.net/def/crs/EPSG/0/32632, a number"""
MAX_BYTES: Final = 2**20
"""of an acquisition in the ledger; an ordinary one has 4,000"""


def acquisition_from_item(
    item: Mapping[str, Any], *, places: Places | None = None, offset_by_baseline: bool = False
) -> Acquisition:
    """Reads an item whose asset hrefs are absolute; `places` says which of them may be opened, None: any.

    `offset_by_baseline` is for a mirror of Planetary Computer, whose own items are recognised by their addresses.
    Raises SceneError with the reason for which the acquisition cannot be used.
    """
    if problem := id_problem(item.get("id")):
        raise SceneError(problem, reason=QuarantineReason.INVALID_ID, where=kept_id(item.get("id")))
    try:
        acquisition = _acquisition(item, offset_by_baseline or _is_planetary_computer(item, places))
        stored = json.dumps(acquisition.to_json(), allow_nan=False, ensure_ascii=False).encode()
    except MALFORMED as error:
        what = f"a field of the item cannot be read ({type(error).__name__}: {one_line(error, 160)})"
        raise _scene_error(item, what, QuarantineReason.INCOMPLETE_METADATA) from error
    if len(stored) > MAX_BYTES or b"\\u0000" in stored:
        raise _scene_error(item, "its fields cannot be stored", QuarantineReason.INCOMPLETE_METADATA)
    if places is not None:
        for band in acquisition.assets:
            key = asset_key(item, band)
            asset = item["assets"][key]
            places.check_raster(acquisition.item_id, key, asset["href"], asset.get("type"))
    return acquisition


def _acquisition(item: Mapping[str, Any], by_baseline: bool) -> Acquisition:
    properties = item["properties"]
    tile, sensed_at = tile_of(item), sensed_at_of(item)
    if tile is None or sensed_at is None:
        missing = "MGRS tile" if tile is None else "datetime of Sentinel-2"
        raise _scene_error(item, f"the item has no {missing}", QuarantineReason.INCOMPLETE_METADATA)
    baseline, cloud_cover = baseline_of(item), properties.get("eo:cloud_cover")
    bbox, footprint_wkt = _extent(item)
    return Acquisition(
        item_id=item["id"],
        collection=_text(item.get("collection")) or "",
        tile=tile,
        sensed_at=sensed_at,
        platform=_text(properties.get("platform")),
        relative_orbit=relative_orbit_of(item),
        processing_baseline=baseline,
        datatake=datatake_of(item, sensed_at),
        cloud_cover=None if cloud_cover is None else float(cloud_cover),
        epsg=_epsg(item, tile),
        bbox=bbox,
        footprint_wkt=footprint_wkt,
        assets={band: band_asset(item, band, baseline=baseline, by_baseline=by_baseline) for band in (*BANDS, "SCL")},
        generated_at=generated_at_of(item),
    )


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value


def _epsg(item: Mapping[str, Any], tile: str) -> int:
    """EPSG code of the item, or of its first band. A tile lies in the UTM zone of its name, nowhere else."""
    holders = (item["properties"], *(item["assets"][key] for key in ASSET_KEYS["B02"] if key in item["assets"]))
    code = next((code for holder in holders if (code := _crs_code(holder))), None)
    if code is None:
        raise _scene_error(item, "the item has neither proj:code nor proj:epsg", QuarantineReason.INCOMPLETE_METADATA)
    expected = (32600 if tile[2] >= "N" else 32700) + int(tile[:2])
    match = EPSG_CODE.fullmatch(str(code).strip())
    if match is None or int(match[1]) != expected:
        raise _scene_error(
            item, f"CRS {one_line(code, 60)!r} of tile {tile} is not EPSG:{expected}", QuarantineReason.WRONG_CRS
        )
    return expected


def _crs_code(holder: Mapping[str, Any]) -> object:
    """As it is written; of a CRS that is spelt out in WKT or JSON the code that EPSG has for it."""
    written = holder.get("proj:code") or holder.get("proj:epsg")
    spelt = holder.get("proj:wkt2") or holder.get("proj:projjson")
    return written or (CRS.from_user_input(spelt).to_epsg() or "without a code" if spelt else None)


def _extent(item: Mapping[str, Any]) -> tuple[Bbox, str]:
    """Box and footprint, each standing in for the other where it is missing."""
    written, footprint = box_of(item), footprint_of(item)
    if footprint is None and written is None:
        raise ValueError("the item has neither geometry nor bbox")
    if footprint is None:
        assert written is not None
        footprint = polygon_of(written)
    west, south, east, north = written or footprint.bounds
    return (float(west), float(south), float(east), float(north)), footprint.wkt


def _is_planetary_computer(item: Mapping[str, Any], places: Places | None) -> bool:
    """By the address of the catalogue, of a link of the item, or of its blue band."""
    links, assets = item.get("links"), item["assets"]
    addresses = [
        places.catalog if places else "",
        *(link.get("href") for link in (links if isinstance(links, list) else ()) if isinstance(link, Mapping)),
        *(assets[key].get("href") for key in ASSET_KEYS["B02"] if key in assets),
    ]
    return any(_host(address) in PLANETARY_COMPUTER for address in addresses)


def _host(address: object) -> str | None:
    try:
        return urlsplit(address).hostname if isinstance(address, str) else None
    except ValueError:
        return None


def _scene_error(item: Mapping[str, Any], what: str, reason: QuarantineReason) -> SceneError:
    return SceneError(what, reason=reason, where=kept_id(item.get("id")))
