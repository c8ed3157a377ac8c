"""One mask for a whole table: sensitive cells, and what must be hidden with them.

In: the table's structure, its figures with what each holding contributes, the rules, an earlier release. Out:
`Pattern`. Redundant nodes are merged, a safe pattern is sought (`search`), and cells that it can do without are freed
(`thinning`). All figures of a cell are hidden together, and each is protected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.disclosure.audit import Track, untracked
from cropmap.disclosure.contributions import Figure
from cropmap.disclosure.primary import Primary, Rules
from cropmap.disclosure.releases import Earlier
from cropmap.disclosure.search import Search
from cropmap.disclosure.tables import Integers, Mask, Structure
from cropmap.disclosure.thinning import thinned

CLEAN_UP_CELLS: Final = 3_000
"""cells times figures: above, freeing needless cells takes longer than the search itself, for two hidden cells in a
hundred"""


@dataclass(frozen=True)
class Pattern:
    """Arrays [cells]."""

    hidden: Mask
    """one mask for all figures of a cell"""
    primary: Mask
    reason: NDArray[np.object_]
    """rule that a sensitive cell breaks; else None"""
    already_published: Mask
    """sensitive now, and shown by an earlier release: hidden, unprotected, for a person to decide"""
    known: Mask
    """shown by an earlier release"""
    weakened: Mask
    """bounded more narrowly than the rules require, because an earlier release leaves no more room"""
    known_to_one: Mask
    """sensitive now, and an earlier release lets the only contributor of another cell compute it: for a person too"""
    protection: dict[str, Primary]
    """per figure: what is kept: what the rules require, but for weakened cells"""

    @property
    def secondary(self) -> Mask:
        return self.hidden & ~self.primary


def protect(
    structure: Structure,
    figures: Sequence[Figure],
    needed: Integers,
    rules: Rules,
    *,
    never_hidden: Sequence[int] = (),
    earlier: Earlier | None = None,
    clean_up: bool | None = None,
    track: Track = untracked,
) -> Pattern:
    """The pattern for `figures`, of which the first sets the price of hiding a cell.

    `needed` [cells]: holdings below which a cell is sensitive. `never_hidden`: cells that must stay open, such as the
    grand total. `clean_up`: None decides by the table's size. Raises DisclosureError, naming the cell, where the table
    cannot be protected.
    """
    table, cell = structure.merged()
    small = _Merged(table, cell)
    search = Search(
        table,
        tuple(small.figure(figure) for figure in figures),
        small.largest(needed),
        rules,
        small.any(np.isin(np.arange(structure.cells), never_hidden)),
        (earlier or Earlier.none(structure)).merged(cell, cells=table.cells),
        track,
    )
    hidden = search.run()
    if table.cells * len(figures) <= CLEAN_UP_CELLS if clean_up is None else clean_up:
        hidden = thinned(search, hidden)
    kept = search.kept()
    return Pattern(
        (hidden | search.already_published)[cell],
        search.sensitive[cell],
        search.reason[cell],
        search.already_published[cell],
        search.known[cell],
        search.weakened(kept)[cell],
        search.known_to_one[cell],
        {figure.name: _spread(protection, cell) for figure, protection in zip(figures, kept, strict=True)},
    )


@dataclass(frozen=True)
class _Merged:
    """From the cells of a table to those of the table without redundant nodes."""

    table: Structure
    cell: Integers

    def figure(self, figure: Figure) -> Figure:
        values = np.zeros(self.table.cells)
        values[self.cell] = figure.values
        names = np.full(self.table.cells, -1)
        names[self.cell[::-1]] = np.arange(len(self.cell))[::-1]  # the first name of a node stands for it
        group = np.full(len(self.cell), -1)
        group[names] = np.arange(self.table.cells)
        return Figure(figure.name, values, figure.contributions.pooled(group))

    def largest(self, needed: Integers) -> Integers:
        out = np.zeros(self.table.cells, dtype=np.intp)
        np.maximum.at(out, self.cell, needed)
        return out

    def any(self, mask: Mask) -> Mask:
        out = np.zeros(self.table.cells, dtype=bool)
        out[self.cell[mask]] = True
        return out


def _spread(protection: Primary, cell: Integers) -> Primary:
    return Primary(protection.mask[cell], protection.reason[cell], protection.upper[cell], protection.lower[cell])
