"""The grid of a raster file, and one window of its first band.

Every failure of a file becomes a SceneError that names it. Values are never scaled here, and files never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.windows import Window as RasterWindow

from cropmap.errors import SceneError
from cropmap.observations.grids import Grid, Window
from cropmap.observations.ranges import Block, Fetched, fetched
from cropmap.observations.raster_access import account, with_patience
from cropmap.observations.scratch import is_copied, is_jpeg2000, scratch
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.places import local_file
from cropmap.sources.catalogs.sign_in.signatures import without_signatures
from cropmap.sources.catalogs.zipped import archived, read_member

ALIGNMENT_TOLERANCE: Final = 1e-3
"""pixels; catalogues and files write origins with rounding, half a millimetre is none"""

MOST_BLOCK_BYTES: Final = 512 << 20
"""a whole tile at 10 m in one block is half of it"""

Array = np.ndarray[Any, np.dtype[Any]]


def read_grid(href: str) -> Grid:
    """Grid of a file, from its header. Raises SceneError (UNREADABLE_FILE, MISSING_BAND, WRONG_CRS, WRONG_GRID,
    FORBIDDEN_ADDRESS)."""

    def grid(address: str) -> Grid:
        with _opened(href, address) as source:
            return _grid(source, href)

    return with_patience(href, grid)


def read_window(href: str, grid: Grid, window: Window) -> Array:
    """Digital numbers of one window, in the file's own integer type, (height, width); each block is decoded once.

    Raises SceneError: MISSING_BAND where a local file does not exist, UNREADABLE_FILE where it is truncated or holds
    no integers, WRONG_CRS and WRONG_GRID where it does not lie on `grid`.
    """

    def values(address: str) -> Array:
        with _opened(href, address) as source:
            return _window(source, href, grid, window)

    if is_copied(href):
        with scratch().copied(href) as copy:
            return with_patience(str(copy), values, named=href)
    return with_patience(href, values)


@dataclass(frozen=True)
class Stored:
    """Of the blocks of a window."""

    n_bytes: float
    fetched: Fetched
    """where the file lies on another machine"""


def stored_in_window(href: str, window: Window) -> Stored:
    """What reading a window takes, from the header of a GeoTIFF alone. Raises SceneError as `read_window` does."""

    def stored(address: str) -> Stored:
        with _opened(href, address) as source:
            return _stored(source, window)

    return with_patience(href, stored)


def _window(source: rasterio.DatasetReader, href: str, grid: Grid, window: Window) -> Array:
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
    if local_file(href) is None and not is_copied(href):
        took = _stored(source, window).fetched
        account(href, n_bytes=took.n_bytes, n_requests=took.n_requests)
    return values


def _blocks(source: rasterio.DatasetReader, window: Window) -> tuple[range, range]:
    """Rows and columns of the blocks that a window touches."""
    height, width = source.block_shapes[0]
    rows = range(window.row_off // height, -(-(window.row_off + window.height) // height))
    return rows, range(window.col_off // width, -(-(window.col_off + window.width) // width))


def _stored(source: rasterio.DatasetReader, window: Window) -> Stored:
    """By the directory of a GeoTIFF; blocks before packing, where the file has none."""
    rows, columns = _blocks(source, window)
    if source.driver != "GTiff":
        height, width = source.block_shapes[0]
        unpacked = height * width * np.dtype(source.dtypes[0]).itemsize * len(rows) * len(columns)
        return Stored(unpacked, Fetched(unpacked, 1.0))

    def block(x: int, y: int) -> Block:
        at, size = (source.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE"))
        return int(at or 0), int(size or 0)

    blocks = [[block(x, y) for x in columns] for y in rows]
    whole_rows, whole_columns = _blocks(source, Window(0, 0, source.height, source.width))
    last = block(whole_columns[-1], whole_rows[-1])
    n_bytes = sum(size for row in blocks for _, size in row)
    return Stored(n_bytes, fetched(blocks, file_bytes=max(sum(last), *(sum(one) for row in blocks for one in row))))


@contextmanager
def _opened(href: str, address: str) -> Iterator[rasterio.DatasetReader]:
    """The file by the driver of its ending alone: another driver would follow what the file refers to.

    A member of a zip file is unpacked into memory (decision 0095).
    """
    if member := archived(href):
        unpacked = read_member(*member)
        if not unpacked:
            raise OSError("it is empty")
        with MemoryFile(unpacked) as memory, memory.open(driver=_driver(href)) as source:
            yield source
    else:
        with rasterio.open(address, driver=_driver(href)) as source:
            yield source


def _driver(href: str) -> str:
    return "JP2OpenJPEG" if is_jpeg2000(href) else "GTiff"


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
