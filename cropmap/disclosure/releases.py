"""What an earlier release of the same season already shows, and still hides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cropmap.disclosure.tables import Integers, Mask, Structure


@dataclass(frozen=True)
class Earlier:
    """Masks [cells]; a cell that the earlier release did not have is in neither."""

    hidden: Mask
    """stays hidden"""
    published: Mask
    """known to everyone, also where the figure is revised: revisions are small"""

    @classmethod
    def none(cls, structure: Structure) -> Earlier:
        nothing = np.zeros(structure.cells, dtype=bool)
        return cls(nothing, nothing.copy())

    @classmethod
    def of(cls, structure: Structure, hidden: Mapping[tuple[str, str], bool]) -> Earlier:
        """From (crop, region) -> whether that cell was hidden."""
        state = [hidden.get((crop, region)) for region in structure.regions.codes for crop in structure.crops.codes]
        return cls(
            np.array([was_hidden is True for was_hidden in state], dtype=bool),
            np.array([was_hidden is False for was_hidden in state], dtype=bool),
        )

    def merged(self, cell: Integers, *, cells: int) -> Earlier:
        """On the merged structure: a node that showed one of its names is known."""
        published, hidden = np.zeros(cells, dtype=bool), np.zeros(cells, dtype=bool)
        published[cell[self.published]] = True
        hidden[cell[self.hidden]] = True
        return Earlier(hidden & ~published, published)
