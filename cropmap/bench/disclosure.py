"""What secondary suppression promises, counted on random tables, and what it costs.

Parts: `tables` (130 cells each: hidden cells, and the four ways in which a pattern could fail), `optimum` (weight of
the hidden cells beside the exact optimum, on small tables), `releases` (a second release of revised figures, attacked
together with the first; beside it a second release that knows nothing of the first), `large` (60 crop items in 4
levels x 51 regions, 3,060 cells, in processor seconds of one thread).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cropmap.bench.disclosure_optimum import optimum
from cropmap.bench.disclosure_tables import RandomTable, random_table
from cropmap.disclosure import Contributions, Earlier, Figure, Pattern, check, protect
from cropmap.disclosure.audit import recoverable_from_both
from cropmap.disclosure.tables import Floats
from cropmap.errors import DisclosureError
from cropmap.progress import track

PARTS: Final = ("tables", "optimum", "releases", "large")
COUNTS: Final = {"tables": 200, "optimum": 20, "releases": 100, "large": 1}
QUICK: Final = {"tables": 2, "optimum": 1, "releases": 1, "large": 0}
REVISION: Final = 0.05
"""a holding's areas move by up to this share between two releases"""
LARGE_CROPS: Final = (1, 4, 15, 40)
LARGE_REGIONS: Final = (1, 2, 8, 40)
LARGE_HOLDINGS: Final = 130


def measure(parts: Sequence[str] = PARTS, *, quick: bool = False) -> list[dict[str, Any]]:
    """One row per part."""
    counts = QUICK if quick else COUNTS
    how = {"tables": _tables, "optimum": _optimum, "releases": _releases, "large": _large}
    return [{"part": part} | how[part](counts[part]) for part in parts if counts[part]]


def _protected(table: RandomTable, **changes: Any) -> Pattern:
    return protect(
        table.structure, [table.figure], table.needed, table.rules, never_hidden=[table.total], **changes
    )  # fmt: skip


def _tables(count: int) -> dict[str, Any]:
    found, primary, hidden, refused = dict.fromkeys(("recoverable", "narrow", "unsafe_lines", "exposed"), 0), [], [], 0
    cells, started = 0, time.process_time()
    for seed in track(range(count), "tables", total=count, unit="tables"):
        table = random_table(seed)
        try:
            pattern = _protected(table)
        except DisclosureError:
            refused += 1
            continue
        counts = check(table.structure, [table.figure], pattern, table.needed, table.rules).counts()
        found = {name: found[name] + counts[name] for name in found}
        primary.append(int(pattern.primary.sum()))
        hidden.append(int(pattern.hidden.sum()))
        cells = table.structure.cells
    seconds = (time.process_time() - started) / count
    return {
        "tables": count, "cells": cells, "primary": round(float(np.mean(primary)), 1),
        "hidden": round(float(np.mean(hidden)), 1), "refused": refused, **found, "cpu_s_per_table": round(seconds, 2),
    }  # fmt: skip


def _optimum(count: int) -> dict[str, Any]:
    ratios, proven = [], 0
    cells = 0
    for seed in track(range(count), "optimum", total=count, unit="tables"):
        table = random_table(seed, crops=(1, 2, 5), regions=(1, 2, 4), holdings=40)
        best, optimal = optimum(table)
        proven += optimal
        ratios.append(float(table.weight[_protected(table).hidden].sum() / table.weight[best].sum()))
        cells = table.structure.cells
    return {
        "tables": count, "cells": cells, "weight_over_optimum": round(float(np.mean(ratios)), 3),
        "largest": round(max(ratios), 3), "proven": proven,
    }  # fmt: skip


def _releases(count: int) -> dict[str, Any]:
    kept, alone, weakened, refused, cells = 0, 0, 0, 0, 0
    for seed in track(range(count), "releases", total=count, unit="pairs"):
        first = random_table(seed)
        second = revised(first, seed)
        one = _protected(first)
        try:
            two = _protected(second, earlier=Earlier(one.hidden, ~one.hidden))
        except DisclosureError:
            refused += 1
            continue
        free = _protected(second)
        kept += _both(first, second, one, two) > 0
        alone += _both(first, second, one, free) > 0
        weakened += int(two.weakened.sum())
        cells += int(two.primary.sum())
    return {
        "pairs": count, "recoverable": kept, "recoverable_if_forgotten": alone, "primary": cells,
        "weakened": weakened, "refused": refused,
    }  # fmt: skip


def _both(first: RandomTable, second: RandomTable, one: Pattern, two: Pattern) -> int:
    """Sensitive cells of both releases that follow from the two together."""
    before = np.where(one.hidden, np.nan, first.figure.values)
    now = np.where(two.hidden, np.nan, second.figure.values)
    found = recoverable_from_both(second.structure, now, before)
    return int((one.primary & two.primary)[found].sum())


def revised(table: RandomTable, seed: int) -> RandomTable:
    """The same holdings a few weeks later."""
    parts = table.figure.contributions
    lift = np.random.default_rng(seed).uniform(1 - REVISION, 1 + REVISION, int(parts.holding.max()) + 1)
    moved = Contributions(parts.cell, parts.holding, parts.area * lift[parts.holding])
    return _with(table, np.bincount(moved.cell, moved.area, minlength=table.structure.cells).astype(float), moved)


def _with(table: RandomTable, values: Floats, parts: Contributions) -> RandomTable:
    figure = Figure(table.figure.name, values, parts)
    return RandomTable(table.structure, figure, table.needed, table.total, table.rules)


def _large(count: int) -> dict[str, Any]:
    assert count == 1
    table = random_table(0, crops=LARGE_CROPS, regions=LARGE_REGIONS, holdings=LARGE_HOLDINGS)
    started = time.process_time()
    pattern = _protected(table, track=lambda cells, total: track(cells, "suppress", total=total, unit="cells"))
    protected = time.process_time()
    checked = check(table.structure, [table.figure], pattern, table.needed, table.rules)
    audited = time.process_time()
    return {
        "cells": table.structure.cells, "primary": int(pattern.primary.sum()), "hidden": int(pattern.hidden.sum()),
        **checked.counts(), "cpu_s_suppression": round(protected - started, 1),
        "cpu_s_audit": round(audited - protected, 1),
    }  # fmt: skip
