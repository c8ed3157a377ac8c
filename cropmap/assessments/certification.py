"""May the list be promised? An exact test on a simple random sample inside it.

In: the tested list lengths k (fixed from scores when the sample was drawn), the rank of every sampled parcel and what
was found there. Out: `Certificate`. With probability at least 1 - δ over the draw, a certified list holds at most the
target share of rightly declared parcels, whatever the scores are worth and however parcels resemble each other.

At each k, "more than the target share of the first k is right" is tested by the hypergeometric distribution; lengths
are tested in ascending order until one fails, so that each test may use all of δ (fixed-sequence testing, as in
Angelopoulos et al., Learn then Test). Whatever is not known counts against the list: a parcel that was not visited, or
could judge, counts as right. So looking before all reviews are in costs nothing: what is certified early stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from cropmap.schemas import CertificateReason, Finding


@dataclass(frozen=True)
class Step:
    list_size: int
    sampled: int
    """reviews drawn from the first `list_size`"""
    counted_right: int
    """found right, could not be judged, or not visited"""
    p_value: float


@dataclass(frozen=True)
class Certificate:
    reason: CertificateReason
    certified_size: int
    """the list's first parcels, by P(right), that the certificate holds for; 0 where nothing is certified"""
    sampled: int
    """parcels drawn from the list"""
    reviewed: int
    """of these, with a finding"""
    found_right: int
    leaving: int
    """found right among the certified: they leave the list, and the rest is better than promised"""
    steps: tuple[Step, ...]
    """as far as they were tested"""

    @property
    def certified(self) -> bool:
        return self.reason == CertificateReason.CERTIFIED


def certify(
    grid: Sequence[int],
    rank: NDArray[np.int64],
    finding: NDArray[np.object_],
    *,
    target: float,
    delta: float,
    used_before: bool = False,
) -> Certificate:
    """Tests the list; `rank` (from 1) and `finding` (None: not visited) of the parcels that were drawn from it."""
    right, unknown = finding == Finding.RIGHT, finding == Finding.CANNOT_TELL
    unvisited = ~(right | unknown | (finding == Finding.WRONG))
    reason, steps = CertificateReason.NO_LIST, []
    if used_before:
        reason = CertificateReason.LIST_USED_BEFORE
    elif grid:
        steps = _steps_until_failure(grid, rank, right | unknown | unvisited, target=target, delta=delta)
        reason = _reason(steps, rank, right | unknown, target=target, delta=delta)
    passed = [step.list_size for step in steps if step.p_value <= delta]
    size = passed[-1] if passed else 0
    return Certificate(
        reason,
        size,
        sampled=len(rank),
        reviewed=int((~unvisited).sum()),
        found_right=int(right.sum()),
        leaving=int((right & (rank <= size)).sum()),
        steps=tuple(steps),
    )


def statement(certificate: Certificate, *, target: float | None, delta: float, list_size: int) -> str:
    """The one sentence that may be published."""
    if not certificate.certified or target is None:
        return f"Could not be certified: {certificate.reason.meaning}."
    size, worst = certificate.certified_size, floor(target * certificate.certified_size)
    return (
        f"With {1 - delta:.0%} confidence at most {target:.0%} of these {size:,} parcels are rightly declared (the "
        f"first {size:,} of {list_size:,}). {certificate.leaving} of them were found right and leave the list: of the "
        f"other {size - certificate.leaving:,} at most {max(worst - certificate.leaving, 0):,} are right."
    )


def _steps_until_failure(
    grid: Sequence[int], rank: NDArray[np.int64], right: NDArray[np.bool_], *, target: float, delta: float
) -> list[Step]:
    steps = []
    for size in grid:
        steps.append(_step(size, rank, right, target))
        if steps[-1].p_value > delta:
            break
    return steps


def _step(size: int, rank: NDArray[np.int64], right: NDArray[np.bool_], target: float) -> Step:
    from scipy.stats import hypergeom  # half a second to import, and most seasons have no reviews

    inside = rank <= size
    sampled, right_drawn = int(inside.sum()), int((inside & right).sum())
    too_many = floor(target * size) + 1
    return Step(size, sampled, right_drawn, float(hypergeom.cdf(right_drawn, size, too_many, sampled)))


def _reason(
    steps: list[Step], rank: NDArray[np.int64], surely: NDArray[np.bool_], *, target: float, delta: float
) -> CertificateReason:
    """Why the shortest list passed or failed."""
    first = steps[0]
    if first.p_value <= delta:
        return CertificateReason.CERTIFIED
    if _step(first.list_size, rank, np.zeros(len(rank), bool), target).p_value > delta:
        return CertificateReason.SAMPLE_TOO_SMALL
    if _step(first.list_size, rank, surely, target).p_value <= delta:
        return CertificateReason.TOO_FEW_REVIEWED
    return CertificateReason.TOO_MANY_RIGHT
