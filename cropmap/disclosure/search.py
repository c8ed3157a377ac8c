"""The search for a safe pattern of a table without redundant nodes.

Order: primary rules; flows that protect every sensitive cell (`protection`); pooled lines (`pooled`); single
contributors (`singletons`); hidden cells that follow from the rest after all; again until nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.disclosure.audit import Track, recoverable
from cropmap.disclosure.contributions import Figure
from cropmap.disclosure.pooled import close_lines
from cropmap.disclosure.primary import LOWER_SHARE, SMALLEST_WIDTH, Primary, Rules, primary
from cropmap.disclosure.protection import Protector, UnprotectableError, weights
from cropmap.disclosure.releases import Earlier
from cropmap.disclosure.scopes import SPLIT_CELLS, Scopes
from cropmap.disclosure.singletons import Exposure, exposures
from cropmap.disclosure.tables import Floats, Integers, Mask, Structure
from cropmap.errors import DisclosureError

ROUNDS: Final = 50
LEAST_ROOM: Final = 1e-3
"""of a figure: with less room than that it is as good as published"""
LEAST_ROOM_OF_OTHERS: Final = 1e-5
"""of a figure that an earlier release hid for others' sake (of 1 ha below 1 ha): it must not follow exactly"""


class Search:
    def __init__(
        self,
        table: Structure,
        figures: Sequence[Figure],
        needed: Integers,
        rules: Rules,
        never_hidden: Mask,
        earlier: Earlier,
        track: Track,
    ) -> None:
        self.table, self.figures, self.needed, self.rules, self.track = table, figures, needed, rules, track
        self.primaries = [primary(figure.contributions, figure.values, needed, rules) for figure in figures]
        self.sensitive = np.logical_or.reduce([protection.mask for protection in self.primaries])
        self.reason = _first_reason(self.primaries)
        if (wrong := np.flatnonzero(self.sensitive & never_hidden)).size:
            raise DisclosureError(
                f"is confidential itself ({self.reason[wrong[0]]}) and must stay open",
                where=table.name(wrong[0]),
                mend="A table of so few holdings is not for publication",
            )
        self.known = earlier.published
        self.already_published = self.sensitive & self.known
        self.known_to_one = np.zeros(table.cells, dtype=bool)
        zero = np.logical_and.reduce(
            [(figure.values == 0) & (figure.contributions.holdings(table.cells) == 0) for figure in figures]
        )
        # a zero that was hidden before would say, shown, what was hidden
        self.open = (zero & ~earlier.hidden) | never_hidden | earlier.published
        self.start = (self.sensitive & ~self.open) | (earlier.hidden & ~self.open)
        self.weight = weights(table, figures[0].values)
        self.upper = [np.where(self.open, 0.0, protection.upper) for protection in self.primaries]
        self.lower = [np.where(self.open, 0.0, protection.lower) for protection in self.primaries]
        self._ask(self.start & ~self.sensitive)
        scopes = Scopes(table) if table.cells > SPLIT_CELLS else None
        self.protectors = [
            Protector(
                table, figure.values, self.weight, self.open, scopes, self._least_room(figure.values), self.sensitive
            )
            for figure in figures
        ]

    def _least_room(self, values: Floats) -> Floats | None:
        if not self.known.any():
            return None
        others = self.start & ~self.sensitive
        room: Floats = np.where(others, LEAST_ROOM_OF_OTHERS * np.maximum(values, 1.0), LEAST_ROOM * values)
        return room

    def _ask(self, cells: Mask) -> None:
        """Secondary cells that must stay hidden must not follow from the rest either."""
        for figure, upper, lower in zip(self.figures, self.upper, self.lower, strict=True):
            x = np.where(figure.values > 0, figure.values, self.figures[0].values)
            self._widen(figure, upper, lower, np.where(cells, SMALLEST_WIDTH * np.maximum(x, 1.0), 0.0))

    def _widen(self, figure: Figure, upper: Floats, lower: Floats, width: Floats) -> None:
        width = np.where(self.open, 0.0, width)
        np.maximum(upper, width, out=upper)
        np.maximum(lower, np.minimum(width, LOWER_SHARE * figure.values), out=lower)

    def run(self) -> Mask:
        hidden = self._widths(self.start)
        for _ in range(ROUNDS):
            before = hidden.sum()
            hidden = self._widths(self._pools(hidden))
            if hidden.sum() == before:
                hidden = self._singletons(hidden)
            if hidden.sum() == before and not self._bare(hidden):
                return hidden
            hidden = self._widths(hidden)
        raise DisclosureError(
            f"{ROUNDS} rounds of suppression did not come to an end", where="suppression", mend="Report the table"
        )

    def kept(self) -> list[Primary]:
        """What the pattern keeps of each figure's sensitive cells."""
        return [
            Primary(
                protection.mask,
                protection.reason,
                np.minimum(protection.upper, upper),
                np.minimum(protection.lower, lower),
            )
            for protection, upper, lower in zip(self.primaries, self.upper, self.lower, strict=True)
        ]

    def weakened(self, kept: Sequence[Primary]) -> Mask:
        less = [
            (kept_of_figure.upper < protection.upper) | (kept_of_figure.lower < protection.lower)
            for kept_of_figure, protection in zip(kept, self.primaries, strict=True)
        ]
        return np.asarray(np.logical_or.reduce(less) & ~self.already_published)

    def _widths(self, hidden: Mask) -> Mask:
        """The widest first, because its flows protect many others; ties go by cell."""
        for protector, upper, lower in zip(self.protectors, self.upper, self.lower, strict=True):
            cells = np.flatnonzero(upper)
            cells = cells[np.lexsort((cells, -upper[cells]))]
            hidden = protector.protect(hidden, self.track(cells.tolist(), len(cells)), upper, lower)
        return hidden

    def _pools(self, hidden: Mask) -> Mask:
        for figure in self.figures:
            closed = close_lines(
                self.table,
                hidden,
                figure,
                self.needed,
                self.rules,
                weight=self.weight,
                open_=self.open,
                known=self.known,
            )
            hidden = closed.hidden
            # the columns approximate each other: what discloses the pool in one column discloses it in all
            for other, upper, lower in zip(self.figures, self.upper, self.lower, strict=True):
                self._widen(other, upper, lower, closed.width)
        return hidden

    def _bare(self, hidden: Mask) -> bool:
        """Whether hidden cells follow from the rest although no width was required of them; from here on one is."""
        asked = np.logical_or.reduce([upper > 0 for upper in self.upper])
        bare = np.zeros_like(hidden)
        for figure in self.figures:
            bare[recoverable(self.table, np.where(hidden, np.nan, figure.values), track=self.track)] = True
        bare &= ~asked
        self._ask(bare)
        return bool(bare.any())

    def _singletons(self, hidden: Mask) -> Mask:
        for place, (figure, protection) in enumerate(zip(self.figures, self.primaries, strict=True)):
            while exposed := exposures(
                self.table, hidden, figure.contributions, protection.mask & ~self.open & ~self.known_to_one
            ):
                before = hidden.sum()
                for exposure in exposed:
                    hidden = hidden | self._around(place, exposure, hidden)
                if hidden.sum() == before and not self.known_to_one[[exposure.cell for exposure in exposed]].any():
                    break  # the flows were there already: rank and flow agree within the solver's tolerance only
        return hidden

    def _around(self, place: int, exposure: Exposure, hidden: Mask) -> Mask:
        """Cells whose flow moves the exposed cell while those that the holding knows stay. Where an earlier release
        shows so much that there is none, what it disclosed cannot be hidden again."""
        movable = ~self.open
        movable[exposure.known] = False
        cell, protector = exposure.cell, self.protectors[place]
        widths = (float(self.upper[place][cell]), -float(self.lower[place][cell]))
        for amount in (width for width in widths if width):
            try:
                return np.asarray(protector.strongest_flow(cell, amount, hidden, movable) != 0)
            except UnprotectableError:
                if not self.known.any():
                    raise
        self.known_to_one[cell] = True
        return np.zeros_like(hidden)


def _first_reason(primaries: Sequence[Primary]) -> NDArray[np.object_]:
    reason = primaries[0].reason.copy()
    for protection in primaries[1:]:
        reason = np.where(reason == None, protection.reason, reason)  # noqa: E711
    return reason
