"""Files that lie beside the one that is read, and spoil it: they are left behind.

A `.gfs` that a desktop GIS wrote beside a GML drops attributes and counts rows that are no longer there, and GDAL would
write another. A `.prj` that breaks off keeps GDAL from reading the shapefile at all, with whatever CRS it is told.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyogrio
import pyproj

from cropmap.errors import DeclarationFileError
from cropmap.sources.gml import CONFIGURED, is_gml


@contextlib.contextmanager
def apart(source: str) -> Iterator[str]:
    """The path to open instead of `source`: a link to it in a folder of its own, where something beside it spoils it.

    Errors still name `source`.
    """
    path = Path(source)
    wanted = _wanted(path) if path.is_file() else None
    if is_gml(source):
        pyogrio.set_gdal_config_options(CONFIGURED)
    if wanted is None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="cropmap-") as folder:
        for each in wanted:
            (Path(folder) / each.name).symlink_to(each.absolute())
        link = str(Path(folder) / path.name)
        try:
            yield link
        except DeclarationFileError as error:
            if error.where != link:
                raise
            raise DeclarationFileError(error.what, where=source, mend=error.mend) from error


def _wanted(path: Path) -> list[Path] | None:
    """The file and what must lie beside it; None where all of it may."""
    beside = [other for other in path.parent.iterdir() if other.stem == path.stem]
    if is_gml(str(path)):
        return [path, *(other for other in beside if other.suffix == ".xsd")]
    if path.suffix.lower() == ".shp":
        spoilt = [other for other in beside if other.suffix.lower() == ".prj" and not _is_crs(other)]
        return [other for other in beside if other not in spoilt] if spoilt else None
    return None


def _is_crs(prj: Path) -> bool:
    try:
        pyproj.CRS.from_user_input(prj.read_text(encoding="latin-1"))
    except (pyproj.exceptions.CRSError, OSError):
        return False
    return True
