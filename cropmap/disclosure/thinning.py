"""Frees hidden cells that a pattern can do without, the dearest first.

A pattern that grew rule by rule holds cells that later ones made needless. A cell is shown again where the table is as
safe without it: every width still has a flow among the cells that stay hidden, no line is unsafe, no single
contributor computes more, nothing hidden follows; a cell that does follow, and protects no other, is shown with it.
Each width keeps a flow that proves it, so that only the flows through the cell have to be found again.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from cropmap.disclosure.audit import recoverable
from cropmap.disclosure.pooled import unsafe_lines
from cropmap.disclosure.protection import UnprotectableError
from cropmap.disclosure.search import Search
from cropmap.disclosure.singletons import exposures
from cropmap.disclosure.tables import Floats, Mask

Width: TypeAlias = tuple[int, int, float]
"""(figure, cell, ha up or down)"""
Flows: TypeAlias = dict[Width, Floats]
"""[cells] ha: what proves that a width is kept"""


def thinned(search: Search, hidden: Mask) -> Mask:
    """`hidden` without the cells that it can do without; sensitive ones and those of an earlier release stay."""
    flows = _completed(search, hidden, {}, _widths(search))
    if flows is None:
        return hidden
    free = np.flatnonzero(hidden & ~search.start)
    for cell in search.track(free[np.lexsort((free, -search.weight[free]))].tolist(), len(free)):
        if hidden[cell] and (fewer := _without(search, hidden, flows, cell)) is not None:
            hidden, flows = fewer
    return hidden


def _widths(search: Search) -> list[Width]:
    return [
        (place, int(cell), float(amount))
        for place, (upper, lower) in enumerate(zip(search.upper, search.lower, strict=True))
        for cell in np.flatnonzero((upper > 0) | (lower > 0))
        for amount in (upper[cell], -lower[cell])
        if amount
    ]


def _without(search: Search, hidden: Mask, flows: Flows, cell: int) -> tuple[Mask, Flows] | None:
    """(hidden, flows) with `cell` shown, and what follows from it; None where it is needed."""
    shown = np.zeros_like(hidden)
    shown[cell] = True
    while shown.any():
        hidden = hidden & ~shown
        if _lines_are_unsafe(search, hidden):
            return None
        kept = {width: flow for width, flow in flows.items() if hidden[width[1]]}
        lost = [width for width, flow in kept.items() if flow[shown].any()]
        if _one_computes(search, hidden) or (completed := _completed(search, hidden, kept, lost)) is None:
            return None
        flows, shown = completed, _following(search, hidden, completed)
        if (shown & search.start).any():
            return None
    return hidden, flows


def _completed(search: Search, hidden: Mask, flows: Flows, lost: list[Width]) -> Flows | None:
    """`flows`, with one among the hidden cells for each width of `lost`; None where there is none.

    A flow among the hidden cells that moves a cell further proves its width too, scaled down to it. Programmes are
    solved for the others, the widest first, because their flows prove most.
    """
    movable = hidden & ~search.open
    proofs = [_Proofs(search.table.cells) for _ in search.figures]
    gone = set(lost)
    kept = {width: flow for width, flow in flows.items() if width not in gone}
    for (place, _, _), flow in kept.items():
        proofs[place].add(flow)
    for place, cell, amount in sorted(lost, key=lambda width: -abs(width[2])):
        proof = proofs[place].scaled(cell, amount)
        if proof is None:
            try:
                proof = search.protectors[place].flow(cell, amount, hidden, movable, reweightings=0)
            except UnprotectableError:
                return None
            proofs[place].add(proof)
        kept[place, cell, amount] = proof
    return kept


class _Proofs:
    """Flows of one figure among the cells that are hidden: for each cell those that move it furthest, up and down."""

    def __init__(self, cells: int) -> None:
        self._flows: list[Floats] = []
        self._reach = np.zeros((2, cells))
        self._furthest = np.zeros((2, cells), dtype=np.intp)

    def add(self, flow: Floats) -> None:
        for side, moved in enumerate((flow, -flow)):
            further = moved > self._reach[side]
            self._reach[side][further] = moved[further]
            self._furthest[side][further] = len(self._flows)
        self._flows.append(flow)

    def scaled(self, cell: int, amount: float) -> Floats | None:
        """[cells] ha: one of the flows, made shorter, that moves `cell` by `amount`; None where none goes so far."""
        side = int(amount < 0)
        if self._reach[side, cell] < abs(amount):
            return None
        flow = self._flows[self._furthest[side, cell]]
        return np.asarray(flow * (amount / flow[cell]))


def _lines_are_unsafe(search: Search, hidden: Mask) -> bool:
    return any(
        len(unsafe_lines(search.table, hidden, figure.contributions, search.needed, search.rules, known=search.known))
        for figure in search.figures
    )


def _one_computes(search: Search, hidden: Mask) -> bool:
    """Whether the only contributor of a cell computes a sensitive one."""
    return any(
        exposures(search.table, hidden, figure.contributions, protection.mask & ~search.open & ~search.known_to_one)
        for figure, protection in zip(search.figures, search.primaries, strict=True)
    )


def _following(search: Search, hidden: Mask, flows: Flows) -> Mask:
    """[cells] hidden ones that anyone computes. What a flow moves is uncertain without further proof."""
    following = np.zeros_like(hidden)
    for place, figure in enumerate(search.figures):
        unmoved = hidden.copy()
        for (of, _, _), flow in flows.items():
            unmoved &= (flow == 0) | (of != place)
        if unmoved.any():
            follows = recoverable(search.table, np.where(hidden, np.nan, figure.values))
            following[follows[unmoved[follows]]] = True
    return following
