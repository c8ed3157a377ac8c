"""Which hidden cells follow from the sums, and which combinations of others they are."""

from __future__ import annotations

import numpy as np
import pytest

from cropmap.disclosure.nullspace import determined, null_vectors, within_span
from tests.disclosure.tables import margins, mask

TABLE, _ = margins([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
SQUARE = ["r1/c1", "r1/c2", "r2/c1", "r2/c2"]


@pytest.mark.parametrize(
    ("hidden", "known"),
    [
        (["r1/c1"], ["r1/c1"]),  # the only hidden cell of its row
        (["r1/c1", "r1/c2"], ["r1/c1", "r1/c2"]),  # two in a row, each alone in its column
        (SQUARE, []),  # +1 -1 / -1 +1 changes no sum
        ([*SQUARE, "r3/c3"], ["r3/c3"]),  # the square is free, the fifth cell is alone
        ([*SQUARE, "r1/c3"], ["r1/c3"]),  # alone in its column, whatever its row does
        (["r1/c1", "r1/T", "T/c1", "T/T"], []),  # a square with totals: a cell, its sums, and the sum of all
        (["r1/c1", "r1/T"], ["r1/c1", "r1/T"]),  # the total follows from its column, then the cell from its own
    ],
)
def test_cells_that_the_sums_alone_fix(hidden: list[str], known: list[str]) -> None:
    found = determined(TABLE, mask(TABLE, hidden))
    assert sorted(TABLE.name(cell) for cell in found) == sorted(known)


def test_a_square_moves_as_one() -> None:
    """The only way to change its cells and no sum is by the same amount, with the signs of a chessboard."""
    hidden = mask(TABLE, SQUARE)
    moves = null_vectors(TABLE, hidden, vectors=3)
    sign = {"r1/c1": 1, "r2/c2": 1, "r1/c2": -1, "r2/c1": -1}
    names = [name for name, one in zip(TABLE.names, hidden, strict=True) if one]
    for vector in moves.T:
        amount = vector[names.index("r1/c1")]
        assert vector == pytest.approx([sign[name] * amount for name in names], abs=1e-9)
        assert abs(amount) > 1e-3


def test_combinations_of_what_is_known() -> None:
    """The sum and the difference of two known rows follow from them, a third direction does not."""
    known = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    asked = np.array([[1.0, 1, 0, 0], [2, -3, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0.1]])
    assert within_span(asked, known).tolist() == [True, True, False, False]


def test_a_row_that_is_known_twice_says_no_more_than_once() -> None:
    known = np.array([[1.0, 1, 0], [2, 2, 0]])
    assert within_span(np.array([[3.0, 3, 0], [1, 0, 0]]), known).tolist() == [True, False]
