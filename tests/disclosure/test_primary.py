"""Primary rules and protection widths by hand."""

import numpy as np
import pytest

from cropmap.disclosure import Contributions, Rules
from cropmap.disclosure.primary import primary


def _contributions(cells: list[list[float]]) -> Contributions:
    """One list of holdings' areas per cell."""
    cell = np.repeat(np.arange(len(cells)), [len(areas) for areas in cells])
    return Contributions.of(cell, np.arange(len(cell)), np.array([area for areas in cells for area in areas]))


def _sensitive(cells: list[list[float]], rules: Rules, needed: int = 4) -> list[bool]:
    return [bool(one) for one in rules.sensitive(_contributions(cells), np.full(len(cells), needed))]


def test_threshold_counts_holdings() -> None:
    assert _sensitive([[1.0, 1, 1], [1, 1, 1, 1], []], Rules()) == [True, False, False]
    few = _contributions([[1.0, 1, 1, 1], [1, 1, 1, 1]])
    assert Rules().sensitive(few, np.array([4, 10])).tolist() == [False, True]  # as at NUTS-2 and NUTS-3


def test_dominance_of_the_two_largest() -> None:
    cells = [[50.0, 1, 36, 7, 6], [50.0, 1, 34, 8, 7]]  # 86 % and 84 % of 100
    assert _sensitive(cells, Rules()) == [True, False]
    assert _sensitive(cells, Rules(dominance=(1, 0.6))) == [False, False]


def test_p_percent_is_what_the_second_learns_of_the_first() -> None:
    cells = [[50.0, 20, 1, 1, 2.9], [50.0, 20, 1, 1, 3.1]]  # the rest is 4.9 and 5.1: 9.8 % and 10.2 % of 50
    off = Rules(dominance=(1, 1.0))
    assert _sensitive(cells, off) == [False, False]
    assert _sensitive(cells, Rules(dominance=(1, 1.0), p_percent=10)) == [True, False]


def test_parcels_of_one_holding_are_one_contribution() -> None:
    holding = np.array([7, 7, 7, 9])
    parts = Contributions.of(np.array([0, 0, 1, 0]), holding, np.array([1.0, 2.0, 4.0, 8.0]))
    assert parts.cell.tolist() == [0, 0, 1]
    assert parts.holding.tolist() == [7, 9, 7]
    assert parts.area.tolist() == [3.0, 8.0, 4.0]
    assert parts.holdings(3).tolist() == [2, 1, 0]
    assert [part.tolist() for part in parts.sole] == [[1], [7]]


def test_protection_is_what_the_rule_lacks() -> None:
    cells: list[list[float]] = [[60.0, 36, 1, 1, 2], [10.0, 10, 10], [30.0], [1, 1, 1, 1]]
    found = primary(_contributions(cells), np.array([100.0, 30, 30, 4]), np.full(4, 4), Rules())
    assert found.reason.tolist() == ["dominance", "threshold", "threshold", None]
    assert found.upper == pytest.approx([96 / 0.85 - 100, 0.2 * 30, 0.2 * 30, 0])
    assert found.lower == pytest.approx(found.upper)  # none reaches half of the figure
    strict = primary(_contributions(cells[:1]), np.array([100.0]), np.full(1, 4), Rules(dominance=(2, 0.5)))
    assert strict.upper == pytest.approx([92])
    assert strict.lower == pytest.approx([50])


def test_an_estimate_is_protected_by_the_same_share() -> None:
    """36 ha stand in the register, the estimate says 40: twenty per cent of 40."""
    found = primary(_contributions([[12.0, 12, 12]]), np.array([40.0]), np.array([4]), Rules())
    assert found.upper == pytest.approx([8])
