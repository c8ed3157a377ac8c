"""Declarations in the formats agencies deliver, on a grid of 100 m squares in EPSG:3035 (1.00 ha each)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from cropmap.legends import Legend, LegendEntry

EPSG = 3035
WEST, SOUTH = 3_340_000, 2_790_000
"""in Brittany"""


def square(column: int, row: int = 0, *, width_m: float = 100, height_m: float = 100) -> shapely.Polygon:
    """A rectangle whose lower left corner is at column x 200 m, row x 200 m."""
    west, south = WEST + 200 * column, SOUTH + 200 * row
    return shapely.box(west, south, west + width_m, south + height_m)


def bow_tie(column: int) -> shapely.Polygon:
    """A figure of eight: two triangles that share a point."""
    x, y = WEST + 200 * column, SOUTH
    return shapely.Polygon([(x, y), (x + 100, y + 100), (x + 100, y), (x, y + 100)])


def spiked(column: int) -> shapely.Polygon:
    """A square with a spike of no width, as digitising leaves it: self-intersecting, same area."""
    x, y = WEST + 200 * column, SOUTH
    return shapely.Polygon(
        [
            (x, y),
            (x + 100, y),
            (x + 100, y + 50),
            (x + 150, y + 50),
            (x + 100, y + 50),
            (x + 100, y + 100),
            (x, y + 100),
        ]
    )


def make_frame(rows: Sequence[tuple[Any, ...]], *names: str) -> gpd.GeoDataFrame:
    """Rows of values named by `names`, geometry last."""
    columns = {name: [row[position] for row in rows] for position, name in enumerate(names)}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([row[-1] for row in rows], crs=EPSG))


def make_legend(*codes: str) -> Legend:
    return Legend("test", tuple(LegendEntry(code, code, code, None, code) for code in codes), "0")


def write_csv(path: Path, lines: Sequence[str], *, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path
