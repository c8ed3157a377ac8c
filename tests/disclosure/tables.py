"""Small tables with known contributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cropmap.disclosure import Axis, Contributions, Earlier, Figure, Pattern, Rules, Structure, protect
from cropmap.disclosure.tables import Floats, Mask
from tests.studies.disclosure_tables import RandomTable


def margins(values: list[list[float]]) -> tuple[Structure, Floats]:
    """Rows r1... (crops) by columns c1... (regions) with their totals T: (structure, figures [cells])."""
    inner = np.array(values, dtype=float)
    crops = Axis.tree({"T": None} | {f"r{i + 1}": "T" for i in range(inner.shape[0])})
    regions = Axis.tree({"T": None} | {f"c{j + 1}": "T" for j in range(inner.shape[1])})
    full = np.zeros((inner.shape[1] + 1, inner.shape[0] + 1))
    full[1:, 1:] = inner.T
    full[0, 1:], full[1:, 0], full[0, 0] = inner.sum(axis=1), inner.sum(axis=0), inner.sum()
    return Structure(crops, regions), full.ravel()


def mask(structure: Structure, names: list[str]) -> Mask:
    assert set(names) <= set(structure.names), names
    return np.isin(np.array(structure.names), names)


def published(values: Floats, hidden: Mask) -> Floats:
    return np.where(hidden, np.nan, values)


def figure_of(
    structure: Structure, areas: Mapping[str, Sequence[float | tuple[int, float]]], name: str = "area_ha"
) -> Figure:
    """Holdings' areas per lowest cell; each is a holding of its own unless it is written as (holding, ha)."""
    cells, holdings, sizes, number = [], [], [], 1_000
    above = {child: parent for parent, children in structure.regions.lines for child in children}
    over = {child: parent for parent, children in structure.crops.lines for child in children}
    width = len(structure.crops.codes)
    for cell_name, parts in areas.items():
        crop, region = (
            axis.codes.index(code)
            for axis, code in zip((structure.crops, structure.regions), cell_name.split("/"), strict=True)
        )
        for part in parts:
            holding, size = part if isinstance(part, tuple) else (number := number + 1, part)
            place: int | None = region
            while place is not None:
                item: int | None = crop
                while item is not None:
                    cells.append(place * width + item)
                    holdings.append(holding)
                    sizes.append(size)
                    item = over.get(item)
                place = above.get(place)
    found = Contributions.of(np.array(cells), np.array(holdings), np.array(sizes, dtype=float))
    return Figure(name, np.bincount(found.cell, found.area, minlength=structure.cells).astype(float), found)


def protected(table: RandomTable, *, earlier: Earlier | None = None) -> Pattern:
    return protect(
        table.structure, [table.figure], table.needed, table.rules, never_hidden=[table.total], earlier=earlier
    )


RULES = Rules()
