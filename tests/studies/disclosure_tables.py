"""Random tables of crops x regions with contributing holdings.

A holding lies in one region, grows a few crops, and has a log-normal size; shares of crops fall steeply, so that
tables have rare crops with few holdings and regions that one farm dominates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cropmap.disclosure import Axis, Contributions, Figure, Rules, Structure
from cropmap.disclosure.primary import Primary, primary
from cropmap.disclosure.protection import weights
from cropmap.disclosure.tables import Floats, Integers

SIZE_SPREAD: Final = 1.1
"""standard deviation of the logarithm of a holding's area in a crop"""


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
    needed_lowest: int | None = None,
    rarest: float = 0.03,
) -> RandomTable:
    """`holdings`: on average per region of the lowest level, which `needed_lowest` is for (None: as elsewhere).
    `rarest`: how common the rarest crop is beside the commonest."""
    rng = np.random.default_rng(seed)
    structure = Structure(axis("C", crops), axis("R", regions))
    share = rng.permutation(np.geomspace(1, rarest, crops[-1]))
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
    asked = np.full(structure.cells, needed)
    asked[sum(regions[:-1]) * len(structure.crops.codes) :] = needed_lowest or needed
    return RandomTable(structure, figure, asked, total=0)


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
