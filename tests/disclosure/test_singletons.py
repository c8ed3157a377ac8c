"""What the only contributor of a hidden cell computes: it knows its own area, and the sums are open to everyone."""

from __future__ import annotations

import numpy as np
import pytest

from cropmap.disclosure import Contributions
from cropmap.disclosure.singletons import components, exposures
from tests.disclosure.tables import margins, mask

TABLE, _ = margins([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
SQUARE = ["r1/c1", "r1/c2", "r2/c1", "r2/c2"]


def contributed(**areas: list[int]) -> Contributions:
    """The holdings of each inner cell, 1 ha each; a cell is written r1_c1."""
    cells = [TABLE.cell(*name.split("_")) for name in areas]
    cell = np.repeat(cells, [len(holdings) for holdings in areas.values()])
    holding = np.array([one for holdings in areas.values() for one in holdings])
    return Contributions.of(cell, holding, np.ones(len(cell)))


def exposed(hidden: list[str], sensitive: list[str], areas: Contributions) -> dict[str, list[str]]:
    found = exposures(TABLE, mask(TABLE, hidden), areas, mask(TABLE, sensitive))
    return {TABLE.name(one.cell): [TABLE.name(cell) for cell in one.known] for one in found}


def test_whoever_makes_up_one_corner_of_a_square_computes_the_others() -> None:
    """The square moves by one amount alone: who knows a corner knows by how much."""
    areas = contributed(r1_c1=[7], r1_c2=[1, 2], r2_c1=[3, 4], r2_c2=[5, 6])
    assert exposed(SQUARE, ["r2/c2"], areas) == {"r2/c2": ["r1/c1"]}


def test_a_cell_is_no_secret_from_the_holding_that_is_it() -> None:
    areas = contributed(r1_c1=[7], r1_c2=[1, 2], r2_c1=[3, 4], r2_c2=[5, 6])
    assert exposed(SQUARE, ["r1/c1"], areas) == {}


def test_what_is_not_sensitive_may_be_computed() -> None:
    areas = contributed(r1_c1=[7], r1_c2=[1, 2], r2_c1=[3, 4], r2_c2=[5, 6])
    assert exposed(SQUARE, [], areas) == {}


def test_two_holdings_in_the_corner_know_their_own_parts_alone() -> None:
    areas = contributed(r1_c1=[7, 8], r1_c2=[1, 2], r2_c1=[3, 4], r2_c2=[5, 6])
    assert exposed(SQUARE, ["r2/c2"], areas) == {}


@pytest.mark.parametrize(("holdings", "found"), [((7, 7), True), ((7, 8), False)])
def test_two_cells_tell_more_where_one_holding_has_both(holdings: tuple[int, int], found: bool) -> None:
    """In a ladder of two rows and three columns, r1/c1 + r1/c2 + r1/c3 stays: two of the three give the third."""
    ladder = [f"r{row}/c{column}" for row in (1, 2) for column in (1, 2, 3)]
    areas = contributed(
        r1_c1=[holdings[0]], r1_c2=[holdings[1]], r1_c3=[1, 2], r2_c1=[3, 4], r2_c2=[5, 6], r2_c3=[9, 10]
    )
    got = exposed(ladder, ["r1/c3"], areas)
    assert got == ({"r1/c3": ["r1/c1", "r1/c2"]} if found else {})


def test_an_open_cell_of_one_holding_tells_nothing_that_is_not_known() -> None:
    areas = contributed(r3_c3=[7], r1_c1=[1, 2], r1_c2=[1, 2], r2_c1=[3, 4], r2_c2=[5, 6])
    assert exposed(SQUARE, SQUARE, areas) == {}


def test_cells_hang_together_through_the_sums_they_share() -> None:
    """r1/c1 and r1/c2 share a row, r2/c2 and r1/c2 a column; r3/c3 shares neither with any of them."""
    hidden = mask(TABLE, ["r1/c1", "r1/c2", "r2/c2", "r3/c3"])
    part = dict(zip([TABLE.name(int(cell)) for cell in np.flatnonzero(hidden)], components(TABLE, hidden), strict=True))
    assert part["r1/c1"] == part["r1/c2"] == part["r2/c2"] != part["r3/c3"]
