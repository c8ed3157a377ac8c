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
        completed = _completed(search, hidden, kept, lost)
        if completed is None or _one_computes(search, hidden):
            return None
        flows, shown = completed, _following(search, hidden, completed)
        if (shown & search.start).any():
            return None
    return hidden, flows


def _completed(search: Search, hidden: Mask, flows: Flows, lost: list[Width]) -> Flows | None:
    """`flows`, with one among the hidden cells for each width of `lost`; None where there is none."""
    flows, movable = dict(flows), hidden & ~search.open
    for place, cell, amount in lost:
        try:
            flows[place, cell, amount] = search.protectors[place].flow(cell, amount, hidden, movable, reweightings=0)
        except UnprotectableError:
            return None
    return flows


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
