"""What follows from everything that a role reads, joined: for each hidden figure the interval that is left.

In: facts (figures of cells, counts over all crops, words of hidden cells, shares of the quality file), the sums that
the codes of the table imply. Out: `Interval` per hidden cell and figure. Every figure is an unknown that is not
negative; every sum, total, word and share becomes a row of one linear programme. Nothing of `cropmap.disclosure` is
used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Cell = tuple[str, str]
"""(nuts_id, crop)"""

SURE: Final = ("estimate_ha", "declared_ha", "mapped_ha", "n_parcels")
"""figures that add up over regions and over crops, as everybody may read in the documentation"""
ADDITIVE: Final = (*SURE, "se_ha")
"""those that may: over regions or over crops, where every line that is wholly shown does, and there is one"""
REGISTER: Final = "register"
"""basis of a figure that is the declared one"""
ADDS_UP: Final = 1e-6
SAME: Final = 1e-9
"""a figure that two tables show alike"""
EXACT: Final = 1e-6
"""of the figure, and of 1 ha below 1 ha: a narrower interval gives it back"""
SLACK: Final = 1e-6
CEILING: Final = 1e6
"""above every area of these seasons: keeps programmes bounded, and nobody would call it knowledge"""
PROBES: Final = 4
CUT: Final = 1e-6


class ContradictionError(AssertionError):
    """What was read does not agree with itself: the attack is wrong, or the table is."""


@dataclass
class Edition:
    """What was read of one run."""

    cells: dict[Cell, dict[str, float]] = field(default_factory=dict)
    """figures of shown cells; empty for a hidden one"""
    words: dict[Cell, dict[str, str]] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    """figure -> its sum over all crops and regions"""
    shares: dict[str, tuple[float, float]] = field(default_factory=dict)
    """figure -> bounds of its share of the estimate, over all crops and regions"""


@dataclass(frozen=True)
class Need:
    """What a hidden figure must keep."""

    value: float
    lower: float = 0.0
    """ha below and above the figure that an outsider must hold possible; 0: it must not follow, and no more"""
    upper: float = 0.0

    @property
    def is_sensitive(self) -> bool:
        return self.lower > 0 or self.upper > 0

    def is_kept(self, low: float, high: float) -> bool:
        slack = SLACK * max(self.value, 1.0)
        if self.is_sensitive and (low > self.value - self.lower + slack or high < self.value + self.upper - slack):
            return False
        return not self.is_found(low, high)

    def is_found(self, low: float, high: float) -> bool:
        """Nothing that must be zero is found: it says that nobody contributes."""
        return high - low <= EXACT * max(low, 1.0) and high > SLACK

    def lost(self, low: float, high: float) -> float:
        """Share of the protection that is gone, 0 to 1."""
        kept = [1.0]
        if self.lower > 0:
            kept.append((self.value - low) / self.lower)
        if self.upper > 0:
            kept.append((high - self.value) / self.upper)
        gone = 1 - max(min(kept), 0.0)
        return 1.0 if self.is_found(low, high) else gone if gone > SLACK * 10 else 0.0


@dataclass(frozen=True)
class Interval:
    cell: Cell
    figure: str
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    regions: tuple[str, ...]
    crops: tuple[str, ...]
    sums: Mapping[str, Sequence[str]]
    """crops that are sums of others"""

    @classmethod
    def of(cls, cells: Iterable[Cell], sums: Mapping[str, Sequence[str]]) -> Table:
        named = set(cells)
        return cls(tuple(sorted({r for r, _ in named})), tuple(sorted({c for _, c in named})), sums)

    def place(self, cell: Cell) -> int:
        return self.regions.index(cell[0]) * len(self.crops) + self.crops.index(cell[1])

    @property
    def cells(self) -> list[Cell]:
        return [(region, crop) for region in self.regions for crop in self.crops]

    @property
    def parts(self) -> list[str]:
        """Crops that partition the area."""
        return [crop for crop in self.crops if crop not in self.sums]

    @property
    def tops(self) -> list[str]:
        return [region for region in self.regions if region[:-1] not in self.regions]

    @property
    def whole(self) -> list[Cell]:
        """Cells that make up everything."""
        return [(region, crop) for region in self.tops for crop in self.parts]

    def lines(self) -> tuple[sparse.csr_array, Mask]:
        """([lines, cells] parent - children, which of them are over regions)."""
        rows: list[dict[int, int]] = []
        over: list[bool] = []
        for parent in self.regions:
            children = [region for region in self.regions if region[:-1] == parent]
            for crop in self.crops if children else ():
                rows.append({self.place((parent, crop)): 1} | {self.place((child, crop)): -1 for child in children})
                over.append(True)
        for region in self.regions:
            for crop, members in self.sums.items():
                if crop in self.crops:
                    one = {self.place((region, crop)): 1} | {self.place((region, member)): -1 for member in members}
                    rows.append(one)
                    over.append(False)
        return _matrix(rows, len(self.cells)), np.array(over, dtype=bool)


def _matrix(rows: Sequence[Mapping[int, float]], width: int) -> sparse.csr_array:
    entries = [(number, column, value) for number, row in enumerate(rows) for column, value in row.items()]
    row, column, value = (np.array(part) for part in zip(*entries, strict=True)) if entries else ([], [], [])
    return sparse.csr_array((value, (row, column)), shape=(len(rows), width), dtype=float)


def shown(table: Table, edition: Edition, figure: str) -> Floats:
    """[cells] NaN where it is not shown."""
    return np.array([edition.cells.get(cell, {}).get(figure, np.nan) for cell in table.cells])


def whole_regions(edition: Edition) -> dict[str, float]:
    """Areas of whole regions, ha, that intervals give away: one that reaches less far up than down was cut there."""
    found: dict[str, float] = {}
    for (region, _), figures in edition.cells.items():
        low, value, high = (figures.get(name, np.nan) for name in ("ci95_low_ha", "estimate_ha", "ci95_high_ha"))
        if low > 0 and high - value < (value - low) * (1 - CUT):
            found[region] = high
    return found


@dataclass
class System:
    """Rows over the hidden figures: equal @ x = right, above @ x <= limit, x >= 0. `names` [variables]."""

    names: list[tuple[Cell, str]]
    equal: sparse.csr_array
    right: Floats
    above: sparse.csr_array
    limit: Floats

    @classmethod
    def of(cls, table: Table, edition: Edition, figures: Sequence[str] = ADDITIVE) -> System:
        build = _Builder(table, edition, figures)
        for figure in figures:
            build.sums(figure)
        build.words()
        build.totals()
        build.shares()
        return build.system()

    @property
    def parts(self) -> NDArray[np.int32]:
        """[variables] which of them hang together."""
        both = abs(sparse.vstack([self.equal, self.above]))
        return np.asarray(connected_components(both.T @ both, directed=False)[1])

    def consistent(self) -> System:
        """Without the parts that no figures satisfy: those of two tables between which figures were revised."""
        rows, width = self.equal.shape
        if not rows:
            return self
        eye = sparse.eye_array(rows)
        found = linprog(
            np.concatenate([np.zeros(width), np.ones(2 * rows)]),
            A_eq=sparse.hstack([self.equal, eye, -eye]),
            b_eq=self.right,
            bounds=(0, None),
            method="highs",
        )
        assert found.status == 0, found.message
        slack = found.x[width : width + rows] + found.x[width + rows :]
        parts = self.parts
        touched = abs(self.equal)
        bad = {part for row in np.flatnonzero(slack > ADDS_UP) for part in parts[touched[[row]].indices]}
        kept = np.array([part not in bad for part in parts], dtype=bool)
        good = np.array([touched[[row]].indices.size > 0 and kept[touched[[row]].indices[0]] for row in range(rows)])
        names = [name for name, keep in zip(self.names, kept, strict=True) if keep]
        none = sparse.csr_array((0, len(names)))
        return System(names, self.equal[good][:, kept], self.right[good], none, np.empty(0))

    def agrees(self, values: Mapping[tuple[Cell, str], float]) -> Mask:
        """[variables] whether the part of the variable is satisfied by these values."""
        x, parts = np.array([values[name] for name in self.names]), self.parts
        off = np.abs(self.equal @ x - self.right) > ADDS_UP * np.maximum(np.abs(self.right), 1)
        over = self.above @ x - self.limit > ADDS_UP * np.maximum(np.abs(self.limit), 1)
        bad = {
            part
            for matrix, rows in ((self.equal, off), (self.above, over))
            for row in np.flatnonzero(rows)
            for part in parts[matrix[[row]].indices]
        }
        return np.array([part not in bad for part in parts], dtype=bool)


class _Builder:
    def __init__(self, table: Table, edition: Edition, figures: Sequence[str]) -> None:
        self.table, self.edition, self.figures = table, edition, figures
        self.known = {figure: shown(table, edition, figure) for figure in figures}
        self.names = [
            (table.cells[place], figure) for figure in figures for place in np.flatnonzero(np.isnan(self.known[figure]))
        ]
        self.variable = {name: number for number, name in enumerate(self.names)}
        self.equals: list[tuple[dict[int, float], float]] = []
        self.aboves: list[tuple[dict[int, float], float]] = []

    def row(self, terms: Iterable[tuple[Cell, str, float]], right: float) -> tuple[dict[int, float], float]:
        """What is shown goes to the right."""
        out: dict[int, float] = {}
        for cell, figure, factor in terms:
            value = self.known[figure][self.table.place(cell)]
            if np.isnan(value):
                place = self.variable[cell, figure]
                out[place] = out.get(place, 0.0) + factor
            else:
                right -= factor * value
        return out, right

    def sums(self, figure: str) -> None:
        lines, over_regions = self.table.lines()
        values, cells = self.known[figure], self.table.cells
        whole = abs(lines) @ np.isnan(values) == 0
        size = abs(lines) @ np.nan_to_num(values)
        off = np.abs(lines @ np.nan_to_num(values)) > ADDS_UP * np.maximum(size, 1)
        parts = (lines < 0) @ (np.nan_to_num(values) > 0) > 1
        for family in (over_regions, ~over_regions):
            if figure not in SURE and ((off & whole & family).any() or not (parts & whole & family).any()):
                continue
            for number in np.flatnonzero(family & ~whole):
                line = lines[[number]]
                terms = [(cells[place], figure, factor) for place, factor in zip(line.indices, line.data, strict=True)]
                self.equals.append(self.row(terms, 0.0))

    def words(self) -> None:
        """A hidden cell whose basis is the register has the same estimated and declared area."""
        if not {"estimate_ha", "declared_ha"} <= set(self.figures):
            return
        for cell, words in self.edition.words.items():
            if words.get("basis") == REGISTER and (cell, "estimate_ha") in self.variable:
                self.equals.append(self.row([(cell, "estimate_ha", 1.0), (cell, "declared_ha", -1.0)], 0.0))

    def totals(self) -> None:
        given = whole_regions(self.edition) if "estimate_ha" in self.figures else {}
        for region, area in given.items():
            self.equals.append(self.row(self._all("estimate_ha", [region]), area))
        for figure, total in self.edition.totals.items():
            if figure in self.figures:
                self.equals.append(self.row(self._all(figure, self.table.tops), total))

    def shares(self) -> None:
        linked = {"estimate_ha", *self.edition.shares} <= set(self.figures)
        for figure, (low, high) in self.edition.shares.items() if linked else ():
            some, land = self._all(figure, self.table.tops), self._all("estimate_ha", self.table.tops)
            for sign, share in ((1.0, high), (-1.0, low)):
                scaled = [(cell, name, -sign * share * factor) for cell, name, factor in land]
                self.aboves.append(self.row([(c, n, sign * factor) for c, n, factor in some] + scaled, 0.0))

    def _all(self, figure: str, regions: Iterable[str]) -> list[tuple[Cell, str, float]]:
        return [((region, crop), figure, 1.0) for region in regions for crop in self.table.parts]

    def system(self) -> System:
        equals = [(row, right) for row, right in self.equals if row]
        aboves = [(row, right) for row, right in self.aboves if row]
        width = len(self.names)
        return System(
            self.names,
            _matrix([row for row, _ in equals], width),
            np.array([right for _, right in equals], dtype=float),
            _matrix([row for row, _ in aboves], width),
            np.array([right for _, right in aboves], dtype=float),
        )


def attack(
    system: System,
    needs: Mapping[tuple[Cell, str], Need],
    *,
    own: Mapping[tuple[Cell, str], tuple[float, float]] | None = None,
) -> list[Interval]:
    """For every variable with a need the interval that is left, as far as it had to be solved: a figure that two
    possible tables show to be far enough open needs no programme of its own. `own`: bounds that the attacker has."""
    names = system.names
    if not names:
        return []
    solver = _Solver(system, own or {})
    rng = np.random.default_rng(len(names))
    for sign in (1, -1) * (PROBES // 2):
        solver.solve(sign * rng.random(len(names)))
    need = [needs.get(name) for name in names]
    tried: set[tuple[int, int]] = set()
    while chosen := _pending(solver, need, tried):
        cost = np.zeros(len(names))
        for variable, sign in chosen:
            cost[variable] = sign
        solver.solve(cost)
        tried.update(chosen)
    return [
        Interval(*names[number], float(solver.low[number]), float(solver.high[number]))
        for number in range(len(names))
        if need[number] is not None
    ]


def _pending(solver: _Solver, needs: Sequence[Need | None], tried: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """One end of one open question per part: parts have nothing to do with each other."""
    chosen: dict[int, tuple[int, int]] = {}
    for variable, need in enumerate(needs):
        part = int(solver.parts[variable])
        if need is None or part in chosen or need.is_kept(solver.low[variable], solver.high[variable]):
            continue
        for sign in (1, -1):
            if (variable, sign) not in tried:
                chosen[part] = (variable, sign)
                break
    return list(chosen.values())


class _Solver:
    """Keeps the lowest and highest value of every variable over all tables found."""

    def __init__(self, system: System, own: Mapping[tuple[Cell, str], tuple[float, float]]) -> None:
        self.system, self.parts = system, system.parts
        self.low, self.high = np.full(len(system.names), np.inf), np.full(len(system.names), -np.inf)
        self._bounds = np.array([own.get(name, (0.0, CEILING)) for name in system.names])

    def solve(self, cost: Floats) -> None:
        system = self.system
        found = linprog(
            cost,
            A_eq=system.equal if system.equal.shape[0] else None,
            b_eq=system.right if system.equal.shape[0] else None,
            A_ub=system.above if system.above.shape[0] else None,
            b_ub=system.limit if system.above.shape[0] else None,
            bounds=self._bounds,
            method="highs",
        )
        if found.status != 0:
            raise ContradictionError(f"no figures agree with what was read: {found.message}")
        np.minimum(self.low, found.x, out=self.low)
        np.maximum(self.high, found.x, out=self.high)


def determined(system: System) -> list[tuple[Cell, str]]:
    """Variables that are the same in every solution of the sums, whatever the figures are: no column of theirs moves
    in the null space."""
    if not system.names:
        return []
    _, size, right = np.linalg.svd(system.equal.toarray(), full_matrices=True)
    rank = int((size > 1e-9 * max(float(size.max(initial=0)), 1.0)).sum())
    free = np.linalg.norm(right[rank:], axis=0)
    return [name for name, moves in zip(system.names, free, strict=True) if moves < 1e-8]
