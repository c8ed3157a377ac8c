"""What secondary suppression promises, counted on random tables, and what it costs.

Parts: `tables` (130 cells each: hidden cells, and the four ways in which a pattern could fail), `optimum` (weight of
the hidden cells beside the exact optimum, on small tables), `releases` (a second release of the season's three
figures, revised, attacked together with the first; beside it one that knows nothing of the first), `seasons` (small
random seasons through the whole estimate: none may stop, none may leave an unsafe table), `large` (60 crop
items in 4 levels x 51 regions, 3,060 cells, in processor seconds of one thread), `huge` (80 x 143 regions, 11,440
cells, with the three figures of a season).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cropmap.disclosure import Contributions, Earlier, Figure, Pattern, check, protect
from cropmap.disclosure.audit import recoverable_from_both
from cropmap.disclosure.tables import Floats
from cropmap.errors import DisclosureError
from cropmap.progress import track
from tests.studies.disclosure_optimum import optimum
from tests.studies.disclosure_tables import RandomTable, random_table
from tests.studies.small_seasons import measure_seasons

PARTS: Final = ("tables", "optimum", "releases", "seasons", "large", "huge")
COUNTS: Final = {"tables": 200, "optimum": 20, "releases": 100, "seasons": 500, "large": 1, "huge": 1}
QUICK: Final = {"tables": 2, "optimum": 1, "releases": 1, "seasons": 4, "large": 0, "huge": 0}
REVISION: Final = 0.05
"""a holding's areas move by up to this share between two releases"""
LARGE_CROPS: Final = (1, 4, 15, 40)
LARGE_REGIONS: Final = (1, 2, 8, 40)
LARGE_HOLDINGS: Final = 130
HUGE_CROPS: Final = (1, 5, 20, 54)
HUGE_REGIONS: Final = (1, 14, 27, 101)
"""as many NUTS regions as France has"""
HUGE_HOLDINGS: Final = 2_000
HUGE_RAREST: Final = 1e-3
UNDECLARED: Final = 0.08
"""of the holdings"""
MAPPED_SPREAD: Final = 0.2
"""by up to which share a holding's mapped areas differ from its true ones"""


def measure(parts: Sequence[str] = PARTS, *, quick: bool = False, first_seed: int = 0) -> list[dict[str, Any]]:
    """One row per part; tables of the seeds from `first_seed` on."""
    counts = QUICK if quick else COUNTS
    how = {
        "tables": _tables,
        "optimum": _optimum,
        "releases": _releases,
        "seasons": measure_seasons,
        "large": _large,
        "huge": _huge,
    }
    return [{"part": part} | how[part](range(first_seed, first_seed + counts[part])) for part in parts if counts[part]]


def _protected(table: RandomTable, figures: Sequence[Figure] = (), **changes: Any) -> Pattern:
    return protect(
        table.structure, figures or [table.figure], table.needed, table.rules, never_hidden=[table.total], **changes
    )


def _tables(seeds: range) -> dict[str, Any]:
    found, primary, hidden, refused = dict.fromkeys(("recoverable", "narrow", "unsafe_lines", "exposed"), 0), [], [], 0
    cells, started = 0, time.process_time()
    for seed in track(seeds, "tables", total=len(seeds), unit="tables"):
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
    seconds = (time.process_time() - started) / len(seeds)
    return {
        "tables": len(seeds),
        "cells": cells,
        "primary": round(float(np.mean(primary)), 1),
        "hidden": round(float(np.mean(hidden)), 1),
        "refused": refused,
        **found,
        "cpu_s_per_table": round(seconds, 2),
    }


def _optimum(seeds: range) -> dict[str, Any]:
    """Beside the classical optimum, and beside the one that keeps all rules of ours."""
    classical, ours, proven, cells = [], [], 0, 0
    for seed in track(seeds, "optimum", total=len(seeds), unit="tables"):
        table = random_table(seed, crops=(1, 2, 5), regions=(1, 2, 4), holdings=40)
        if not table.primary.mask.any():
            continue
        weight = table.weight[_protected(table).hidden].sum()
        (free, first), (bound, second) = optimum(table), optimum(table, all_rules=True)
        classical.append(float(weight / table.weight[free].sum()))
        ours.append(float(weight / table.weight[bound].sum()))
        proven += first and second
        cells = table.structure.cells
    return {
        "tables": len(ours),
        "cells": cells,
        "weight_over_optimum": round(float(np.mean(classical)), 3),
        "largest": round(max(classical), 3),
        "over_optimum_with_all_rules": round(float(np.mean(ours)), 3),
        "largest_with_all_rules": round(max(ours), 3),
        "proven": proven,
    }


def _releases(seeds: range) -> dict[str, Any]:
    """With the three figures of a season under one pattern."""
    kept, alone, weakened, to_one, refused, cells = 0, 0, 0, 0, 0, 0
    for seed in track(seeds, "releases", total=len(seeds), unit="pairs"):
        table = random_table(seed)
        first, second = (_figures(one, seed) for one in (table, revised(table, seed)))
        one = _protected(table, first)
        try:
            two = _protected(table, second, earlier=Earlier(one.hidden, ~one.hidden))
        except DisclosureError:
            refused += 1
            continue
        free = _protected(table, second)
        kept += _both(table, first, second, one, two) > 0
        alone += _both(table, first, second, one, free) > 0
        weakened += int(two.weakened.sum())
        to_one += int(two.known_to_one.sum())
        cells += int(two.primary.sum())
    return {
        "pairs": len(seeds),
        "figures": len(first),
        "recoverable": kept,
        "recoverable_if_forgotten": alone,
        "primary": cells,
        "weakened": weakened,
        "known_to_one": to_one,
        "refused": refused,
    }


def _both(table: RandomTable, first: Sequence[Figure], second: Sequence[Figure], one: Pattern, two: Pattern) -> int:
    """Sensitive cells of both releases of which a figure follows from the two together."""
    found = np.zeros(table.structure.cells, dtype=bool)
    for before, now in zip(first, second, strict=True):
        shown = (np.where(two.hidden, np.nan, now.values), np.where(one.hidden, np.nan, before.values))
        found[recoverable_from_both(table.structure, *shown)] = True
    return int((one.primary & two.primary & found).sum())


def revised(table: RandomTable, seed: int) -> RandomTable:
    """The same holdings a few weeks later."""
    parts = table.figure.contributions
    lift = np.random.default_rng(seed).uniform(1 - REVISION, 1 + REVISION, int(parts.holding.max()) + 1)
    moved = Contributions(parts.cell, parts.holding, parts.area * lift[parts.holding])
    return _with(table, np.bincount(moved.cell, moved.area, minlength=table.structure.cells).astype(float), moved)


def _with(table: RandomTable, values: Floats, parts: Contributions) -> RandomTable:
    figure = Figure(table.figure.name, values, parts)
    return RandomTable(table.structure, figure, table.needed, table.total, table.rules)


def _large(seeds: range) -> dict[str, Any]:
    table = random_table(seeds[0], crops=LARGE_CROPS, regions=LARGE_REGIONS, holdings=LARGE_HOLDINGS)
    return _timed(table, [table.figure])


def _huge(seeds: range) -> dict[str, Any]:
    table = random_table(
        seeds[0], crops=HUGE_CROPS, regions=HUGE_REGIONS, holdings=HUGE_HOLDINGS, needed_lowest=10, rarest=HUGE_RAREST
    )
    return _timed(table, _figures(table, seeds[0]))


def _figures(table: RandomTable, seed: int) -> list[Figure]:
    """The three figures of a season."""
    return [table.figure, *_other_columns(table, seed)]


def _other_columns(table: RandomTable, seed: int) -> list[Figure]:
    """Declared areas, which some holdings lack, and mapped ones, which are not quite the true ones."""
    parts, rng = table.figure.contributions, np.random.default_rng(seed)
    holdings = int(parts.holding.max()) + 1
    declares = (rng.random(holdings) >= UNDECLARED).astype(float)
    mapped = rng.uniform(1 - MAPPED_SPREAD, 1 + MAPPED_SPREAD, holdings)
    figures = []
    for name, lift in (("declared_ha", declares), ("mapped_ha", mapped)):
        moved = Contributions.of(parts.cell, parts.holding, parts.area * lift[parts.holding])
        values = np.bincount(moved.cell, moved.area, minlength=table.structure.cells).astype(float)
        figures.append(Figure(name, values, moved))
    return figures


def _timed(table: RandomTable, figures: Sequence[Figure]) -> dict[str, Any]:
    """Processor seconds, and the peak memory of the process up to here."""
    started = time.process_time()
    pattern = protect(
        table.structure,
        figures,
        table.needed,
        table.rules,
        never_hidden=[table.total],
        track=lambda cells, total: track(cells, "suppress", total=total, unit="cells"),
    )
    protected = time.process_time()
    checked = check(
        table.structure,
        figures,
        pattern,
        table.needed,
        table.rules,
        track=lambda cells, total: track(cells, "audit", total=total, unit="cells"),
    )
    audited = time.process_time()
    return {
        "cells": table.structure.cells,
        "figures": len(figures),
        "primary": int(pattern.primary.sum()),
        "hidden": int(pattern.hidden.sum()),
        **checked.counts(),
        "cpu_s_suppression": round(protected - started, 1),
        "cpu_s_audit": round(audited - protected, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
