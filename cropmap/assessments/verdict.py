"""From P(right) to verdicts. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.assessments.channel import Channel, Floats, row_parts
from cropmap.schemas import Reason, Verdict

CONFORM_RIGHT: Final = 0.95
"""P(right) from which a declaration can be conform: the rate of right declarations that controls find (95-98 %)"""
CONFORM_PROBABILITY: Final = 0.3
"""probability of the declared crop that supports it although another crop is likelier"""


@dataclass(frozen=True)
class Evidence:
    """One row per assessable declaration; K classes are groups of crops that are never held against each other."""

    channel: Channel | None
    """None where there is nothing to compare"""
    logits: Floats
    """[N, K]: what the channel makes q of, some rows at a time, so that they are held once"""
    declared: NDArray[np.intp]
    """[N]"""
    right: Floats
    """P(right) [N]"""
    order: Floats
    """[N] P(right) if every parcel carried its own crop's signal: what a list is ordered by. The parcels that do not
    are allowed for in its rate; which they are is unknown, and to spread them over the crops by their shares would
    push wrong declarations of common crops back."""

    def parts(self) -> Iterator[tuple[Floats, NDArray[np.intp]]]:
        """q (n, K) and the declared classes (n,) of some rows after the other."""
        for rows in row_parts(len(self.declared)):
            yield self.clean(rows), self.declared[rows]

    def clean(self, rows: slice) -> Floats:
        """q (n, K) of some rows."""
        return self.channel.clean(self.logits[rows]) if self.channel else np.ones_like(self.logits[rows])

    @property
    def likelihood(self) -> Floats:
        """[N]: probability that the channel gives the declaration that was made."""
        assert self.channel is not None
        return np.concatenate([np.zeros(0), *(self.channel.likelihood(q, said) for q, said in self.parts())])

    @cached_property
    def declared_probability(self) -> Floats:
        """[N]: q of the declared class."""
        return np.concatenate([np.zeros(0), *(q[np.arange(len(said)), said] for q, said in self.parts())])

    @cached_property
    def agrees(self) -> NDArray[np.bool_]:
        """[N]: whether the declared class is the likeliest."""
        return np.concatenate([np.zeros(0, bool), *(q.argmax(axis=1) == said for q, said in self.parts())])

    @cached_property
    def competitor(self) -> NDArray[np.intp]:
        """[N]: the likeliest class besides the declared one."""
        likeliest = [np.zeros(0, np.intp)]
        for q, said in self.parts():
            q[np.arange(len(said)), said] = -1
            likeliest.append(q.argmax(axis=1))
        return np.concatenate(likeliest)


def evidence_of(channel: Channel, logits: Floats, declared: NDArray[np.intp]) -> Evidence:
    """What the channel says of every declaration."""
    right, order = np.empty(len(declared)), np.empty(len(declared))
    for rows in row_parts(len(declared)):
        q = channel.clean(logits[rows])
        right[rows] = channel.right_probability(q, declared[rows])
        order[rows] = channel.right_probability(channel.typical(q), declared[rows])
    return Evidence(channel, logits, declared, right, order)


def largest_list(
    right: Floats, *, target: float, candidates: NDArray[np.bool_], order: Floats | None = None
) -> NDArray[np.bool_]:
    """[N]: of the `candidates` by `order` (by P(right) itself where there is none), as many of the first as their mean
    P(right) is at most `target`; ties keep the order of rows."""
    rows = np.flatnonzero(candidates)
    rows = rows[np.argsort((right if order is None else order)[rows], kind="stable")]
    mean = np.cumsum(right[rows]) / np.arange(1, len(rows) + 1)
    length = np.flatnonzero(mean <= target).max(initial=-1) + 1
    flagged = np.zeros(len(right), dtype=bool)
    flagged[rows[:length]] = True
    return flagged


def verdicts(
    evidence: Evidence, channel: Channel, flagged: NDArray[np.bool_], *, unreliable: NDArray[np.bool_], useless: bool
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """(verdict, reason) per row.

    Flags in `unreliable` rows are withdrawn (a guard refused them). With `useless` evidence nothing is conform either.
    """
    supported = (evidence.right >= CONFORM_RIGHT) & (
        evidence.agrees | (evidence.declared_probability >= CONFORM_PROBABILITY)
    )
    alike = ~channel.identifiable[evidence.competitor, evidence.declared]
    withdrawn = (flagged & unreliable) | useless
    reason = np.select(
        [withdrawn, flagged, supported, alike],
        [
            Reason.NO_RELIABLE_EVIDENCE,
            Reason.OTHER_CROP_SUPPORTED,
            Reason.DECLARED_CROP_SUPPORTED,
            Reason.LOOK_ALIKE_CROPS,
        ],
        default=Reason.WEAK_EVIDENCE,
    ).astype(object)
    verdict = np.full(len(reason), str(Verdict.INCONCLUSIVE), dtype=object)
    verdict[reason == Reason.OTHER_CROP_SUPPORTED] = str(Verdict.MISMATCH)
    verdict[reason == Reason.DECLARED_CROP_SUPPORTED] = str(Verdict.CONFORM)
    return verdict, reason
