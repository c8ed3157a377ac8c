"""What the only contributor of a hidden cell can compute of others, because its own figure is the cell's.

Algebra alone: a holding that makes up the hidden cells K computes a hidden cell q exactly when q cannot move while K
stays. Coalitions of holdings are left to the pooled-line rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse.csgraph import connected_components

from cropmap.disclosure.contributions import Contributions
from cropmap.disclosure.nullspace import null_vectors, within_span
from cropmap.disclosure.tables import Integers, Mask, Structure

SPARE_VECTORS: Final = 12
"""null vectors beyond the number of cells that one holding knows"""


@dataclass(frozen=True)
class Exposure:
    cell: int
    """sensitive cell that can be computed"""
    known: Integers
    """the hidden cells that the holding makes up alone"""


def exposures(
    structure: Structure, hidden: Mask, contributions: Contributions, sensitive: Mask
) -> tuple[Exposure, ...]:
    """Every hidden sensitive cell that the only contributor of others can compute, once, by cell."""
    cell, holding = contributions.sole
    inside = hidden[cell]
    cell, holding = cell[inside], holding[inside]
    if not len(cell):
        return ()
    _, per_holding = np.unique(holding, return_counts=True)
    vectors = null_vectors(structure, hidden, vectors=int(per_holding.max()) + SPARE_VECTORS)
    part = components(structure, hidden)
    row = np.cumsum(hidden) - 1
    asked = np.flatnonzero(hidden & sensitive)
    exposed: dict[int, Exposure] = {}
    order = np.lexsort((cell, holding))
    for known in np.split(cell[order], np.cumsum(per_holding)[:-1]):
        near = asked[np.isin(part[row[asked]], part[row[known]])]
        near = np.setdiff1d(near, known)
        if not len(near):
            continue
        for q in near[within_span(vectors[row[near]], vectors[row[known]])]:
            exposed.setdefault(int(q), Exposure(int(q), known))
    return tuple(exposed[q] for q in sorted(exposed))


def components(structure: Structure, hidden: Mask) -> Integers:
    """[hidden cells] which hidden cells hang together through sums."""
    matrix = abs(structure.matrix[:, np.flatnonzero(hidden)])
    _, part = connected_components(matrix.T @ matrix, directed=False)
    return np.asarray(part, dtype=np.intp)
