"""Small maps, one per crop, drawn as inline SVG: the share of each region's surface that the crop covers.

The share is that of the surface and not of the area of all crops: the total over all crops is not published, and such
shares would reveal it. Hidden regions are hatched and do not influence the limits of the colour classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

import geopandas as gpd
import numpy as np
import shapely
from markupsafe import Markup
from numpy.typing import NDArray

from cropmap.reports.areas import Crop, CropAreas
from cropmap.reports.numbers import hectares, percent, significant
from cropmap.reports.scale import COLOURS, Scale, scale

WIDTH: Final = 300.0
MARGIN: Final = 4.0
DETAIL: Final = 0.6
"""tolerance of the outlines, in units of the drawing"""
SPECK: Final = 1.5
"""parts smaller than so many square units are left out, but the largest of each region never"""
NAMED_REGIONS: Final = 12
"""more codes than this cannot be read on a small map"""
NO_DATA: Final = "#ececec"
EDGE: Final = "#5b6770"
HATCH: Final = "#4a5560"
M2_PER_KM2: Final = 1e6
HA_PER_KM2: Final = 100.0


@dataclass(frozen=True)
class Outline:
    nuts_id: str
    name: str
    path: str
    """SVG path data"""
    label: tuple[float, float]
    """a point well inside"""
    surface_km2: float


@dataclass(frozen=True)
class Outlines:
    height: float
    """of a drawing that is WIDTH wide"""
    regions: tuple[Outline, ...]


@dataclass(frozen=True)
class CropMap:
    crop: Crop
    svg: Markup
    legend: tuple[tuple[str, str], ...]
    """(colour, limits in words) per class that is used"""
    has_hidden: bool
    has_none: bool
    """a region where the crop is not in the table"""


def outlines(regions: gpd.GeoDataFrame) -> Outlines:
    """`regions`: nuts_id, name, geometry in an equal-area system in metres (EPSG:3035). Shared edges stay shared."""
    shapes = np.asarray(regions.geometry.array, dtype=object)
    west, south, east, north = shapely.total_bounds(shapes)
    units_per_m = (WIDTH - 2 * MARGIN) / max(east - west, 1.0)
    height = (north - south) * units_per_m + 2 * MARGIN
    tolerance = DETAIL / units_per_m
    simple = (
        shapely.coverage_simplify(shapes, tolerance)
        if shapely.coverage_is_valid(shapes)
        else shapely.simplify(shapes, tolerance)
    )

    def placed(metres: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = metres[:, 0], metres[:, 1]
        return np.column_stack([MARGIN + (x - west) * units_per_m, MARGIN + (north - y) * units_per_m])

    drawn = []
    for code, name, whole, shape in zip(regions["nuts_id"], regions["name"], shapes, simple, strict=True):
        figure = shapely.transform(shape, placed)
        largest = max(shapely.get_parts(figure), key=shapely.area)
        point = shapely.point_on_surface(largest)
        surface = float(shapely.area(whole)) / M2_PER_KM2
        drawn.append(Outline(code, name, _path(figure), (float(point.x), float(point.y)), surface))
    return Outlines(float(height), tuple(drawn))


def crop_map(crop: Crop, areas: CropAreas, sheet: Outlines, *, number: int) -> CropMap:
    """`number` makes the marks inside the SVG the only ones of their name on the page."""
    shares: dict[str, float | None] = {}
    for region in sheet.regions:
        cell = areas.cells.get((region.nuts_id, crop.code))
        if cell is not None:
            hectare = cell.figures.estimate_ha if cell.figures else None
            shares[region.nuts_id] = None if hectare is None else hectare / (region.surface_km2 * HA_PER_KM2)
    shown = [share for share in shares.values() if share is not None]
    classes = scale([100 * share for share in shown])
    used = {classes.colour(100 * share) for share in shown}
    legend = tuple((colour, _limits(low, high)) for colour, low, high in classes.classes if colour in used)
    return CropMap(
        crop,
        _svg(crop, areas, sheet, shares, classes, number=number),
        legend,
        has_hidden=None in shares.values(),
        has_none=len(shares) < len(sheet.regions),
    )


def _limits(low: float, high: float | None) -> str:
    return f"{significant(low)} and more" if high is None else f"{significant(low)}\u2013{significant(high)}"


def _svg(
    crop: Crop, areas: CropAreas, sheet: Outlines, shares: Mapping[str, float | None], classes: Scale, *, number: int
) -> Markup:
    hatch = f"hatch-{number}"
    parts = [
        f'<svg viewBox="0 0 {WIDTH:g} {sheet.height:.1f}" role="img" aria-labelledby="map-{number}">'
        f'<title id="map-{number}">{escape(_described(crop, areas, shares))}</title>'
        f'<defs><pattern id="{hatch}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="#fff"/>'
        f'<path d="M-1,1 L1,-1 M0,6 L6,0 M5,7 L7,5" stroke="{HATCH}" stroke-width="1.1"/></pattern></defs>'
    ]
    for region in sheet.regions:
        share = shares.get(region.nuts_id)
        fill = NO_DATA if share is None else classes.colour(100 * share)
        fill = f"url(#{hatch})" if share is None and region.nuts_id in shares else fill
        parts.append(
            f'<path d="{region.path}" fill="{fill}" fill-rule="evenodd" stroke="{EDGE}" stroke-width=".6" '
            f'stroke-linejoin="round"><title>{escape(_tooltip(region, crop, areas, share))}</title></path>'
        )
    if len(sheet.regions) <= NAMED_REGIONS:
        parts.extend(_code(region, shares, classes) for region in sheet.regions)
    return Markup("".join(parts) + "</svg>")  # noqa: S704  every text in it is escaped above


def _code(region: Outline, shares: Mapping[str, float | None], classes: Scale) -> str:
    share = shares.get(region.nuts_id)
    dark = share is not None and COLOURS.index(classes.colour(100 * share)) >= len(COLOURS) - 2
    ink, halo = ("#fff", "none") if dark else ("#1a1a1a", "#fff")
    x, y = region.label
    place = f'x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="12"'
    under = f'<text {place} fill="{halo}" stroke="{halo}" stroke-width="3">{escape(region.nuts_id)}</text>'
    return f'{"" if dark else under}<text {place} fill="{ink}">{escape(region.nuts_id)}</text>'


def _described(crop: Crop, areas: CropAreas, shares: Mapping[str, float | None]) -> str:
    """Description of the picture for screen readers."""
    shown = sorted((share, code) for code, share in shares.items() if share is not None)
    hidden = sum(share is None for share in shares.values())
    words = [f"Map of {crop.label} in {areas.head.nuts_id}: share of each region's surface"]
    if shown:
        (low, lowest), (high, highest) = shown[0], shown[-1]
        words.append(f"from {percent(low, decimals=2)} in {lowest} to {percent(high, decimals=2)} in {highest}")
    if hidden:
        words.append(f"{hidden} confidential")
    return "; ".join(words)


def _tooltip(region: Outline, crop: Crop, areas: CropAreas, share: float | None) -> str:
    name = f"{region.nuts_id} {region.name}".strip()
    cell = areas.cells.get((region.nuts_id, crop.code))
    if cell is None:
        return f"{name}: not in the table"
    if cell.figures is None or share is None:
        return f"{name}: confidential"
    return f"{name}: {hectares(cell.figures.estimate_ha)} ha, {percent(share, decimals=2)} of the surface"


def _path(shape: shapely.Geometry) -> str:
    parts = sorted(shapely.get_parts(shape), key=shapely.area, reverse=True)
    kept = [part for place, part in enumerate(parts) if place == 0 or shapely.area(part) >= SPECK]
    rings = [ring for part in kept for ring in shapely.get_rings(part)]
    return "".join(_ring(shapely.get_coordinates(ring)[:-1]) for ring in rings)


def _ring(points: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist()) + "Z"
