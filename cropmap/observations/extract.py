"""One acquisition to one table: every band decoded once, averaged over the clear pixels of each parcel.

The offset that is applied is that of the item's own metadata; `offset_choice` says later whether the pixels fit it.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.errors import SceneError
from cropmap.observations import zonal
from cropmap.observations.coverage import Coverage, TileCoverage, parcel_sums
from cropmap.observations.identity import pixel_metadata
from cropmap.observations.raster import read_window
from cropmap.observations.scratch import scratch
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, RESOLUTION_M, SCL_CLEAR, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition

OBSERVATION_VERSION: Final = "1"
"""Raised whenever the same pixels would give other numbers; files of an older version are made again."""

Array = np.ndarray[Any, np.dtype[Any]]


class TileParcels(Protocol):
    """Which parcels an observation file is of: a TileCoverage, or its names alone."""

    @property
    def tile(self) -> str: ...

    @property
    def parcel_set(self) -> str: ...


@dataclass(frozen=True, eq=False)
class _ClearCells:
    """The covered pixels of one grid with the clear mask of one acquisition inside."""

    coverage: Coverage
    weights: Array
    """float64 (cells,), coverage fraction where clear, else 0"""
    pixels: Array
    """float64 (n,), their sum per parcel"""


def observe(
    acquisition: Acquisition, coverage: TileCoverage, *, clear_classes: Collection[int] = SCL_CLEAR, threads: int = 2
) -> pa.Table:
    """Statistics of every parcel of the tile in one acquisition: OBSERVATION_SCHEMA with its metadata.

    Rows are in the order of parcel_id, one for each parcel of the coverage, those without a clear pixel too. An
    acquisition without any clear pixel on a parcel gives rows of nodata, and its bands are not read. `threads` bands
    are read at a time; each holds one band of the window in memory (240 MB for a whole tile at 10 m).

    Raises SceneError: MISSING_BAND, UNREADABLE_FILE, WRONG_CRS, WRONG_GRID.
    """
    if missing := [band for band in (*BANDS, "SCL") if band not in acquisition.assets]:
        raise SceneError(
            f"has no {', '.join(missing)}", reason=QuarantineReason.MISSING_BAND, where=acquisition.item_id
        )
    masked = _clear_pixels(acquisition, coverage, clear_classes)
    read = [band for band in BANDS if masked[RESOLUTION_M[band]].pixels.any()]
    ahead = {acquisition.assets[band].href: acquisition.assets[band].size for band in read}
    with scratch().ahead(ahead), ThreadPoolExecutor(threads) as pool:
        columns = list(pool.map(lambda band: _band_means(acquisition, band, masked[RESOLUTION_M[band]]), BANDS))
    return pa.table(
        [
            pa.array(coverage.parcel_ids.tolist(), pa.string()),
            pa.array(masked[10].pixels.astype(np.float32)),
            pa.array(coverage.fine.total_pixels),
            *(pa.array(column) for column in columns),
        ],
        schema=OBSERVATION_SCHEMA.with_metadata(observation_metadata(acquisition, coverage)),
    )


def _clear_pixels(
    acquisition: Acquisition, coverage: TileCoverage, clear_classes: Collection[int]
) -> dict[int, _ClearCells]:
    """By resolution. The 20 m scene classification is repeated two by two for the 10 m grid."""
    classes = read_window(acquisition.assets["SCL"].href, coverage.coarse.grid, coverage.scene_window)
    masked = {}
    for resolution, part, cells in (
        (10, coverage.fine, coverage.fine_scene_cells),
        (20, coverage.coarse, coverage.coarse_scene_cells),
    ):
        weights = part.fractions * zonal.clear_cells(classes, cells, clear_classes).astype(np.float64)
        masked[resolution] = _ClearCells(part, weights, parcel_sums(weights, part.starts))
    return masked


def _band_means(acquisition: Acquisition, band: str, masked: _ClearCells) -> Array:
    """int16 (n,), stored reflectance of one band."""
    asset, coverage = acquisition.assets[band], masked.coverage
    if not masked.pixels.any():
        return np.full(len(coverage.parcel_ids), REFLECTANCE_NODATA, np.int16)
    values = read_window(asset.href, coverage.grid, coverage.window).ravel().take(coverage.cells)
    mean = zonal.zonal_mean(values, masked.weights, coverage.starts, clear=masked.pixels, nodata=asset.nodata)
    return zonal.stored_reflectance(mean, scale=asset.scale, offset=asset.offset)


def observation_metadata(acquisition: Acquisition, parcels: TileParcels) -> dict[str, str]:
    """What an observation file says of itself: the item, what determines its numbers, and of which parcels they are."""
    return {
        "item_id": acquisition.item_id,
        "datetime": acquisition.sensed_at.isoformat(),
        "tile": parcels.tile,
        "parcel_set": parcels.parcel_set,
        "observation_version": OBSERVATION_VERSION,
        **pixel_metadata(acquisition),
    }
