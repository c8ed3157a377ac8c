"""Coordinate systems of OGC API Features, Part 2: their addresses, the order of their axes, and boxes in them.

Inside, an outline is in EPSG:4326 with the longitude first. A reader of GeoJSON gets the axes in the order of the
system that was asked for: latitude first in EPSG:4326, northing first in EPSG:3035.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from cropmap.errors import InputError

Outlines = np.ndarray[Any, np.dtype[np.object_]]

PIECES: Final = 64
"""into which an edge of a box is divided before it is transformed: it is bent then"""
BOX: Final = "bbox"


class Crs(StrEnum):
    """A coordinate system by its address."""

    CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"
    LAEA = "http://www.opengis.net/def/crs/EPSG/0/3035"


@dataclass(frozen=True)
class _System:
    epsg: str
    x_first: bool
    """whether longitude or easting is the first axis"""
    is_geographic: bool


SYSTEMS: Final = {
    Crs.CRS84: _System("EPSG:4326", x_first=True, is_geographic=True),
    Crs.WGS84: _System("EPSG:4326", x_first=False, is_geographic=True),
    Crs.LAEA: _System("EPSG:3035", x_first=False, is_geographic=False),
}


def epsg(crs: Crs) -> str:
    return SYSTEMS[crs].epsg


def transformed(outlines: Outlines, crs: Crs) -> Outlines:
    """Outlines (EPSG:4326, longitude first) in another system, still with longitude or easting first."""
    if SYSTEMS[crs].is_geographic:
        return outlines
    return _moved(outlines, _transformer(SYSTEMS[crs].epsg, inverse=False))


def in_axis_order(outlines: Outlines, crs: Crs) -> Outlines:
    """Outlines with the axes in the order of the system, from longitude or easting first."""
    if SYSTEMS[crs].x_first:
        return outlines
    swapped: Outlines = shapely.transform(outlines, lambda points: points[:, ::-1])
    return swapped


def box_of(text: str, crs: Crs) -> BaseGeometry:
    """The area of a `bbox` (EPSG:4326, longitude first). Heights are left out. A box whose west lies east of its east
    crosses the antimeridian. Raises InputError."""
    first, second, third, fourth = _corners(text)
    system = SYSTEMS[crs]
    west, south, east, north = (first, second, third, fourth) if system.x_first else (second, first, fourth, third)
    if south > north:
        raise InputError("the upper edge lies below the lower edge", where=BOX)
    if west > east:
        if not system.is_geographic:
            raise InputError("the right edge lies left of the left edge", where=BOX)
        return shapely.union_all([_area(west, south, 180.0, north), _area(-180.0, south, east, north)])
    area = _area(west, south, east, north)
    if system.is_geographic:
        return area
    edges = shapely.segmentize(area, max((east - west) / PIECES, (north - south) / PIECES, 1.0))
    (moved,) = _moved(np.array([edges], dtype=object), _transformer(system.epsg, inverse=True))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise InputError("the box reaches beyond its coordinate system", where=BOX)
    return shapely.make_valid(moved)


def _corners(text: str) -> tuple[float, float, float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError("a number cannot be read", where=BOX, mend="Give four numbers with commas") from error
    if len(numbers) not in (4, 6) or not all(map(math.isfinite, numbers)):
        raise InputError("four or six numbers are expected", where=BOX, mend="Give them with commas")
    half = len(numbers) // 2
    return numbers[0], numbers[1], numbers[half], numbers[half + 1]


def _area(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """A rectangle, or the line or the point that is left of it."""
    return shapely.envelope(shapely.multipoints([(west, south), (east, north)]))


def _moved(outlines: Outlines, transformer: pyproj.Transformer) -> Outlines:
    def move(points: Any) -> Any:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    moved: Outlines = shapely.transform(outlines, move)
    return moved


@lru_cache
def _transformer(code: str, *, inverse: bool) -> pyproj.Transformer:
    ends = (code, "EPSG:4326") if inverse else ("EPSG:4326", code)
    return pyproj.Transformer.from_crs(*ends, always_xy=True)
