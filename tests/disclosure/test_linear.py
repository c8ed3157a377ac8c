"""One linear programme: its optimum, and the ways in which there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from cropmap.disclosure.linear import Solution, minimise


def solved(*, right: float, upper: float = 2.0, cost: tuple[float, float] = (1.0, 2.0)) -> Solution | None:
    """min cost @ (x, y) with x + y = right, 0 <= x, y <= upper."""
    bound = np.full(2, upper)
    matrix = sparse.csr_array(np.ones((1, 2)))
    return minimise(np.array(cost), matrix, np.array([right]), np.zeros(2), bound, where="a test")


def test_the_cheaper_variable_is_used_up_first() -> None:
    found = solved(right=3)
    assert found is not None
    assert found.x == pytest.approx([2, 1])
    assert found.value == pytest.approx(4)  # 2 x 1 + 1 x 2


def test_at_the_end_of_the_bounds_there_is_one_solution_and_beyond_none() -> None:
    found = solved(right=4)
    assert found is not None
    assert found.x == pytest.approx([2, 2])
    assert solved(right=4.001) is None


def test_without_a_bound_nothing_is_the_least() -> None:
    """x may grow as y falls, at a gain each time: the value has no end, and no point has it."""
    matrix = sparse.csr_array(np.array([[1.0, -1.0]]))
    ends = np.full(2, np.inf)
    found = minimise(np.array([-1.0, 0.0]), matrix, np.zeros(1), np.zeros(2), ends, where="a test")
    assert found is not None
    assert found.value == -np.inf
    assert np.isnan(found.x).all()
