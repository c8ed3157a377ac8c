"""The only module that touches rasterio: the grid of a file, and one window of its first band.

Every failure of a file becomes a SceneError that names it. Values are never scaled here, and files never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window as RasterWindow

from cropmap.errors import SceneError
from cropmap.observations.grids import Grid, Window
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.places import local_file
from cropmap.sources.catalogs.redirects import check_redirects
from cropmap.sources.catalogs.signing import SIGNER, without_signatures
from cropmap.sources.catalogs.zipped import archived, read_member

GDAL_OPTIONS: Final = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no directory listing per file: the costliest part of a remote open
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.TIF,.tiff,.jp2,.xml",  # no probes for side-car files
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": "2",
    "GDAL_HTTP_MAX_RETRY": "10",  # object stores answer 503 and 429 under load
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # the header of a COG in the first request
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": "5000000",
    "GDAL_NUM_THREADS": "1",  # the caller reads several bands at a time
}
REFUSED: Final = re.compile(r"response code: 40[1349]|AWS_SECRET_ACCESS_KEY|AccessDenied|InvalidAccessKeyId")
KEYS_WANTED: Final = "It is not there, or its host wants keys or a signature: docs/catalogues.md"
IN_MEMORY: Final = re.compile(r"/vsimem/[^\s']+")
"""another name each time, which would make of one damage many"""
ALIGNMENT_TOLERANCE: Final = 1e-3
"""pixels; catalogues and files write origins with rounding, half a millimetre is none"""

MOST_BLOCK_BYTES: Final = 512 << 20
"""a whole tile at 10 m in one block is half of it"""

Array = np.ndarray[Any, np.dtype[Any]]


def read_grid(href: str) -> Grid:
    """Grid of a file, from its header. Raises SceneError (UNREADABLE_FILE, MISSING_BAND, WRONG_CRS, WRONG_GRID,
    FORBIDDEN_ADDRESS)."""
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            with _opened(href) as source:
                return _grid(source, href)
        except (RasterioError, OSError) as error:
            raise _unreadable(error, href) from error


def read_window(href: str, grid: Grid, window: Window) -> Array:
    """Digital numbers of one window, in the file's own integer type, (height, width); each block is decoded once.

    Raises SceneError: MISSING_BAND where a local file does not exist, UNREADABLE_FILE where it is truncated or holds
    no integers, WRONG_CRS and WRONG_GRID where it does not lie on `grid`.
    """
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            with _opened(href) as source:
                _check_grid(_grid(source, href), grid, href)
                if not np.issubdtype(np.dtype(source.dtypes[0]), np.integer):
                    raise SceneError(
                        f"holds {source.dtypes[0]}, not digital numbers",
                        reason=QuarantineReason.UNREADABLE_FILE,
                        where=without_signatures(href),
                    )
                if not window.size:
                    return np.empty((0, 0), source.dtypes[0])
                _check_block(source, href)
                part = RasterWindow(window.col_off, window.row_off, window.width, window.height)
                values: Array = source.read(1, window=part)
                return values
        except (RasterioError, OSError) as error:
            raise _unreadable(error, href) from error


@contextmanager
def _opened(href: str) -> Iterator[rasterio.DatasetReader]:
    """The file by the driver of its ending alone: another driver would follow what the file refers to.

    A member of a zip file is unpacked into memory (decision 0095).
    """
    check_redirects(href)
    if member := archived(href):
        unpacked = read_member(*member)
        if not unpacked:
            raise OSError("it is empty")
        with MemoryFile(unpacked) as memory, memory.open(driver=_driver(href)) as source:
            yield source
    else:
        with rasterio.open(SIGNER.opened(href), driver=_driver(href)) as source:
            yield source


def _driver(href: str) -> str:
    path = href if href.startswith("/") else urlsplit(href).path
    return "JP2OpenJPEG" if path.lower().endswith(".jp2") else "GTiff"


def _grid(source: rasterio.DatasetReader, href: str) -> Grid:
    epsg = _epsg(source.crs)
    if epsg is None:
        raise SceneError(
            "has no coordinate reference system with an EPSG code",
            reason=QuarantineReason.WRONG_CRS,
            where=without_signatures(href),
        )
    transform = tuple(float(c) for c in source.transform[:6])
    if transform[1] or transform[3] or transform[0] <= 0 or transform[4] >= 0:
        raise SceneError(
            f"is not north-up: transform {transform}",
            reason=QuarantineReason.WRONG_GRID,
            where=without_signatures(href),
        )
    a, b, c, d, e, f = transform
    return Grid(epsg=epsg, transform=(a, b, c, d, e, f), width=source.width, height=source.height)


def _check_block(source: rasterio.DatasetReader, href: str) -> None:
    """A block is decoded whole, however few of its pixels are wanted, and a file may declare any size of it."""
    height, width = source.block_shapes[0]
    size = height * width * np.dtype(source.dtypes[0]).itemsize * source.count
    if size > MOST_BLOCK_BYTES:
        raise SceneError(
            f"declares blocks of {width} x {height} pixels in {source.count} bands, {size >> 20:,} MB",
            reason=QuarantineReason.UNREADABLE_FILE,
            where=without_signatures(href),
        )


def _epsg(crs: CRS | None) -> int | None:
    return crs.to_epsg() if crs else None


def _check_grid(grid: Grid, expected: Grid, href: str) -> None:
    if grid.epsg != expected.epsg:
        raise SceneError(
            f"is in EPSG:{grid.epsg}, the tile in EPSG:{expected.epsg}",
            reason=QuarantineReason.WRONG_CRS,
            where=without_signatures(href),
        )
    shift = np.abs(np.subtract(grid.transform, expected.transform)).max() / expected.transform[0]
    if (grid.width, grid.height) != (expected.width, expected.height) or shift > ALIGNMENT_TOLERANCE:
        raise SceneError(
            f"has {grid.width} x {grid.height} pixels from {grid.transform}, "
            f"the tile {expected.width} x {expected.height} from {expected.transform}",
            reason=QuarantineReason.WRONG_GRID,
            where=without_signatures(href),
        )


def _unreadable(error: Exception, href: str) -> SceneError:
    path = local_file(href)
    if path is not None and not path.exists():
        return SceneError(
            "the file does not exist", reason=QuarantineReason.MISSING_BAND, where=without_signatures(href)
        )
    why = IN_MEMORY.sub("the member", _one_line(error))
    return SceneError(
        f"cannot be read ({why})",
        reason=QuarantineReason.UNREADABLE_FILE,
        where=without_signatures(href),
        mend=KEYS_WANTED if REFUSED.search(why) else "",
    )


def _one_line(error: BaseException) -> str:
    """The innermost message: rasterio says "Read failed. See previous exception for details."."""
    while error.__cause__ is not None:
        error = error.__cause__
    return without_signatures(" ".join(str(error).split()))
