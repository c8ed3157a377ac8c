"""What is hidden besides where a pattern does not hold: step by step, and never what is open to everyone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cropmap.disclosure import Axis, Contributions, Earlier, Figure, Pattern, Rules, Structure
from cropmap.disclosure.widening import Step, bare, widened
from tests.disclosure.tables import mask

TABLE = Structure(
    Axis.tree({"all": None, "cereals": "all", "wheat": "cereals", "barley": "cereals", "maize": "all"}),
    Axis.tree({"X": None, "A": "X", "B": "X", "a": "A", "b": "A", "c": "B", "d": "B"}),
)
HA = {"wheat": 8.0, "barley": 2.0, "maize": 5.0}
CROPS = {"all": ("wheat", "barley", "maize"), "cereals": ("wheat", "barley")}
BELOW = {"X": "abcd", "A": "ab", "B": "cd"}


def figure(**empty: str) -> Figure:
    """HA of each crop in a, b, c and d, of five holdings each, none of a crop in the region that `empty` names."""
    values = np.zeros(TABLE.cells)
    for cell in range(TABLE.cells):
        crop, region = TABLE.name(cell).split("/")
        for inner in CROPS.get(crop, (crop,)):
            values[cell] += sum(HA[inner] for place in BELOW.get(region, region) if empty.get(inner) != place)
    places, holdings = np.repeat(np.arange(TABLE.cells), 5), np.tile(np.arange(5), TABLE.cells)
    return Figure("area_ha", values, Contributions.of(places, holdings, np.repeat(values / 5, 5)))


def pattern(hidden: list[str], *, known: list[str] | None = None, of: Figure | None = None) -> Pattern:
    nothing = bare(TABLE, [of or figure()], np.ones(TABLE.cells, dtype=np.intp), Rules(), earlier=None)
    return replace(nothing, hidden=mask(TABLE, hidden), known=mask(TABLE, known or []))


def hidden_by(step: Step, cell: str, before: Pattern, *, of: Figure | None = None) -> set[str]:
    """The cells that the step hides besides."""
    crop, region = cell.split("/")
    after = widened(TABLE, [of or figure()], before, [TABLE.cell(crop, region)], step)
    assert (after.hidden | ~before.hidden).all(), "nothing is shown again"
    return {name for name, one in zip(TABLE.names, after.hidden & ~before.hidden, strict=True) if one}


def test_of_every_sum_the_cheapest_open_neighbour() -> None:
    """wheat/a is part of cereals/a = wheat + barley, and of wheat/A = wheat/a + wheat/b: barley costs log(1 + 2) and
    the sum cereals more, wheat/b log(1 + 8) and the sum wheat/A twice log(1 + 16)."""
    assert hidden_by(Step.NEIGHBOURS, "wheat/a", pattern(["wheat/a"])) == {"barley/a", "wheat/b"}


def test_a_neighbour_that_is_hidden_already_leaves_the_next_one() -> None:
    before = pattern(["wheat/a", "barley/a"])
    assert hidden_by(Step.NEIGHBOURS, "wheat/a", before) == {"cereals/a", "wheat/b"}


def test_what_an_earlier_release_shows_is_not_hidden() -> None:
    before = pattern(["wheat/a"], known=["barley/a"])
    assert hidden_by(Step.NEIGHBOURS, "wheat/a", before) == {"cereals/a", "wheat/b"}
    before = pattern(["wheat/a"], known=["wheat/b"])
    assert "wheat/b" not in hidden_by(Step.EVERYTHING, "wheat/a", before)


def test_what_nobody_contributes_to_stays_open() -> None:
    """An empty cell hides nothing: everyone sees that nothing grows there."""
    none_in_b = figure(wheat="b")
    before = pattern(["wheat/a"], of=none_in_b)
    assert "wheat/b" not in hidden_by(Step.NEIGHBOURS, "wheat/a", before, of=none_in_b)
    assert "wheat/b" not in hidden_by(Step.EVERYTHING, "wheat/a", before, of=none_in_b)


@pytest.mark.parametrize(
    ("cell", "crops"),
    [
        ("wheat/a", ("wheat", "cereals", "all")),
        ("cereals/a", ("cereals", "all")),  # and not the crops that it is made of
        ("all/X", ("all",)),
    ],
)
def test_a_crop_goes_with_the_sums_that_hold_it_in_all_regions(cell: str, crops: tuple[str, ...]) -> None:
    expected = {f"{crop}/{region}" for crop in crops for region in TABLE.regions.codes} - {cell}
    assert hidden_by(Step.CROPS, cell, pattern([cell])) == expected


@pytest.mark.parametrize(
    ("cell", "regions"),
    [
        ("wheat/a", "aAX"),  # those above
        ("wheat/A", "abAX"),  # and those below
        ("wheat/X", "abcdABX"),
    ],
)
def test_a_region_goes_with_those_above_and_below_and_all_crops(cell: str, regions: str) -> None:
    expected = {f"{crop}/{region}" for crop in TABLE.crops.codes for region in regions} - {cell}
    assert hidden_by(Step.REGIONS, cell, pattern([cell])) == expected


def test_the_last_step_hides_everything() -> None:
    assert hidden_by(Step.EVERYTHING, "wheat/a", pattern(["wheat/a"])) == set(TABLE.names) - {"wheat/a"}


def test_a_bare_pattern_hides_what_is_sensitive_and_what_was_hidden() -> None:
    """Five holdings a cell: all are sensitive where six are asked for, none where five are."""
    earlier = Earlier(mask(TABLE, ["maize/c"]), mask(TABLE, ["wheat/a"]))
    needed = np.full(TABLE.cells, 5)
    needed[[TABLE.cell("wheat", "a"), TABLE.cell("barley", "d")]] = 6
    found = bare(TABLE, [figure()], needed, Rules(), earlier=earlier)
    chosen = {
        name: {cell for cell, one in zip(TABLE.names, values, strict=True) if one}
        for name, values in (("hidden", found.hidden), ("primary", found.primary), ("known", found.already_published))
    }
    assert chosen == {
        "hidden": {"wheat/a", "barley/d", "maize/c"},
        "primary": {"wheat/a", "barley/d"},
        "known": {"wheat/a"},
    }
    assert [found.reason[TABLE.cell(*name.split("/"))] for name in ("barley/d", "maize/c")] == ["threshold", None]
