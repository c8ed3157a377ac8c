"""Random tables of crops x regions with contributing holdings, and the dearest peer: the exact optimum.

A holding lies in one region, grows a few crops, and has a log-normal size; shares of crops fall steeply, so that
tables have rare crops with few holdings and regions that one farm dominates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from cropmap.disclosure import Axis, Contributions, Figure, Rules, Structure
from cropmap.disclosure.primary import Primary, primary
from cropmap.disclosure.protection import weights
from cropmap.disclosure.tables import Floats, Integers, Mask
from cropmap.errors import DisclosureError

SIZE_SPREAD: Final = 1.1
"""standard deviation of the logarithm of a holding's area in a crop"""
LARGEST_FLOW: Final = 4.0
"""how far beyond its own figure the optimum may lift a secondary cell, times the table's largest protection"""


@dataclass(frozen=True)
class RandomTable:
    structure: Structure
    figure: Figure
    needed: Integers
    total: int
    """cell of the grand total, which stays open"""
    rules: Rules = field(default_factory=Rules)

    @property
    def primary(self) -> Primary:
        return primary(self.figure.contributions, self.figure.values, self.needed, self.rules)

    @property
    def weight(self) -> Floats:
        return weights(self.structure, self.figure.values)


def axis(prefix: str, shape: tuple[int, ...]) -> Axis:
    """A tree with `shape` nodes per level, children dealt as evenly as they go: axis("C", (1, 3, 9))."""
    parent: dict[str, str | None] = {}
    above: list[str] = []
    for level, width in enumerate(shape):
        names = [f"{prefix}{level}_{number:02d}" for number in range(width)]
        for number, name in enumerate(names):
            parent[name] = above[number * len(above) // width] if above else None
        above = names
    return Axis.tree(parent)


def random_table(
    seed: int,
    *,
    crops: tuple[int, ...] = (1, 3, 9),
    regions: tuple[int, ...] = (1, 3, 6),
    holdings: int = 90,
    needed: int = 4,
) -> RandomTable:
    """`holdings`: on average per region of the lowest level."""
    rng = np.random.default_rng(seed)
    structure = Structure(axis("C", crops), axis("R", regions))
    share = rng.permutation(np.geomspace(1, 0.03, crops[-1]))
    region = np.repeat(np.arange(regions[-1]), 2 + rng.poisson(holdings * rng.uniform(0.4, 1.6, regions[-1])))
    several = rng.poisson(1.8, len(region)) + 1
    holding = np.repeat(np.arange(len(region)), several)
    crop = rng.choice(crops[-1], size=len(holding), p=share / share.sum())
    area = np.round(rng.lognormal(1.5, SIZE_SPREAD, len(holding)), 2) + 0.01
    above_crop, above_region = ancestors(structure.crops), ancestors(structure.regions)
    crop_name, region_name = crop + sum(crops[:-1]), region[holding] + sum(regions[:-1])
    cell, row = [], []
    for one in range(len(crops)):
        for other in range(len(regions)):
            cell.append(above_region[region_name, other] * len(above_crop) + above_crop[crop_name, one])
            row.append(np.arange(len(holding)))
    cells, rows = np.concatenate(cell), np.concatenate(row)
    contributions = Contributions.of(cells, holding[rows], area[rows])
    values = np.bincount(contributions.cell, weights=contributions.area, minlength=structure.cells).astype(float)
    figure = Figure("area_ha", values, contributions)
    return RandomTable(structure, figure, np.full(structure.cells, needed), total=0)


def ancestors(tree: Axis) -> Integers:
    """[codes, levels]: every code's ancestor per level, itself among them; rows of inner nodes repeat themselves."""
    above = {child: parent for parent, children in tree.lines for child in children}
    paths = []
    for code in range(len(tree.codes)):
        path = [code]
        while path[-1] in above:
            path.append(above[path[-1]])
        paths.append(path)
    deepest = max(len(path) for path in paths)
    return np.array([path[::-1] + [path[0]] * (deepest - len(path)) for path in paths])


def optimum(table: RandomTable, *, seconds: float = np.inf) -> tuple[Mask, bool]:
    """(hidden, proven): the pattern of least weight that protects every sensitive cell (Fischetti & Salazar 2001, as
    one mixed-integer programme). Knows no pooled lines and no single contributors. Raises DisclosureError."""
    one, values, matrix = table.primary, table.figure.values, table.structure.matrix
    cells = np.flatnonzero((values > 0) & (np.arange(len(values)) != table.total))
    matrix = matrix[:, cells]
    matrix = matrix[np.diff(matrix.indptr) > 0]
    n = len(cells)
    asked = [
        (place, amount)
        for place, cell in enumerate(cells)
        if one.mask[cell]
        for amount in (one.upper[cell], -one.lower[cell])
        if amount
    ]
    bound = LARGEST_FLOW * one.upper.max()
    rows, lower, upper = [], [], []
    high = np.full((len(asked), n), bound)
    low = np.tile(-np.minimum(values[cells], bound), (len(asked), 1))
    for k, (place, amount) in enumerate(asked):
        low[k, place] = high[k, place] = amount
        high[k] = np.maximum(high[k], abs(amount))
    for k, (place, _) in enumerate(asked):
        before, after = k * n, (len(asked) - k - 1) * n
        flow = sparse.hstack([sparse.csr_array((n, n + before)), sparse.eye_array(n), sparse.csr_array((n, after))])
        hides = sparse.hstack([sparse.eye_array(n), sparse.csr_array((n, len(asked) * n))])
        balance = sparse.hstack(
            [
                sparse.csr_array((matrix.shape[0], n + before)), matrix, sparse.csr_array((matrix.shape[0], after)),
            ]
        )  # fmt: skip
        rows += [balance, flow - hides * high[k].max(), flow + hides.multiply(np.maximum(-low[k], 0)[:, None])]
        lower += [np.zeros(matrix.shape[0]), np.full(n, -np.inf), np.zeros(n)]
        upper += [np.zeros(matrix.shape[0]), np.zeros(n), np.full(n, np.inf)]
        high[k, place] = low[k, place]
    fixed = one.mask[cells].astype(float)
    result = milp(
        np.concatenate([table.weight[cells], np.zeros(len(asked) * n)]),
        integrality=np.concatenate([np.ones(n), np.zeros(len(asked) * n)]),
        bounds=Bounds(np.concatenate([fixed, low.ravel()]), np.concatenate([np.ones(n), high.ravel()])),
        constraints=LinearConstraint(
            sparse.csc_array(sparse.vstack(rows)), np.concatenate(lower), np.concatenate(upper)
        ),
        options={"time_limit": seconds, "mip_rel_gap": 0.01},
    )
    if result.x is None:
        raise DisclosureError(f"no optimum was found ({result.message})", where="optimum", mend="Give it more seconds")
    hidden = np.zeros(len(values), dtype=bool)
    hidden[cells] = result.x[:n] > 0.5
    return hidden, result.status == 0
