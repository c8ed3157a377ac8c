"""A Sentinel-2 L2A product folder (.SAFE) as ESA delivers it: its two metadata files in, an acquisition out.

Source: S2 Products Specification Document, MTD_MSIL2A.xml and MTD_TL.xml. Reads no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from shapely.geometry import Polygon

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, RESOLUTION_M, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset
from cropmap.sources.catalogs.item_assets import FIRST_BASELINE_WITH_OFFSET
from cropmap.sources.catalogs.item_identity import PRODUCT_NAME
from cropmap.sources.catalogs.plain_text import one_line

COLLECTION: Final = "sentinel-2-l2a"
PRODUCT_METADATA: Final = "MTD_MSIL2A.xml"
TILE_METADATA: Final = "MTD_TL.xml"
MOST_BYTES: Final = 32 << 20
"""of a metadata file; real ones have one million at most"""


def read_safe(
    path: Path, *, bands: Sequence[str] = (*BANDS, "SCL"), resolutions: Sequence[int] | None = None
) -> Acquisition:
    """Reads a product folder; each band is its native file, or with `resolutions` (metres) the finest of those there.

    Raises SceneError: MISSING_BAND names the file that is expected, INCOMPLETE_METADATA the field or file,
    OFFSET_UNKNOWN a baseline that needs an offset and does not give it.
    """
    try:
        return _acquisition(path, bands, resolutions)
    except (ValueError, ArithmeticError) as error:
        raise _incomplete(path, f"a field of the metadata is no number ({error})") from error


def _acquisition(path: Path, bands: Sequence[str], resolutions: Sequence[int] | None) -> Acquisition:
    product = _parse(path / PRODUCT_METADATA, path)
    listed = [Path(f"{element.text}.jp2") for element in product.iter("IMAGE_FILE")]
    if not listed:
        raise _incomplete(path, f"{PRODUCT_METADATA} lists no image file")
    if outside := next((file for file in listed if file.is_absolute() or ".." in file.parts), None):
        raise SceneError(
            f"{PRODUCT_METADATA} lists {one_line(outside, 80)}, which lies outside the product",
            reason=QuarantineReason.FORBIDDEN_ADDRESS,
            where=path.name,
        )
    tile = _parse(path.joinpath(*listed[0].parts[:2], TILE_METADATA), path)
    uri = _text(product, "PRODUCT_URI", path)
    name = PRODUCT_NAME.match(uri)
    if name is None or not name["tile"]:
        raise _incomplete(path, f"PRODUCT_URI {uri!r} does not name datatake and tile")
    baseline = _text(product, "PROCESSING_BASELINE", path)
    scale = 1 / _finite(_text(product, "BOA_QUANTIFICATION_VALUE", path))
    offsets = _offsets(product, baseline, path)
    footprint = _footprint(product, path)
    west, south, east, north = footprint.bounds
    return Acquisition(
        item_id=uri.removesuffix(".SAFE"),
        collection=COLLECTION,
        tile=name["tile"],
        sensed_at=datetime.fromisoformat(_text(tile, "SENSING_TIME", path)),
        platform=_text(product, "SPACECRAFT_NAME", path).lower(),
        relative_orbit=int(_text(product, "SENSING_ORBIT_NUMBER", path)),
        processing_baseline=baseline,
        datatake=f"{name['platform']}_{name['datatake']}",
        cloud_cover=float(_text(product, "Cloud_Coverage_Assessment", path)),
        epsg=int(_text(tile, "HORIZONTAL_CS_CODE", path).removeprefix("EPSG:")),
        bbox=(west, south, east, north),
        footprint_wkt=footprint.wkt,
        assets={band: _asset(path, listed, band, scale, offsets, resolutions) for band in bands},
    )


def _asset(
    path: Path,
    listed: Sequence[Path],
    band: str,
    scale: float,
    offsets: Mapping[str, float],
    resolutions: Sequence[int] | None,
) -> BandAsset:
    found = {
        metres: file
        for metres in sorted(resolutions or (RESOLUTION_M[band],))
        for file in listed
        if file.stem.endswith(f"_{band}_{metres}m")
    }
    for metres, file in found.items():
        if (path / file).is_file():
            is_classes = band == "SCL"
            href = str((path / file).absolute())
            return BandAsset(band, href, 1.0 if is_classes else scale, offsets.get(band, 0.0) * scale, 0, metres)
    expected = " or ".join(str(file) for file in found.values()) or f"a file {band} at {resolutions} m"
    raise SceneError(
        f"{expected} is missing",
        reason=QuarantineReason.MISSING_BAND,
        where=path.name,
        mend="Download the product again",
    )


def _offsets(product: ET.Element, baseline: str, path: Path) -> dict[str, float]:
    """DN to add, by band name; empty for a baseline before the offset existed."""
    bands = {element.get("bandId"): element.get("physicalBand", "") for element in product.iter("Spectral_Information")}
    offsets = {
        _padded(bands.get(element.get("band_id"), "")): _finite(element.text or "")
        for element in product.iter("BOA_ADD_OFFSET")
    }
    if baseline >= FIRST_BASELINE_WITH_OFFSET and not set(BANDS) <= set(offsets):
        raise SceneError(
            f"baseline {baseline} needs BOA_ADD_OFFSET for every band",
            reason=QuarantineReason.OFFSET_UNKNOWN,
            where=path.name,
        )
    return offsets


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def _padded(physical_band: str) -> str:
    """B2 is B02; B8A stays."""
    digits = physical_band.removeprefix("B")
    return f"B{digits:0>2}"


def _footprint(product: ET.Element, path: Path) -> Polygon:
    numbers = [float(number) for number in _text(product, "EXT_POS_LIST", path).split()]
    return Polygon(zip(numbers[1::2], numbers[0::2], strict=True))  # the file gives latitude first


def _text(root: ET.Element, tag: str, path: Path) -> str:
    element: Iterator[ET.Element] = root.iter(tag)
    text = next((found.text for found in element if found.text), None)
    if text is None:
        raise _incomplete(path, f"the metadata has no {tag}")
    return text.strip()


def _parse(file: Path, path: Path) -> ET.Element:
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise _incomplete(path, f"{file.name} has more than {MOST_BYTES >> 20} MB")
        return ET.fromstring(text)  # noqa: S314  the product's own metadata; expat bounds entity expansion
    except (OSError, ET.ParseError) as error:
        raise _incomplete(path, f"{file.name} cannot be read ({error})") from error


def _incomplete(path: Path, what: str) -> SceneError:
    return SceneError(what, reason=QuarantineReason.INCOMPLETE_METADATA, where=path.name)
