"""From digital numbers to parcel means. Pure functions of arrays: no files, no parcels, no dates.

Cells are the parcel-pixel pairs of a `Coverage`: c of them, parcel by parcel, `starts` saying where each begins.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from cropmap.observations.coverage import parcel_sums
from cropmap.schemas import REFLECTANCE_NODATA, REFLECTANCE_SCALE

Array = np.ndarray[Any, np.dtype[Any]]

STORED_LIMIT: Final = 32_767
"""int16; a reflectance beyond +-3.2767 is clipped to it. The brightest cloud tops measured reach 1.7."""


def clear_cells(scene_classes: Array, cells: Array, clear: Collection[int]) -> Array:
    """Whether the scene class (0 to 255, any shape) at each cell is a clear one: bool (c,)."""
    is_clear = np.zeros(256, dtype=bool)
    is_clear[list(clear)] = True
    seen: Array = is_clear.take(scene_classes.ravel().take(cells), mode="clip")
    return seen


def zonal_mean(values: Array, weights: Array, starts: Array, *, clear: Array, nodata: int) -> Array:
    """Weighted mean of digital numbers per parcel: float64 (n,), NaN where a parcel has no clear valid pixel.

    Parameters: `values` integer (c,); `weights` float64 (c,), the coverage fraction of a clear cell, 0 of another;
    `clear` float64 (n,), the sum of the weights of each parcel.
    """
    missing = values == nodata
    if missing.any():  # rare inside a swath: only then is the divisor the band's own
        weights = np.where(missing, 0.0, weights)
        clear = parcel_sums(weights, starts)
    sums = parcel_sums(weights * values, starts)
    return np.divide(sums, clear, out=np.full_like(sums, np.nan), where=clear > 0)


def stored_reflectance(mean: Array, *, scale: float, offset: float) -> Array:
    """int16 reflectance x 10 000, rounded half to even; REFLECTANCE_NODATA for NaN.

    reflectance = DN * scale + offset (S2 Products Specification Document); negative values are legitimate.
    """
    reflectance = (mean * scale + offset) * REFLECTANCE_SCALE
    stored = np.clip(np.rint(reflectance), -STORED_LIMIT, STORED_LIMIT)
    kept: Array = np.where(np.isnan(stored), REFLECTANCE_NODATA, stored).astype(np.int16)
    return kept
