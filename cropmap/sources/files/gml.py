"""How GDAL is set to read GML: with everything that an element says, and its coordinates in the order wanted.

INSPIRE's land use names the crop in attributes (`<elu:specificLandUse xlink:href=… xlink:title=…/>`), which GDAL drops
unless an option forbids it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import pyproj

AxisOrder = Literal["easting_first", "northing_first"]
"""how coordinates stand in the file, whatever its CRS and format prescribe; longitude is an easting"""
GML_SUFFIXES: Final = (".gml", ".xml")
NAMESPACE: Final = b"opengis.net/gml"
HEAD_BYTES: Final = 1 << 13
CONFIGURED: Final = {"GML_ATTRIBUTES_TO_OGR_FIELDS": "YES", "GML_DOWNLOAD_SCHEMA": "NO"}
"""for the listing of layers, which takes no options"""
DIMENSIONS: Final = (
    "Rings have to close, and positions to have as many numbers as srsDimension says, or srsName where there is none"
)
SRS_DIMENSION: Final = re.compile(rb"""<(?:[\w.-]+:)?(\w+)\s[^<>]*?\bsrsDimension\s*=\s*["']([0-9])["']""")

POSITIONS: Final = re.compile(rb"<(?:[\w.-]+:)?posList(?:\s[^<>]*)?>([^<>]*)</")
SYSTEM: Final = re.compile(rb"""srsName\s*=\s*["']([^"']{1,200})["']""")
EPSG_NAME: Final = re.compile(
    r"(?P<ordered>urn:ogc:def:crs:|https?://www\.opengis\.net/def/crs/)?EPSG(?::|:[^:/]*:|/[^:/]*/)(\d+)"
)
SURVEYS_NAME: Final = re.compile(rb"""srsName\s*=\s*["']urn:adv:crs:([A-Za-z0-9_]+)["']""")
SURVEYS_GRID: Final = re.compile(r"ETRS89_UTM(3[123])|DE_DHDN_3GK([2345])(?:_[A-Z]{2}[0-9]*)?")
OVERLAP: Final = 256
"""between blocks, for a name that is cut by their end"""
SEARCHED_BYTES: Final = 1 << 20
"""the first outline says its CRS"""


def is_gml(source: str) -> bool:
    """By its ending, or by the first bytes, as GDAL recognises it whatever the ending is."""
    path = Path(source)
    if path.suffix.lower() in GML_SUFFIXES or not path.is_file():
        return path.suffix.lower() in GML_SUFFIXES
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and NAMESPACE in head


def configuration(source: str) -> dict[str, str | None]:
    """Settings of GDAL for the file. An envelope, or a srsName with a system of heights, states how many numbers
    a position has that does not state it itself; where the outlines differ, theirs counts, or where they state none,
    the number with which their rings close."""
    with Path(source).open("rb") as file:
        head = file.read(SEARCHED_BYTES)
    stated = SRS_DIMENSION.findall(head)
    boxes, outlines = ({number for name, number in stated if (name == b"Envelope") is box} for box in (True, False))
    if not outlines:
        boxes, outlines = {b""}, _closing(head)
    differs = bool(boxes) and len(outlines) == 1 and boxes != outlines
    return {**CONFIGURED, "GML_SRS_DIMENSION_IF_MISSING": outlines.pop().decode() if differs else None}


def _closing(text: bytes) -> set[bytes]:
    """With how many numbers a position the rings end where they begin."""
    lists = [ring.split() for ring in POSITIONS.findall(text)]
    return {
        str(size).encode()
        for size in (2, 3)
        for numbers in lists
        if len(numbers) >= 4 * size and not len(numbers) % size and numbers[:size] == numbers[-size:]
    }


def gml_options(source: str, axis_order: AxisOrder | None = None) -> dict[str, str]:
    """Open options of GDAL for the file; none where it is no GML."""
    if not is_gml(source):
        return {}
    swap = {None: "AUTO", "easting_first": "NO", "northing_first": "YES"}[axis_order]
    return {"WRITE_GFS": "NO", "SWAP_COORDINATES": swap, "GML_ATTRIBUTES_TO_OGR_FIELDS": "YES"}


def surveys_crs(source: str) -> str | None:
    """EPSG's code for the name that Germany's surveys give a grid (`urn:adv:crs:ETRS89_UTM32`, GeoInfoDok), which GDAL
    does not know. None where the file names another, or is no GML."""
    if not is_gml(source) or not Path(source).is_file():
        return None
    with Path(source).open("rb") as file:
        named = SURVEYS_NAME.search(file.read(SEARCHED_BYTES))
    grid = SURVEYS_GRID.fullmatch(named[1].decode()) if named else None
    if grid is None:
        return None
    return f"EPSG:258{grid[1]}" if grid[1] else f"EPSG:{31464 + int(grid[2])}"


def inner_system(source: str) -> tuple[str, bool] | None:
    """EPSG's code of the only srsName of a GML, and whether its northings come first by the rule for such names.

    For names that GDAL does not look at: those of polygons within a surface, and of envelopes of single features. None
    where the file has several names, none, or another kind.
    """
    if not is_gml(source) or not Path(source).is_file():
        return None
    names: set[bytes] = set()
    with Path(source).open("rb") as file:
        before = b""
        while block := file.read(SEARCHED_BYTES):
            names.update(SYSTEM.findall(before + block))
            before = block[-OVERLAP:]
    match = EPSG_NAME.fullmatch(names.pop().decode("utf-8", "replace")) if len(names) == 1 else None
    if match is None:
        return None
    try:
        crs = pyproj.CRS.from_epsg(int(match[2]))
    except pyproj.exceptions.CRSError:
        return None
    northing_first = crs.axis_info[0].direction.lower() == "north" if crs.axis_info else False
    return f"EPSG:{match[2]}", bool(match["ordered"]) and northing_first
