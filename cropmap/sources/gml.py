"""How GDAL is asked to read GML: with everything that an element says, and its coordinates in the order wanted.

INSPIRE's land use names the crop in attributes (`<elu:specificLandUse xlink:href=… xlink:title=…/>`), which GDAL drops
unless it is told not to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

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

SURVEYS_NAME: Final = re.compile(rb"""srsName\s*=\s*["']urn:adv:crs:([A-Za-z0-9_]+)["']""")
SURVEYS_GRID: Final = re.compile(r"ETRS89_UTM(3[123])|DE_DHDN_3GK([2345])(?:_[A-Z]{2}[0-9]*)?")
SEARCHED_BYTES: Final = 1 << 20
"""the first outline says its CRS"""


def is_gml(source: str) -> bool:
    """By its ending, or by the first bytes, as GDAL tells whatever the ending is."""
    path = Path(source)
    if path.suffix.lower() in GML_SUFFIXES or not path.is_file():
        return path.suffix.lower() in GML_SUFFIXES
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and NAMESPACE in head


def configuration(source: str) -> dict[str, str | None]:
    """Settings of GDAL for the file. An envelope tells GDAL how many numbers every list of positions has that does not
    say it itself; where the outlines say otherwise, their word counts."""
    with Path(source).open("rb") as file:
        said = SRS_DIMENSION.findall(file.read(SEARCHED_BYTES))
    boxes, outlines = ({number for name, number in said if (name == b"Envelope") is box} for box in (True, False))
    differs = bool(boxes) and len(outlines) == 1 and boxes != outlines
    return {**CONFIGURED, "GML_SRS_DIMENSION_IF_MISSING": outlines.pop().decode() if differs else None}


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
