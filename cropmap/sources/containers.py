"""Deliveries as they come, in plain files, zip or 7z archives; out: the one thing in them that can be opened.

GDAL reads inside zip archives by itself. What it cannot reach there (7z, and tables within an archive) is unpacked
into a temporary folder (`TMPDIR`) that lives as long as the file is read.
"""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import multivolumefile
import py7zr

from cropmap.errors import DeclarationFileError

CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".geoparquet")
GDAL_SUFFIXES: Final = (
    ".gpkg", ".shp", ".geojson", ".json", ".gml", ".xml", ".fgb", ".gdb", ".kml", ".sqlite", ".tab", ".mif",
)  # fmt: skip
SEVEN_ZIP: Final = b"7z\xbc\xaf\x27\x1c"
FIRST_VOLUME: Final = ".001"


@contextlib.contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[str]:
    """The path to open: of the file itself, or of the one vector file in an archive (`/vsizip/…` for GDAL).

    `member` names it where there are several, also as a pattern. Raises DeclarationFileError.
    """
    if not path.exists():
        raise DeclarationFileError("no such file", where=str(path), mend="Check declarations.path")
    with tempfile.TemporaryDirectory(prefix="cropmap-") as folder:
        source = _source(path, member, Path(folder))
        try:
            yield source
        except DeclarationFileError as error:
            if error.where != source:
                raise
            raise DeclarationFileError(error.what, where=str(path), mend=error.mend) from error


def _source(path: Path, member: str | None, folder: Path) -> str:
    if path.is_file() and zipfile.is_zipfile(path):
        return _in_zip(path, member, folder)
    if path.is_file() and _begins(path, SEVEN_ZIP):
        return _in_seven_zip(path, member, folder)
    return str(path)


def _in_zip(path: Path, member: str | None, folder: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        chosen = _choose(archive.namelist(), member, where=path)
        if PurePosixPath(chosen).suffix.lower() in GDAL_SUFFIXES:
            return f"/vsizip/{{{path.absolute()}}}/{chosen}"
        target = folder / PurePosixPath(chosen).name
        with archive.open(chosen) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file)
    return str(target)


def _in_seven_zip(path: Path, member: str | None, folder: Path) -> str:
    try:
        with _volumes(path) as file, py7zr.SevenZipFile(file) as archive:
            names = archive.getnames()
            chosen = _choose(names, member, where=path)
            stem = chosen.removesuffix(PurePosixPath(chosen).suffix)
            archive.extract(folder, targets=[name for name in names if name.startswith((f"{stem}.", f"{chosen}/"))])
    except (py7zr.exceptions.ArchiveError, EOFError, OSError) as error:
        raise DeclarationFileError(
            f"the 7z archive cannot be unpacked ({' '.join(str(error).split()) or type(error).__name__})",
            where=str(path), mend="Put all its volumes (.001, .002 …) into one folder, or unpack it",
        ) from error  # fmt: skip
    return str(folder / chosen)


def _volumes(path: Path) -> Any:
    """One file, or the volumes that begin with .001 as if they were one."""
    if path.suffix == FIRST_VOLUME and path.with_suffix(".002").exists():
        return multivolumefile.MultiVolume(path.with_suffix(""), mode="rb", ext_digits=len(FIRST_VOLUME) - 1)
    return path.open("rb")


def _choose(names: Sequence[str], member: str | None, *, where: Path) -> str:
    found = _vector_files(names)
    fitting = [n for n in found if member is None or member in (n, PurePosixPath(n).name)] or [
        n for n in found if fnmatch.fnmatch(PurePosixPath(n).name, member or "")
    ]
    if len(fitting) == 1:
        return fitting[0]
    what = f"no vector file {member!r} in the archive" if member else f"the archive holds {len(found)} vector files"
    raise DeclarationFileError(
        f"{what} ({', '.join(found[:8])})" if found else what, where=str(where),
        mend="Set declarations.member to one of them" if found else "Its contents are not known here: unpack it",
    )  # fmt: skip


def _vector_files(names: Sequence[str]) -> list[str]:
    """Vector files by their ending, a geodatabase folder as one; tables only where nothing else is there."""
    tops = dict.fromkeys(_geodatabase(name) or name for name in names if not name.startswith("__MACOSX/"))
    endings = {name: PurePosixPath(name).suffix.lower() for name in tops if not name.endswith("/")}
    vector = [name for name, ending in endings.items() if ending in GDAL_SUFFIXES and not name.endswith(".shp.xml")]
    clear = [name for name in vector if endings[name] != ".xml"]
    tables = [name for name, ending in endings.items() if ending in (*CSV_SUFFIXES, *PARQUET_SUFFIXES)]
    return clear or vector or tables


def _geodatabase(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    depth = next((i for i, part in enumerate(parts) if part.lower().endswith(".gdb")), None)
    return None if depth is None else str(PurePosixPath(*parts[: depth + 1]))


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
