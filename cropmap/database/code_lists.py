"""NUTS regions of a season with their outlines, and what codes are called in the languages of an agency.

In, what files of the agency hold; out, maps and names. A season has the regions of one edition, that of its register.
The same regions or names again change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import shapely
from psycopg.rows import class_row

from cropmap.contracts.tables import REGION
from cropmap.database.connection import Connection, database_errors
from cropmap.dissemination.names import CodeName
from cropmap.printable import CONTROL
from cropmap.schemas import EPSG_WGS84
from cropmap.sources.regions import Regions

WRITE_REGION: Final = """
INSERT INTO region AS r (agency, season, nuts_id, level, name, national_name, language, nuts_version, outline, west,
                         south, east, north)
VALUES (%(agency)s, %(season)s, %(nuts_id)s, %(level)s, %(name)s, %(national_name)s, %(language)s, %(nuts_version)s,
        %(outline)s, %(west)s, %(south)s, %(east)s, %(north)s)
ON CONFLICT (agency, season, nuts_id) DO UPDATE
SET level = excluded.level, name = excluded.name, national_name = excluded.national_name,
    language = excluded.language, nuts_version = excluded.nuts_version, outline = excluded.outline,
    west = excluded.west, south = excluded.south, east = excluded.east, north = excluded.north
WHERE (r.level, r.name, r.national_name, r.language, r.nuts_version, r.outline)
      IS DISTINCT FROM (excluded.level, excluded.name, excluded.national_name, excluded.language,
                        excluded.nuts_version, excluded.outline)
"""
REMOVE_REGIONS: Final = "DELETE FROM region WHERE agency = %s AND season = %s AND nuts_id <> ALL (%s)"
EDITION: Final = "SELECT nuts_version FROM region WHERE agency = %s AND season = %s LIMIT 1"
WRITE_NAME: Final = """
INSERT INTO code_name AS n (agency, code_list, code, language, name) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (agency, code_list, code, language) DO UPDATE SET name = excluded.name WHERE n.name <> excluded.name
"""
REMOVE_NAMES: Final = """
DELETE FROM code_name WHERE agency = %s AND (code_list, code, language) NOT IN (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))
"""
NAMES: Final = """
SELECT DISTINCT ON (code_list, code, language) code_list, code, language, name
FROM (SELECT code_list, code, language, name, 10000 AS season FROM code_name WHERE agency = %(agency)s
      UNION ALL
      SELECT 'geo', nuts_id, language, national_name, season FROM region
      WHERE agency = %(agency)s AND language IS NOT NULL
      UNION ALL
      SELECT 'geo', nuts_id, 'en', name, season FROM region WHERE agency = %(agency)s) named
ORDER BY code_list, code, language, season DESC
"""
"""a name of the agency's file before one of its boundaries, and that of the latest season"""
RELEASED_REGIONS: Final = "SELECT DISTINCT nuts_id FROM released_statistic WHERE agency = %s"


@database_errors()
def store_regions(
    connection: Connection, *, agency: str, season: int, regions: Regions, language: str | None = None
) -> int:
    """Puts the regions in the place of the season's, in one transaction; returns how many rows changed. `language` is
    that of their national names."""
    table = regions.table.to_crs(EPSG_WGS84)
    shapes = table.geometry.to_numpy()
    bounds = shapely.bounds(shapes).tolist()
    outlines = shapely.to_wkb(shapes, output_dimension=2, byte_order=1)
    own = table[[name for name in REGION.names if name in table]].to_dict("records")
    of_season = {"agency": agency, "season": season, "language": language, "nuts_version": regions.nuts_version}
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
        cursor.execute(REMOVE_REGIONS, (agency, season, [row["nuts_id"] for row in rows]))
        changed = cursor.rowcount
        cursor.executemany(WRITE_REGION, rows)
        return changed + cursor.rowcount


@database_errors()
def region_edition(connection: Connection, *, agency: str, season: int) -> int | None:
    """The edition of NUTS of the season's regions; None where it has none."""
    row = connection.execute(EDITION, (agency, season)).fetchone()
    return row[0] if row else None


@database_errors()
def store_names(connection: Connection, *, agency: str, names: Sequence[CodeName]) -> int:
    """Puts the names in the place of the agency's, in one transaction; returns how many rows changed."""
    lists, codes, languages = ([getattr(one, part) for one in names] for part in ("code_list", "code", "language"))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(REMOVE_NAMES, (agency, lists, codes, languages))
        changed = cursor.rowcount
        cursor.executemany(WRITE_NAME, [(agency, *one) for one in names])
        return changed + max(cursor.rowcount, 0)


@database_errors()
def read_names(connection: Connection, *, agency: str) -> list[CodeName]:
    """The names of the agency's codes: of its file, and of the regions that the connection sees; English ones of
    regions too."""
    with connection.cursor(row_factory=class_row(CodeName)) as cursor:
        return cursor.execute(NAMES, {"agency": agency}).fetchall()


@database_errors()
def released_regions(connection: Connection, *, agency: str) -> list[str]:
    """NUTS codes that released figures of the agency are of, sorted."""
    return sorted(code for (code,) in connection.execute(RELEASED_REGIONS, (agency,)).fetchall())


def _said(name: str) -> str:
    """A name without what neither PostgreSQL nor XML holds."""
    return CONTROL.sub("", name).strip()
