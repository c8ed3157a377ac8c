"""The dearest peer of secondary suppression: the pattern of least weight, as one mixed-integer programme.

The classical optimum (Fischetti & Salazar 2001) knows no pooled lines and no single contributors. With `all_rules` it
keeps what the check of a pattern asks for: what breaks a rule is cut off, and the programme is solved again until
nothing does. Of every cut it holds that no pattern which keeps the rules is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from cropmap.disclosure.audit import recoverable
from cropmap.disclosure.pooled import unsafe_lines
from cropmap.disclosure.singletons import exposures
from cropmap.disclosure.tables import Floats, Integers, Mask
from cropmap.errors import DisclosureError
from tests.studies.disclosure_tables import RandomTable

LARGEST_FLOW: Final = 4.0
"""how far beyond its own figure the optimum may lift a secondary cell, times the table's largest protection"""
CUTTINGS: Final = 200


@dataclass(frozen=True)
class _Cut:
    """The weights of the hidden cells reach `least`."""

    weights: Floats
    """[cells]"""
    least: float


def optimum(table: RandomTable, *, all_rules: bool = False) -> tuple[Mask, bool]:
    """(hidden, proven to 1 %): the pattern of least weight. Raises DisclosureError."""
    cuts: list[_Cut] = []
    for _ in range(CUTTINGS):
        hidden, proven = _solved(table, cuts)
        broken = _broken(table, hidden) if all_rules else []
        if not broken:
            return hidden, proven
        cuts += broken
    raise DisclosureError(f"{CUTTINGS} programmes broke a rule each", where="optimum", mend="Take a smaller table")


def _solved(table: RandomTable, cuts: Sequence[_Cut]) -> tuple[Mask, bool]:
    one, values, matrix = table.primary, table.figure.values, table.structure.matrix
    cells = _movable(table)
    matrix = matrix[:, cells]
    matrix = matrix[np.diff(matrix.indptr) > 0]
    n = len(cells)
    asked = [
        (place, amount)
        for place, cell in enumerate(cells)
        if one.mask[cell]
        for amount in (one.upper[cell], -one.lower[cell])
        if amount
    ]
    if not asked:
        return np.zeros(len(values), dtype=bool), True
    bound = LARGEST_FLOW * one.upper.max()
    high = np.full((len(asked), n), bound)
    low = np.tile(-np.minimum(values[cells], bound), (len(asked), 1))
    for k, (place, amount) in enumerate(asked):
        low[k, place] = high[k, place] = amount
        high[k] = np.maximum(high[k], abs(amount))
    rows, lower, upper = [], [], []
    for k, (place, _) in enumerate(asked):
        before, after = k * n, (len(asked) - k - 1) * n
        flow = sparse.hstack([sparse.csr_array((n, n + before)), sparse.eye_array(n), sparse.csr_array((n, after))])
        hides = sparse.hstack([sparse.eye_array(n), sparse.csr_array((n, len(asked) * n))])
        balance = sparse.hstack(
            [sparse.csr_array((matrix.shape[0], n + before)), matrix, sparse.csr_array((matrix.shape[0], after))]
        )
        rows += [balance, flow - hides * high[k].max(), flow + hides.multiply(np.maximum(-low[k], 0)[:, None])]
        lower += [np.zeros(matrix.shape[0]), np.full(n, -np.inf), np.zeros(n)]
        upper += [np.zeros(matrix.shape[0]), np.zeros(n), np.full(n, np.inf)]
        high[k, place] = low[k, place]
    for cut in cuts:
        rows.append(sparse.csr_array(np.append(cut.weights[cells], np.zeros(len(asked) * n))[None, :]))
        lower.append(np.array([cut.least]))
        upper.append(np.array([np.inf]))
    fixed = one.mask[cells].astype(float)
    result = milp(
        np.concatenate([table.weight[cells], np.zeros(len(asked) * n)]),
        integrality=np.concatenate([np.ones(n), np.zeros(len(asked) * n)]),
        bounds=Bounds(np.concatenate([fixed, low.ravel()]), np.concatenate([np.ones(n), high.ravel()])),
        constraints=LinearConstraint(
            sparse.csc_array(sparse.vstack(rows)), np.concatenate(lower), np.concatenate(upper)
        ),
        options={"mip_rel_gap": 0.01, "presolve": False},  # presolving, HiGHS writes to stdout more often
    )
    if result.x is None:
        raise DisclosureError(f"no optimum was found ({result.message})", where="optimum", mend="Take a smaller table")
    hidden = np.zeros(len(values), dtype=bool)
    hidden[cells] = result.x[:n] > 0.5
    return hidden, result.status == 0


def _movable(table: RandomTable) -> Integers:
    """Cells that may be hidden."""
    values = table.figure.values
    return np.flatnonzero((values > 0) & (np.arange(len(values)) != table.total))


def _broken(table: RandomTable, hidden: Mask) -> list[_Cut]:
    structure, parts, sensitive = table.structure, table.figure.contributions, table.primary.mask
    contributing = parts.holdings(structure.cells) > 0
    cuts = []
    for line in unsafe_lines(structure, hidden, parts, table.needed, table.rules):
        row = structure.lines[[line]].toarray().ravel()
        inside = (row < 0) & hidden
        # one pooled cell fewer, one sibling more, or the parent
        weights = ((row > 0) | ((row < 0) & ~hidden & contributing)).astype(float) - inside
        cuts.append(_Cut(weights, 1.0 - inside.sum()))

    def exposed(pattern: Mask) -> set[int]:
        return {one.cell for one in exposures(structure, pattern, parts, sensitive)}

    def follow(pattern: Mask) -> set[int]:
        return set(recoverable(structure, np.where(pattern, np.nan, table.figure.values)).tolist())

    for finds in (exposed, follow):
        for cell in sorted(finds(hidden)):
            weights = (~_largest_that_fails(table, hidden, cell, finds)).astype(float)
            weights[cell] -= not sensitive[cell]
            cuts.append(_Cut(weights, float(sensitive[cell])))
    return cuts


def _largest_that_fails(table: RandomTable, hidden: Mask, cell: int, finds: Callable[[Mask], set[int]]) -> Mask:
    """More hidden cells with which `cell` is found still: every pattern inside them fails as well, so that one cut
    does for all of them."""
    pattern, order = hidden.copy(), _movable(table)
    for other in order[np.lexsort((order, table.weight[order]))]:
        if not pattern[other]:
            pattern[other] = True
            pattern[other] = cell in finds(pattern)
    return pattern
