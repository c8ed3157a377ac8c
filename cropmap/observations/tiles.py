"""The grids of a tile, and which tile a parcel is observed in: tiles overlap by 10 km, and a parcel counted twice
would weigh twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd

from cropmap.errors import SceneError
from cropmap.observations.grids import Grid
from cropmap.observations.raster import read_grid
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition

PROBED: Final = 3
"""acquisitions whose headers are read to learn a tile's grid, so that one broken file does not decide it"""

FINE_M: Final = 10.0
MOST_PIXELS: Final = 20_000
"""each way at 10 m; a tile has 10,980"""

EDGE_TOLERANCE_M: Final = 1.0
"""a parcel digitised along the edge of a tile sticks out by what re-projection rounds; the inner buffer is 10 m"""


NEAR_DEGREES: Final = 0.01
"""about a kilometre: what catalogues round away of an extent"""


def tile_grids(acquisitions: Sequence[Acquisition]) -> dict[int, Grid]:
    """The grids of a tile by resolution in metres, 10 and 20: what most of its first readable acquisitions have.

    Raises SceneError where no acquisition has a readable pair of grids.
    """
    pairs: list[tuple[Grid, Grid]] = []
    failure = SceneError("no acquisition", reason=QuarantineReason.WRONG_GRID)
    for acquisition in acquisitions:
        try:
            pairs.append(_grids(acquisition))
        except SceneError as error:
            failure = error
        if len(pairs) == PROBED:
            break
    if not pairs:
        raise failure
    fine, coarse = Counter(pairs).most_common(1)[0][0]
    return {10: fine, 20: coarse}


def _grids(acquisition: Acquisition) -> tuple[Grid, Grid]:
    fine, coarse = (read_grid(acquisition.assets[band].href) for band in ("B02", "B05"))
    if fine.epsg != acquisition.epsg or not fine.halves(coarse) or not _is_tile(fine):
        raise SceneError(
            f"its grids {fine} and {coarse} are not the 10 m and the 20 m grid of EPSG:{acquisition.epsg}",
            reason=QuarantineReason.WRONG_GRID,
            where=acquisition.item_id,
        )
    return fine, coarse


def _is_tile(fine: Grid) -> bool:
    """10 m pixels, and no more of them than a tile has: an absurd extent would be the home of every parcel."""
    return fine.transform[0] == -fine.transform[4] == FINE_M and max(fine.width, fine.height) <= MOST_PIXELS


def candidate_tiles(boxes: np.ndarray, acquisitions: Sequence[Acquisition]) -> dict[str, np.ndarray]:
    """Tile -> which parcels (bool, in their order) may have their home there; tiles of no parcel are left out. `boxes`
    (n, 4) are the parcels' west, south, east and north in EPSG:4326.

    By the extents that the catalogue gives, so that no file of a tile is opened which no parcel needs.
    """
    by_tile: dict[str, np.ndarray] = {}
    for tile, extent in sorted({(a.tile, a.bbox) for a in acquisitions}):
        west, south, east, north = np.add(extent, (-NEAR_DEGREES, -NEAR_DEGREES, NEAR_DEGREES, NEAR_DEGREES))
        crossing = west > east  # the extent goes over the antimeridian
        across = (
            (boxes[:, 0] <= east) | (boxes[:, 2] >= west)
            if crossing
            else ((boxes[:, 0] <= east) & (boxes[:, 2] >= west))
        )
        near = across & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)
        by_tile[tile] = by_tile.get(tile, np.zeros(len(boxes), dtype=bool)) | near
    return {tile: near for tile, near in by_tile.items() if near.any()}


def home_tiles(
    parcels: gpd.GeoDataFrame, grids: Mapping[str, Grid], *, near: Mapping[str, np.ndarray] | None = None
) -> pd.Series:
    """Tile whose edge is farthest from the parcel, among the tiles that hold all of the parcel; None without one.

    Parameters: `parcels` with a geometry in any coordinate reference system, `grids` by tile, `near` which parcels
    (bool, in their order) may lie in a tile; default: any in each. The distance is that of the parcel's bounding box to
    the edge, in the tile's own metres. Ties go to the first tile by name.
    Returns a Series of tile names aligned to the index of `parcels`.
    """
    home = np.full(len(parcels), None, dtype=object)
    farthest = np.full(len(parcels), -np.inf)
    for tile in sorted(grids):
        looked_at = np.arange(len(parcels)) if near is None else np.flatnonzero(near[tile])
        margin = _margin(parcels.geometry.iloc[looked_at], grids[tile])
        better = (margin > farthest[looked_at]) & (margin >= -EDGE_TOLERANCE_M)
        home[looked_at[better]], farthest[looked_at[better]] = tile, margin[better]
    return pd.Series(home, index=parcels.index, dtype=object, name="tile")


def _margin(geometry: gpd.GeoSeries, grid: Grid) -> np.ndarray:
    """Metres between the parcel's bounding box and the tile's edge; negative where it sticks out or is no place."""
    box = geometry.to_crs(epsg=grid.epsg).bounds.to_numpy()
    xmin, ymin, xmax, ymax = grid.bounds
    sides = np.column_stack([box[:, 0] - xmin, box[:, 1] - ymin, xmax - box[:, 2], ymax - box[:, 3]])
    margin: np.ndarray = np.where(np.isfinite(sides).all(axis=1), sides.min(axis=1), -np.inf)
    return margin
