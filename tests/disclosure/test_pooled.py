"""Pooled lines by hand."""

import numpy as np
import pytest

from cropmap.disclosure.pooled import close_lines, unsafe_lines
from tests.disclosure.tables import RULES, figure_of, margins, mask


def test_a_sibling_is_asked_for_what_the_pool_lacks() -> None:
    """r1/c1 has two holdings of 3 and 2 ha: 20 % of 5 ha. It is alone in its row and in its column; the cheapest
    siblings have 20 ha each, and to know one of them is to know r1/c1."""
    structure, _ = margins([[1, 2, 3], [4, 5, 6]])
    areas = {f"r{row}/c{column}": [1.0] * 20 for row in (1, 2) for column in (1, 2)}
    areas |= {"r1/c1": [3.0, 2.0], "r1/c3": [5.0] * 20, "r2/c3": [5.0] * 20}
    figure, needed = figure_of(structure, areas), np.full(structure.cells, 4)
    hidden, nothing = mask(structure, ["r1/c1"]), np.zeros(structure.cells, dtype=bool)
    assert len(unsafe_lines(structure, hidden, figure.contributions, needed, RULES)) == 2
    closed = close_lines(
        structure, hidden, figure, needed, RULES, weight=figure.values, open_=mask(structure, ["T/T"]), known=nothing
    )
    added = mask(structure, ["r1/c2", "r2/c1"])
    assert (closed.hidden == hidden | added).all()
    assert closed.width == pytest.approx(np.where(added, 1.0, 0.0))
