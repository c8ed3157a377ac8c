"""What a STAC item says about one Sentinel-2 acquisition: from an item's dictionary to values, or a reason.

Understands STAC 1.0 (`raster:bands`, `proj:epsg`) and STAC 1.1 (`bands`, or everything on the asset; `proj:code`). What
differs between catalogues is data (`providers`). Never looks at pixels, and never lets the date decide anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pyproj import CRS
from pyproj.exceptions import ProjError
from shapely.errors import ShapelyError

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition, Bbox
from cropmap.sources.catalogs.footprints import box_of, footprint_of, polygon_of
from cropmap.sources.catalogs.item_assets import asset_key, band_asset
from cropmap.sources.catalogs.item_identity import (
    baseline_of,
    cloud_cover_of,
    datastrip_start_of,
    datatake_of,
    generated_at_of,
    level_of,
    relative_orbit_of,
    sensed_at_of,
    tile_of,
)
from cropmap.sources.catalogs.places import Places
from cropmap.sources.catalogs.plain_text import id_problem, kept_id, one_line
from cropmap.sources.catalogs.providers import GENERIC, Provider, built_in, recognised

WITHOUT_OFFSETS: Final = "planetary_computer"
"""the provider whose rule `offset_by_baseline` applies to another's items"""
SURFACE_REFLECTANCE: Final = "2A"
"""the level of products that are read"""
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

    `offset_by_baseline` is for a mirror of Planetary Computer under another name: its rule for offsets is applied.
    Raises SceneError with the reason for which the acquisition cannot be used.
    """
    if problem := id_problem(item.get("id")):
        raise SceneError(problem, reason=QuarantineReason.INVALID_ID, where=kept_id(item.get("id")))
    provider = provider_of_item(item, places)
    if offset_by_baseline and provider.offset_unstated is None:
        provider = provider.model_copy(update={"offset_unstated": built_in(WITHOUT_OFFSETS).offset_unstated})
    try:
        acquisition = _acquisition(item, provider)
        stored = json.dumps(acquisition.to_json(), allow_nan=False, ensure_ascii=False).encode()
    except MALFORMED as error:
        what = f"a field of the item cannot be read ({type(error).__name__}: {one_line(error, 160)})"
        raise _scene_error(item, what, QuarantineReason.INCOMPLETE_METADATA) from error
    if len(stored) > MAX_BYTES or b"\\u0000" in stored:
        raise _scene_error(item, "its fields cannot be stored", QuarantineReason.INCOMPLETE_METADATA)
    if places is not None:
        for band, file in acquisition.assets.items():
            key = asset_key(item, band, provider)
            medium = item["assets"][key].get("type")
            places.check_raster(acquisition.item_id, key, file.href, medium, other_media=provider.other_media)
    return acquisition


def provider_of_item(item: Mapping[str, Any], places: Places | None) -> Provider:
    """Whose item it is: by the agency's word, by the address of its blue band or a link of it, by the catalogue's
    address; the generic one where nothing says."""
    if places is not None and places.access.provider is not None:
        return places.access.provider
    links, assets = item.get("links"), item.get("assets")
    blue = [assets.get(key) for key in built_in(GENERIC).assets["B02"]] if isinstance(assets, Mapping) else []
    listed = (*blue, *(links if isinstance(links, list) else ()))
    hrefs = (holder.get("href") for holder in listed if isinstance(holder, Mapping))
    addresses = (*hrefs, places.catalog if places else None)
    return recognised(addresses, item.get("collection")) or built_in(GENERIC)


def _acquisition(item: Mapping[str, Any], provider: Provider) -> Acquisition:
    properties, fields = item["properties"], provider.fields
    if (level := level_of(item, fields) or SURFACE_REFLECTANCE) != SURFACE_REFLECTANCE:
        what = f"this is a Level-{level} product; cropmap reads the Level-2A product of the same pass"
        raise _scene_error(item, what, QuarantineReason.UNSUPPORTED_FORMAT)
    tile, sensed_at = tile_of(item, fields), sensed_at_of(item)
    if tile is None or sensed_at is None:
        missing = "MGRS tile" if tile is None else "datetime of Sentinel-2"
        raise _scene_error(item, f"the item has no {missing}", QuarantineReason.INCOMPLETE_METADATA)
    baseline = baseline_of(item, fields)
    bbox, footprint_wkt = _extent(item)
    return Acquisition(
        item_id=item["id"],
        collection=_text(item.get("collection")) or "",
        tile=tile,
        sensed_at=sensed_at,
        platform=platform if isinstance(platform := properties.get("platform"), str) else None,
        relative_orbit=relative_orbit_of(item, fields),
        processing_baseline=baseline,
        datatake=datatake_of(item, sensed_at, fields),
        cloud_cover=cloud_cover_of(item),
        epsg=_epsg(item, tile, provider),
        bbox=bbox,
        footprint_wkt=footprint_wkt,
        assets={band: band_asset(item, band, baseline=baseline, provider=provider) for band in (*BANDS, "SCL")},
        generated_at=generated_at_of(item, fields),
        strip_start=datastrip_start_of(item, fields),
    )


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value


def _epsg(item: Mapping[str, Any], tile: str, provider: Provider) -> int:
    """EPSG code of the item, or of its first band. A tile lies in the UTM zone of its name, nowhere else."""
    holders = (item["properties"], *(item["assets"][key] for key in provider.assets["B02"] if key in item["assets"]))
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


def _scene_error(item: Mapping[str, Any], what: str, reason: QuarantineReason) -> SceneError:
    return SceneError(what, reason=reason, where=kept_id(item.get("id")))
