"""Secondary suppression: which further cells to hide so that no sensitive cell can be bounded too narrowly.

One sensitive cell at a time (Kelly, Golden & Assad 1992; Fischetti & Salazar 2001): a flow f with M f = 0 that lifts
the cell by what it needs, and never takes a cell below zero, shows another table that an outsider cannot tell from
the real one, as long as every cell that f touches is hidden. The cheapest such f is a linear programme; its support
is hidden. The fixed price of hiding a cell is approximated by solving again with cost / (f + 0.05).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import sparse

from cropmap.disclosure.linear import minimise
from cropmap.disclosure.scopes import Scopes
from cropmap.disclosure.singletons import components
from cropmap.disclosure.tables import Floats, Integers, Mask, Structure
from cropmap.errors import DisclosureError

REWEIGHTINGS: Final = 2
SOFTENING: Final = 0.05
"""in units of the protection asked for"""
HIDDEN_COST: Final = 1e-4
"""of a cell that is hidden anyway, as a share of its price: flows stay short, and cost nothing that counts"""
SUPPORT: Final = 1e-6
"""flows below, in units of the protection asked for, are the solver's tolerance"""
MET: Final = 1 - 1e-6
ROOM_TAKEN: Final = 0.999
"""of the room that is left: at its very end a programme may fail by rounding"""


def weights(structure: Structure, values: Floats) -> Floats:
    """[cells] what hiding a cell costs: log(1 + ha), times one more per level below it."""
    weight: Floats = np.log1p(values) * (1 + structure.height)
    return weight


class UnprotectableError(DisclosureError):
    """No flow moves the cell by what it needs."""


@dataclass
class Protector:
    """One figure of a table; stores how far the flows found so far move every cell."""

    structure: Structure
    values: Floats
    """[cells] ha, M x = 0"""
    weight: Floats
    open: Mask
    """[cells] known to everyone: never hidden, never moved"""
    scopes: Scopes | None = None
    """parts of the table that are tried before the whole; None: the whole at once"""
    least_room: Floats | None = None
    """[cells] ha that will do where an earlier release showed cells: what it disclosed cannot be hidden again. None:
    there is none, and every cell gets the protection that its rule requires"""
    sensitive: Mask | None = None
    """[cells] that need room on both sides, whatever was released before"""
    _parts: dict[bytes, Integers] = field(default_factory=dict, init=False, repr=False)
    _systems: dict[tuple[bytes, int], tuple[Integers, sparse.csr_array]] = field(
        default_factory=dict, init=False, repr=False
    )
    reach_up: Floats = field(init=False)
    reach_down: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.reach_up, self.reach_down = np.zeros_like(self.values), np.zeros_like(self.values)

    def protect(self, hidden: Mask, cells: Iterable[int], upper: Floats, lower: Floats) -> Mask:
        """`hidden` and what else must be hidden so that each of `cells`, in this order, may lie anywhere in
        [x - lower, x + upper].

        With scopes, a flow is looked for in the smallest part around the cell first. A flow that leaves everything
        outside its part as it is satisfies all sums of the table, so what a part finds holds for the whole.

        Where an earlier release leaves less room, `upper` and `lower` are lowered to what is left (`least_room`).
        Raises DisclosureError, naming the cell, where nothing can protect it.
        """
        hidden = hidden.copy()
        for cell in cells:
            for amount, reach, width in ((upper[cell], self.reach_up, upper), (-lower[cell], self.reach_down, lower)):
                if abs(amount) > 0 and reach[cell] < MET * abs(amount):
                    flow = self.strongest_flow(cell, float(amount), hidden, ~self.open)
                    if abs(flow[cell]) < MET * abs(amount):
                        width[cell] = abs(flow[cell])
                    self._remember(flow)
                    hidden |= flow != 0
        return hidden

    def strongest_flow(self, cell: int, amount: float, hidden: Mask, movable: Mask) -> Floats:
        """As `flow`, in the nearest part that has one; as far as it goes, which may be nowhere on one side, where an
        earlier release leaves less room."""
        for part in self.scopes.around(cell) if self.scopes else ():
            try:
                return self.flow(cell, amount, hidden, movable & part)
            except UnprotectableError:
                continue
        try:
            return self.flow(cell, amount, hidden, movable)
        except UnprotectableError:
            if self.least_room is None:
                raise
            room = self._room(cell, amount, movable)
            if room > 0 and room >= self.least_room[cell]:
                return self.flow(cell, float(np.copysign(room, amount)), hidden, movable)
            # what must be zero discloses nothing, no holding contributes to it; and a secondary cell must not
            # follow exactly: where a figure beside it became zero since, one side is enough
            needs_both = self.sensitive is not None and self.sensitive[cell]
            if self.values[cell] == 0 or (
                not needs_both and self._room(cell, -amount, movable) >= self.least_room[cell]
            ):
                return np.zeros_like(self.values)
            raise

    def _room(self, cell: int, amount: float, movable: Mask) -> float:
        """ha: how far the cell can be moved at all, at most by `amount`."""
        columns, both = self._system(movable, cell)
        place = int(np.searchsorted(columns, cell))
        up, down = (place, len(columns) + place) if amount > 0 else (len(columns) + place, place)
        highest = np.concatenate([np.full(len(columns), np.inf), self.values[columns] / abs(amount)])
        highest[up], highest[down] = 1.0, 0.0
        cost = np.zeros(2 * len(columns))
        cost[up] = -1.0
        solution = minimise(
            cost, both, np.zeros(both.shape[0]), np.zeros(2 * len(columns)), highest, where=self.structure.name(cell)
        )
        return 0.0 if solution is None else -solution.value * abs(amount) * ROOM_TAKEN

    def flow(
        self, cell: int, amount: float, hidden: Mask, movable: Mask, *, reweightings: int = REWEIGHTINGS
    ) -> Floats:
        """[cells] ha: the cheapest of the flows found that move `cell` by `amount`; zero outside `movable`."""
        size = abs(amount)
        columns, both = self._system(movable, cell)
        place = int(np.searchsorted(columns, cell))
        limit = self.values[columns] / size
        price = np.where(hidden[columns], HIDDEN_COST, 1.0) * np.maximum(self.weight[columns], 1e-3)
        lowest = np.zeros(2 * len(columns))
        highest = np.concatenate([np.full(len(columns), np.inf), limit])
        up, down = (place, len(columns) + place) if amount > 0 else (len(columns) + place, place)
        lowest[up] = highest[up] = 1.0
        highest[down] = 0.0
        paid = ~hidden[columns]
        best, best_cost, cost = None, np.inf, price
        for _ in range(1 + reweightings):
            solution = minimise(
                np.concatenate([cost, cost]),
                both,
                np.zeros(both.shape[0]),
                lowest,
                highest,
                where=self.structure.name(cell),
            )
            if solution is None:
                raise UnprotectableError(
                    # without the amount, which is a share of the hidden figure: logs are read by more people
                    f"cannot be hidden {'upwards' if amount > 0 else 'downwards'}: every way to move it goes through "
                    "figures that stay open",
                    where=self.structure.name(cell),
                    mend="Hide it by hand together with its total, merge the crop or the region with another, or "
                    "withhold the table; cells that an earlier release published cannot be hidden again",
                )
            moved = np.abs(solution.x[: len(columns)] - solution.x[len(columns) :])
            support = moved > SUPPORT
            total = float(self.weight[columns][support & paid].sum())
            if total < best_cost:
                signed = solution.x[: len(columns)] - solution.x[len(columns) :]
                best, best_cost = np.where(support, signed, 0.0), total
            if total == 0:
                break
            cost = price / (moved + SOFTENING)
        assert best is not None
        flow = np.zeros_like(self.values)
        flow[columns] = best * size
        return flow

    def _system(self, movable: Mask, cell: int) -> tuple[Integers, sparse.csr_array]:
        """(movable cells that hang together with `cell`, M of them beside its negative): the same for many cells."""
        key = np.packbits(movable).tobytes()
        if key not in self._parts:
            if self.scopes is None:
                self._parts.clear()
                self._systems.clear()
            self._parts[key] = np.full(len(movable), -1)
            self._parts[key][movable] = components(self.structure, movable)
        part = int(self._parts[key][cell])
        if (key, part) not in self._systems:
            columns = np.flatnonzero(self._parts[key] == part)
            matrix = self.structure.matrix[:, columns]
            matrix = matrix[np.diff(matrix.indptr) > 0]
            self._systems[key, part] = columns, sparse.csr_array(sparse.hstack([matrix, -matrix]))
        return self._systems[key, part]

    def _remember(self, flow: Floats) -> None:
        self.reach_up = np.maximum(self.reach_up, flow)
        self.reach_down = np.maximum(self.reach_down, -flow)
