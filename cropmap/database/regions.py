"""NUTS regions of a season with their outlines: in, what a boundary file holds of the agency; out, nothing but maps.

A season has the regions of one edition, that of its register. The same regions again change nothing.
"""

from __future__ import annotations

from typing import Final

import shapely

from cropmap.contracts.tables import REGION
from cropmap.database.connection import Connection, database_errors
from cropmap.schemas import EPSG_WGS84
from cropmap.sources.regions import Regions

WRITE: Final = """
INSERT INTO region AS r (agency, season, nuts_id, level, name, national_name, nuts_version, outline, west, south, east,
                         north)
VALUES (%(agency)s, %(season)s, %(nuts_id)s, %(level)s, %(name)s, %(national_name)s, %(nuts_version)s, %(outline)s,
        %(west)s, %(south)s, %(east)s, %(north)s)
ON CONFLICT (agency, season, nuts_id) DO UPDATE
SET level = excluded.level, name = excluded.name, national_name = excluded.national_name,
    nuts_version = excluded.nuts_version, outline = excluded.outline, west = excluded.west, south = excluded.south,
    east = excluded.east, north = excluded.north
WHERE (r.level, r.name, r.national_name, r.nuts_version, r.outline)
      IS DISTINCT FROM (excluded.level, excluded.name, excluded.national_name, excluded.nuts_version, excluded.outline)
"""
REMOVE: Final = "DELETE FROM region WHERE agency = %s AND season = %s AND nuts_id <> ALL (%s)"
EDITION: Final = "SELECT nuts_version FROM region WHERE agency = %s AND season = %s LIMIT 1"


@database_errors()
def store_regions(connection: Connection, *, agency: str, season: int, regions: Regions) -> int:
    """Puts the regions in the place of the season's, in one transaction; returns how many rows changed."""
    table = regions.table.to_crs(EPSG_WGS84)
    shapes = table.geometry.to_numpy()
    bounds = shapely.bounds(shapes).tolist()
    outlines = shapely.to_wkb(shapes, output_dimension=2, byte_order=1)
    own = table[[name for name in REGION.names if name in table]].to_dict("records")
    of_season = {"agency": agency, "season": season, "nuts_version": regions.nuts_version}
    rows = [
        {
            **of_season,
            **row,
            "name": _said(row["name"]) or row["nuts_id"],
            "national_name": _said(row["national_name"]) or _said(row["name"]) or row["nuts_id"],
            "outline": outline,
            **dict(zip(("west", "south", "east", "north"), box, strict=True)),
        }
        for row, outline, box in zip(own, outlines, bounds, strict=True)
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(REMOVE, (agency, season, [row["nuts_id"] for row in rows]))
        changed = cursor.rowcount
        cursor.executemany(WRITE, rows)
        return changed + cursor.rowcount


@database_errors()
def region_edition(connection: Connection, *, agency: str, season: int) -> int | None:
    """The edition of NUTS of the season's regions; None where it has none."""
    row = connection.execute(EDITION, (agency, season)).fetchone()
    return row[0] if row else None


def _said(name: str) -> str:
    """A name without what PostgreSQL refuses in a text."""
    return name.replace("\x00", "").strip()
