"""What a STAC item says about one Sentinel-2 acquisition: pure functions from an item's dictionary to values.

Understands the items of Earth Search v1, Copernicus Data Space and Planetary Computer, in STAC 1.0 (`raster:bands`,
`proj:epsg`) and STAC 1.1 (`bands`, `proj:code`). Never looks at pixels, and never lets the date decide anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from shapely.errors import ShapelyError
from shapely.geometry import box, shape

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, RESOLUTION_M, QuarantineReason
from cropmap.sources.acquisition import Acquisition, BandAsset, Bbox

ASSET_KEYS: Final = {
    "B02": ("blue", "B02_10m", "B02"),
    "B03": ("green", "B03_10m", "B03"),
    "B04": ("red", "B04_10m", "B04"),
    "B05": ("rededge1", "B05_20m", "B05"),
    "B06": ("rededge2", "B06_20m", "B06"),
    "B07": ("rededge3", "B07_20m", "B07"),
    "B08": ("nir", "B08_10m", "B08"),
    "B8A": ("nir08", "B8A_20m", "B8A"),
    "B11": ("swir16", "B11_20m", "B11"),
    "B12": ("swir22", "B12_20m", "B12"),
    "SCL": ("scl", "SCL_20m", "SCL"),
}
"""Asset keys of Earth Search v1, Copernicus Data Space, Planetary Computer."""

FIRST_BASELINE_WITH_OFFSET: Final = "04.00"
"""From this processing baseline on DN = reflectance * 10 000 + 1000 (S2 Products Specification, 04.00)."""
DEFAULT_SCALE: Final = 1e-4
"""1 / BOA_QUANTIFICATION_VALUE, the same in every baseline so far."""
DEFAULT_NODATA: Final = 0

PRODUCT_NAME: Final = re.compile(
    r"(?P<platform>S2[A-D])_MSIL\d[AC]_(?P<datatake>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?"
    r"(?:_R(?P<orbit>\d{3}))?(?:_T(?P<tile>\d{2}[A-Z]{3}))?"
)
"""S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454; Planetary Computer leaves N out."""
DATATAKE_ID: Final = re.compile(r"G?(?P<platform>S2[A-D])_(?P<datatake>\d{8}T\d{6})_")
"""GS2A_20221005T115411_038058_N04.00: the baseline at its end does not belong to the sensing."""
TILE: Final = re.compile(r"T?(\d{2}[C-HJ-NP-X][A-Z]{2})$")
BASELINE: Final = re.compile(r"\d{2}\.\d{2}$")
PRODUCT_END: Final = re.compile(r"_MSIL\d[AC]_.*_(\d{8}T\d{6})(?:\.SAFE)?$")
"""S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE: the time of processing."""
DATASTRIP_START: Final = re.compile(r"_S(\d{8}T\d{6})")


def acquisition_from_item(item: Mapping[str, Any]) -> Acquisition:
    """Reads an item whose asset hrefs are absolute.

    Raises SceneError with the reason for which the acquisition cannot be used.
    """
    try:
        return _acquisition(item)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"a field of the item cannot be read ({type(error).__name__}: {error})"
        raise _scene_error(item, what, QuarantineReason.INCOMPLETE_METADATA) from error


def _acquisition(item: Mapping[str, Any]) -> Acquisition:
    properties = item["properties"]
    tile = tile_of(item)
    sensed_at = sensed_at_of(item)
    if tile is None or sensed_at is None:
        missing = "MGRS tile" if tile is None else "datetime"
        raise _scene_error(item, f"the item has no {missing}", QuarantineReason.INCOMPLETE_METADATA)
    baseline, cloud_cover = baseline_of(item), properties.get("eo:cloud_cover")
    bbox, footprint_wkt = _extent(item)
    return Acquisition(
        item_id=item["id"],
        collection=item.get("collection") or "",
        tile=tile,
        sensed_at=sensed_at,
        platform=properties.get("platform"),
        relative_orbit=_relative_orbit(item),
        processing_baseline=baseline,
        datatake=_datatake(item, sensed_at),
        cloud_cover=None if cloud_cover is None else float(cloud_cover),
        epsg=_epsg(item, tile),
        bbox=bbox,
        footprint_wkt=footprint_wkt,
        assets={band: _band_asset(item, band, baseline) for band in (*BANDS, "SCL")},
        generated_at=generated_at_of(item),
    )


def sensed_at_of(item: Mapping[str, Any]) -> datetime | None:
    """Sensing time in UTC; None where the item has none that can be read."""
    text = item["properties"].get("datetime") or item["properties"].get("start_datetime")
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def generated_at_of(item: Mapping[str, Any]) -> datetime | None:
    """When the product was processed, in UTC and whole seconds: the end of the product's name, or the fields.

    Two products of one sensing were seen with one `s2:generation_time`; their names tell them apart. Not
    `created` or `updated`: they say when the catalogue wrote the item.
    """
    properties = item["properties"]
    named = (PRODUCT_END.search(str(text or "")) for text in (properties.get("s2:product_uri"), item["id"]))
    for text in (
        *(match[1] for match in named if match),
        properties.get("s2:generation_time"),
        properties.get("processing:datetime"),
    ):
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            continue
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)
    return None


def tile_of(item: Mapping[str, Any]) -> str | None:
    properties = item["properties"]
    zone = properties.get("mgrs:utm_zone")
    band, square = properties.get("mgrs:latitude_band", ""), properties.get("mgrs:grid_square", "")
    candidates = (
        properties.get("s2:mgrs_tile"),
        str(properties.get("grid:code", "")).removeprefix("MGRS-"),
        f"{zone:0>2}{band}{square}" if zone is not None else None,
        *(match["tile"] for match in _product_names(item)),
    )
    matches = (TILE.match(str(candidate)) for candidate in candidates if candidate)
    return next((match[1] for match in matches if match), None)


def baseline_of(item: Mapping[str, Any]) -> str | None:
    properties = item["properties"]
    for key in ("s2:processing_baseline", "processing:version"):
        if BASELINE.match(str(properties.get(key, ""))):
            return str(properties[key])
    found = (match["baseline"] for match in _product_names(item))
    return next((f"{digits[:2]}.{digits[2:]}" for digits in found if digits), None)


def datastrip_of(item: Mapping[str, Any]) -> str | None:
    """Sensing start of the datastrip: two strips of one datatake show different parts of a tile."""
    match = DATASTRIP_START.search(str(item["properties"].get("s2:datastrip_id", "")))
    return match[1] if match else None


def effective_offset(
    metadata: Mapping[str, Any], *, baseline: str | None, offset_applied: bool | None
) -> float | QuarantineReason:
    """Reflectance to add to DN * scale, for the pixels as they are stored; OFFSET_UNKNOWN where nothing says.

    `offset_applied` is Earth Search's `earthsearch:boa_offset_applied`: its items keep the offset -0.1 in the band
    metadata although the pixels have it already. A baseline before 04.00 has none; a later one must say which.
    """
    if offset_applied:
        return 0.0
    if metadata.get("offset") is not None:
        return float(metadata["offset"])
    if baseline is not None and baseline < FIRST_BASELINE_WITH_OFFSET:
        return 0.0
    return QuarantineReason.OFFSET_UNKNOWN


def _band_asset(item: Mapping[str, Any], band: str, baseline: str | None) -> BandAsset:
    key = next((key for key in ASSET_KEYS[band] if key in item["assets"]), None)
    if key is None:
        wanted = ", ".join(ASSET_KEYS[band])
        raise _scene_error(item, f"no asset for band {band} (looked for {wanted})", QuarantineReason.MISSING_BAND)
    asset = item["assets"][key]
    metadata = _raster_metadata(asset)
    nodata, resolution_m = int(metadata.get("nodata", DEFAULT_NODATA)), _resolution_m(asset, metadata, band)
    checksum, size = asset.get("file:checksum"), asset.get("file:size")
    checksum = checksum.lower() if isinstance(checksum, str) and checksum else None
    size = size if isinstance(size, int) else None
    if band == "SCL":
        return BandAsset(band, asset["href"], 1.0, 0.0, nodata, resolution_m, checksum, size)
    offset_applied = item["properties"].get("earthsearch:boa_offset_applied")
    offset = effective_offset(metadata, baseline=baseline, offset_applied=offset_applied)
    if isinstance(offset, QuarantineReason):
        raise _scene_error(
            item, f"asset {key} has no offset and the processing baseline is {baseline or 'not given'}", offset
        )
    scale = float(metadata.get("scale", DEFAULT_SCALE))
    return BandAsset(band, asset["href"], scale, offset, nodata, resolution_m, checksum, size)


def _raster_metadata(asset: Mapping[str, Any]) -> dict[str, Any]:
    """scale, offset, nodata, spatial_resolution of an asset: STAC 1.0 `raster:bands`, or STAC 1.1 `bands` and the
    asset itself, whose raster fields carry a prefix."""
    sources: Sequence[Mapping[str, Any]] = (
        asset,
        *asset.get("bands", ())[:1],
        *asset.get("raster:bands", ())[:1],
    )
    names = ("scale", "offset", "nodata", "spatial_resolution")
    return {
        name: source[key]
        for source in sources
        for name in names
        for key in (name, f"raster:{name}")
        if source.get(key) is not None
    }


def _resolution_m(asset: Mapping[str, Any], metadata: Mapping[str, Any], band: str) -> int:
    transform = asset.get("proj:transform") or ()
    return round(
        (abs(transform[0]) if transform else None)
        or metadata.get("spatial_resolution")
        or asset.get("gsd")
        or RESOLUTION_M[band]
    )


def _epsg(item: Mapping[str, Any], tile: str) -> int:
    """EPSG code of the item, or of its first band. A tile lies in the UTM zone of its name, nowhere else."""
    holders = (item["properties"], *(item["assets"][key] for key in ASSET_KEYS["B02"] if key in item["assets"]))
    codes = (holder.get("proj:code") or holder.get("proj:epsg") for holder in holders)
    code = next((code for code in codes if code), None)
    if code is None:
        raise _scene_error(item, "the item has neither proj:code nor proj:epsg", QuarantineReason.INCOMPLETE_METADATA)
    expected = (32600 if tile[2] >= "N" else 32700) + int(tile[:2])
    if str(code).upper().removeprefix("EPSG:") != str(expected):
        raise _scene_error(item, f"CRS {code!r} of tile {tile} is not EPSG:{expected}", QuarantineReason.WRONG_CRS)
    return expected


def _extent(item: Mapping[str, Any]) -> tuple[Bbox, str]:
    try:
        footprint = shape(item["geometry"]) if item.get("geometry") else box(*item["bbox"])
        west, south, east, north = item.get("bbox") or footprint.bounds
    except (KeyError, TypeError, ValueError, ShapelyError) as error:
        raise _scene_error(
            item, "neither geometry nor bbox can be read", QuarantineReason.INCOMPLETE_METADATA
        ) from error
    return (float(west), float(south), float(east), float(north)), footprint.wkt


def _datatake(item: Mapping[str, Any], sensed_at: datetime) -> str:
    """The same text whether the item names its datatake, its product, or only platform and time."""
    properties = item["properties"]
    match = DATATAKE_ID.match(str(properties.get("s2:datatake_id", ""))) or next(_product_names(item), None)
    if match:
        return f"{match['platform']}_{match['datatake']}"
    platform = str(properties.get("platform", "")).upper().replace("SENTINEL-", "S")
    return f"{platform or 'S2'}_{sensed_at:%Y%m%dT%H%M%S}"


def _relative_orbit(item: Mapping[str, Any]) -> int | None:
    orbit = item["properties"].get("sat:relative_orbit")
    if orbit is None:
        orbit = next((match["orbit"] for match in _product_names(item)), None)
    return int(orbit) if orbit is not None else None


def _product_names(item: Mapping[str, Any]) -> Iterator[re.Match[str]]:
    for text in (item["properties"].get("s2:product_uri"), item["id"]):
        match = PRODUCT_NAME.search(str(text or ""))
        if match:
            yield match


def _scene_error(item: Mapping[str, Any], what: str, reason: QuarantineReason) -> SceneError:
    return SceneError(what, reason=reason, where=str(item["id"]))
