"""The published table as linear algebra: cells of crops x regions, and the sums that hold between them.

In: two axes, each with its sums (a tree, or sums over items that partition). Out: `Structure`: every line
(parent = sum of children) of the table, and the same relations as a sparse matrix M with M x = 0. Holds no figures.

Cells are region * C + crop, as in the published table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cropmap.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Line: TypeAlias = tuple[int, tuple[int, ...]]
"""(parent, children): the parent's figure is the sum of the children's"""


@dataclass(frozen=True)
class Axis:
    """One way to add up."""

    codes: tuple[str, ...]
    lines: tuple[Line, ...]

    @classmethod
    def tree(cls, parent: Mapping[str, str | None]) -> Axis:
        """From code -> code of its parent (None: a root). Raises InputError where a parent is missing."""
        codes = tuple(parent)
        position = {code: index for index, code in enumerate(codes)}
        children: dict[int, list[int]] = {}
        for code, above in parent.items():
            if above is None:
                continue
            if above not in position:
                raise InputError(f"parent {above!r} of {code!r} is not in the table", where="hierarchy", mend="Add it")
            children.setdefault(position[above], []).append(position[code])
        return cls(codes, tuple((above, tuple(below)) for above, below in sorted(children.items())))

    @classmethod
    def sums(cls, items: Sequence[str], sums: Sequence[tuple[str, Sequence[int]]]) -> Axis:
        """Items, then sums over them (name, positions). A sum is written through the largest sums that lie inside it
        and do not overlap, so that nested sums become a tree; where sums cross, all relations are still there."""
        codes = (*items, *(name for name, _ in sums))
        inside = {len(items) + offset: frozenset(members) for offset, (_, members) in enumerate(sums)}
        by_size = sorted(inside, key=lambda name: (-len(inside[name]), name))
        lines = []
        for parent in sorted(inside):
            left, parts = set(inside[parent]), []
            for part in by_size:
                if inside[part] < inside[parent] and inside[part] <= left:
                    parts.append(part)
                    left -= inside[part]
            lines.append((parent, tuple(sorted(left)) + tuple(sorted(parts))))
        return cls(codes, tuple(lines))

    @cached_property
    def height(self) -> Integers:
        """0 for what nothing is below, else one more than the highest child."""
        height = np.zeros(len(self.codes), dtype=np.intp)
        for _ in self.codes:
            before = height.copy()
            for parent, children in self.lines:
                height[parent] = 1 + max(height[child] for child in children)
            if (height == before).all():
                return height
        raise InputError("the hierarchy runs in a circle", where=", ".join(self.codes[:3]), mend="Make it a tree")

    def merged(self) -> tuple[Axis, Integers]:
        """(axis, new position of every code): a parent and its only child are one node, because each shows the
        other; the node keeps the parent's code."""
        above = {children[0]: parent for parent, children in self.lines if len(children) == 1}
        kept = [code for code in range(len(self.codes)) if code not in above]
        position = {code: index for index, code in enumerate(kept)}
        target = np.empty(len(self.codes), dtype=np.intp)
        for code in range(len(self.codes)):
            top = code
            while top in above:
                top = above[top]
            target[code] = position[top]
        lines = tuple(
            (int(target[parent]), tuple(int(target[child]) for child in children))
            for parent, children in self.lines
            if len(children) > 1
        )
        return Axis(tuple(self.codes[code] for code in kept), lines), target


@dataclass(frozen=True)
class Structure:
    crops: Axis
    regions: Axis

    @property
    def cells(self) -> int:
        return len(self.crops.codes) * len(self.regions.codes)

    def cell(self, crop: str, region: str) -> int:
        return self.regions.codes.index(region) * len(self.crops.codes) + self.crops.codes.index(crop)

    def name(self, cell: int) -> str:
        """crop/region of a cell, as messages and reports write it."""
        region, crop = divmod(int(cell), len(self.crops.codes))
        return f"{self.crops.codes[crop]}/{self.regions.codes[region]}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.name(cell) for cell in range(self.cells))

    @cached_property
    def height(self) -> Integers:
        """[cells] levels below a cell, over both axes together."""
        return (self.regions.height[:, None] + self.crops.height).ravel()

    @cached_property
    def lines(self) -> sparse.csr_array:
        """[lines, cells]: +1 parent, -1 children, for every line of the table."""
        return self._rows(np.arange(len(self.regions.codes)))

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """M: the lines without those that follow from others (crop sums of a region whose parts are in the table)."""
        parents = [parent for parent, _ in self.regions.lines]
        return self._rows(np.setdiff1d(np.arange(len(self.regions.codes)), parents))

    def _rows(self, regions_with_crop_lines: Integers) -> sparse.csr_array:
        crops, regions = _incidence(self.crops), _incidence(self.regions)
        chosen = sparse.csr_array(sparse.eye_array(len(self.regions.codes)))[regions_with_crop_lines]
        over_regions = sparse.kron(regions, sparse.eye_array(len(self.crops.codes)))
        rows = sparse.csr_array(sparse.vstack([sparse.kron(chosen, crops), over_regions]))
        rows.eliminate_zeros()  # kron stores whole blocks, and a stored zero would tie cells that have no sum in common
        return rows

    def merged(self) -> tuple[Structure, Integers]:
        """(structure without redundant nodes, new cell of every cell)."""
        crops, crop = self.crops.merged()
        regions, region = self.regions.merged()
        return Structure(crops, regions), (region[:, None] * len(crops.codes) + crop).ravel()


def _incidence(axis: Axis) -> sparse.csr_array:
    """[lines, codes]."""
    out = sparse.lil_array((len(axis.lines), len(axis.codes)))
    for row, (parent, children) in enumerate(axis.lines):
        out[row, parent] = 1
        for child in children:
            out[row, child] = -1
    return sparse.csr_array(out)
