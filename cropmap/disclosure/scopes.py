"""Parts of a large table around a cell: the regions below one of its ancestors, smallest first.

Solved whole, a table of N cells takes time of about N^1.5 to N^2 for each of its sensitive cells.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from cropmap.disclosure.tables import Mask, Structure

SPLIT_CELLS: Final = 10_000
"""above, parts are tried before the whole"""
SMALLEST_PART: Final = 500
"""cells: a smaller part leaves little choice, and hides more"""
GROWTH: Final = 4
"""the next part is at least so many times larger"""


class Scopes:
    """Parts of one table; the row of the ancestor itself stays as it is and is in no part."""

    def __init__(self, structure: Structure, *, smallest: int = SMALLEST_PART) -> None:
        self.structure, self.smallest = structure, smallest
        self._parts: dict[int, Mask] = {}

    def around(self, cell: int) -> tuple[Mask, ...]:
        """[cells] masks of growing size; none reaches the whole table."""
        parts: list[Mask] = []
        region, size = cell // len(self.structure.crops.codes), self.smallest
        while region in self._above:
            region = self._above[region]
            part = self._below(region)
            if size <= part.sum() < self.structure.cells / 2:
                parts.append(part)
                size = GROWTH * int(part.sum())
        return tuple(parts)

    @cached_property
    def _above(self) -> dict[int, int]:
        return {child: parent for parent, children in self.structure.regions.lines for child in children}

    @cached_property
    def _children(self) -> dict[int, tuple[int, ...]]:
        return dict(self.structure.regions.lines)

    def _below(self, region: int) -> Mask:
        if region not in self._parts:
            inside = np.zeros(len(self.structure.regions.codes), dtype=bool)
            waiting = list(self._children.get(region, ()))
            while waiting:
                code = waiting.pop()
                inside[code] = True
                waiting += self._children.get(code, ())
            self._parts[region] = np.repeat(inside, len(self.structure.crops.codes))
        return self._parts[region]
