"""Where an item lies, in degrees: its box, its footprint, and the boxes it touches, across the antimeridian too.

GeoJSON (RFC 7946) writes a box across the antimeridian with west > east, and a footprint as two polygons; catalogues
also write one polygon right round the world. A Sentinel-2 tile is 110 km wide, so whatever is wider crosses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import shapely
from pyproj import Transformer
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from cropmap.schemas import EPSG_WGS84
from cropmap.sources.catalogs.acquisition import Bbox

MAX_VERTICES: Final = 20_000
"""a footprint has some tens; one of millions would fill the ledger"""
WIDEST_DEGREES: Final = 180.0


def box_of(item: Mapping[str, Any]) -> Bbox | None:
    """The item's `bbox` without its heights; west > east across the antimeridian. None where it has none.

    Raises ValueError for one that is no box.
    """
    written = item.get("bbox")
    if written is None or written == []:  # as pystac writes none
        return None
    if not isinstance(written, list | tuple) or len(written) not in (4, 6):
        raise ValueError(f"bbox has to be four or six numbers, not {_shown(written)}")
    if not all(_is_number(edge) for edge in written):
        raise ValueError(f"bbox holds something else than numbers: {_shown(written)}")
    corners = (*written[:2], *written[len(written) // 2 :][:2])
    west, south, east, north = (float(edge) for edge in corners)
    if not (-90 <= south <= north <= 90 and abs(west) <= 360 and abs(east) <= 360):
        raise ValueError(f"bbox is no box in degrees: {_shown(written)}")
    return west, south, east, north


def footprint_of(item: Mapping[str, Any]) -> BaseGeometry | None:
    """The item's geometry as a polygon or several, as written; None where it has none.

    Raises ValueError for one that is no polygon of finite degrees.
    """
    written = item.get("geometry")
    if written is None:
        return None
    if not isinstance(written, Mapping) or written.get("type") not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"geometry is no polygon: {_shown(written)}")
    footprint = shape(written)
    corners = shapely.get_coordinates(footprint)
    if not len(corners) or len(corners) > MAX_VERTICES:
        raise ValueError(f"geometry has {len(corners)} vertices")
    if not (abs(corners) <= (360, 90)).all():
        raise ValueError("geometry has coordinates that are no degrees")
    return footprint


def boxes_of(item: Mapping[str, Any]) -> tuple[Bbox, ...]:
    """Boxes with west <= east that hold the item: two where it crosses the antimeridian, none where nothing says.

    Raises ValueError as `box_of` and `footprint_of` do.
    """
    written = box_of(item)
    if written is None or written[2] - written[0] > WIDEST_DEGREES:
        footprint = footprint_of(item)
        if footprint is not None:
            return _halves(shapely.get_coordinates(footprint).tolist())
    if written is None:
        return ()
    west, south, east, north = written
    if east - west > WIDEST_DEGREES:  # without a footprint to say how far the halves reach
        return (WIDEST_DEGREES / 2, south, 180.0, north), (-180.0, south, -WIDEST_DEGREES / 2, north)
    return _split(west, south, east, north)


def touches(boxes: Sequence[Bbox], others: Sequence[Bbox]) -> bool:
    return any(a[0] <= b[2] and a[2] >= b[0] and a[1] <= b[3] and a[3] >= b[1] for a in boxes for b in others)


def in_tile_metres(footprint_wkt: str, epsg: int) -> BaseGeometry | None:
    """A footprint in the tile's own metres, mended: a polygon round the world is whole there, two halves are joined.

    None where it has no area.
    """
    transformer = _to_tile(epsg)
    flat = shapely.transform(shapely.from_wkt(footprint_wkt), transformer.transform, interleaved=False)
    if not all(math.isfinite(edge) for edge in shapely.bounds(flat)):
        return None
    whole = shapely.union_all([shapely.make_valid(flat)])
    return whole if whole.area > 0 else None


def polygon_of(written: Bbox) -> BaseGeometry:
    """A box as polygons: two where it crosses the antimeridian."""
    halves = [box(*half) for half in _split(*written)]
    return halves[0] if len(halves) == 1 else shapely.union_all(halves)


def _halves(corners: Sequence[Sequence[float]]) -> tuple[Bbox, ...]:
    """The boxes of corners that lie on both sides of the antimeridian, or the one box of corners that do not."""
    west, east = min(x for x, _ in corners), max(x for x, _ in corners)
    south, north = min(y for _, y in corners), max(y for _, y in corners)
    if east - west <= WIDEST_DEGREES:
        return _split(west, south, east, north)
    return _split(min(x for x, _ in corners if x >= 0), south, max(x for x, _ in corners if x < 0), north)


def _split(west: float, south: float, east: float, north: float) -> tuple[Bbox, ...]:
    if west >= 180.0 or east <= -180.0:  # all of it beyond: the same place, once round the world
        turn = -360.0 if west >= 180.0 else 360.0
        west, east = west + turn, east + turn
    if west > east:
        return (west, south, 180.0, north), (-180.0, south, east, north)
    if east > 180.0:
        return (west, south, 180.0, north), (-180.0, south, east - 360.0, north)
    if west < -180.0:
        return (west + 360.0, south, 180.0, north), (-180.0, south, east, north)
    return ((west, south, east, north),)


@lru_cache
def _to_tile(epsg: int) -> Transformer:
    return Transformer.from_crs(EPSG_WGS84, epsg, always_xy=True)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: object) -> str:
    return repr(value)[:60]
