"""Holds a pattern against the real figures: four ways in which it could fail, each counted.

`audit` uses the published table alone, as an outsider does; here the result is compared with what is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cropmap.disclosure.audit import Track, feasible_intervals, recoverable, untracked
from cropmap.disclosure.contributions import Figure
from cropmap.disclosure.pooled import unsafe_lines
from cropmap.disclosure.primary import Rules
from cropmap.disclosure.singletons import exposures
from cropmap.disclosure.suppression import Pattern
from cropmap.disclosure.tables import Integers, Structure

CLOSE: Final = 1e-6
"""of the figure, and of 1 ha below 1 ha: an interval that misses its protection by less is the solver's tolerance"""


@dataclass(frozen=True)
class Checked:
    """Names (crop/region) of what failed; all empty where the table may be published."""

    recoverable: tuple[str, ...]
    """hidden cells whose figure follows from what is published"""
    narrow: tuple[str, ...]
    """sensitive cells that are bounded more narrowly than they should be"""
    unsafe_lines: tuple[str, ...]
    """published parents whose hidden children break a rule together"""
    exposed: tuple[str, ...]
    """sensitive cells that the only contributor of another can compute"""

    @property
    def safe(self) -> bool:
        return not (self.recoverable or self.narrow or self.unsafe_lines or self.exposed)

    def counts(self) -> dict[str, int]:
        return {name: len(cells) for name, cells in vars(self).items()}


def check(
    structure: Structure,
    figures: Sequence[Figure],
    pattern: Pattern,
    needed: Integers,
    rules: Rules,
    *,
    intervals: bool = True,
    track: Track = untracked,
) -> Checked:
    """All figures of a protected table, as it is published, redundant nodes included. `intervals`: solve for every
    sensitive cell's own; without it `narrow` stays empty. Raises DisclosureError where a programme is not solved."""
    unsafe: dict[str, set[int]] = {"recoverable": set(), "narrow": set(), "lines": set(), "exposed": set()}
    secret = pattern.hidden & ~pattern.already_published
    parent = structure.lines > 0
    for figure in figures:
        protection = pattern.protection[figure.name]
        published = np.where(secret, np.nan, figure.values)
        asked = np.flatnonzero(protection.mask & secret)
        low, high = feasible_intervals(structure, published, asked if intervals else asked[:0], track=track)
        x = figure.values[asked]
        slack = CLOSE * np.maximum(x, 1)
        tight = (low[asked] > x - protection.lower[asked] + slack) | (high[asked] < x + protection.upper[asked] - slack)
        unsafe["narrow"].update(asked[tight].tolist())
        unsafe["recoverable"].update(recoverable(structure, published, track=track).tolist())
        lines = unsafe_lines(structure, secret, figure.contributions, needed, rules, known=pattern.known)
        unsafe["lines"].update(parent[lines].indices.tolist())
        guarded = protection.mask & secret & ~pattern.known_to_one
        unsafe["exposed"].update(
            exposure.cell for exposure in exposures(structure, secret, figure.contributions, guarded)
        )
    names = {key: tuple(structure.name(cell) for cell in sorted(cells)) for key, cells in unsafe.items()}
    return Checked(names["recoverable"], names["narrow"], names["lines"], names["exposed"])
