"""The bench of secondary suppression counts what it says it counts."""

import numpy as np

from cropmap.bench.disclosure import measure, revised
from cropmap.bench.disclosure_tables import optimum, random_table
from cropmap.disclosure.audit import feasible_intervals


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
