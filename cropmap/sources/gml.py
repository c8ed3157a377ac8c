"""How GDAL is asked to read GML: with everything an element says, and with nothing that happens to lie beside the file.

INSPIRE's land use names the crop in attributes (`<elu:specificLandUse xlink:href=… xlink:title=…/>`), which GDAL drops
unless it is told not to. A `.gfs` that a desktop GIS left beside the file would drop them again, and count
rows that are no longer there.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pyogrio

from cropmap.errors import DeclarationFileError

AxisOrder = Literal["easting_first", "northing_first"]
"""how coordinates stand in the file, whatever its CRS and format prescribe; longitude is an easting"""
GML_SUFFIXES: Final = (".gml", ".xml")
CONFIGURED: Final = {"GML_ATTRIBUTES_TO_OGR_FIELDS": "YES", "GML_DOWNLOAD_SCHEMA": "NO"}
SCHEMA: Final = ".xsd"


def is_gml(source: str) -> bool:
    return Path(source).suffix.lower() in GML_SUFFIXES


def gml_options(source: str, axis_order: AxisOrder | None = None) -> dict[str, str]:
    """Open options of GDAL for the file; none where it is no GML."""
    if not is_gml(source):
        return {}
    swap = {None: "AUTO", "easting_first": "NO", "northing_first": "YES"}[axis_order]
    return {"WRITE_GFS": "NO", "SWAP_COORDINATES": swap, "GML_ATTRIBUTES_TO_OGR_FIELDS": "YES"}


@contextlib.contextmanager
def apart(source: str) -> Iterator[str]:
    """The path to open instead of `source`: for a GML file a link to it in a folder of its own, with its schema.

    Errors still name `source`.
    """
    path = Path(source)
    if not is_gml(source) or not path.is_file():
        yield source
        return
    pyogrio.set_gdal_config_options(CONFIGURED)
    with tempfile.TemporaryDirectory(prefix="cropmap-") as folder:
        link = Path(folder) / path.name
        link.symlink_to(path.absolute())
        if (schema := path.with_suffix(SCHEMA)).is_file():
            link.with_suffix(SCHEMA).symlink_to(schema.absolute())
        try:
            yield str(link)
        except DeclarationFileError as error:
            if error.where != str(link):
                raise
            raise DeclarationFileError(error.what, where=source, mend=error.mend) from error
