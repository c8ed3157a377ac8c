"""Where an item's bands lie, and what their digital numbers mean: pure functions from an item's dictionary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, RESOLUTION_M, QuarantineReason
from cropmap.sources.catalogs.acquisition import BandAsset
from cropmap.sources.catalogs.places import raster_ending
from cropmap.sources.catalogs.providers import Provider, UnstatedOffset, fits, place_of

FIRST_BASELINE_WITH_OFFSET: Final = "04.00"
"""From this processing baseline on DN = reflectance * 10 000 + 1000 (S2 Products Specification, 04.00)."""
DEFAULT_SCALE: Final = 1e-4
"""1 / BOA_QUANTIFICATION_VALUE, the same in every baseline so far."""
LARGEST_SCALE: Final = 0.01
"""digital numbers are whole: at a scale of 1, which some tools write in place of none, all would be 0 or 1"""
DEFAULT_NODATA: Final = 0

_READ: Final = ("scale", "offset", "nodata", "spatial_resolution")
_PREFIXED: Final = {f"raster:{name}": name for name in _READ}
_NAMES: Final = {key: name for name in _READ for key in (name, f"raster:{name}")}
"""what is read, by what it is called; the later name decides"""
_Versions = Sequence[Sequence[Mapping[str, Any]]]
"""what each version of STAC says of an asset (`_versions`), `_fields` of each of its sources"""


def effective_offset(
    metadata: Mapping[str, Any],
    *,
    baseline: str | None,
    offset_applied: bool | None,
    unstated: UnstatedOffset | None = None,
) -> float | QuarantineReason:
    """Reflectance to add to DN * scale, for the pixels as they are stored; OFFSET_UNKNOWN where nothing says.

    `offset_applied` is Earth Search's flag: its items keep the offset -0.1 in the band metadata although the pixels
    have it already. A baseline before 04.00 has none; a later one must say which, except in a catalogue that documents
    the offset outside its items (`unstated`, Planetary Computer).
    """
    if offset_applied:
        return 0.0
    if metadata.get("offset") is not None:
        return float(metadata["offset"])
    if baseline is not None and baseline < FIRST_BASELINE_WITH_OFFSET:
        return 0.0
    if baseline is not None and unstated is not None:
        return unstated.offset if baseline >= unstated.from_baseline else 0.0
    return QuarantineReason.OFFSET_UNKNOWN


def band_asset(item: Mapping[str, Any], band: str, *, baseline: str | None, provider: Provider) -> BandAsset:
    """One band's file, in a catalogue of this provider. Raises SceneError: MISSING_BAND, OFFSET_UNKNOWN; ValueError and
    the like for a broken field."""
    key = asset_key(item, band, provider)
    asset = item["assets"][key]
    href = unsigned(address_of(asset, provider), provider)
    versions = [[_fields(source) for source in version] for version in _versions(asset)]
    metadata = _raster_metadata(item, versions)
    nodata, resolution_m = int(metadata.get("nodata", DEFAULT_NODATA)), _resolution_m(asset, metadata, band)
    if band == "SCL":
        return BandAsset(band, href, 1.0, 0.0, nodata, resolution_m, *_fingerprint(asset))
    applied = _applied(item, provider.offset_applied)
    if len(stated := _stated_values(versions, "offset")) > 1 and not applied:
        raise SceneError(
            f"asset {key} says that its offset is {' and '.join(map(str, stated))}",
            reason=QuarantineReason.OFFSET_UNKNOWN,
            where=item["id"],
        )
    offset = effective_offset(metadata, baseline=baseline, offset_applied=applied, unstated=provider.offset_unstated)
    if isinstance(offset, QuarantineReason):
        raise SceneError(
            f"asset {key} has no offset and the processing baseline is {baseline or 'not given'}",
            reason=offset,
            where=item["id"],
        )
    scale = float(metadata.get("scale", DEFAULT_SCALE))
    if len(stated := _stated_values(versions, "scale")) > 1:
        raise ValueError(f"asset {key} says that its scale is {' and '.join(map(str, stated))}")
    if not (0 < scale <= LARGEST_SCALE and -1 <= offset <= 1):
        raise ValueError(f"scale {scale} and offset {offset} of asset {key} are none of reflectance")
    return BandAsset(band, href, scale, offset, nodata, resolution_m, *_fingerprint(asset))


def asset_key(item: Mapping[str, Any], band: str, provider: Provider) -> str:
    """The key of a band's asset. Raises SceneError (MISSING_BAND)."""
    others = {}
    for key in provider.assets[band]:
        if key in item["assets"]:
            other = _band_of(item["assets"][key])
            if other in (None, band):
                return key
            others[key] = other
    wanted = ", ".join(provider.assets[band])
    besides = "".join(f"; {key} is {other} by its own word" for key, other in others.items())
    raise SceneError(
        f"no asset for band {band} (looked for {wanted}{besides})",
        reason=QuarantineReason.MISSING_BAND,
        where=item["id"],
    )


def _band_of(asset: Mapping[str, Any]) -> str | None:
    """The band that an asset of one band names, by Sentinel-2's names; None where it uses others or none."""
    for key in ("bands", "eo:bands"):
        bands = asset.get(key)
        if isinstance(bands, list) and len(bands) == 1 and isinstance(bands[0], dict):
            name = str(bands[0].get("name")).upper()
            if name in BANDS:
                return name
    return None


def _fingerprint(asset: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Checksum and bytes of a file, by the STAC file extension."""
    checksum, size = asset.get("file:checksum"), asset.get("file:size")
    return (
        checksum.lower() if isinstance(checksum, str) and checksum else None,
        size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**63 else None,
    )


def address_of(asset: Mapping[str, Any], provider: Provider) -> Any:
    """The address of an asset's file: its href, or an alternate one where the provider prefers the scheme of that, or
    where the href names no raster file (as of a service that hands files out by number)."""
    alternates = asset.get("alternate")
    if not isinstance(alternates, Mapping):
        return asset["href"]
    hrefs = [asset["href"], *(other.get("href") for other in alternates.values() if isinstance(other, Mapping))]
    schemes = {"s3": ("s3",), "https": ("https", "http")}.get(provider.prefer or "", ())
    rasters = [(place_of(href)[0], href) for href in hrefs if isinstance(href, str) and _names_a_raster(href)]
    preferred = (href for scheme, href in rasters if scheme in schemes)
    own = (href for _, href in rasters if href == asset["href"])
    elsewhere = (href for scheme, href in rasters if scheme)
    return next(chain(preferred, own, elsewhere), asset["href"])


def unsigned(href: Any, provider: Provider) -> Any:
    """Without the signature that an item was saved with, which soon ends, where the provider's files are signed when
    they are opened."""
    address, query, rest = href.partition("?") if isinstance(href, str) else (href, "", "")
    if not query or "sig=" not in rest or provider.signature is None:
        return href
    scheme, host = place_of(address)
    return address if any(fits(host, pattern) for pattern in provider.signature.hosts) and scheme else href


def _names_a_raster(href: str) -> bool:
    try:
        return raster_ending(urlsplit(href).path) is not None
    except ValueError:
        return False


def _applied(item: Mapping[str, Any], flags: Sequence[str]) -> bool | None:
    flag = next((item["properties"][key] for key in flags if key in item["properties"]), None)
    flag = {"true": True, "false": False}.get(flag.lower(), flag) if isinstance(flag, str) else flag
    if flag is not None and not isinstance(flag, bool):
        raise ValueError(f"whether the offset is applied is neither true nor false but {str(flag)[:40]!r}")
    return flag


def _raster_metadata(item: Mapping[str, Any], versions: _Versions) -> Mapping[str, Any]:
    """scale, offset, nodata, spatial_resolution of an asset: STAC 1.0 `raster:bands` (some write them in `eo:bands`),
    or STAC 1.1 `bands`, the asset and the item, whose raster fields carry a prefix. The nearer to the band decides."""
    metadata = _fields(item["properties"], _PREFIXED)
    for fields in chain.from_iterable(versions):
        metadata |= fields
    return metadata


def _versions(asset: Mapping[str, Any]) -> Sequence[Sequence[Mapping[str, Any]]]:
    """Where each version of STAC writes them, within one from the asset to its band."""
    return (_first_band(asset, "eo:bands"), (asset, *_first_band(asset, "bands")), _first_band(asset, "raster:bands"))


def _stated_values(versions: _Versions, name: str) -> list[float]:
    """What the versions say of a field, each value once: they have to agree."""
    distinct: list[float] = []
    for version in versions:
        values = [fields[name] for fields in version if name in fields]
        if values and float(values[-1]) not in distinct:
            distinct.append(float(values[-1]))
    return distinct


def _fields(source: Mapping[str, Any], names: Mapping[str, str] = _NAMES) -> dict[str, Any]:
    return {name: value for key, name in names.items() if (value := source.get(key)) is not None}


def _first_band(asset: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    bands = asset.get(key)
    if bands is None or bands == []:
        return ()
    if key == "eo:bands" and isinstance(bands, list) and isinstance(bands[0], int):
        return ()  # positions in a list of the item, as before STAC 1.0: they say nothing of numbers
    if not isinstance(bands, list) or not isinstance(bands[0], dict):
        raise TypeError(f"{key} is no list of bands")
    return bands[:1]


def _resolution_m(asset: Mapping[str, Any], metadata: Mapping[str, Any], band: str) -> int:
    transform = asset.get("proj:transform") or ()
    resolution_m = float(
        (abs(transform[0]) if transform else None)
        or metadata.get("spatial_resolution")
        or asset.get("gsd")
        or RESOLUTION_M[band]
    )
    if not (math.isfinite(resolution_m) and resolution_m >= 1):
        raise ValueError(f"a pixel of {resolution_m} m")
    return round(resolution_m)
