"""GDAL as this room may use it: the drivers that declarations and boundaries come in, and nothing that a file can send
elsewhere. Importing this module confines the whole process; every module imports pyogrio from here.

A driver that only describes where data lie (VRT, GDALG, WFS, …) would let an untrusted file read other files, call
hosts or run programs. Such drivers are taken out of GDAL, so that neither the content of a file, nor its name, nor a
file inside another one can reach them. What the drivers that stay would fetch by themselves (a schema of GML, a
coordinate system of GeoJSON) is answered with an error before a connection is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyogrio
import pyogrio._geometry
import pyogrio._ogr
import pyogrio.raw

from cropmap.errors import CropmapError

__all__ = ["VECTOR_DRIVERS", "bound_databases", "pyogrio", "quiet"]

VECTOR_DRIVERS: Final = frozenset(
    {
        "ESRI Shapefile",
        "ESRIJSON",
        "FlatGeobuf",
        "GML",
        "GPKG",
        "GeoJSON",
        "GeoJSONSeq",
        "JSONFG",
        "KML",
        "LIBKML",
        "MapInfo File",
        "OpenFileGDB",
        "SQLite",
        "TopoJSON",
    }
)
_INTERNAL: Final = frozenset({"MEM", "Memory"})
"""GDAL's own tables in memory; no file can be one"""
_OPTIONS: Final[Mapping[str, str]] = {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": f".{secrets.token_hex(16)}",  # no name has it: /vsicurl opens nothing
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_DOWNLOAD_WFS_SCHEMA": "NO",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
    "LIBKML_EXTERNAL_STYLE": "NO",
    "LIBKML_RESOLVE_STYLE": "NO",
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
    "OGR_SQLITE_LOAD_EXTENSIONS": "NONE",
}

_OTHER_KINDS: Final = {kind + more for kind in (0, 15, 16, 17) for more in (0, 1000, 2000, 3000)} | {2**31, -(2**31)}
"""of layers, as OGR numbers them: any geometry, polyhedral surface, triangles, each with heights and measures. pyogrio
refuses a layer whose kind it does not know, whatever its outlines are."""

_HttpFetch = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_void_p] * 6)
"""CPLHTTPFetchCallbackFunc of cpl_http.h"""


class _HttpResult(ctypes.Structure):
    """The first fields of CPLHTTPResult (cpl_http.h)."""

    _fields_ = (("status", ctypes.c_int), ("content_type", ctypes.c_void_p), ("error", ctypes.c_void_p))


_Opened = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
"""what sqlite3_auto_extension calls for each database"""
_Progress = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
ANY_STEPS_BELOW: Final = 200_000_000
"""of SQLite's machine, for one opening of a database; seconds"""
STEPS_PER_BYTE: Final = 20
"""of the file, beyond: reading all rows takes less than one, a join some"""
MOST_VALUE_BYTES: Final = 1 << 27
"""of one text or outline"""
_STEPS_AT_ONCE: Final = 1_000_000
_LENGTH: Final = 0
"""SQLITE_LIMIT_LENGTH"""

_HTTP_RESULT_BYTES: Final = 512
"""more than the whole of CPLHTTPResult, zeroed"""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without GDAL's remarks (file endings, measured outlines, several layers): what matters of them is counted by
    whoever reads, and the rest helps nobody at a terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def _know_all_kinds() -> None:
    for kind in _OTHER_KINDS:
        pyogrio._geometry.GEOMETRY_TYPES.setdefault(kind, "Unknown")


def _confine() -> Any:
    """Returns what must live as long as the process. Raises CropmapError where GDAL cannot be confined."""
    os.environ.pop("SPATIALITE_SECURITY", None)  # "relaxed" lets a view of a database read and write files
    unwanted = sorted(set(pyogrio.list_drivers()) - VECTOR_DRIVERS - _INTERNAL)
    pyogrio.set_gdal_config_options({**_OPTIONS, "GDAL_SKIP": ",".join(unwanted)})
    try:
        with quiet():
            pyogrio._ogr._register_drivers()  # GDAL heeds GDAL_SKIP when it registers drivers, and only then
        kept = _answer_requests_with_errors()
    except (AttributeError, OSError) as error:
        raise _not_confined(" ".join(str(error).split())) from error
    if left := set(pyogrio.list_drivers()) - VECTOR_DRIVERS - _INTERNAL:
        raise _not_confined(f"{', '.join(sorted(left))} cannot be taken out")
    return kept


def _not_confined(why: str) -> CropmapError:
    return CropmapError(
        f"GDAL cannot be kept from reading what a file refers to ({why})",
        where="pyogrio",
        mend="Install the versions of constraints.txt",
    )


def _answer_requests_with_errors() -> Any:
    """Every request that GDAL itself would make over HTTP fails at once. A proxy that leads nowhere would not do:
    NO_PROXY exempts hosts from it."""
    gdal = ctypes.CDLL(pyogrio._ogr.__file__)  # its symbols include those of the GDAL it is linked to
    gdal.CPLCalloc.restype, gdal.CPLCalloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t] * 2
    gdal.CPLStrdup.restype, gdal.CPLStrdup.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    gdal.CPLHTTPSetFetchCallback.restype = None
    gdal.CPLHTTPSetFetchCallback.argtypes = [_HttpFetch, ctypes.c_void_p]

    def refuse(*_: Any) -> int:
        address: int = gdal.CPLCalloc(1, _HTTP_RESULT_BYTES)
        result = ctypes.cast(address, ctypes.POINTER(_HttpResult)).contents
        result.status = 1
        result.error = gdal.CPLStrdup(b"a file may not call hosts")
        return address

    callback = _HttpFetch(refuse)
    gdal.CPLHTTPSetFetchCallback(callback, None)
    return callback


class _Bounds:
    """What every database that GDAL opens may spend: steps of SQLite, and bytes of one value. A view or a generated
    column of a few words computes without end, or makes gigabytes of nothing."""

    def __init__(self) -> None:
        self._gdal = gdal = ctypes.CDLL(pyogrio._ogr.__file__)
        gdal.sqlite3_limit.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        gdal.sqlite3_progress_handler.argtypes = [ctypes.c_void_p, ctypes.c_int, _Progress, ctypes.c_void_p]
        gdal.sqlite3_progress_handler.restype = None
        gdal.sqlite3_db_filename.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        gdal.sqlite3_db_filename.restype = ctypes.c_char_p
        gdal.sqlite3_auto_extension.argtypes = [_Opened]
        self._left: dict[int, int] = {}
        self._opened, self._progress = _Opened(self._bound), _Progress(self._spend)

    def arm(self) -> None:
        """For the next opening; GDAL drops it when it closes its last database."""
        if self._gdal.sqlite3_auto_extension(self._opened):
            raise _not_confined("SQLite cannot be bounded")

    def _bound(self, database: int, *_: Any) -> int:
        name = self._gdal.sqlite3_db_filename(database, b"main")
        path = Path(os.fsdecode(name or b""))
        self._left[database] = ANY_STEPS_BELOW + STEPS_PER_BYTE * (path.stat().st_size if path.is_file() else 0)
        self._gdal.sqlite3_limit(database, _LENGTH, MOST_VALUE_BYTES)
        self._gdal.sqlite3_progress_handler(database, _STEPS_AT_ONCE, self._progress, database)
        return 0

    def _spend(self, database: int) -> int:
        self._left[database] -= _STEPS_AT_ONCE
        return int(self._left[database] < 0)  # 1 interrupts the statement


def bound_databases() -> None:
    """To be called before each reading: whatever the file computes ends."""
    _BOUNDS.arm()


_know_all_kinds()
_KEPT: Final = _confine()
try:
    _BOUNDS: Final = _Bounds()
except (AttributeError, OSError) as error:  # a build of GDAL that keeps its SQLite elsewhere
    raise _not_confined("its databases cannot be bounded") from error
