"""What can be trusted of a parcel's outline: repair, area, and the same outline twice. Pure functions on arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyproj
import shapely

from cropmap.schemas import EPSG_EQUAL_AREA
from cropmap.sources.coordinate_systems import transformer_to

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

MAX_CROSSINGS: Final = 500
"""A parcel's outline crosses itself where a vertex was set twice or a border overshot, a few times. Above this it is a
tangle that no repair makes a parcel of, and that takes seconds to minutes."""
SEGMENTS_TRIED: Final = 100
PAIRS_TRIED: Final = 400_000

CHUNK: Final = 25_000
"""outlines that are moved to another CRS or put in order at a time, where the result is not kept: a country's take a
third of a kilobyte each once more"""

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7
_ITSELF_AND_NEIGHBOURS = 3


def flat_shapes(shapes: Shapes) -> Shapes:
    """In two dimensions, as a new array; a shape that is flat already is shared, not copied."""
    flat = np.array(shapes, dtype=object)
    deep = shapely.has_z(flat) | shapely.has_m(flat)
    flat[deep] = shapely.force_2d(flat[deep])
    return flat


def repair(shapes: Shapes) -> tuple[Shapes, Flags, Flags]:
    """Flat, valid polygons: (shapes, repaired, hopeless).

    An invalid outline keeps the polygonal part of `shapely.make_valid`, a collection its polygons. Hopeless, and None:
    no polygon, no area, coordinates that are no numbers, an outline that crosses itself more than MAX_CROSSINGS times,
    or an area changed by more than MAX_REPAIR_CHANGE. Missing and empty shapes pass through, not hopeless.
    """
    flat = flat_shapes(shapes)
    present = ~(shapely.is_missing(flat) | shapely.is_empty(flat))
    unreal = present & ~_finite(flat)
    flat[unreal] = None
    invalid = present & ~unreal & ~shapely.is_valid(flat)
    tangled = np.zeros(len(flat), dtype=bool)
    tangled[invalid] = [_crossings(shape) > MAX_CROSSINGS for shape in flat[invalid]]
    flat[tangled] = None
    repaired = invalid & ~tangled
    before = shapely.area(flat)
    flat[repaired] = [_polygonal(shape) for shape in _made_valid(flat[repaired])]
    collected = present & (shapely.get_type_id(flat) == _COLLECTION)
    flat[collected] = [_polygonal(shape) for shape in flat[collected]]
    after = shapely.area(flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        changed = np.abs(after - before) > MAX_REPAIR_CHANGE * before
    polygonal = np.isin(shapely.get_type_id(flat), (_POLYGON, _MULTIPOLYGON))
    hopeless = present & (~polygonal | ~(after > 0) | (repaired & changed))
    flat[hopeless] = None
    return flat, (repaired | collected) & ~hopeless, hopeless


def why_hopeless(shape: shapely.Geometry) -> str:
    """Of a shape that `repair` gave up."""
    if not bool(_finite(np.array([shape], dtype=object))[0]):
        return "a coordinate is no finite number"
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION and _polygonal(shape) is None:
        return "a GeometryCollection without polygons"
    if kind not in (_POLYGON, _MULTIPOLYGON, _COLLECTION):
        return f"a {shape.geom_type} is no parcel"
    if not shapely.is_valid(shape) and _crossings(shape) > MAX_CROSSINGS:
        return f"it crosses itself more than {MAX_CROSSINGS} times"
    return str(shapely.is_valid_reason(shape))


def _finite(shapes: Shapes) -> Flags:
    """Whether all coordinates are numbers: the length of all rings is one then, and only then."""
    with np.errstate(all="ignore"):
        finite: Flags = np.isfinite(shapely.length(shapes))
    return finite


def _crossings(shape: shapely.Geometry) -> float:
    """About how many times the outline meets itself, from SEGMENTS_TRIED of its segments: repairing it takes time
    that grows with the square of it."""
    rings = shapely.get_rings(shapely.get_parts(shape))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    within = ring[1:] == ring[:-1]
    segments = shapely.linestrings(np.stack([xy[:-1][within], xy[1:][within]], axis=1))
    tried = min(max(PAIRS_TRIED // max(len(segments), 1), 10), SEGMENTS_TRIED)
    some = segments[:: max(len(segments) // tried, 1)]
    if not len(some):
        return 0.0
    met = len(shapely.STRtree(segments).query(some, predicate="intersects")[0]) / len(some)
    return float((met - _ITSELF_AND_NEIGHBOURS) * len(segments) / 2)


def _made_valid(shapes: Shapes) -> Shapes:
    """None where GEOS gives up."""
    try:
        return np.asarray(shapely.make_valid(shapes), dtype=object)
    except shapely.errors.GEOSException:
        if len(shapes) == 1:
            return np.array([None], dtype=object)
    half = len(shapes) // 2
    return np.concatenate([_made_valid(shapes[:half]), _made_valid(shapes[half:])])


def _polygonal(shape: shapely.Geometry | None) -> shapely.Geometry | None:
    """The polygons of a collection, however deep; other shapes as they are."""
    if shape is None or shapely.get_type_id(shape) != _COLLECTION:
        return shape
    parts = [_polygonal(part) for part in shapely.get_parts(shape)]
    kept = [part for part in parts if part is not None and shapely.get_type_id(part) in (_POLYGON, _MULTIPOLYGON)]
    return shapely.union_all(kept) if kept else None


def transform(shapes: Shapes, source: pyproj.CRS, epsg: int) -> Shapes:
    """Shapes in another CRS; coordinates that do not fit the source CRS become infinite."""
    transformer = transformer_to(source, epsg)
    if transformer.source_crs == transformer.target_crs:
        return shapes
    moved: Shapes = shapely.transform(shapes, transformer.transform, interleaved=False)
    return moved


def area_ha(shapes: Shapes, source: pyproj.CRS) -> Areas:
    """Hectares on the equal-area grid (EPSG:3035); NaN without a shape or where coordinates do not fit their CRS."""
    areas: Areas = np.empty(len(shapes))
    with np.errstate(invalid="ignore"):
        for start in range(0, len(shapes), CHUNK):
            part = slice(start, start + CHUNK)
            areas[part] = shapely.area(transform(shapes[part], source, EPSG_EQUAL_AREA)) / 10_000
    areas[~np.isfinite(areas)] = np.nan
    return areas


def area_contradicts(declared_ha: Areas, drawn_ha: Areas) -> Flags:
    """False where either is unknown."""
    difference = np.abs(declared_ha - drawn_ha)
    contradicts: Flags = (difference > MAX_AREA_DIFFERENCE * drawn_ha) & (difference > MIN_AREA_DIFFERENCE_HA)
    return contradicts


def outline_keys(shapes: Shapes) -> Shapes:
    """Equal for equal outlines, wherever their rings start and whichever way they run."""
    keys: Shapes = np.empty(len(shapes), dtype=object)
    for start in range(0, len(shapes), CHUNK):
        part = slice(start, start + CHUNK)
        keys[part] = shapely.to_wkb(shapely.normalize(shapes[part]), include_srid=False)
    return keys
