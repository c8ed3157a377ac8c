"""Label-free checks of a list of flags: when it stands, when it is refused, when it is provisional.

What they see and what they do not: a class that was never learnt is caught by its own tail, an under-trained
classifier by how many classes that befalls (6 to 11 of 13 in simulation, where a trained one has at most 2; its
observed / expected over all the other classes is often unremarkable). Both are looked at in the scores as they came and
in those adapted to their regions: the adaptation explains away part of what too little training leaves behind, and the
list would be no better for it. Rightly declared parcels that carry another crop's signal are not seen.

Small populations. The recipe was measured on 25,000 parcels; with 6,000 the realised rate scatters (90th percentile
0.21 at a target of 0.10), although its mean holds. To refuse the list of every agency with fewer than 10,000 parcels
would leave small agencies nothing to look at, to print it as if it were the same would be false. So the list is
produced and marked provisional below `FEW_PARCELS` and with fewer than `FEW_FLAGS` flags; below `MIN_PARCELS` nothing
can be fitted and it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.assessments.channel import Channel, Floats
from cropmap.assessments.verdict import Evidence

MAX_OBSERVED_EXPECTED: Final = 1.5
WARN_OBSERVED_EXPECTED: Final = 1.3
FEW_REFUSED: Final = 2
REFUSED_SHARE: Final = 0.25
"""a list stands while at most two, or a quarter, of the declared classes are refused"""
MIN_PARCELS: Final = 500
FEW_PARCELS: Final = 10_000
FEW_FLAGS: Final = 10
MIN_SKILL: Final = 0.1
"""share of the class shares' log-loss that the classifier must remove: one without information removes < 0.01"""


@dataclass(frozen=True)
class TailCounts:
    """Declarations of class k inside the list's tail: those made, those the channel expects."""

    observed: Floats
    expected: Floats

    @property
    def ratio(self) -> float:
        """O/E over all classes; NaN where nothing is expected and nothing was seen."""
        seen, due = self.observed.sum(), self.expected.sum()
        return float(seen / due) if due > 0 else float("nan")


def tail_counts(
    channel: Channel, evidence: Evidence, *, threshold: float, without: NDArray[np.bool_] | None = None
) -> TailCounts:
    """O_k and E_k [K] of the tail {what a list is ordered by <= threshold}; classes in `without` [K] count as empty."""
    observed, expected = np.zeros(evidence.logits.shape[1]), np.zeros(evidence.logits.shape[1])
    for clean, declared in evidence.parts():
        inside = channel.right(channel.typical(clean)) <= threshold
        expected += (channel.declared(clean) * inside).sum(axis=0)
        observed += np.bincount(declared[inside[np.arange(len(declared)), declared]], minlength=len(observed))
    if without is not None:
        observed, expected = np.where(without, 0, observed), np.where(without, 0, expected)
    return TailCounts(observed, expected)


def refused_classes(counts: TailCounts) -> NDArray[np.bool_]:
    """Classes whose tail holds far more declarations than the channel explains: O > 2E and O - E > 3√E."""
    excess = counts.observed - counts.expected
    return (counts.observed > 2 * counts.expected) & (excess > 3 * np.sqrt(counts.expected))


def too_many_refused(refused: NDArray[np.bool_], declared: NDArray[np.intp]) -> bool:
    """More than two, and more than a quarter of the classes that occur, have a tail that the channel cannot explain:
    then the scores of the others are unreliable too."""
    occurring = len(np.unique(declared))
    return int(refused.sum()) > max(FEW_REFUSED, REFUSED_SHARE * occurring)


def tail_refused(counts: TailCounts) -> bool:
    """O/E above 1.5, by more than two standard errors of a Poisson count.

    The second condition binds only where fewer than 16 are expected: there a ratio of 1.5 is within chance.
    """
    observed, expected = float(counts.observed.sum()), float(counts.expected.sum())
    return observed > MAX_OBSERVED_EXPECTED * expected and observed - expected > 2 * np.sqrt(expected)


def skill(channel: Channel, likelihood: Floats) -> float:
    """1 - log-loss / log-loss of the class shares, from the channel's likelihood [N] of the declarations: 0 without
    information, 1 for a perfect one."""
    shares = channel.shares[channel.shares > 0]
    baseline = float(-(shares * np.log(shares)).sum())
    if baseline == 0:
        return 0.0
    return 1 - float(-np.log(likelihood).mean()) / baseline


def population_refusals(*, parcels: int, skilled: float) -> list[str]:
    """Reasons, in words, why no list can be made of this population at all."""
    reasons = []
    if parcels < MIN_PARCELS:
        reasons.append(f"{parcels} assessable parcels, fewer than {MIN_PARCELS}")
    elif skilled < MIN_SKILL:
        reasons.append(f"the classifier is hardly better than the class shares (skill {skilled:.3f} < {MIN_SKILL})")
    return reasons


def reliability(*, parcels: int, flags: int, refusals: list[str]) -> str:
    """The statement that goes with the list wherever it is shown."""
    if refusals:
        return "refused: " + "; ".join(refusals)
    doubts = []
    if parcels < FEW_PARCELS:
        doubts.append(f"fewer than {FEW_PARCELS:,} parcels")
    if flags < FEW_FLAGS:
        doubts.append(f"fewer than {FEW_FLAGS} flags")
    return "provisional: " + ", ".join(doubts) if doubts else "estimated, not guaranteed"
