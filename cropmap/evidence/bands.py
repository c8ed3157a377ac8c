"""Bands of a crop in a region over the season: median and 10-90 % band of the NDVI of other parcels.

Input: the season's series and the verdicts on their parcels. Output: `Band`. A band never includes the parcel that it
is drawn for, nor a flagged one. Where a region has too few parcels, the next wider region is used and named in the
band.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.series import Series
from cropmap.evidence.observations import NEAR_INFRARED, RED, ndvi

MIN_PARCELS: Final = 30
"""with fewer, the edges are too uncertain: of thirty parcels, three lie beyond each"""
MAX_PARCELS: Final = 2_000
"""more are thinned evenly; the standard error of a tenth is below .007 of rank then"""
STEP_DAYS: Final = 5
HALF_WINDOWS_DAYS: Final = (8, 16, 24)
"""a value of a band uses all observations within so many days: the smallest window with enough of them"""
MIN_OBSERVATIONS: Final = 8
"""fewer in the widest window leave a gap"""
WHOLE_SEASON: Final = ""
NUTS_LENGTHS: Final = (5, 4, 3, 2)
"""characters of a NUTS code from level 3 to the country"""


@dataclass(frozen=True)
class Band:
    crop: str
    region: str
    """NUTS code of the parcels; WHOLE_SEASON where they come from everywhere"""
    is_wider: bool
    """the parcel's own region has too few"""
    parcels: int
    """it was made of"""
    is_conform: bool
    """they are all found conform; else they are declared so and not flagged"""
    day_of_year: NDArray[np.int16]
    """(G,)"""
    low: NDArray[np.float32]
    """(G,) tenth percentile, NaN in a gap; so are the two below"""
    median: NDArray[np.float32]
    high: NDArray[np.float32]

    def at(self, day: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(low, high) (n,) on these days, NaN in a gap."""
        return np.interp(day, self.day_of_year, self.low), np.interp(day, self.day_of_year, self.high)


@dataclass(frozen=True)
class Population:
    """The season's parcels from which bands are computed, N of them in the order of the series."""

    series: Series
    declared: NDArray[np.object_]
    """(N,) crop, None where the legend has none"""
    region: NDArray[np.str_]
    """(N,) NUTS code"""
    flagged: NDArray[np.bool_]
    """(N,)"""
    conform: NDArray[np.bool_]
    """(N,)"""
    first_day: int
    last_day: int
    """of the season's window, as the series count"""
    _kept: dict[tuple[str, str, int], Band | None] = field(default_factory=dict, repr=False)

    def band(self, crop: str | None, *, region: str, without: int) -> Band | None:
        """The band of a crop in a region, without the parcel at one position; None where no other one has the crop."""
        if not crop:
            return None
        counts = self.declared[without] == crop and not self.flagged[without]
        key = crop, region, without if counts else -1  # a parcel that does not count leaves the band as it is
        if key not in self._kept:
            self._kept[key] = self._make(crop, region, without)
        return self._kept[key]

    def _make(self, crop: str, region: str, without: int) -> Band | None:
        candidates = (self.declared == crop) & ~self.flagged & (self.series.lengths > 0)
        candidates[without] = False
        for is_conform in (True, False):
            rows = np.flatnonzero(candidates & self.conform if is_conform else candidates)
            if len(rows) >= MIN_PARCELS or (len(rows) and not is_conform):
                wide, rows = self._nearest(rows, region)
                return self._summary(crop, wide, wide != region, rows, is_conform=is_conform)
        return None

    def _nearest(self, rows: NDArray[np.intp], region: str) -> tuple[str, NDArray[np.intp]]:
        """The smallest region around with MIN_PARCELS of these parcels."""
        for length in NUTS_LENGTHS:
            wide = region[:length]
            here = rows[np.char.startswith(self.region[rows], wide)] if wide else rows[:0]
            if len(here) >= MIN_PARCELS:
                return wide, here
        return WHOLE_SEASON, rows

    def _summary(self, crop: str, region: str, is_wider: bool, rows: NDArray[np.intp], *, is_conform: bool) -> Band:
        some = self.series.take(rows[:: -(-len(rows) // MAX_PARCELS)])
        values = ndvi(some.reflectance[:, some.bands.index(RED)], some.reflectance[:, some.bands.index(NEAR_INFRARED)])
        seen = np.flatnonzero(np.isfinite(values))
        seen = seen[np.argsort(some.day_of_year[seen], kind="stable")]
        days, values = some.day_of_year[seen].astype(int), values[seen]
        grid = np.arange(self.first_day, self.last_day + 1, STEP_DAYS)
        quantiles = np.full((len(grid), 3), np.nan, np.float32)
        for half in HALF_WINDOWS_DAYS:
            edges = np.searchsorted(days, [grid - half, grid + half + 1])
            for row in np.flatnonzero(np.isnan(quantiles[:, 0]) & (np.diff(edges, axis=0)[0] >= MIN_OBSERVATIONS)):
                quantiles[row] = np.quantile(values[edges[0, row] : edges[1, row]], (0.1, 0.5, 0.9))
        low, median, high = quantiles.T
        return Band(crop, region, is_wider, len(rows), is_conform, grid.astype(np.int16), low, median, high)
