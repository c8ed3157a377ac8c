"""Primary confidentiality: which cells show too few or too dominant holdings, and how wide they must be hidden.

Contributors are holdings, never parcels. Rules and protection levels as in the Handbook on Statistical Disclosure
Control (Hundepool et al., 2.4 and 4.2): a hidden cell of x ha is safe when an outsider cannot bound it more narrowly
than [x - lower, x + upper].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.disclosure.contributions import Contributions, Largest
from cropmap.disclosure.tables import Floats, Integers, Mask

THRESHOLD: Final = "threshold"
DOMINATED: Final = "dominance"
P_PERCENT: Final = "p_percent"
THRESHOLD_WIDTH: Final = 0.2
"""a cell with too few holdings is hidden by at least this share of it"""
SMALLEST_WIDTH: Final = 0.1
LOWER_SHARE: Final = 0.5
"""an area cannot be below 0: downwards at most this share of it is asked for"""


@dataclass(frozen=True)
class Rules:
    dominance: tuple[int, float] = (2, 0.85)
    """(n, k): the n largest holdings have more than the share k; k = 1 switches the rule off"""
    p_percent: float | None = None
    """the second largest could estimate the largest to within p %; None: off"""

    def broken(self, largest: Largest, needed: Integers) -> tuple[Mask, Mask, Mask]:
        """(threshold, dominance, p %) [cells]; `needed` [cells] holdings. Nobody's cell is a zero and breaks none."""
        _, share = self.dominance
        present = largest.count > 0
        rest = largest.total - largest.first - largest.second
        close = np.zeros(len(present), dtype=bool)
        if self.p_percent is not None:
            close = rest < self.p_percent / 100 * largest.first
        return present & (largest.count < needed), present & (largest.top > share * largest.total), present & close

    def sensitive(self, contributions: Contributions, needed: Integers) -> Mask:
        """[cells]: any rule is broken."""
        largest = contributions.largest(len(needed), n=self.dominance[0])
        return np.asarray(np.logical_or.reduce(self.broken(largest, needed)))


@dataclass(frozen=True)
class Primary:
    """Arrays [cells]."""

    mask: Mask
    reason: NDArray[np.object_]
    """the first rule that is broken: threshold, dominance, p_percent; else None"""
    upper: Floats
    """ha by which an outsider must be kept uncertain upwards; 0 where not sensitive"""
    lower: Floats


def primary(contributions: Contributions, values: Floats, needed: Integers, rules: Rules) -> Primary:
    """Sensitive cells of a figure `values` [cells], ha, with the protection they need.

    Widths come from the contributions as shares of what they add up to, and are applied to the figure: an estimate is
    not exactly the sum of the areas that its holdings contribute.
    """
    largest = contributions.largest(len(needed), n=rules.dominance[0])
    few, dominated, close = rules.broken(largest, needed)
    mask = few | dominated | close
    total = np.where(largest.total > 0, largest.total, 1.0)
    width = np.where(few, THRESHOLD_WIDTH, SMALLEST_WIDTH)
    width = np.maximum(width, largest.top / rules.dominance[1] / total - 1)
    if rules.p_percent is not None:
        lifted = (1 + rules.p_percent / 100) * largest.first + largest.second
        width = np.maximum(width, lifted / total - 1)
    upper = np.where(mask, width * np.where(values > 0, values, largest.total), 0.0)
    reason = np.select([few, dominated, close], [THRESHOLD, DOMINATED, P_PERCENT], default="").astype(object)
    reason[reason == ""] = None
    return Primary(mask, reason, upper, np.minimum(upper, LOWER_SHARE * np.where(mask, values, 0.0)))
