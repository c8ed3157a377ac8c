"""Where to search for acquisitions: boxes around the parcels, not one box around all of them.

Overseas territories would otherwise make one box from the Caribbean to Réunion, with every tile in between.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy import ndimage

from cropmap.sources.catalogs.acquisition import Bbox

CELLS_DEGREES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 45.0)
"""Parcels that lie in neighbouring cells of a grid share a box. Wider cells make fewer boxes."""
MAX_BOXES: Final = 12
"""searches of the catalogue"""

Bounds = np.ndarray[Any, np.dtype[Any]]


def search_boxes(bounds: Bounds) -> tuple[Bbox, ...]:
    """Boxes that hold every parcel, MAX_BOXES at most, from west to east.

    Parameters: `bounds` (n, 4), west, south, east, north of each parcel in degrees; rows that are not finite are left
    out. Returns no box for no parcel.
    """
    bounds = np.asarray(bounds, np.float64).reshape(-1, 4)
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    boxes: list[Bbox] = []
    for cell in CELLS_DEGREES:
        boxes = _boxes(bounds, cell)
        if len(boxes) <= MAX_BOXES:
            break
    return tuple(sorted(boxes))


def _boxes(bounds: Bounds, cell: float) -> list[Bbox]:
    if not len(bounds):
        return []
    middle = np.column_stack([bounds[:, 0] + bounds[:, 2], bounds[:, 1] + bounds[:, 3]]) / 2
    cells = np.floor((middle - (-180.0, -90.0)) / cell).astype(np.int64)
    cells -= cells.min(axis=0)
    held = np.zeros(cells.max(axis=0) + 1, bool)
    held[cells[:, 0], cells[:, 1]] = True
    groups, n = ndimage.label(held, structure=np.ones((3, 3)))
    group = groups[cells[:, 0], cells[:, 1]]
    return [_around(bounds[group == number]) for number in range(1, n + 1)]


def _around(bounds: Bounds) -> Bbox:
    (west, south), (east, north) = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    return float(west), float(south), float(east), float(north)
