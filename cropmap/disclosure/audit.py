"""The attack: what an outsider can learn of the hidden cells from nothing but the published table.

In: the table's sums and its published figures, NaN where hidden. Out: for every hidden cell the interval of values
that agree with all published figures, all sums, and areas that are not negative. Knows nothing of how cells were
chosen, of contributions or of the hidden values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from cropmap.disclosure.linear import Solution, minimise
from cropmap.disclosure.nullspace import determined
from cropmap.disclosure.tables import Floats, Integers, Mask, Structure
from cropmap.errors import DisclosureError

EXACT: Final = 1e-6
"""an interval narrower than this share of the figure (of 1 ha below 1 ha) discloses the figure"""
NOTHING_HA: Final = 1e-6
"""a hundredth of a square metre: what sums leave by floating point, and no parcel is"""
ROUNDING: Final = 1e-11
"""of the sum"""
LARGEST: Final = 1e5
"""programmes are scaled so that no figure is above: HiGHS keeps rows to 1e-7, the 1e-12 of that"""
PROBES: Final = 6
"""random objectives per component, which show most cells to be uncertain at once"""
Track: TypeAlias = Callable[[Iterable[int], int], Iterable[int]]
"""shows progress over the cells of a step, given how many there are"""


def untracked(cells: Iterable[int], total: int) -> Iterable[int]:
    del total
    return cells


@dataclass(frozen=True)
class _Component:
    cells: Integers
    matrix: sparse.csr_array
    right: Floats
    """scaled"""
    scale: float


def feasible_intervals(
    structure: Structure, published: Floats, cells: Integers | None = None, *, track: Track = untracked
) -> tuple[Floats, Floats]:
    """(lowest, highest) [cells] ha for the hidden ones among `cells` (all where None); NaN for the others.

    Raises DisclosureError where no table agrees with what is published, or a programme is not solved.
    """
    asked = np.isnan(published) if cells is None else np.isin(np.arange(structure.cells), cells) & np.isnan(published)
    node = _nodes(structure, published)
    if node is not None:
        wanted = np.zeros(node.structure.cells, dtype=bool)
        wanted[node.of[asked]] = True
        low, high = _intervals(node.structure, node.published, wanted & np.isnan(node.published), track)
        shown = ~np.isnan(node.published)
        low[shown] = high[shown] = node.published[shown]
        return np.where(asked, low[node.of], np.nan), np.where(asked, high[node.of], np.nan)
    return _intervals(structure, published, asked, track)


def _intervals(structure: Structure, published: Floats, asked: Mask, track: Track) -> tuple[Floats, Floats]:
    low, high = np.full(structure.cells, np.nan), np.full(structure.cells, np.nan)
    parts = _components(structure, published)
    asked_of = [(part, int(place)) for part in parts for place in np.flatnonzero(asked[part.cells])]
    for number in track(range(len(asked_of)), len(asked_of)):
        part, place = asked_of[number]
        cell = part.cells[place]
        low[cell], high[cell] = (_extreme(structure, part, place, sign)[0] for sign in (1, -1))
    return low, high


def recoverable(structure: Structure, published: Floats, *, track: Track = untracked) -> Integers:
    """Hidden cells whose value follows from what is published; not those that must be zero, because the others make up
    their published sum or because several sums together leave nothing for them: that says that no holding contributes
    to this figure there (a crop that the model does not have is mapped nowhere, and a season without a model has mapped
    nothing at all).

    Every table found on the way that agrees with what is published is kept in mind: where two differ in a cell, its
    value does not follow, and it needs no programme of its own. Raises as `feasible_intervals`.
    """
    published = _with_zeros(structure, published)
    node = _nodes(structure, published)
    if node is not None:
        follows = ~np.isnan(node.published)
        follows[_recoverable(node.structure, node.published, track)] = True
        return np.flatnonzero(follows[node.of] & np.isnan(published))
    return _recoverable(structure, published, track)


def _recoverable(structure: Structure, published: Floats, track: Track) -> Integers:
    parts = [np.empty(0, dtype=np.intp)]
    rng = np.random.default_rng(len(published))
    for part in _components(structure, published):
        low, high = np.full(len(part.cells), np.inf), np.full(len(part.cells), -np.inf)

        def see(x: Floats, low: Floats = low, high: Floats = high) -> None:
            np.minimum(low, x, out=low)
            np.maximum(high, x, out=high)

        for number in range(PROBES):
            if _wide(low, high).all():
                break
            direction = rng.random(len(part.cells))
            probed = _lowest(structure, part, direction) if number % 2 == 0 else _highest(structure, part, direction)
            if probed is not None:
                see(probed)
        for place in track(range(len(part.cells)), len(part.cells)):
            for sign in (1, -1):
                if not _wide(low[place], high[place]):
                    value, x = _extreme(structure, part, place, sign)
                    see(x) if np.isfinite(value) else high.__setitem__(place, np.inf)
        nothing = NOTHING_HA + ROUNDING * LARGEST * part.scale
        parts.append(part.cells[~_wide(low, high) & (high > nothing)])
    return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class _Nodes:
    structure: Structure
    """without a parent's only child"""
    of: Integers
    """[cells] the node of every cell"""
    published: Floats
    """[nodes]: a node is known where any of its cells is shown"""


def _nodes(structure: Structure, published: Floats) -> _Nodes | None:
    """The same table with cells that show each other as one; None where the cells of a node are shown and differ."""
    smaller, of = structure.merged()
    known = np.flatnonzero(~np.isnan(published))
    values = np.full(smaller.cells, np.nan)
    values[of[known]] = published[known]
    apart = np.abs(values[of[known]] - published[known]) > NOTHING_HA + ROUNDING * np.abs(published[known])
    return None if apart.any() else _Nodes(smaller, of, values)


def recoverable_from_both(structure: Structure, published: Floats, earlier: Floats) -> Integers:
    """Hidden cells that follow from two releases of one season together; a figure that either shows counts as known.

    Where figures were revised no one table agrees with both; then the sums alone decide, for any figures.
    """
    known = _with_zeros(structure, np.where(np.isnan(published), earlier, published))
    fixed = determined(structure, np.isnan(known))
    try:
        return np.union1d(fixed, recoverable(structure, known))
    except ContradictionError:
        return fixed


def _with_zeros(structure: Structure, published: Floats) -> Floats:
    """[cells] with 0 for hidden parts of a published sum that leaves nothing for them, at any depth."""
    known = published.copy()
    parents, children = (structure.lines > 0).astype(float), (structure.lines < 0).astype(float)
    while True:
        total = parents @ np.nan_to_num(known)
        left = structure.lines @ np.nan_to_num(known)
        nothing = (parents @ np.isnan(known) == 0) & (left <= NOTHING_HA + ROUNDING * total)
        zero = np.isnan(known) & (children.T @ nothing > 0)
        if not zero.any():
            return known
        known[zero] = 0.0


class ContradictionError(DisclosureError):
    """No table agrees with the published figures."""


def _wide(low: Floats, high: Floats) -> Mask:
    return np.asarray(high - low > EXACT * np.maximum(low, 1.0))


def _components(structure: Structure, published: Floats) -> list[_Component]:
    """Hidden cells that hang together through sums; each is a problem of its own."""
    cells = np.flatnonzero(np.isnan(published))
    if not len(cells):
        return []
    known = structure.matrix @ np.nan_to_num(published)
    matrix = structure.matrix[:, cells]
    count, label = connected_components(abs(matrix).T @ abs(matrix), directed=False)
    label_of_row = np.full(matrix.shape[0], -1)
    entry = sparse.coo_array(matrix)
    label_of_row[entry.coords[0]] = label[entry.coords[1]]
    parts = []
    for name in range(count):
        mine, rows = np.flatnonzero(label == name), np.flatnonzero(label_of_row == name)
        scale = max(float(np.abs(known[rows]).max(initial=0)) / LARGEST, 1.0)
        parts.append(_Component(cells[mine], sparse.csr_array(matrix[rows][:, mine]), -known[rows] / scale, scale))
    return parts


def _extreme(structure: Structure, part: _Component, place: int, sign: int) -> tuple[float, Floats]:
    """(lowest value for sign 1, highest for -1, and the component's cells there), ha."""
    cost = np.zeros(len(part.cells))
    cost[place] = sign
    solution = _solved(structure, part, cost)
    return sign * solution.value * part.scale, solution.x * part.scale


def _lowest(structure: Structure, part: _Component, direction: Floats) -> Floats:
    return _solved(structure, part, direction).x * part.scale


def _highest(structure: Structure, part: _Component, direction: Floats) -> Floats | None:
    """A table far up in a direction, none of its cells above a ceiling that keeps the programme bounded; None where
    there is none below it."""
    zero, ceiling = np.zeros(len(direction)), np.full(len(direction), LARGEST)
    solution = minimise(-direction, part.matrix, part.right, zero, ceiling, where=structure.name(part.cells[0]))
    return None if solution is None else solution.x * part.scale


def _solved(structure: Structure, part: _Component, cost: Floats) -> Solution:
    zero, none = np.zeros(len(cost)), np.full(len(cost), np.inf)
    where = structure.name(part.cells[0])
    solution = minimise(cost, part.matrix, part.right, zero, none, where=where)
    if solution is None:
        raise ContradictionError(
            "no areas agree with all published figures and sums",
            where=where,
            mend="The figures do not add up, or one is negative: publish unrounded sums of benchmarked areas",
        )
    return solution
