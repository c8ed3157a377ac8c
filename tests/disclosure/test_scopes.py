"""Which parts of a table around a cell are tried before the whole."""

from __future__ import annotations

import pytest

from cropmap.disclosure import Axis, Structure
from cropmap.disclosure.scopes import Scopes

CROPS = Axis.tree({"T": None, "wheat": "T"})


def table(*, wide: int = 20) -> Structure:
    """A country of `wide` regions below Z, and a region A with three parts below Y."""
    inner = {f"z{n}": "Z" for n in range(wide)}
    return Structure(
        CROPS, Axis.tree({"X": None, "Y": "X", "Z": "X", "A": "Y", "a1": "A", "a2": "A", "a3": "A", **inner})
    )


def parts(structure: Structure, region: str, *, smallest: int) -> list[set[str]]:
    """The regions of each part, of the cell of wheat in `region`; a part holds both crops of each."""
    found = Scopes(structure, smallest=smallest).around(structure.cell("wheat", region))
    width = len(structure.crops.codes)
    for part in found:
        assert (part.reshape(-1, width).all(axis=1) == part.reshape(-1, width).any(axis=1)).all()
    return [{structure.regions.codes[n] for n in range(len(part) // width) if part[n * width]} for part in found]


def test_a_part_is_what_lies_below_an_ancestor_without_the_ancestor() -> None:
    """a1, a2, a3 of A are 6 cells; A and its parts, of Y, are 8: less than four times as many."""
    assert parts(table(), "a1", smallest=6) == [{"a1", "a2", "a3"}]


@pytest.mark.parametrize(
    ("smallest", "expected"),
    [
        (6, [{"a1", "a2", "a3"}]),  # exactly the smallest part
        (7, [{"A", "a1", "a2", "a3"}]),  # one cell more is asked for: the next ancestor
        (8, [{"A", "a1", "a2", "a3"}]),
        (9, []),  # nothing fits, and below X lies nearly everything
    ],
)
def test_a_part_has_at_least_the_smallest_size(smallest: int, expected: list[set[str]]) -> None:
    assert parts(table(), "a1", smallest=smallest) == expected


@pytest.mark.parametrize(("below", "found"), [(7, 1), (8, 2)])
def test_the_next_part_is_four_times_larger(below: int, found: int) -> None:
    """Below S lie the regions s and t, 4 cells of two crops; below Q lie S, s, t and others, 14 or 16 cells in all."""
    others = {f"q{n}": "Q" for n in range(below - 3)}
    elsewhere = {f"z{n}": "Z" for n in range(40)}
    axis = Axis.tree({"X": None, "Q": "X", "Z": "X", "S": "Q", "s": "S", "t": "S"} | others | elsewhere)
    assert len(parts(Structure(CROPS, axis), "s", smallest=4)) == found


def test_no_part_reaches_half_of_the_table() -> None:
    """Below Z lie `wide` regions of 7 + wide: with 7 that is half of the table, with 6 less than half."""
    assert parts(table(wide=7), "z0", smallest=1) == []
    assert parts(table(wide=6), "z0", smallest=1) == [{f"z{n}" for n in range(6)}]


def test_the_top_has_nothing_around_it() -> None:
    assert parts(table(), "X", smallest=1) == []
