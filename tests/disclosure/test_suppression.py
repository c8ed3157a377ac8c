"""Whole patterns: random tables, several figures, releases, and what cannot be protected."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropmap.disclosure import Axis, Earlier, Figure, Rules, Structure, check, protect
from cropmap.disclosure.audit import feasible_intervals, recoverable, recoverable_from_both
from cropmap.disclosure.protection import Protector
from cropmap.disclosure.scopes import Scopes
from cropmap.errors import DisclosureError
from tests.disclosure.tables import RULES, figure_of, margins, mask, protected, published
from tests.studies.disclosure_optimum import optimum
from tests.studies.disclosure_tables import RandomTable, random_table


def small_table(seed: int) -> RandomTable:
    return random_table(seed, crops=(1, 2, 5), regions=(1, 2, 4), holdings=30)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.slow
def test_random_tables_are_safe_in_every_way(seed: int) -> None:
    table = random_table(seed)
    pattern = protected(table)
    assert pattern.primary.sum() > 0
    assert pattern.secondary.sum() > 0
    assert check(table.structure, [table.figure], pattern, table.needed, table.rules).counts() == {
        "recoverable": 0,
        "narrow": 0,
        "unsafe_lines": 0,
        "exposed": 0,
    }
    assert not pattern.hidden[table.total]
    assert not pattern.hidden[table.figure.values == 0].any()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(100, 10_000),
    needed=st.integers(2, 6),
    holdings=st.integers(3, 60),
    share=st.sampled_from([0.6, 0.85]),
    p=st.sampled_from([None, 10.0]),
)
@pytest.mark.slow
def test_any_rule_on_any_table_is_safe_or_refused_by_name(
    seed: int, needed: int, holdings: int, share: float, p: float | None
) -> None:
    table = random_table(seed, crops=(1, 2, 5), regions=(1, 2, 4), holdings=holdings, needed=needed)
    rules = Rules((2, share), p)
    try:
        pattern = protect(table.structure, [table.figure], table.needed, rules)
    except DisclosureError as error:
        pytest.fail(f"a table without open cells can always be protected: {error}")
    assert check(table.structure, [table.figure], pattern, table.needed, rules).safe


@pytest.mark.slow
def test_primary_cells_alone_are_recovered() -> None:
    """The check fails where it should: the same tables without secondary suppression."""
    table = random_table(1)
    pattern = protected(table)
    bare = published(table.figure.values, pattern.primary)
    found = recoverable(table.structure, bare)
    assert len(found)
    low, high = feasible_intervals(table.structure, bare, found)
    assert low[found] == pytest.approx(table.figure.values[found], abs=1e-4)
    assert high[found] == pytest.approx(table.figure.values[found], abs=1e-4)


@pytest.mark.slow
def test_taking_a_secondary_cell_back_is_noticed() -> None:
    table = small_table(2)
    pattern = protected(table)
    caught = 0
    for cell in np.flatnonzero(pattern.secondary):
        less = pattern.hidden.copy()
        less[cell] = False
        weaker = replace(pattern, hidden=less)
        caught += not check(table.structure, [table.figure], weaker, table.needed, table.rules).safe
    assert caught > 0.5 * pattern.secondary.sum()


@pytest.mark.slow
def test_the_same_table_gives_the_same_pattern() -> None:
    first, second = (protected(random_table(3)).hidden for _ in range(2))
    assert (first == second).all()


def test_weight_is_near_the_optimum() -> None:
    ratios = []
    for seed in range(2):
        table = random_table(seed, crops=(1, 2, 4), regions=(1, 3), holdings=25)
        best, proven = optimum(table)
        assert proven
        ratios.append(table.weight[protected(table).hidden].sum() / table.weight[best].sum())
    assert np.mean(ratios) <= 1.3


def _revised(table: RandomTable, seed: int) -> RandomTable:
    """A second release: every contribution moves by up to 5 %."""
    parts = table.figure.contributions
    lift = np.random.default_rng(seed).uniform(0.95, 1.05, int(parts.holding.max()) + 1)
    moved = type(parts)(parts.cell, parts.holding, parts.area * lift[parts.holding])
    values = np.bincount(moved.cell, moved.area, minlength=table.structure.cells).astype(float)
    return RandomTable(table.structure, Figure("area_ha", values, moved), table.needed, table.total, table.rules)


@pytest.mark.parametrize("seed", [0, 1, 17, 99])
@pytest.mark.slow
def test_a_second_release_keeps_what_the_first_hid(seed: int) -> None:
    first, second = random_table(seed), _revised(random_table(seed), seed)
    one = protected(first)
    earlier = Earlier(one.hidden, ~one.hidden)
    two = protected(second, earlier=earlier)
    known = two.already_published
    assert (two.hidden | ~one.hidden).all()
    before = published(first.figure.values, one.hidden)
    now = published(second.figure.values, two.hidden)
    assert not np.setdiff1d(recoverable_from_both(first.structure, now, before), np.flatnonzero(known)).size
    same = published(first.figure.values, two.hidden & ~known)
    assert not len(recoverable_from_both(first.structure, same, before))


def test_a_cell_that_was_shown_before_is_left_to_a_person() -> None:
    table = random_table(4)
    free = protected(table)
    cell = int(np.flatnonzero(free.primary)[0])
    shown = np.zeros_like(free.hidden)
    shown[cell] = True
    nothing = np.zeros_like(shown)
    pattern = protected(table, earlier=Earlier(nothing, shown))
    assert np.flatnonzero(pattern.already_published).tolist() == [cell]
    assert pattern.hidden[cell]
    assert pattern.secondary.sum() > 0


def _of_two_releases(areas: dict[str, list[float]]) -> tuple[Structure, Figure, Earlier]:
    """2 x 3 cells of 20 holdings each, but for `areas`; the first release showed all but the first two columns."""
    structure, _ = margins([[1, 2, 3], [3, 4, 5]])
    cells = {f"{row}/{column}": [1.0] * 20 for row in ("r1", "r2") for column in ("c1", "c2", "c3")}
    before = mask(structure, ["r1/c1", "r1/c2", "r2/c1", "r2/c2"])
    return structure, figure_of(structure, cells | areas), Earlier(before, ~before)


def test_a_cell_that_is_not_sensitive_takes_the_room_that_is_left() -> None:
    """r1/c1 can fall by no more than the 0.01 ha of r2/c2, which is little of 100 ha; nobody's figure is at risk."""
    structure, figure, earlier = _of_two_releases({"r1/c1": [5.0] * 20, "r2/c2": [0.0005] * 20})
    needed = np.full(structure.cells, 4)
    pattern = protect(structure, [figure], needed, RULES, earlier=earlier)
    assert (pattern.hidden == earlier.hidden).all()
    assert not pattern.primary.any()
    assert check(structure, [figure], pattern, needed, RULES).safe


def test_what_the_first_release_lets_one_holding_compute_is_listed() -> None:
    """Whoever makes up r2/c2 alone computes the three others. r1/c1 has two holdings now, and nothing that was shown
    can be hidden again."""
    structure, figure, earlier = _of_two_releases({"r1/c1": [3.0, 2.0], "r2/c2": [4.0]})
    needed = np.full(structure.cells, 4)
    pattern = protect(structure, [figure], needed, RULES, earlier=earlier)
    assert [structure.name(cell) for cell in np.flatnonzero(pattern.known_to_one).tolist()] == ["r1/c1"]
    assert (pattern.hidden == earlier.hidden).all()
    assert not pattern.weakened.any()
    assert check(structure, [figure], pattern, needed, RULES).safe
    assert not check(
        structure, [figure], replace(pattern, known_to_one=np.zeros_like(pattern.hidden)), needed, RULES
    ).safe
    alone = protect(structure, [figure], needed, RULES)
    assert not alone.known_to_one.any()
    assert alone.hidden.sum() > pattern.hidden.sum()


def test_one_side_is_room_enough_for_a_cell_that_is_hidden_for_others() -> None:
    """r1/c1 cannot fall any more: that would take area from r2/c2, which has none since. r1/c1 has 20 holdings."""
    structure, figure, earlier = _of_two_releases({"r1/c1": [0.25] * 20, "r2/c2": []})
    needed = np.full(structure.cells, 4)
    pattern = protect(structure, [figure], needed, RULES, earlier=earlier)
    cell = mask(structure, ["r1/c1"])
    assert (pattern.hidden == earlier.hidden).all()
    assert not pattern.primary.any()
    shown = published(figure.values, pattern.hidden)
    low, high = feasible_intervals(structure, shown, cells=np.flatnonzero(cell))
    assert (low[cell][0], high[cell][0]) == pytest.approx((5.0, 25.0))
    assert check(structure, [figure], pattern, needed, RULES).safe


def test_a_sensitive_cell_that_can_only_rise_since_is_refused() -> None:
    """The same, and r1/c1 has one holding: whoever reads the table would know that it has no less."""
    structure, figure, earlier = _of_two_releases({"r1/c1": [5.0], "r2/c2": []})
    with pytest.raises(DisclosureError, match="r1/c1"):
        protect(structure, [figure], np.full(structure.cells, 4), RULES, earlier=earlier)


def test_a_zero_that_was_hidden_before_stays_hidden() -> None:
    structure, _ = margins([[1, 2, 3], [3, 4, 5]])
    areas = {f"{row}/{column}": [1.0] * 20 for row in ("r1", "r2") for column in ("c1", "c2", "c3")}
    del areas["r1/c1"]
    figure, needed = figure_of(structure, areas), np.full(structure.cells, 4)
    before = mask(structure, ["r1/c1", "r1/c2", "r2/c1", "r2/c2"])
    pattern = protect(structure, [figure], needed, RULES, earlier=Earlier(before, np.zeros_like(before)))
    assert (pattern.hidden | ~before).all()
    assert not pattern.primary.any()
    assert check(structure, [figure], pattern, needed, RULES).safe
    assert not protect(structure, [figure], needed, RULES).hidden.any()


def test_earlier_cells_are_found_by_name() -> None:
    structure, _ = margins([[1, 2], [3, 4]])
    earlier = Earlier.of(structure, {("r1", "c1"): True, ("T", "c2"): False, ("gone", "c1"): True})
    assert [structure.name(cell) for cell in np.flatnonzero(earlier.hidden).tolist()] == ["r1/c1"]
    assert [structure.name(cell) for cell in np.flatnonzero(earlier.published).tolist()] == ["T/c2"]


@pytest.mark.slow
def test_two_figures_have_one_mask_and_each_is_safe() -> None:
    """The second figure knows fewer holdings, and zeros where the first has areas."""
    table = random_table(5)
    parts = table.figure.contributions
    some = parts.holding % 3 > 0
    fewer = type(parts)(parts.cell[some], parts.holding[some], parts.area[some])
    values = np.bincount(fewer.cell, fewer.area, minlength=table.structure.cells).astype(float)
    figures = [table.figure, Figure("declared_ha", values, fewer)]
    pattern = protect(table.structure, figures, table.needed, table.rules, never_hidden=[table.total])
    assert check(table.structure, figures, pattern, table.needed, table.rules).safe
    alone = protected(table)
    assert (pattern.primary | ~alone.primary).all()
    assert pattern.primary.sum() > alone.primary.sum()


def test_a_region_with_one_part_is_hidden_with_it() -> None:
    structure = Structure(
        Axis.tree({"T": None, "a": "T", "b": "T", "c": "T"}),
        Axis.tree({"N": None, "N1": "N", "N11": "N1", "N2": "N", "N21": "N2", "N22": "N2", "N3": "N", "N31": "N3"}),
    )
    many = [5.0] * 12
    areas = {f"{crop}/{region}": list(many) for crop in "abc" for region in ("N11", "N21", "N22", "N31")}
    areas["a/N11"] = [3.0, 2.0]
    figure = figure_of(structure, areas)
    needed = np.where([name[2:] in ("N", "N1", "N2", "N3") for name in structure.names], 4, 10)
    pattern = protect(structure, [figure], needed, RULES)
    assert pattern.hidden[structure.cell("a", "N11")]
    assert pattern.hidden[structure.cell("a", "N1")]
    assert check(structure, [figure], pattern, needed, RULES).safe


@pytest.mark.slow
def test_parts_of_a_large_table_protect_it_as_the_whole_does() -> None:
    table = random_table(6, crops=(1, 2, 5), regions=(1, 3, 9), holdings=40)
    asked = protected(table).protection["area_ha"]
    open_ = (table.figure.values == 0) | (np.arange(table.structure.cells) == table.total)
    scopes = Scopes(table.structure, smallest=10)
    cells = np.flatnonzero(asked.mask)
    parts = Protector(table.structure, table.figure.values, table.weight, open_, scopes)
    hidden = parts.protect(asked.mask, cells, asked.upper, asked.lower)
    low, high = feasible_intervals(table.structure, published(table.figure.values, hidden), cells)
    x = table.figure.values[cells]
    assert (low[cells] <= x - asked.lower[cells] + 1e-5).all()
    assert (high[cells] >= x + asked.upper[cells] - 1e-5).all()
    leaf = table.structure.cells - 1
    assert [int(part.sum()) for part in scopes.around(leaf)] == [3 * 8]


def test_a_cell_that_only_open_cells_could_protect_is_named() -> None:
    structure, values = margins([[12, 30], [7, 18]])
    areas = {name: [float(x)] for name, x in zip(structure.names, values, strict=True) if "T" not in name.split("/")}
    areas |= {"r1/c2": [3.0] * 10, "r2/c1": [0.7] * 10, "r2/c2": [1.8] * 10}
    figure = figure_of(structure, areas)
    rest = [structure.cell("r2", "c1"), structure.cell("r2", "T"), structure.cell("T", "c1"), structure.cell("T", "T")]
    with pytest.raises(DisclosureError, match=r"r1/c1: cannot be hidden .* Hide it by hand"):
        protect(structure, [figure], np.full(structure.cells, 4), RULES, never_hidden=rest)
    alone = [structure.cell("r1", "c1")]
    with pytest.raises(DisclosureError, match=r"r1/c1: is confidential itself \(threshold\)"):
        protect(structure, [figure], np.full(structure.cells, 4), RULES, never_hidden=alone)


def test_figures_that_do_not_add_up_are_no_proof_of_safety() -> None:
    structure, values = margins([[12, 30, 25], [7, 18, 40], [22, 16, 35]])
    values[structure.cell("T", "c1")] = 1
    hidden = mask(structure, ["r1/c1", "r1/c2", "r2/c1", "r2/c2"])
    with pytest.raises(DisclosureError, match="no areas agree with all published figures"):
        feasible_intervals(structure, published(values, hidden))


def test_a_cell_of_no_hidden_sum_has_no_upper_end() -> None:
    structure = Structure(Axis.tree({"a": None, "b": None}), Axis.tree({"N": None, "N1": "N"}))
    values = np.array([5.0, 7.0, 5.0, 7.0])
    low, high = feasible_intervals(structure, published(values, mask(structure, ["a/N", "a/N1"])))
    assert low.tolist()[::2] == [0, 0]
    assert high.tolist()[::2] == [np.inf, np.inf]
    assert not len(recoverable(structure, published(values, mask(structure, ["a/N", "a/N1"]))))
    assert recoverable(structure, published(values, mask(structure, ["a/N"]))).tolist() == [0]


def test_nothing_to_hide_hides_nothing() -> None:
    structure, _ = margins([[1, 2], [3, 4]])
    figure = figure_of(structure, {f"{row}/{column}": [1.0] * 20 for row in ("r1", "r2") for column in ("c1", "c2")})
    pattern = protect(structure, [figure], np.full(structure.cells, 4), RULES)
    assert not pattern.hidden.any()
    assert check(structure, [figure], pattern, np.full(structure.cells, 4), RULES).safe


@pytest.mark.slow
def test_a_figure_that_nobody_contributes_to_gives_nothing_away() -> None:
    """A season without a model maps nothing: its zeros follow from the zero of the whole, and tell of nobody."""
    table = small_table(3)
    none = np.empty(0, np.int32)
    nobody = type(table.figure.contributions)(none, none, np.empty(0))
    nothing = Figure("mapped_ha", np.zeros(table.structure.cells), nobody)
    pattern = protect(table.structure, [table.figure, nothing], table.needed, table.rules)
    assert pattern.primary.any()
    assert (pattern.hidden == protect(table.structure, [table.figure], table.needed, table.rules).hidden).all()
    assert check(table.structure, [table.figure, nothing], pattern, table.needed, table.rules).safe
    shown = published(nothing.values, pattern.hidden)
    assert not len(recoverable(table.structure, shown))
    assert not len(recoverable_from_both(table.structure, shown, shown))


def test_what_a_sum_leaves_nothing_for_is_nobodys() -> None:
    """A crop that the model does not know is mapped nowhere: that its hidden figure is 0 says nothing of a holding."""
    crops = Axis.sums(["a", "b", "c", "d"], [("total", [0, 1, 2, 3])])
    structure = Structure(crops, Axis.tree({"R": None}))

    def found(*figures: float) -> list[str]:
        return [structure.name(cell) for cell in recoverable(structure, np.array(figures)).tolist()]

    assert found(94.76, 31.03, np.nan, np.nan, 94.76 + 31.03) == []
    assert found(94.76, 31.03, np.nan, np.nan, 94.76 + 31.03 + 5) == [], "two share it"
    assert found(94.76, 31.03, 0.0, np.nan, 94.76 + 31.03 + 5) == ["d/R"]
    assert found(94.76, 31.03, 0.0, np.nan, 94.76 + 31.03 + 0.01) == ["d/R"], "one are of a holding"


def test_what_several_sums_together_leave_nothing_for_is_nobodys() -> None:
    """Rows 1 and 2 take all that is left of columns 1 and 2, so their parts of column 3 are 0. No sum alone says so."""
    structure, values = margins([[1, 2, 0, 9], [2, 2, 0, 9], [9, 9, 5, 1], [9, 9, 2, 3]])
    blocks = {"12": "123", "34": "34"}
    names = [f"r{row}/c{column}" for rows, columns in blocks.items() for row in rows for column in columns]
    hidden = mask(structure, names)
    zeros = mask(structure, ["r1/c3", "r2/c3"])
    low, high = feasible_intervals(structure, published(values, hidden))
    assert np.allclose([low[zeros], high[zeros]], 0)
    assert (high - low > 1)[hidden & ~zeros].all()
    assert not len(recoverable(structure, published(values, hidden)))
    values[mask(structure, ["r1/c3", "T/c3", "r1/T", "T/T"])] += 0.01
    shown = published(values, hidden & ~mask(structure, ["r2/c3"]))
    assert [structure.name(cell) for cell in recoverable(structure, shown)] == ["r1/c3"], "one are of a holding"


@pytest.mark.slow
def test_a_second_release_needs_no_room_for_a_figure_that_nobody_contributes_to() -> None:
    """What is mapped nowhere cannot be moved under the zero that the first release shows, and need not be."""
    table = small_table(3)
    none = np.empty(0, np.int32)
    nobody = type(table.figure.contributions)(none, none, np.empty(0))
    figures = [table.figure, Figure("mapped_ha", np.zeros(table.structure.cells), nobody)]
    first = protect(table.structure, figures, table.needed, table.rules)
    assert first.secondary.any()
    second = protect(table.structure, figures, table.needed, table.rules, earlier=Earlier(first.hidden, ~first.hidden))
    assert (second.hidden == first.hidden).all()
    assert not second.weakened.any()
    assert check(table.structure, figures, second, table.needed, table.rules).safe
