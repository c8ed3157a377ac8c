"""What each holding adds to each cell, and the few numbers of it that the rules need.

Land whose holding is not known (UNKNOWN) may belong to any holding. The rules take the worst case in every cell: it is
the largest holding's, and where it stands alone it is one holding's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.disclosure.tables import Floats, Integers, Mask

Numbers = NDArray[np.int32]
"""half of what is held: every parcel of a country is in several cells of each level"""
UNKNOWN: Final = -1
"""holding of land that no holding is named for"""


@dataclass(frozen=True)
class Contributions:
    """One row per (cell, holding), no zeros, sorted by cell and holding."""

    cell: Numbers
    holding: Numbers
    area: Floats
    """ha"""

    @classmethod
    def of(cls, cell: Integers | Numbers, holding: Integers | Numbers, area: Floats) -> Contributions:
        """Adds up parcels of one holding in one cell. What needs no change is shared, not copied."""
        cell, holding = cell.astype(np.int32, copy=False), holding.astype(np.int32, copy=False)
        present = area > 0
        if not present.all():
            cell, holding, area = cell[present], holding[present], area[present]
        if not ((cell[1:] > cell[:-1]) | ((cell[1:] == cell[:-1]) & (holding[1:] >= holding[:-1]))).all():
            order = np.lexsort((holding, cell))
            cell, holding, area = cell[order], holding[order], area[order]
        first = np.ones(len(cell), dtype=bool)
        first[1:] = (cell[1:] != cell[:-1]) | (holding[1:] != holding[:-1])
        if first.all():
            return cls(cell, holding, area)
        return cls(cell[first], holding[first], np.add.reduceat(area, np.flatnonzero(first)))

    def holdings(self, cells: int) -> Integers:
        """[cells] how many contribute at least: unknown ones may be among the known."""
        known = np.bincount(self.cell[self._known], minlength=cells)
        return np.where(known > 0, known, np.bincount(self.cell, minlength=cells))

    @cached_property
    def _known(self) -> Mask:
        return np.asarray(self.holding != UNKNOWN)

    def largest(self, cells: int, *, n: int) -> Largest:
        order = np.lexsort((-self.area, ~self._known, self.cell))
        cell, area, known = self.cell[order], self.area[order], self._known[order]
        rank = np.arange(len(cell)) - np.searchsorted(cell, cell)
        first, second, top = (
            np.bincount(cell[chosen], weights=area[chosen], minlength=cells).astype(float)
            for chosen in ((rank == 0) | ~known, (rank == 1) & known, (rank < n) | ~known)
        )
        total = np.bincount(cell, weights=area, minlength=cells).astype(float)
        return Largest(self.holdings(cells), total, first, second, top)

    def pooled(self, group: Integers) -> Contributions:
        """Cells taken together: `group` [cells] is the pool of a cell, -1 where it is in none."""
        pool = group[self.cell]
        inside = pool >= 0
        if inside.all():
            return Contributions.of(pool, self.holding, self.area)
        return Contributions.of(pool[inside], self.holding[inside], self.area[inside])

    @cached_property
    def sole(self) -> tuple[Integers, Integers]:
        """(cell, holding) of the cells that a single holding makes up, or may make up with unknown ones."""
        named = np.isin(self.cell, self.cell[self._known])
        counts = self._known | ~named
        cell, holding = self.cell[counts], self.holding[counts]
        alone = np.ones(len(cell), dtype=bool)
        alone[1:] &= cell[1:] != cell[:-1]
        alone[:-1] &= cell[1:] != cell[:-1]
        return cell[alone].astype(np.intp), holding[alone].astype(np.intp)


@dataclass(frozen=True)
class Figure:
    """One additive column of the table."""

    name: str
    values: Floats
    """[cells] ha, not negative; sums hold exactly"""
    contributions: Contributions


@dataclass(frozen=True)
class Largest:
    """Arrays [cells]."""

    count: Integers
    total: Floats
    """ha, of all contributors"""
    first: Floats
    second: Floats
    top: Floats
    """ha, of the n largest together"""
