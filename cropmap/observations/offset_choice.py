"""Which acquisitions of a season state a wrong offset: the choice that explains all that their parcels show.

Every acquisition is right or wrong as stated. A choice for all of them costs something for each acquisition that looks
odd under it, for each pair of days whose parcels stand in another step than it says, and for each error that it
supposes; an error that goes on costs little, because providers are wrong for weeks. The cheapest choice of all is found
exactly, day by day (min-sum over the last REACH acquisitions), and for every acquisition how much dearer the season
would be with the other. The order in which the acquisitions arrived does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.observations.offsets import SHIFT, Look, Looks, Step

Costs = NDArray[np.float64]

REACH: Final = 8
"""acquisitions before it that one is compared with"""
REACH_DAYS: Final = 60

LOOK_COST: Final = {Look.IMPOSSIBLE: 12.0, Look.BRIGHT: 3.0, Look.ODD: 2.0}
GOOD: Final = (Look.SOUND, Look.FINE)
ERROR: Final = 4.0
"""of the first wrong item among right ones: natural logarithm of about 1 in 50"""
GOES_ON: Final = 0.3
"""of a wrong item after a wrong one of the same stated offset, and of a right one after it"""
NEIGHBOUR: Final = 3.0
"""where the same datatake over other tiles was found right, or wrong, under the same stated offset"""
STEP_COST: Final = 1.0
"""per parcel that shows the step, up to MOST_STEP_COST: the parcels of one day share its air"""
MOST_STEP_COST: Final = 4.0
CLEAR: Final = 4.0
"""by how much a choice must be cheaper before numbers are moved, and what pairs of days must say for it together"""
CONTRARY: Final = 1 / 3
"""of what pairs of days say for a choice, at most, others may say against it"""
COMPARED: Final = 10
"""parcels that two days must both show, to count among those that could say something"""
SPEAKING: Final = 1 / 4
"""of the days that an acquisition can be compared with, at least so many must show a step, or none, before its numbers
are moved. Under a veil of cloud that was missed, hardly any does."""
OPEN: Final = -0.5
NEVER: Final = 1e6


class OffsetEvidence(StrEnum):
    FINE = "fine"
    UNKNOWN = "unknown"
    """too little land was seen, or nothing on it is evidence: the item's word counts"""
    DOUBTFUL = "doubtful"
    """something speaks against the stated offset, and more for it"""
    CORRECTED = "corrected"
    CONTRADICTED = "contradicted"
    """the stated offset does not hold, or may not, and it is not clear that the other does"""


@dataclass(frozen=True)
class Judgement:
    evidence: OffsetEvidence
    detail: str = ""
    """one line, where it is doubtful, corrected or contradicted"""
    correction: float = 0.0
    """reflectance to add to every band, where it is corrected"""


@dataclass(frozen=True)
class SeasonEvidence:
    """What the acquisitions of one tile say of each other's offset."""

    looks: Mapping[str, Looks]
    """by item, in order of time"""
    steps: Mapping[tuple[str, str], Step]
    """(later, earlier)"""


def season_evidence(looks: Mapping[str, Looks], step: Callable[[str, str], Step]) -> SeasonEvidence:
    """`step` is called for each pair (later, earlier) within REACH acquisitions and REACH_DAYS."""
    order = sorted((item for item in looks if looks[item].seen), key=lambda item: (looks[item].day, item))
    pairs = {
        (later, earlier): step(later, earlier)
        for at, later in enumerate(order)
        for earlier in order[max(at - REACH, 0) : at]
        if (looks[later].day - looks[earlier].day).days <= REACH_DAYS
    }
    unseen = sorted(looks.keys() - set(order))
    return SeasonEvidence({item: looks[item] for item in (*order, *unseen)}, pairs)


def judge_season(evidence: SeasonEvidence, neighbours: Mapping[str, bool] | None = None) -> dict[str, Judgement]:
    """By item, for the acquisitions of one tile.

    `neighbours`: whether the same datatake over other tiles was found wrong (True) or right (False), by item.
    """
    order = [item for item, looks in evidence.looks.items() if looks.seen]
    judged = {item: Judgement(OffsetEvidence.UNKNOWN) for item in evidence.looks}
    if not order:
        return judged
    margins = _margins(evidence, order, neighbours or {})
    wrong = {item: bool(margin > 0) for item, margin in zip(order, margins, strict=True)}
    for item, margin in zip(order, margins, strict=True):
        judged[item] = _judgement(item, float(margin), evidence, wrong)
    return judged


def settled(judgement: Judgement) -> bool | None:
    """Whether an acquisition was clearly found wrong (True) or right (False); None where it was not."""
    return {OffsetEvidence.CORRECTED: True, OffsetEvidence.FINE: False}.get(judgement.evidence)


def _judgement(item: str, margin: float, evidence: SeasonEvidence, wrong: Mapping[str, bool]) -> Judgement:
    looks = evidence.looks[item]
    agreeing, contrary, days, speaking = _said_by_days(item, evidence, wrong)
    said = _words(looks, days)
    if not looks.other:
        return Judgement(OffsetEvidence.FINE if looks.stated in GOOD else OffsetEvidence.UNKNOWN)
    consistent = contrary <= CONTRARY * agreeing
    if wrong[item]:
        by_days = margin >= CLEAR and agreeing >= CLEAR and consistent and speaking
        by_itself = looks.stated == Look.IMPOSSIBLE and looks.corrected == Look.SOUND and consistent
        if by_days or by_itself:
            return Judgement(OffsetEvidence.CORRECTED, f"{said}; {looks.other:+g} is added", looks.other)
        return Judgement(OffsetEvidence.CONTRADICTED, f"{said}; the other offset is not proven")
    if looks.stated == Look.IMPOSSIBLE and looks.other > 0:
        return Judgement(OffsetEvidence.CONTRADICTED, f"{said}; the other offset does not mend it")
    against = looks.stated == (Look.ODD if looks.other > 0 else Look.BRIGHT) or not consistent
    if against and margin > OPEN:
        return Judgement(OffsetEvidence.CONTRADICTED, f"{said}; nothing decides it")
    if against and margin > -CLEAR:
        return Judgement(OffsetEvidence.DOUBTFUL, said)
    return Judgement(OffsetEvidence.FINE if agreeing or looks.stated in GOOD else OffsetEvidence.UNKNOWN)


def _said_by_days(item: str, evidence: SeasonEvidence, wrong: Mapping[str, bool]) -> tuple[float, float, int, bool]:
    """What pairs with other days say for the choice and against it, how many right days it lies apart from, and
    whether enough of them say anything."""
    agreeing = contrary = 0.0
    days = said = compared = 0
    for (later, earlier), step in evidence.steps.items():
        if item not in (later, earlier):
            continue
        compared += step.of >= COMPARED
        if step.shifts is None:
            continue
        said += step.of >= COMPARED
        if step.shifts == _implied(evidence, later, earlier, wrong[later], wrong[earlier]):
            agreeing += _weight(step)
        else:
            contrary += _weight(step)
        other = earlier if item == later else later
        days += step.shifts != 0 and not wrong[other]
    return agreeing, contrary, days, said >= SPEAKING * compared


def _words(looks: Looks, days: int) -> str:
    applied = looks.other > 0
    what = (
        f"offset {looks.offset:g} seems to be applied already" if applied else "an offset of -0.1 seems to be missing"
    )
    said = [f"it would make {looks.detail}"] if applied and looks.detail else []
    said += [looks.detail] if looks.detail and not applied else []
    said += [f"the same parcels lie {-looks.other:+g} beside {days} other day{'s' * (days > 1)}"] if days else []
    return f"{what}: {' and '.join(said) or 'so it is on the days around it'}"


def _implied(evidence: SeasonEvidence, later: str, earlier: str, later_wrong: bool, earlier_wrong: bool) -> int:
    """Step, in SHIFT, between two acquisitions where these are wrong."""
    moved = evidence.looks[earlier].other * earlier_wrong - evidence.looks[later].other * later_wrong
    return round(moved / SHIFT)


def _weight(step: Step) -> float:
    return min(STEP_COST * step.parcels, MOST_STEP_COST)


def _margins(evidence: SeasonEvidence, order: list[str], neighbours: Mapping[str, bool]) -> Costs:
    """(n,) how much dearer the cheapest season is with each acquisition right than with it wrong.

    A state holds the choices of the last REACH acquisitions as bits, the newest lowest.
    """
    states = np.arange(1 << REACH)
    forward = np.where(states == 0, 0.0, NEVER)
    moves = [_moves(evidence, order, at, neighbours, states) for at in range(len(order))]
    reached = []
    for move in moves:
        reached.append(forward[:, None] + move)
        forward = _merged(reached[-1], states)
    following = (states[:, None] << 1 | np.arange(2)) & (len(states) - 1)
    backward, margins = np.zeros(len(states)), []
    for before, move in zip(reversed(reached), reversed(moves), strict=True):
        best = (before + backward[following]).min(axis=0)
        margins.append(best[0] - best[1])
        backward = (move + backward[following]).min(axis=1)
    return np.array(margins[::-1])


def _merged(reached: Costs, states: NDArray[Any]) -> Costs:
    """The cheapest way to each next state: two states before it differ in the choice that is forgotten."""
    before, choice = states >> 1, states & 1
    oldest = 1 << (REACH - 1)
    return np.asarray(np.minimum(reached[before, choice], reached[before | oldest, choice]))


def _moves(
    evidence: SeasonEvidence, order: list[str], at: int, neighbours: Mapping[str, bool], states: NDArray[Any]
) -> Costs:
    """(states, 2) cost of the acquisition at `at` being right or wrong, after each state."""
    item = order[at]
    looks = evidence.looks[item]
    cost = np.zeros((len(states), 2))
    cost[:, 0] += LOOK_COST.get(looks.stated, 0.0)
    cost[:, 1] += LOOK_COST.get(looks.corrected, 0.0) if looks.other else NEVER
    if (found := neighbours.get(item)) is not None:
        cost[:, 0 if found else 1] += NEIGHBOUR
    alike: int | None = None
    for back, earlier in enumerate(reversed(order[max(at - REACH, 0) : at])):
        bit = (states >> back) & 1
        if alike is None and evidence.looks[earlier].other == looks.other and looks.other:
            alike = back
        step = evidence.steps.get((item, earlier))
        if step is None or step.shifts is None:
            continue
        for choice in (0, 1):
            implied = np.array([_implied(evidence, item, earlier, bool(choice), bool(b)) for b in (0, 1)])
            cost[:, choice] += np.where(implied[bit] == step.shifts, 0.0, _weight(step))
    after_wrong = np.zeros(len(states), bool) if alike is None else ((states >> alike) & 1).astype(bool)
    cost[:, 0] += np.where(after_wrong, GOES_ON, 0.0)
    cost[:, 1] += np.where(after_wrong, GOES_ON, ERROR)
    return cost
