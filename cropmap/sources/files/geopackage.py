"""What a GeoPackage says of a layer's CRS: its table of CRSs states each twice, by a number and by a definition (OGC
12-128, gpkg_spatial_ref_sys), and programs write them apart. GDAL reads one of the two and does not mention the other.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

DRIVER: Final = "GPKG"
STATED: Final = """
SELECT organization, organization_coordsys_id, definition
FROM gpkg_geometry_columns JOIN gpkg_spatial_ref_sys USING (srs_id) WHERE lower(table_name) = lower(?)
"""
EPSG: Final = "epsg"
MOST_STEPS: Final = 10_000_000
"""of SQLite: a view in the place of a table may have rows without end"""


def stated_systems(source: str, layer: str) -> tuple[str, ...]:
    """Both ways in which the file states the layer's CRS, without those that are left empty; none where it cannot be
    read."""
    try:
        with contextlib.closing(sqlite3.connect(f"{Path(source).absolute().as_uri()}?immutable=1", uri=True)) as file:
            file.set_progress_handler(lambda: 1, MOST_STEPS)
            row = file.execute(STATED, (layer,)).fetchone()
    except (sqlite3.Error, ValueError):
        return ()
    if row is None:
        return ()
    organization, number, definition = row
    by_number = f"EPSG:{number}" if str(organization).lower() == EPSG and isinstance(number, int) else ""
    return tuple(text for text in (by_number, definition) if isinstance(text, str) and text)
