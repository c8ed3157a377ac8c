"""Who contributes to which published cell: parcels and holdings by region and crop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cropmap.disclosure import Contributions
from cropmap.statistics.crops import Columns
from cropmap.statistics.population import NONE, Population
from cropmap.statistics.posterior import Floats, Integers
from cropmap.statistics.totals import Totals


@dataclass(frozen=True)
class Contributors:
    """Cells are region * (J + S) + column."""

    cells: int
    holdings_known: bool
    """False: no parcel names its holding, and each stands for one of its own, which says little of who contributes"""
    located: Contributions
    """of parcels, not holdings, by assigned crop: declared, else the likeliest"""
    assigned: Contributions
    """of holdings, by assigned crop"""
    declared: Contributions
    mapped: Contributions

    @classmethod
    def of(cls, population: Population, sums: Totals, cols: Columns) -> Contributors:
        known = np.flatnonzero(population.column != NONE)
        cells = len(population.nuts3) * len(cols.names)
        cell, which = _cells(population.region, sums.assigned, cols)
        holding = population.holding if population.holdings_known else population.parcel
        return (
            cls(
                cells=cells,
                holdings_known=population.holdings_known,
                located=Contributions.of(cell, population.parcel[which], population.area[which]),
                assigned=Contributions.of(cell, holding[which], population.area[which]),
                declared=_contributions(
                    population.region[known], holding[known], population.column[known], population.area[known], cols
                ),
                mapped=_mapped(population, holding, sums, cols),
            )
            if len(population.area)
            else cls._empty(cells)
        )

    @classmethod
    def _empty(cls, cells: int) -> Contributors:
        none = _nothing()
        return cls(cells, True, none, none, none, none)

    @property
    def parcels(self) -> Integers:
        """[cells] parcels with area in the cell"""
        return self.located.holdings(self.cells)

    def of_holdings(self) -> Contributors:
        """Without `located`, which is a row per parcel: for where the parcels of each cell have been counted."""
        return replace(self, located=_nothing())

    def above(self, parent: Integers, *, parents: int) -> Contributors:
        """The same one or more levels up; a holding or a parcel in two regions counts once."""
        width = self.cells // max(len(parent), 1)
        target = (parent[:, None] * width + np.arange(width)).ravel()
        moved = (
            Contributions.of(target[part.cell], part.holding, part.area)
            for part in (self.located, self.assigned, self.declared, self.mapped)
        )
        return Contributors(parents * width, self.holdings_known, *moved)


def _nothing() -> Contributions:
    return Contributions(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0))


def _mapped(population: Population, holding: Integers, sums: Totals, cols: Columns) -> Contributions:
    parcel, column, area = sums.mapped_parts
    return _contributions(population.region[parcel], holding[parcel], column, area, cols)


def _contributions(region: Integers, holding: Integers, column: Integers, area: Floats, cols: Columns) -> Contributions:
    cell, which = _cells(region, column, cols)
    return Contributions.of(cell, holding[which], area[which])


def _cells(region: Integers, column: Integers, cols: Columns) -> tuple[Integers, Integers]:
    """(cell, which row it comes from): every row in its own cell and in those of the sums it belongs to."""
    width = len(cols.names)
    cells, rows = [region * width + column], [np.arange(len(column))]
    for offset, members in enumerate(cols.sums):
        inside = np.flatnonzero(np.isin(column, members))
        cells.append(region[inside] * width + len(cols.crops) + offset)
        rows.append(inside)
    return np.concatenate(cells), np.concatenate(rows)
