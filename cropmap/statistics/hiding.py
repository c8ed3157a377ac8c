"""What a table hides so that it may be published: a pattern that passes every attack, wider where it must be.

In: the open figures, their contributors, the rules, an attack on the table that a mask would leave. Out: `Hiding`.
Nothing here stops a season: a table that no pattern protects is for internal use, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cropmap.disclosure import Earlier, Figure, Pattern, Rules, Structure, check, protect
from cropmap.disclosure.audit import Track
from cropmap.disclosure.tables import Integers, Mask
from cropmap.disclosure.widening import Step, bare, widened
from cropmap.errors import DisclosureError
from cropmap.progress import track
from cropmap.schemas import Internal
from cropmap.statistics.confidentiality import CONFIDENTIAL
from cropmap.statistics.report import Audit, Disclosure

log = logging.getLogger(__name__)

INTERVAL_CELLS: Final = 12_000
"""up to here every sensitive cell's interval is solved for: how long that takes is measured so far"""
TRACKED_CELLS: Final = 1_000
"""smaller tables are done before a bar is drawn"""
ROUNDS: Final = (*[Step.NEIGHBOURS] * 6, Step.CROPS, Step.NEIGHBOURS, Step.REGIONS, Step.EVERYTHING)
"""how a pattern that does not pass is widened, one after the other"""
Attack = Callable[[Mask], set[str]]
"""crop/region of the cells that follow from the table with this mask; raises DisclosureError where it is not solved"""


@dataclass(frozen=True)
class EarlierRelease:
    """What was published of this season before."""

    run_id: str
    table: pd.DataFrame
    """nuts_id, crop, conf_status, and the figures of FIGURES"""
    known: tuple[str, ...] = ()
    """crop/region that it hid although a still earlier release showed them"""

    def on(self, structure: Structure) -> Earlier:
        hidden = {
            (crop, region): status == CONFIDENTIAL and f"{crop}/{region}" not in self.known
            for crop, region, status in zip(
                self.table["crop"], self.table["nuts_id"], self.table["conf_status"], strict=True
            )
        }
        return Earlier.of(structure, hidden)


@dataclass(frozen=True)
class Hiding:
    hidden: Mask
    """[cells]"""
    report: Disclosure
    """without the rules"""
    internal: tuple[Internal, ...]
    """why the table is not for publication all the same; none where it passed"""


def hide(
    structure: Structure,
    figures: Sequence[Figure],
    needed: Integers,
    rules: Rules,
    *,
    earlier: EarlierRelease | None,
    attack: Attack,
) -> Hiding:
    """The pattern of `protect`, widened until both the office's check and the outsider's attack find nothing.

    Where not even the widest mask passes, because an earlier release shows too much or a programme is not solved, the
    first mask is kept and the table is for internal use.
    """
    before = earlier.on(structure) if earlier else None
    trouble: list[str] = []
    try:
        pattern = first = protect(structure, figures, needed, rules, earlier=before, track=_shown("suppress"))
    except DisclosureError as error:
        log.warning("no pattern was found: %s", error)
        pattern = first = bare(structure, figures, needed, rules, earlier=before)
        trouble.append("no pattern found")
    weak = _weaknesses(structure, figures, pattern, needed, rules, attack)
    for step in ROUNDS:
        if not weak.attacks:
            break
        trouble.append(weak.attacks)
        around = weak.cells or np.flatnonzero(pattern.primary).tolist()
        pattern = widened(structure, figures, pattern, around, step)
        weak = _weaknesses(structure, figures, pattern, needed, rules, attack)
    if weak.attacks:
        return Hiding(first.hidden, _report(structure, first, weak, trouble), (Internal.AUDIT_REFUSED,))
    return Hiding(pattern.hidden, _report(structure, pattern, weak, trouble), ())


@dataclass(frozen=True)
class _Weak:
    attacks: str
    """which attacks got through; empty where none did"""
    cells: list[int]
    counts: dict[str, int]


def _weaknesses(
    structure: Structure, figures: Sequence[Figure], pattern: Pattern, needed: Integers, rules: Rules, attack: Attack
) -> _Weak:
    solved = structure.cells <= INTERVAL_CELLS
    given_up = {structure.name(cell) for cell in np.flatnonzero(pattern.already_published).tolist()}
    try:
        checked = check(structure, figures, pattern, needed, rules, intervals=solved, track=_shown("audit"))
        follows = attack(pattern.hidden) - given_up
    except DisclosureError as error:
        log.warning("the audit was not solved: %s", error)
        return _Weak("not solved", [], {})
    recovered: dict[str, Iterable[str]] = {name: cells for name, cells in vars(checked).items() if cells}
    if follows:
        recovered["attack"] = follows
    position = {name: cell for cell, name in enumerate(structure.names)}
    cells = sorted({position[name] for names in recovered.values() for name in names})
    return _Weak(", ".join(recovered), cells, checked.counts())


def _report(structure: Structure, pattern: Pattern, weak: _Weak, trouble: list[str]) -> Disclosure:
    def names(mask: Mask) -> tuple[str, ...]:
        return tuple(structure.name(cell) for cell in np.flatnonzero(mask).tolist())

    reasons, counts = np.unique(pattern.reason[pattern.primary].astype(str), return_counts=True)
    solved = bool(weak.counts) and structure.cells <= INTERVAL_CELLS
    return Disclosure(
        primary_cells=int(pattern.primary.sum()),
        primary_by_rule=dict(zip(reasons.tolist(), counts.tolist(), strict=True)),
        secondary_cells=int(pattern.secondary.sum()),
        already_published=names(pattern.already_published),
        weakened=names(pattern.weakened),
        known_to_one=names(pattern.known_to_one),
        audit=Audit(**weak.counts, intervals_solved=solved),
        widened=tuple(trouble),
    )


def _shown(step: str) -> Track:
    def shown(cells: Iterable[int], total: int) -> Iterable[int]:
        return track(cells, step, total=total, unit="cells") if total > TRACKED_CELLS else cells

    return shown
