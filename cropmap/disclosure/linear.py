"""One linear programme, solved by HiGHS on one thread. Anything but an optimum or a proven answer is an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import OptimizeResult, linprog

from cropmap.disclosure.tables import Floats
from cropmap.errors import DisclosureError

OPTIMAL, INFEASIBLE, UNBOUNDED = 0, 2, 3
UNCLEAR: Final = 4
"""HiGHS could not tell infeasible from unbounded, or met numerical trouble"""


@dataclass(frozen=True)
class Solution:
    x: Floats
    value: float


def minimise(
    cost: Floats, matrix: sparse.csr_array, right: Floats, lower: Floats, upper: Floats, *, where: str
) -> Solution | None:
    """min cost @ x with matrix x = right and lower <= x <= upper; None where nothing satisfies that.

    Raises DisclosureError for every other end: an unsolved programme proves no cell safe.
    """
    result = _solve(cost, matrix, right, lower, upper, presolve=True)
    if result.status == UNCLEAR:
        result = _solve(cost, matrix, right, lower, upper, presolve=False)
    if result.status == INFEASIBLE:
        return None
    if result.status == UNBOUNDED:
        return Solution(np.full(len(cost), np.nan), -np.inf)
    if result.status != OPTIMAL:
        raise DisclosureError(
            f"the linear programme was not solved ({result.message})",
            where=where,
            mend="Nothing is published on an unsolved programme; check the table for figures of very different size",
        )
    return Solution(np.asarray(result.x, dtype=float), float(result.fun))


def _solve(
    cost: Floats, matrix: sparse.csr_array, right: Floats, lower: Floats, upper: Floats, *, presolve: bool
) -> OptimizeResult:
    bounds = np.column_stack([lower, upper])
    return linprog(cost, A_eq=matrix, b_eq=right, bounds=bounds, method="highs-ds", options={"presolve": presolve})
