"""A table whose audit fails is hidden further, and in the end it is for internal use: nothing stops a season."""

from __future__ import annotations

import numpy as np
import pytest

from cropmap.disclosure.audit import recoverable
from cropmap.disclosure.tables import Mask
from cropmap.errors import DisclosureError
from cropmap.legends import Legend
from cropmap.schemas import Internal
from cropmap.statistics.hiding import Attack, Hiding, hide
from tests.studies.disclosure_tables import RandomTable, random_table
from tests.studies.small_seasons import KINDS, LEGEND, outcomes


@pytest.fixture
def table() -> RandomTable:
    return random_table(3, crops=(1, 3, 6), regions=(1, 3), holdings=30)


def _outsider(table: RandomTable) -> Attack:
    def attack(hidden: Mask) -> set[str]:
        follows = recoverable(table.structure, np.where(hidden, np.nan, table.figure.values))
        return {table.structure.name(cell) for cell in follows}

    return attack


def _hide(table: RandomTable, attack: Attack) -> Hiding:
    return hide(table.structure, [table.figure], table.needed, table.rules, earlier=None, attack=attack)


def test_what_passes_at_once_is_not_widened(table: RandomTable) -> None:
    found = _hide(table, _outsider(table))
    assert (found.internal, found.report.widened) == ((), ())
    assert 0 < found.hidden.sum() < len(found.hidden)


@pytest.mark.slow
def test_an_outsider_who_knows_more_makes_it_hide_more(table: RandomTable) -> None:
    """This one knows one open crop of each region besides: hidden neighbours follow until more is hidden."""
    first = _hide(table, _outsider(table)).hidden
    known = np.flatnonzero(first)[::5]

    def attack(hidden: Mask) -> set[str]:
        learnt = np.isin(np.arange(table.structure.cells), known)
        follows = recoverable(table.structure, np.where(hidden & ~learnt, np.nan, table.figure.values))
        return {table.structure.name(cell) for cell in follows}

    assert attack(first)
    found = _hide(table, attack)
    assert found.internal == ()
    assert not attack(found.hidden)
    assert found.report.widened
    assert (found.hidden | ~first).all()
    assert found.hidden.sum() > first.sum()


@pytest.mark.slow
def test_a_crop_is_hidden_whole_where_nothing_less_helps(table: RandomTable) -> None:
    crops = len(table.structure.crops.codes)
    by_crop = np.arange(table.structure.cells) % crops
    first = _hide(table, _outsider(table)).hidden
    wanted = int(by_crop[np.flatnonzero(first)[0]])
    whole = (by_crop == wanted) & (table.figure.values > 0)

    def attack(hidden: Mask) -> set[str]:
        return set() if hidden[whole].all() else {table.structure.name(np.flatnonzero(hidden & whole)[0])}

    found = _hide(table, attack)
    assert found.internal == ()
    assert found.hidden[whole].all()


@pytest.mark.parametrize("solved", [True, False])
@pytest.mark.slow
def test_a_table_that_nothing_helps_is_for_internal_use(table: RandomTable, solved: bool) -> None:
    def attack(hidden: Mask) -> set[str]:
        if not solved:
            raise DisclosureError("the linear programme was not solved", where="C2_01/R1_00")
        return {table.structure.name(np.flatnonzero(hidden)[0])}

    found = _hide(table, attack)
    assert found.internal == (Internal.AUDIT_REFUSED,)
    assert found.report.widened[-1] == ("attack" if solved else "not solved")
    assert (found.hidden == _hide(table, _outsider(table)).hidden).all()


@pytest.mark.parametrize("seed", range(len(KINDS), 2 * len(KINDS)))
@pytest.mark.slow
def test_no_small_season_stops_or_gives_a_holding_away(seed: int) -> None:
    """`python -m tests.studies disclosure --part seasons` takes 500."""
    for found in outcomes(seed, Legend.read(LEGEND)):
        assert found.stopped == ""
        assert found.unsafe == ()
        assert Internal.AUDIT_REFUSED not in found.internal
        assert (Internal.HOLDINGS_UNKNOWN in found.internal) == (found.kind == "all holdings missing")
