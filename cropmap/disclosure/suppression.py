"""One mask for a whole table: sensitive cells, and what must be hidden with them.

In: the table's structure, its figures with what each holding contributes, the rules, an earlier release. Out:
`Pattern`. Order: primary rules; flows that protect every sensitive cell (`protection`); the same again among the
hidden cells alone, which frees what a later flow made needless; pooled lines (`pooled`); single contributors
(`singletons`); hidden cells that follow from the rest after all; again until nothing changes. All figures of a cell
are hidden together, and each is protected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cropmap.disclosure.audit import recoverable
from cropmap.disclosure.contributions import Contributions
from cropmap.disclosure.pooled import close_lines
from cropmap.disclosure.primary import LOWER_SHARE, SMALLEST_WIDTH, Primary, Rules, primary
from cropmap.disclosure.protection import Protector, weights
from cropmap.disclosure.releases import Earlier
from cropmap.disclosure.scopes import SPLIT_CELLS, Scopes
from cropmap.disclosure.singletons import Exposure, exposures
from cropmap.disclosure.tables import Floats, Integers, Mask, Structure
from cropmap.errors import DisclosureError

CLEAN_UP_CELLS: Final = 2_000
"""above, freeing needless cells costs more time than the 1.4 % of hidden cells that it saves"""
ROUNDS: Final = 50
Track: TypeAlias = Callable[[Iterable[int], int], Iterable[int]]
"""shows progress over the cells of a step, given how many there are"""


@dataclass(frozen=True)
class Figure:
    """One additive column of the table."""

    name: str
    values: Floats
    """[cells] ha, not negative; sums hold exactly"""
    contributions: Contributions


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
    """bounded more narrowly than the rules want, because an earlier release leaves no more room"""
    protection: dict[str, Primary]
    """per figure: what is kept; what the rules want, but for weakened cells"""

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
    track: Track = lambda cells, _: cells,
) -> Pattern:
    """The pattern for `figures`, of which the first sets the price of hiding a cell.

    `needed` [cells]: holdings below which a cell is sensitive. `never_hidden`: cells that must stay open, such as the
    grand total. `clean_up`: None decides by the table's size. Raises DisclosureError, naming the cell, where the table
    cannot be protected.
    """
    table, cell = structure.merged()
    small = _Merged(table, cell)
    work = _Work(
        table, tuple(small.figure(figure) for figure in figures), small.largest(needed), rules,
        small.any(np.isin(np.arange(structure.cells), never_hidden)),
        (earlier or Earlier.none(structure)).merged(cell, cells=table.cells), track,
    )  # fmt: skip
    hidden = work.run(clean_up=table.cells <= CLEAN_UP_CELLS if clean_up is None else clean_up)
    kept = work.kept()
    return Pattern(
        (hidden | work.already_published)[cell], work.sensitive[cell], work.reason[cell],
        work.already_published[cell], work.known[cell], work.weakened(kept)[cell],
        {figure.name: _spread(one, cell) for figure, one in zip(figures, kept, strict=True)},
    )  # fmt: skip


class _Work:
    """One run over a table without redundant nodes."""

    def __init__(
        self, table: Structure, figures: Sequence[Figure], needed: Integers, rules: Rules, never_hidden: Mask,
        earlier: Earlier, track: Track,
    ) -> None:  # fmt: skip
        self.table, self.figures, self.needed, self.rules, self.track = table, figures, needed, rules, track
        self.primaries = [primary(figure.contributions, figure.values, needed, rules) for figure in figures]
        self.sensitive = np.logical_or.reduce([one.mask for one in self.primaries])
        self.reason = _first_reason(self.primaries)
        if (wrong := np.flatnonzero(self.sensitive & never_hidden)).size:
            raise DisclosureError(
                f"is confidential itself ({self.reason[wrong[0]]}) and must stay open", where=table.name(wrong[0]),
                mend="A table of so few holdings is not for publication",
            )  # fmt: skip
        self.known = earlier.published
        self.already_published = self.sensitive & self.known
        zero = np.logical_and.reduce(
            [(one.values == 0) & (one.contributions.holdings(table.cells) == 0) for one in figures]
        )
        # a zero that was hidden before would say, shown, what was hidden
        self.open = (zero & ~earlier.hidden) | never_hidden | earlier.published
        self.start = (self.sensitive & ~self.open) | (earlier.hidden & ~self.open)
        self.weight = weights(table, figures[0].values)
        self.upper = [np.where(self.open, 0.0, one.upper) for one in self.primaries]
        self.lower = [np.where(self.open, 0.0, one.lower) for one in self.primaries]
        self._ask(self.start & ~self.sensitive)
        self.scopes = Scopes(table) if table.cells > SPLIT_CELLS else None
        self.protectors = self._protectors()

    def _protectors(self) -> list[Protector]:
        yields = bool(self.known.any())
        return [Protector(self.table, one.values, self.weight, self.open, self.scopes, yields) for one in self.figures]

    def _ask(self, cells: Mask) -> None:
        """Secondary cells that the others rely on must not follow from the rest either."""
        for figure, upper, lower in zip(self.figures, self.upper, self.lower, strict=True):
            x = np.where(figure.values > 0, figure.values, self.figures[0].values)
            width = np.where(cells & ~self.open, SMALLEST_WIDTH * np.maximum(x, 1.0), 0.0)
            np.maximum(upper, width, out=upper)
            np.maximum(lower, np.minimum(width, LOWER_SHARE * figure.values), out=lower)

    def run(self, *, clean_up: bool) -> Mask:
        hidden = self._widths(self.start)
        if clean_up:
            hidden = self._cleaned(hidden)
        for _ in range(ROUNDS):
            before = hidden.sum()
            hidden = self._widths(self._pools(hidden))
            if hidden.sum() == before:
                hidden = self._singletons(hidden)
            if hidden.sum() == before and not self._bare(hidden):
                return hidden
            hidden = self._widths(hidden)
        raise DisclosureError(
            f"{ROUNDS} rounds of suppression did not come to an end", where="suppression", mend="Report the table"
        )

    def kept(self) -> list[Primary]:
        """What the pattern keeps of each figure's sensitive cells."""
        return [
            Primary(one.mask, one.reason, np.minimum(one.upper, upper), np.minimum(one.lower, lower))
            for one, upper, lower in zip(self.primaries, self.upper, self.lower, strict=True)
        ]

    def weakened(self, kept: Sequence[Primary]) -> Mask:
        less = [
            (now.upper < one.upper) | (now.lower < one.lower) for now, one in zip(kept, self.primaries, strict=True)
        ]
        return np.asarray(np.logical_or.reduce(less) & ~self.already_published)

    def _widths(self, hidden: Mask, *, allowed: Mask | None = None, smallest_first: bool = False) -> Mask:
        """The widest first, because its flows protect many others; ties go by cell."""
        for protector, upper, lower in zip(self.protectors, self.upper, self.lower, strict=True):
            cells = np.flatnonzero(upper)
            cells = cells[np.lexsort((cells, upper[cells] if smallest_first else -upper[cells]))]
            hidden = protector.protect(hidden, self.track(cells.tolist(), len(cells)), upper, lower, allowed=allowed)
        return hidden

    def _cleaned(self, hidden: Mask) -> Mask:
        kept, self.protectors = self.protectors, self._protectors()
        again = self._widths(self.start, allowed=hidden, smallest_first=True)
        if self.weight[again].sum() < self.weight[hidden].sum():
            return again
        self.protectors = kept
        return hidden

    def _pools(self, hidden: Mask) -> Mask:
        before = hidden
        for figure in self.figures:
            hidden = close_lines(
                self.table,
                hidden,
                figure.contributions,
                self.needed,
                self.rules,
                weight=self.weight,
                open_=self.open,
                known=self.known,
            )
        self._ask(hidden & ~before)
        return hidden

    def _bare(self, hidden: Mask) -> bool:
        """Whether hidden cells follow from the rest without having been asked about; from here on they are."""
        asked = np.logical_or.reduce([upper > 0 for upper in self.upper])
        bare = np.zeros_like(hidden)
        for figure in self.figures:
            bare[recoverable(self.table, np.where(hidden, np.nan, figure.values))] = True
        bare &= ~asked
        self._ask(bare)
        return bool(bare.any())

    def _singletons(self, hidden: Mask) -> Mask:
        for protector, figure, one, upper in zip(
            self.protectors, self.figures, self.primaries, self.upper, strict=True
        ):
            asked = one.mask & ~self.open
            while found := exposures(self.table, hidden, figure.contributions, asked):
                before = hidden.sum()
                for exposure in found:
                    hidden = hidden | (self._flow_around(protector, upper, exposure, hidden) != 0)
                if hidden.sum() == before:
                    break  # the flows were there already: rank and flow agree within the solver's tolerance only
        return hidden

    def _flow_around(self, protector: Protector, upper: Floats, exposure: Exposure, hidden: Mask) -> Floats:
        """Moves the exposed cell while the cells that the holding knows stay."""
        movable = ~self.open
        movable[exposure.known] = False
        return protector.strongest_flow(exposure.cell, float(upper[exposure.cell]), hidden, movable)


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


def _spread(one: Primary, cell: Integers) -> Primary:
    return Primary(one.mask[cell], one.reason[cell], one.upper[cell], one.lower[cell])


def _first_reason(primaries: Sequence[Primary]) -> NDArray[np.object_]:
    reason = primaries[0].reason.copy()
    for one in primaries[1:]:
        reason = np.where(reason == None, one.reason, reason)  # noqa: E711
    return reason
