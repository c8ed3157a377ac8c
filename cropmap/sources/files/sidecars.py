"""Files that lie beside the one that is read, and spoil it: they are left behind.

A `.gfs` that a desktop GIS wrote beside a GML drops attributes and counts rows that are no longer there, and GDAL would
write another. A `.prj` that breaks off keeps GDAL from reading the shapefile at all, with whatever CRS is set.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyogrio
import pyproj

from cropmap.errors import DeclarationFileError
from cropmap.sources.files.gml import configuration, is_gml

UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")
DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
IN_UTF_8: Final = '<?xml version="1.0" encoding="UTF-8"?>'
KNOWN_TO_GDAL: Final = ("utf-8", "us-ascii", "iso-8859-1")
BLOCK: Final = 1 << 16


@contextlib.contextmanager
def apart(source: str) -> Iterator[str]:
    """The path to open instead of `source`: a link to it in a folder of its own, where something beside it spoils it.

    Errors still name `source`.
    """
    path = Path(source)
    wanted = _wanted(path) if path.is_file() else None
    if path.is_file() and is_gml(source):
        pyogrio.set_gdal_config_options(configuration(source))
    if wanted is None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="cropmap-") as folder:
        for each in wanted:
            (Path(folder) / each.name).symlink_to(each.absolute())
        link = str(Path(folder) / path.name)
        try:
            if is_gml(source) and (encoding := _other_encoding(path)):
                _translate(path, Path(link), encoding)
            yield link
        except DeclarationFileError as error:
            if error.where != link:
                raise
            raise DeclarationFileError(error.what.replace(link, path.name), where=source, mend=error.mend) from error


def _wanted(path: Path) -> list[Path] | None:
    """The file and what must lie beside it; None where all of it may."""
    beside = [other for other in path.parent.iterdir() if other.stem == path.stem]
    if is_gml(str(path)):
        return [path, *(other for other in beside if other.suffix == ".xsd")]
    if path.suffix.lower() == ".shp":
        spoilt = [other for other in beside if other.suffix.lower() == ".prj" and not _is_crs(other)]
        return [other for other in beside if other not in spoilt] if spoilt else None
    return None


def projection_beside(source: str) -> str | None:
    """What a shapefile's `.prj` says: some programs write what GDAL does not read there (WKT 2, PROJJSON, a code, a
    byte order mark). None where there is none that is a CRS."""
    path = Path(source)
    if path.suffix.lower() != ".shp":
        return None
    beside = (other for other in path.parent.iterdir() if other.stem == path.stem)
    return next((_text(other) for other in beside if other.suffix.lower() == ".prj" and _is_crs(other)), None)


def _is_crs(prj: Path) -> bool:
    try:
        pyproj.CRS.from_user_input(_text(prj))
    except (pyproj.exceptions.CRSError, OSError):
        return False
    return True


def _text(prj: Path) -> str:
    return prj.read_bytes().decode("utf-8-sig", errors="replace").strip()


def _other_encoding(path: Path) -> str | None:
    """The encoding of an XML file that GDAL does not know; None where it knows it, or Python does not either."""
    with path.open("rb") as file:
        head = file.read(200)
    if head.startswith(UTF_16):
        return "utf-16"
    declared = DECLARED.match(head)
    name = declared[1].decode() if declared else "utf-8"
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return None if name.lower() in KNOWN_TO_GDAL else name


def _translate(path: Path, target: Path, encoding: str) -> None:
    """A copy in UTF-8; `target` may be a link to the file."""
    target.unlink(missing_ok=True)
    try:
        with path.open(encoding=encoding, newline="") as file, target.open("w", encoding="utf-8", newline="") as copy:
            copy.write(IN_UTF_8 + DECLARATION.sub("", file.read(BLOCK), count=1))
            shutil.copyfileobj(file, copy)
    except UnicodeError as error:
        raise DeclarationFileError(f"its text is not {encoding}, as it says", where=str(target)) from error
