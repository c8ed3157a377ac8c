"""Hierarchies by hand."""

import numpy as np
import pytest

from cropmap.disclosure import Axis, Structure
from cropmap.errors import InputError


def test_a_tree_has_a_line_per_parent() -> None:
    axis = Axis.tree({"FR": None, "FRH": "FR", "FRI": "FR", "FRH0": "FRH"})
    assert axis.lines == ((0, (1, 2)), (1, (3,)))
    assert axis.height.tolist() == [2, 1, 0, 0]


def test_nested_sums_become_a_tree_and_crossing_ones_keep_their_items() -> None:
    nested = Axis.sums("abcd", [("ab", (0, 1)), ("abc", (0, 1, 2))])
    assert nested.lines == ((4, (0, 1)), (5, (2, 4)))
    crossing = Axis.sums("abc", [("ab", (0, 1)), ("bc", (1, 2))])
    assert crossing.lines == ((3, (0, 1)), (4, (1, 2)))


def test_only_children_are_one_node_with_their_parents() -> None:
    axis, target = Axis.tree({"LU": None, "LU0": "LU", "LU00": "LU0", "LU000": "LU00"}).merged()
    assert axis.codes == ("LU",)
    assert axis.lines == ()
    assert target.tolist() == [0, 0, 0, 0]
    axis, target = Axis.tree({"A": None, "B": "A", "B1": "B", "C": "A", "C1": "C", "C2": "C"}).merged()
    assert axis.codes == ("A", "B", "C", "C1", "C2")
    assert axis.lines == ((0, (1, 2)), (2, (3, 4)))
    assert target.tolist() == [0, 1, 1, 2, 3, 4]


def test_relations_hold_for_sums_and_for_nothing_else() -> None:
    structure = Structure(Axis.sums("ab", [("ab", (0, 1))]), Axis.tree({"X": None, "X1": "X", "X2": "X"}))
    x1, x2 = np.array([1.0, 2, 3]), np.array([10.0, 20, 30])
    values = np.concatenate([x1 + x2, x1, x2])
    assert structure.name(structure.cell("ab", "X2")) == "ab/X2"
    assert structure.lines.shape == (3 + 3, 9)
    assert structure.matrix.shape == (2 + 3, 9)  # the crop sum of X follows from those of X1 and X2
    assert np.abs(structure.lines @ values).max() == 0
    assert (structure.matrix.data != 0).all()
    rank = np.linalg.matrix_rank(structure.lines.toarray())
    assert rank == np.linalg.matrix_rank(structure.matrix.toarray()) == 5
    values[4] += 1
    assert np.abs(structure.matrix @ values).max() == 1


def test_a_hierarchy_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="parent 'FRX' of 'FRX0' is not in the table"):
        Axis.tree({"FR": None, "FRX0": "FRX"})
    with pytest.raises(InputError, match="circle"):
        _ = Axis.tree({"A": "B", "B": "A"}).height
