"""What can be trusted of a parcel's outline: repair, area, and the same outline twice. Pure functions on arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyproj
import shapely

from cropmap.schemas import EPSG_EQUAL_AREA

Shapes = np.ndarray[Any, np.dtype[np.object_]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Areas = np.ndarray[Any, np.dtype[np.float64]]

MAX_REPAIR_CHANGE: Final = 0.01
"""A repair may change the area by 1 %: that removes spikes and slivers. A figure of eight changes it by far more, and
which of its lobes was declared cannot be known."""
MAX_AREA_DIFFERENCE: Final = 0.25
"""Declared against drawn area, relative to the drawn one. None of 910 parcels of ten authorities' files differs
by more: net against gross area and landscape elements stay below."""
MIN_AREA_DIFFERENCE_HA: Final = 0.1
"""A garden plot may be off by a quarter through rounding alone: smaller absolute differences contradict nothing."""

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7


def repair(shapes: Shapes) -> tuple[Shapes, Flags, Flags]:
    """Flat, valid polygons: (shapes, repaired, hopeless).

    An invalid outline keeps the polygonal part of `shapely.make_valid`. Hopeless, and None: no polygon, no area, or
    an area changed by more than MAX_REPAIR_CHANGE. Missing and empty shapes pass through, not hopeless.
    """
    flat = shapely.force_2d(shapes)
    present = ~(shapely.is_missing(flat) | shapely.is_empty(flat))
    repaired = present & ~shapely.is_valid(flat)
    before = shapely.area(flat)
    flat[repaired] = [_polygonal(shape) for shape in shapely.make_valid(flat[repaired])]
    after = shapely.area(flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        changed = np.abs(after - before) > MAX_REPAIR_CHANGE * before
    polygonal = np.isin(shapely.get_type_id(flat), (_POLYGON, _MULTIPOLYGON))
    hopeless = present & (~polygonal | ~(after > 0) | (repaired & changed))
    flat[hopeless] = None
    return flat, repaired & ~hopeless, hopeless


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry | None:
    if shapely.get_type_id(shape) != _COLLECTION:
        return shape
    parts = [part for part in shapely.get_parts(shape) if shapely.get_type_id(part) in (_POLYGON, _MULTIPOLYGON)]
    return shapely.union_all(parts) if parts else None


def transform(shapes: Shapes, source: pyproj.CRS, epsg: int) -> Shapes:
    """Shapes in another CRS; coordinates that do not fit the source CRS become infinite."""
    transformer = pyproj.Transformer.from_crs(source, epsg, always_xy=True)
    if transformer.source_crs == transformer.target_crs:
        return shapes
    moved: Shapes = shapely.transform(shapes, transformer.transform, interleaved=False)
    return moved


def area_ha(shapes: Shapes, source: pyproj.CRS) -> Areas:
    """Hectares on the equal-area grid (EPSG:3035); NaN without a shape or where coordinates do not fit their CRS."""
    with np.errstate(invalid="ignore"):
        areas: Areas = shapely.area(transform(shapes, source, EPSG_EQUAL_AREA)) / 10_000
    areas[~np.isfinite(areas)] = np.nan
    return areas


def area_contradicts(declared_ha: Areas, drawn_ha: Areas) -> Flags:
    """False where either is unknown."""
    difference = np.abs(declared_ha - drawn_ha)
    contradicts: Flags = (difference > MAX_AREA_DIFFERENCE * drawn_ha) & (difference > MIN_AREA_DIFFERENCE_HA)
    return contradicts


def outline_keys(shapes: Shapes) -> Shapes:
    """Equal for equal outlines, wherever their rings start and whichever way they run."""
    keys: Shapes = shapely.to_wkb(shapely.normalize(shapes), include_srid=False)
    return keys
