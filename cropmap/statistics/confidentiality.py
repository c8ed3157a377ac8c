"""Primary confidentiality: which cells show too few or too dominant holdings. Contributors are holdings, never parcels.

In: contributions (cell, holding, ha). Out: one mask for all figures of a cell. Without secondary suppression a hidden
cell can be recovered from its row and column, so a table protected by this module alone is for use inside only; the
report says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.statistics.posterior import Floats, Integers

MIN_HOLDINGS: Final = 4
MIN_HOLDINGS_NUTS3: Final = 10
DOMINANCE: Final = (2, 0.85)
CONFIDENTIAL: Final = "C"
STATEMENT: Final = "primary confidentiality only: hidden cells can be recovered by differencing; not for publication"
HIDDEN: Final = (
    "declared_ha", "mapped_ha", "estimate_ha", "se_ha", "ci95_low_ha", "ci95_high_ha", "cv", "n_parcels", "n_holdings",
)  # fmt: skip


@dataclass(frozen=True)
class Contributions:
    """What each holding adds to each cell; one row per (cell, holding), no zeros."""

    cell: Integers
    holding: Integers
    area: Floats

    @classmethod
    def of(cls, cell: Integers, holding: Integers, area: Floats) -> Contributions:
        """Adds up parcels of one holding in one cell."""
        present = area > 0
        cell, holding, area = cell[present], holding[present], area[present]
        order = np.lexsort((holding, cell))
        cell, holding, area = cell[order], holding[order], area[order]
        first = np.ones(len(cell), dtype=bool)
        first[1:] = (cell[1:] != cell[:-1]) | (holding[1:] != holding[:-1])
        starts = np.flatnonzero(first)
        return cls(cell[first], holding[first], np.add.reduceat(area, starts) if len(starts) else area)

    def holdings(self, cells: int) -> Integers:
        return np.bincount(self.cell, minlength=cells)


def sensitive(
    contributions: Contributions, *, cells: int, min_holdings: int, dominance: tuple[int, float] = DOMINANCE
) -> NDArray[np.bool_]:
    """[cells]: fewer than `min_holdings` contributors, or the n largest hold more than the share k of the cell.
    A cell without a contributor is a zero and not sensitive."""
    count = contributions.holdings(cells)
    largest, share = dominance
    order = np.lexsort((-contributions.area, contributions.cell))
    cell, area = contributions.cell[order], contributions.area[order]
    rank = np.arange(len(cell)) - np.searchsorted(cell, cell)
    top = np.bincount(cell[rank < largest], weights=area[rank < largest], minlength=cells)
    total = np.bincount(cell, weights=area, minlength=cells)
    return (count > 0) & ((count < min_holdings) | (top > share * total))


def suppress(table: pd.DataFrame, mask: NDArray[np.bool_]) -> pd.DataFrame:
    """The table with every figure of masked rows empty and conf_status "C"; rows stay."""
    hidden = table.copy()
    for column in HIDDEN:
        hidden[column] = hidden[column].mask(mask)
    flags = np.array(hidden["obs_flag"], dtype=object)
    flags[mask] = None
    status = np.full(len(table), None, dtype=object)
    status[mask] = CONFIDENTIAL
    hidden["obs_flag"] = pd.Series(flags, index=table.index, dtype=object)
    hidden["conf_status"] = pd.Series(status, index=table.index, dtype=object)
    return hidden
