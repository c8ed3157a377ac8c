"""What lies around a parcel, as a map sketch: neighbours by a spatial index, in metres of the parcel's own UTM zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from cropmap.evidence.sheet import Outline, Sketch
from cropmap.schemas import EPSG_WGS84
from cropmap.sources.mapped_outlines import Outlines

NEAREST_M: Final = 180.0
"""half the sketch's width at least: the next parcels are in sight of a small one too"""
ROOM: Final = 1.7
"""half the sketch's width per half of the parcel's extent"""
METRES_PER_DEGREE: Final = 110_000.0
"""of latitude, a little too few, so that the search in degrees misses nothing"""
TOLERANCE_M: Final = 0.5


@dataclass(frozen=True)
class Surroundings:
    """All parcels of a season, to be looked up by place; only outlines near a parcel are decoded."""

    outlines: Outlines
    """N"""
    crop: NDArray[np.object_]
    """(N,)"""

    @classmethod
    def of(cls, parcels: pd.DataFrame, outlines: Outlines) -> Surroundings:
        return cls(outlines, parcels["crop"].to_numpy(object))

    def sketch(self, row: int) -> Sketch:
        """The parcel in the middle, and every parcel that reaches into the square around it."""
        west, south, east, north = self.outlines.bounds[row]
        longitude, latitude = (west + east) / 2, (south + north) / 2
        epsg = utm_zone(longitude, latitude)
        subject = _in_metres(self.outlines.shapes(np.array([row])), epsg)[0]
        left, bottom, right, top = shapely.bounds(subject)
        half = max(ROOM * max(right - left, top - bottom) / 2, NEAREST_M)
        middle = np.array([(left + right) / 2, (bottom + top) / 2])
        reach = half / METRES_PER_DEGREE * 1.5
        wide = reach / max(np.cos(np.radians(latitude)), 0.1)
        boxes = self.outlines.bounds
        near = np.flatnonzero(
            (boxes[:, 0] <= longitude + wide)
            & (boxes[:, 2] >= longitude - wide)
            & (boxes[:, 1] <= latitude + reach)
            & (boxes[:, 3] >= latitude - reach)
        )
        square = (*(middle - half), *(middle + half))
        clipped = shapely.clip_by_rect(_in_metres(self.outlines.shapes(near), epsg), *square)
        clipped = shapely.simplify(clipped, TOLERANCE_M)
        outlines = (
            Outline(_rings(shape, middle), self.crop[at], at == row)
            for at, shape in zip(near.tolist(), clipped, strict=True)
        )
        return Sketch(tuple(outline for outline in outlines if outline.rings), half, epsg)


def utm_zone(longitude: float, latitude: float) -> int:
    """EPSG code of the zone that a place lies in."""
    zone = min(int((longitude + 180) // 6) + 1, 60)
    return (32600 if latitude >= 0 else 32700) + zone


@cache
def _transformer(epsg: int) -> Transformer:
    return Transformer.from_crs(EPSG_WGS84, epsg, always_xy=True)


def _in_metres(geometry: NDArray[Any], epsg: int) -> NDArray[Any]:
    transformer = _transformer(epsg)
    moved: NDArray[Any] = shapely.transform(
        geometry, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    return moved


def _rings(shape: Any, middle: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Exterior and interior rings of all polygons, about the sketch's middle; empty where nothing is left."""
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and not part.is_empty]
    oriented = shapely.orient_polygons(np.array(polygons, dtype=object))
    return tuple(
        shapely.get_coordinates(ring)[:-1] - middle
        for polygon in oriented
        for ring in (polygon.exterior, *polygon.interiors)
    )
