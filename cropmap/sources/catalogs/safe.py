"""A Sentinel-2 L2A product as ESA delivers it (.SAFE): its two metadata documents in, a STAC item out.

The item says what Data Space's item of the same product says, under the same names, so that one reader decides about
both. Reads no pixels.

Source: S2 Products Specification Document, MTD_MSIL2A.xml and MTD_TL.xml. Issue 14.2 (baselines up to 02.06) has some
elements under other names.
"""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, NoReturn, Protocol
from xml.parsers import expat

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, RESOLUTION_M, QuarantineReason
from cropmap.sources.catalogs.places import ForbiddenAddressError
from cropmap.sources.catalogs.plain_text import one_line

PRODUCT_METADATA: Final = "MTD_MSIL2A.xml"
LEVEL_1C_METADATA: Final = "MTD_MSIL1C.xml"
TILE_METADATA: Final = "MTD_TL.xml"
LEVEL_1C: Final = "_MSIL1C_"
"""in the name of a product"""
OLD_FORMAT: Final = re.compile(r"_(?:PRD_MSI|MTD_(?:SAF|DMP))L(?:1C|2A)_")
"""in the name of a product from before December 2016, and of its metadata document"""
IMAGE_TYPES: Final = {".jp2": "image/jp2", ".tif": "image/tiff", ".tiff": "image/tiff"}
"""of a band's file, by its ending: ESA's, or of a copy whose bands were converted; the first that is there counts"""
PHYSICAL_BANDS: Final = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
"""by `band_id`, as the specification numbers them"""
MOST_BYTES: Final = 4 << 20
"""of a metadata document; real ones have one million at most"""
NODATA: Final = 0
"""SPECIAL_VALUE NODATA, the same in every baseline so far"""

_PRODUCT_FIELDS: Final = {
    "IMAGE_FILE": "IMAGE_FILE",
    "IMAGE_FILE_2A": "IMAGE_FILE",
    "PRODUCT_URI": "PRODUCT_URI",
    "PRODUCT_URI_2A": "PRODUCT_URI",
    "BOA_QUANTIFICATION_VALUE": "BOA_QUANTIFICATION_VALUE",
    "L2A_BOA_QUANTIFICATION_VALUE": "BOA_QUANTIFICATION_VALUE",
    **{
        name: name
        for name in (
            "BOA_ADD_OFFSET",
            "Cloud_Coverage_Assessment",
            "Datatake",
            "EXT_POS_LIST",
            "GENERATION_TIME",
            "Granule",
            "PROCESSING_BASELINE",
            "SENSING_ORBIT_NUMBER",
            "SPACECRAFT_NAME",
            "Spectral_Information",
        )
    },
}
"""an element's name: the name of issue 14.3 and later"""
_TILE_FIELDS: Final = {name: name for name in ("SENSING_TIME", "HORIZONTAL_CS_CODE")}


class Product(Protocol):
    """The files of one product, in a folder or in an archive; a file is named by its path within the product."""

    @property
    def name(self) -> str:
        """As its folder or archive is called, without .SAFE and .zip."""
        ...

    def address(self, file: PurePosixPath) -> str | None:
        """Where rasterio opens the file; None where the product does not hold it."""
        ...

    def read(self, file: PurePosixPath) -> bytes:
        """MOST_BYTES and one more at most. Raises OSError, ForbiddenAddressError."""
        ...


def product_item(product: Product, *, collection: str) -> dict[str, Any]:
    """The STAC item of a product, with the native file of each band.

    Raises SceneError: UNSUPPORTED_FORMAT for Level-1C and for several granules in one product, MISSING_BAND with the
    file that is expected, INCOMPLETE_METADATA with the field or document, FORBIDDEN_ADDRESS for a file elsewhere.
    """
    if product.address(PurePosixPath(PRODUCT_METADATA)) is None and _is_level_1c(product):
        raise SceneError(
            "this is a Level-1C product; cropmap reads the Level-2A product of the same pass, whose values are surface "
            "reflectance",
            reason=QuarantineReason.UNSUPPORTED_FORMAT,
            where=product.name,
        )
    if product.address(PurePosixPath(PRODUCT_METADATA)) is None and OLD_FORMAT.search(product.name):
        raise old_format(product.name)
    metadata = _document(product, PurePosixPath(PRODUCT_METADATA), _PRODUCT_FIELDS)
    images = _images(product, metadata)
    tile = _document(product, PurePosixPath(*images[0].parts[:2], TILE_METADATA), _TILE_FIELDS)
    try:
        return _item(product, collection, images, metadata, tile)
    except (ValueError, ArithmeticError) as error:
        raise _incomplete(product, f"a field of the metadata is no number ({one_line(error, 80)})") from error


def old_format(name: str) -> SceneError:
    return SceneError(
        "this product has the format of before December 2016, with several granules; products of one granule are read",
        reason=QuarantineReason.UNSUPPORTED_FORMAT,
        where=name,
    )


def _is_level_1c(product: Product) -> bool:
    return LEVEL_1C in product.name or product.address(PurePosixPath(LEVEL_1C_METADATA)) is not None


def _images(product: Product, metadata: _Document) -> list[PurePosixPath]:
    """Every image that the metadata lists, by its path within the product without its ending."""
    images = [PurePosixPath(field.text.removesuffix(".jp2")) for field in metadata.fields["IMAGE_FILE"]]
    if not images:
        raise _incomplete(product, f"{PRODUCT_METADATA} lists no image file")
    if outside := next((file for file in images if file.is_absolute() or ".." in file.parts), None):
        raise SceneError(
            f"{PRODUCT_METADATA} lists {one_line(outside, 80)}, which lies outside the product",
            reason=QuarantineReason.FORBIDDEN_ADDRESS,
            where=product.name,
        )
    granules = {file.parts[:2] for file in images}
    if len(granules) > 1:
        raise SceneError(
            f"holds {len(granules)} granules; products of one granule are read, which ESA makes since December 2016",
            reason=QuarantineReason.UNSUPPORTED_FORMAT,
            where=product.name,
        )
    return images


def _item(
    product: Product, collection: str, images: Sequence[PurePosixPath], metadata: _Document, tile: _Document
) -> dict[str, Any]:
    uri = metadata.text("PRODUCT_URI")
    return {
        "id": uri.removesuffix(".SAFE"),
        "collection": collection,
        "geometry": {"type": "MultiPolygon", "coordinates": [[_ring(field.text)] for field in _rings(metadata)]},
        "properties": {
            "datetime": tile.text("SENSING_TIME"),
            "platform": (metadata.stated("SPACECRAFT_NAME") or "").lower() or None,
            "sat:relative_orbit": metadata.stated("SENSING_ORBIT_NUMBER"),
            "eo:cloud_cover": metadata.stated("Cloud_Coverage_Assessment"),
            "proj:code": tile.text("HORIZONTAL_CS_CODE"),
            "s2:product_uri": uri,
            "s2:processing_baseline": metadata.text("PROCESSING_BASELINE"),
            "s2:generation_time": metadata.stated("GENERATION_TIME"),
            "s2:datatake_id": metadata.attribute("Datatake", "datatakeIdentifier"),
            "s2:datastrip_id": metadata.attribute("Granule", "datastripIdentifier"),
            "s2:tile_id": metadata.attribute("Granule", "granuleIdentifier"),
        },
        "assets": _assets(product, images, metadata),
    }


def _assets(product: Product, images: Sequence[PurePosixPath], metadata: _Document) -> dict[str, Any]:
    """The native file of each band and what its numbers mean; no offset where the product states none."""
    quantification = float(metadata.text("BOA_QUANTIFICATION_VALUE"))
    scale, offsets = 1 / quantification, _offsets(metadata)
    assets = {}
    for band in (*BANDS, "SCL"):
        metres = RESOLUTION_M[band]
        numbers: dict[str, float] = {"nodata": NODATA, "spatial_resolution": metres}
        if band != "SCL":
            numbers["scale"] = scale
        if band in offsets:
            numbers["offset"] = offsets[band] / quantification
        href = _address(product, images, band, metres)
        medium = IMAGE_TYPES[PurePosixPath(href).suffix.lower()]
        assets[f"{band}_{metres}m"] = {"href": href, "type": medium, "raster:bands": [numbers]}
    return assets


def _address(product: Product, images: Sequence[PurePosixPath], band: str, metres: int) -> str:
    file = next((image for image in images if image.name.endswith(f"_{band}_{metres}m")), None)
    files = [file.with_name(f"{file.name}{ending}") for ending in IMAGE_TYPES] if file else []
    address = next((address for file in files if (address := product.address(file))), None)
    if address is None:
        raise SceneError(
            f"{one_line(files[0], 200) if files else f'a file {band} at {metres} m'} is missing",
            reason=QuarantineReason.MISSING_BAND,
            where=product.name,
            mend="Download the product again",
        )
    return address


def _offsets(metadata: _Document) -> dict[str, float]:
    """Digital numbers to add, by band name; empty for a baseline before the offset existed."""
    bands = {
        _plain_id(field.attributes.get("bandId", "")): _padded(field.attributes.get("physicalBand", ""))
        for field in metadata.fields["Spectral_Information"]
    } or {str(number): _padded(name) for number, name in enumerate(PHYSICAL_BANDS)}
    bands |= {name: _padded(name) for name in PHYSICAL_BANDS}
    added = metadata.fields["BOA_ADD_OFFSET"]
    return {bands.get(_plain_id(field.attributes.get("band_id", "")), ""): float(field.text) for field in added}


def _plain_id(band_id: str) -> str:
    """01 is 1; the name of a band stays."""
    band_id = band_id.strip()
    return str(int(band_id)) if band_id.isdecimal() else band_id


def _padded(physical_band: str) -> str:
    """B2 is B02; B8A stays."""
    return f"B{physical_band.removeprefix('B'):0>2}"


def _rings(metadata: _Document) -> list[_Field]:
    """The outer rings of the footprint: several where it crosses the antimeridian."""
    metadata.text("EXT_POS_LIST")
    return metadata.fields["EXT_POS_LIST"]


def _ring(text: str) -> list[tuple[float, float]]:
    """Longitude and latitude of each corner; the document gives latitude first."""
    numbers = [float(number) for number in text.split()]
    return list(zip(numbers[1::2], numbers[0::2], strict=True))


@dataclass(frozen=True)
class _Field:
    text: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class _Document:
    """The wanted elements of one metadata document, in its order."""

    product: Product
    fields: Mapping[str, list[_Field]]

    def text(self, name: str) -> str:
        """Of the first element with any. Raises SceneError."""
        text = self.stated(name)
        if text is None:
            raise _incomplete(self.product, f"the metadata has no {name}")
        return text

    def stated(self, name: str) -> str | None:
        """As `text`; None where there is none."""
        return next((field.text for field in self.fields[name] if field.text), None)

    def attribute(self, name: str, attribute: str) -> str | None:
        """Of the first element; None where it has none."""
        return next((field.attributes.get(attribute) for field in self.fields[name]), None)


def _document(product: Product, file: PurePosixPath, wanted: Mapping[str, str]) -> _Document:
    try:
        content = product.read(file)
    except ForbiddenAddressError as error:
        raise SceneError(
            f"{file.name}: {error}", reason=QuarantineReason.FORBIDDEN_ADDRESS, where=product.name
        ) from error
    except OSError as error:
        raise _incomplete(product, f"{file.name} cannot be read ({one_line(error, 160)})") from error
    if len(content) > MOST_BYTES:
        raise _incomplete(product, f"{file.name} has more than {MOST_BYTES >> 20} MB")
    try:
        return _Document(product, _fields(content, wanted))
    except (expat.ExpatError, LookupError, ValueError) as error:  # an encoding that is none is a LookupError
        raise _incomplete(product, f"{file.name} cannot be read ({one_line(error, 160)})") from error


def _fields(content: bytes, wanted: Mapping[str, str]) -> Mapping[str, list[_Field]]:
    """Texts and attributes of the wanted elements; no tree is built, and no entity is ever declared."""
    fields: dict[str, list[_Field]] = defaultdict(list)
    opened: list[tuple[str, dict[str, str], list[str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in wanted:
            opened.append((name, attributes, []))

    def text(characters: str) -> None:
        if opened:
            opened[-1][2].append(characters)

    def end(name: str) -> None:
        if opened and opened[-1][0] == name:
            _, attributes, parts = opened.pop()
            fields[wanted[name]].append(_Field("".join(parts).strip(), attributes))

    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if is_utf_16:  # whatever it declares: programs on Windows write the mark and leave the declaration
        content = content.decode("utf-16").encode()
    parser = expat.ParserCreate("utf-8" if is_utf_16 else None)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.Parse(content, True)
    return fields


def _no_doctype(*_: object) -> NoReturn:
    """ESA's documents have no DOCTYPE, and entities need one: they could expand without end, or name other files."""
    raise ValueError("it has a DOCTYPE")


def _incomplete(product: Product, what: str) -> SceneError:
    return SceneError(what, reason=QuarantineReason.INCOMPLETE_METADATA, where=product.name)
