"""More hidden cells around those that an attack got through, where a pattern does not pass its audit.

The search finds patterns that hide little. Where it finds none, or one that does not hold, what is left is to hide
more, in steps that never show a cell again: neighbours in a sum, whole crops, whole regions, everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

import numpy as np

from cropmap.disclosure.contributions import Figure
from cropmap.disclosure.primary import Rules, primary
from cropmap.disclosure.protection import weights
from cropmap.disclosure.releases import Earlier
from cropmap.disclosure.suppression import Pattern
from cropmap.disclosure.tables import Axis, Floats, Integers, Mask, Structure


class Step(IntEnum):
    """How much is hidden besides, in this order."""

    NEIGHBOURS = 0
    """the cheapest open cell of every sum that a recovered cell is part of"""
    CROPS = 1
    """the crop of every recovered cell, and the sums that hold it, in all regions"""
    REGIONS = 2
    """all crops of its region, of those below and of those above"""
    EVERYTHING = 3


def bare(
    structure: Structure, figures: Sequence[Figure], needed: Integers, rules: Rules, *, earlier: Earlier | None
) -> Pattern:
    """The sensitive cells and what an earlier release hid, and nothing for their sake: where a widening begins when
    the search found no pattern. It requires the same widths as the search does."""
    primaries = {figure.name: primary(figure.contributions, figure.values, needed, rules) for figure in figures}
    before = earlier or Earlier.none(structure)
    mask = np.logical_or.reduce([protection.mask for protection in primaries.values()])
    reason = np.full(structure.cells, None, dtype=object)
    for protection in reversed(primaries.values()):
        reason = np.where(protection.mask, protection.reason, reason)
    nothing = np.zeros(structure.cells, dtype=bool)
    return Pattern(
        hidden=mask | before.hidden,
        primary=mask,
        reason=reason,
        already_published=mask & before.published,
        known=before.published,
        weakened=nothing,
        known_to_one=nothing.copy(),
        protection=primaries,
    )


def widened(
    structure: Structure, figures: Sequence[Figure], pattern: Pattern, cells: Sequence[int], step: Step
) -> Pattern:
    """`pattern` with more hidden around `cells`. A cell without contributors stays open, as does what an earlier
    release shows: hiding it would hide nothing."""
    contributed = np.logical_or.reduce(
        [(figure.values > 0) | (figure.contributions.holdings(structure.cells) > 0) for figure in figures]
    )
    free = contributed & ~pattern.known & ~pattern.hidden
    if step == Step.NEIGHBOURS:
        more = _neighbours(structure, free, cells, weights(structure, figures[0].values))
    elif step == Step.EVERYTHING:
        more = np.ones(structure.cells, dtype=bool)
    else:
        regions, crops = np.divmod(np.asarray(cells, dtype=np.intp), len(structure.crops.codes))
        table = np.zeros((len(structure.regions.codes), len(structure.crops.codes)), dtype=bool)
        if step == Step.CROPS:
            table[:, _with_relatives(structure.crops, crops, below=False)] = True
        else:
            table[_with_relatives(structure.regions, regions, below=True)] = True
        more = table.ravel()
    return replace(pattern, hidden=pattern.hidden | (more & free))


def _neighbours(structure: Structure, free: Mask, cells: Sequence[int], weight: Floats) -> Mask:
    more = np.zeros(structure.cells, dtype=bool)
    by_cell = structure.lines.tocsc()
    for cell in cells:
        for line in by_cell.indices[by_cell.indptr[cell] : by_cell.indptr[cell + 1]]:
            row = structure.lines.indices[structure.lines.indptr[line] : structure.lines.indptr[line + 1]]
            choice = row[free[row]]
            if len(choice):
                more[choice[np.lexsort((choice, weight[choice]))[0]]] = True
    return more


def _with_relatives(axis: Axis, codes: Integers, *, below: bool) -> Integers:
    """`codes` with every sum that holds one of them; `below`: and all parts of them."""
    related = set(codes.tolist())
    while True:
        above = {parent for parent, children in axis.lines if related & set(children)}
        if above <= related:
            break
        related |= above
    if below:
        parts, inside = set(codes.tolist()), dict(axis.lines)
        waiting = list(parts)
        while waiting:
            new = set(inside.get(waiting.pop(), ())) - parts
            parts |= new
            waiting += new
        related |= parts
    return np.array(sorted(related), dtype=np.intp)
