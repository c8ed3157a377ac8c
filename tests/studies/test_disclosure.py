"""The bench of secondary suppression counts what it says it counts."""

import numpy as np

from cropmap.disclosure import protect
from cropmap.disclosure.audit import feasible_intervals, recoverable
from cropmap.disclosure.pooled import unsafe_lines
from cropmap.disclosure.singletons import exposures
from tests.studies.disclosure import measure, revised
from tests.studies.disclosure_optimum import optimum
from tests.studies.disclosure_tables import random_table


def test_quick_rows_have_no_failures_and_honest_sizes() -> None:
    tables, releases = measure(["tables", "releases"], quick=True)
    assert (tables["part"], tables["tables"], tables["cells"]) == ("tables", 2, 130)
    assert tables["hidden"] > tables["primary"] > 0
    assert [tables[name] for name in ("recoverable", "narrow", "unsafe_lines", "exposed", "refused")] == [0] * 5
    assert (releases["pairs"], releases["recoverable"], releases["refused"]) == (1, 0, 0)


def test_random_tables_add_up_and_revisions_keep_holdings() -> None:
    table = random_table(3, crops=(1, 2, 4), regions=(1, 3), holdings=20)
    again = revised(table, 1)
    for one in (table, again):
        assert np.abs(one.structure.lines @ one.figure.values).max() < 1e-9
    assert (again.figure.contributions.holding == table.figure.contributions.holding).all()
    change = again.figure.values / np.maximum(table.figure.values, 1e-9)
    assert 0 < np.abs(change[table.figure.values > 0] - 1).max() < 0.051


def test_the_optimum_protects_every_sensitive_cell() -> None:
    table = random_table(1, crops=(1, 2, 4), regions=(1, 3), holdings=25)
    hidden, proven = optimum(table)
    assert proven
    asked, x = table.primary, table.figure.values
    cells = np.flatnonzero(asked.mask)
    low, high = feasible_intervals(table.structure, np.where(hidden, np.nan, x), cells)
    assert len(cells)
    assert (low[cells] <= x[cells] - asked.lower[cells] + 1e-4).all()
    assert (high[cells] >= x[cells] + asked.upper[cells] - 1e-4).all()


def test_the_optimum_with_all_rules_breaks_none() -> None:
    """The classical optimum of this table has an unsafe line; the other one costs more, and ours no less than that."""
    table = random_table(6, crops=(1, 2, 5), regions=(1, 2, 4), holdings=40)
    parts, sensitive = table.figure.contributions, table.primary.mask
    (free, _), (bound, proven) = optimum(table), optimum(table, all_rules=True)
    assert proven
    assert len(unsafe_lines(table.structure, free, parts, table.needed, table.rules))
    assert not len(unsafe_lines(table.structure, bound, parts, table.needed, table.rules))
    assert not exposures(table.structure, bound, parts, sensitive)
    assert not len(recoverable(table.structure, np.where(bound, np.nan, table.figure.values)))
    ours = protect(table.structure, [table.figure], table.needed, table.rules, never_hidden=[table.total]).hidden
    weights = [table.weight[one].sum() for one in (free, bound, ours)]
    assert weights[0] < weights[1] <= 1.01 * weights[2]
