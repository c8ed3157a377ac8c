"""The pooled-line rule: the hidden children of a published parent are, together, a cell that everyone can compute.

Their contributors are pooled and the primary rules applied. A line whose contributing children are all hidden implies
nothing but its parent, which is published under its own rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cropmap.disclosure.contributions import Contributions, Figure
from cropmap.disclosure.primary import Rules, primary
from cropmap.disclosure.tables import Floats, Integers, Mask, Structure
from cropmap.errors import DisclosureError


@dataclass(frozen=True)
class Closed:
    """Arrays [cells]."""

    hidden: Mask
    width: Floats
    """ha by which a cell that was added must stay uncertain: what the pool lacks, because whoever computes
    the added cell computes the pool; else 0"""


@dataclass(frozen=True)
class _Pools:
    """The hidden children of open parents; arrays [lines]."""

    line: Integers
    needed: Integers
    """holdings: the strictest of the pooled cells"""
    contributions: Contributions
    """its cells count the lines here"""
    member: sparse.csr_array
    """[lines, cells]"""


def unsafe_lines(
    structure: Structure,
    hidden: Mask,
    contributions: Contributions,
    needed: Integers,
    rules: Rules,
    *,
    known: Mask | None = None,
) -> Integers:
    """Rows of `structure.lines` whose hidden children break a rule when taken together.

    The pool must satisfy the strictest of its cells: the difference of a NUTS-2 and some NUTS-3 figures is a
    small-area figure. A line whose open cells are all `known` from an earlier release implies nothing that is new.
    """
    pools = _pools(structure, hidden, contributions, needed, known)
    return pools.line[rules.sensitive(pools.contributions, pools.needed)]


def close_lines(
    structure: Structure,
    hidden: Mask,
    figure: Figure,
    needed: Integers,
    rules: Rules,
    *,
    weight: Floats,
    open_: Mask,
    known: Mask,
) -> Closed:
    """`hidden` with the cheapest siblings added until no line is unsafe; the parent where no sibling is left.

    Raises DisclosureError where parent and siblings all stay open.
    """
    hidden, width = hidden.copy(), np.zeros(structure.cells)
    parent, child = _parents(structure), _children(structure)
    contributing = figure.contributions.holdings(structure.cells) > 0
    while True:
        pools = _pools(structure, hidden, figure.contributions, needed, known)
        unsafe = primary(pools.contributions, pools.member @ figure.values, pools.needed, rules)
        if not unsafe.mask.any():
            return Closed(hidden, width)
        touched: set[int] = set()
        for line, lacks in zip(pools.line[unsafe.mask], unsafe.upper[unsafe.mask], strict=True):
            siblings = child.indices[child.indptr[line] : child.indptr[line + 1]]
            if touched & {*siblings.tolist(), int(parent[line])}:
                continue  # another line has changed this one; look at it again
            choice = siblings[~hidden[siblings] & ~open_[siblings] & contributing[siblings]]
            if not len(choice) and not open_[parent[line]]:
                choice = parent[[line]]
            if not len(choice):
                raise DisclosureError(
                    "its hidden parts have too few or too dominant holdings together, and no other part may be hidden",
                    where=structure.name(parent[line]),
                    mend="Withhold the table, or merge the crop with another",
                )
            cheapest = int(choice[np.lexsort((choice, weight[choice]))[0]])
            hidden[cheapest] = True
            width[cheapest] = lacks
            touched.add(cheapest)


def _pools(
    structure: Structure, hidden: Mask, contributions: Contributions, needed: Integers, known: Mask | None
) -> _Pools:
    parent, child = _parents(structure), _children(structure)
    contributing = contributions.holdings(structure.cells) > 0
    pools = sparse.csr_array(child.multiply(hidden[None, :]))
    pools.eliminate_zeros()
    open_children = child @ (contributing & ~hidden).astype(float)
    lines = np.flatnonzero(~hidden[parent] & (np.diff(pools.indptr) > 0) & (open_children > 0))
    if known is not None:
        fresh = child @ (contributing & ~hidden & ~known).astype(float)
        lines = lines[~known[parent[lines]] | (fresh[lines] > 0)]
    member = sparse.csr_array(pools[lines])
    of_line, cell = sparse.coo_array(member).coords
    limit = np.zeros(len(lines), dtype=np.intp)
    np.maximum.at(limit, of_line, needed[cell])
    return _Pools(lines, limit, _pool(contributions, of_line, cell, structure.cells), member)


def _parents(structure: Structure) -> Integers:
    rows, cells = sparse.coo_array(structure.lines > 0).coords
    parent = np.empty(structure.lines.shape[0], dtype=np.intp)
    parent[rows] = cells
    return parent


def _children(structure: Structure) -> sparse.csr_array:
    return sparse.csr_array((structure.lines < 0).astype(float))


def _pool(contributions: Contributions, of_line: Integers, cell: Integers, cells: int) -> Contributions:
    """Contributions to lines; a cell may lie in several."""
    order = np.argsort(cell, kind="stable")
    lines, starts = of_line[order], np.searchsorted(cell[order], np.arange(cells + 1))
    times = np.diff(starts)[contributions.cell]
    rows = np.repeat(np.arange(len(contributions.cell)), times)
    offset = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    line = lines[starts[contributions.cell[rows]] + offset]
    return Contributions.of(line, contributions.holding[rows], contributions.area[rows])
