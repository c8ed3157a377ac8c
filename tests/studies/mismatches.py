"""Wrong declarations planted by a pattern, and right ones that look wrong.

In: what grows. Out: what is declared, and the law that it was drawn from: P(declared k | true c, region r), which the
posterior of somebody who knows everything is computed from. Nothing here is read by the pipeline.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from cropmap.simulation.crops import CROPS
from cropmap.simulation.landscape import REGIONS
from cropmap.simulation.randomness import stream

Classes = npt.NDArray[np.int64]
Law = npt.NDArray[np.float64]


class Pattern(StrEnum):
    UNIFORM = "uniform"
    """any class as any other"""
    CONCENTRATED = "concentrated"
    """mostly FLOWS: crops that pay more, or that are easily taken for one another"""
    CLASS_AND_REGION = "class and region"
    """some classes and some regions are declared wrongly several times as often as others"""


FLOWS: Final = (
    ("permanent meadows", "temporary meadows", 0.45),
    ("corn", "temporary meadows", 0.20),
    ("corn", "permanent meadows", 0.05),
    ("common wheat", "barley", 0.10),
    ("fallow", "miscellaneous", 0.025),
    ("fallow", "permanent meadows", 0.025),
)
"""(true, declared, share of all wrong declarations); the rest is uniform"""
CLASS_SPREAD: Final = 0.7
REGION_SPREAD: Final = 0.5
"""standard deviations of the logarithm of the rate of wrong declarations between classes, and between regions"""
MOST_WRONG: Final = 0.5
"""no class is declared wrongly more often than this"""


def law(pattern: Pattern, *, wrong_share: float, shares: Law, seed: int) -> Law:
    """(REGIONS, CROPS, CROPS) P(declared | true, region); rows sum to 1.

    `shares` (REGIONS, CROPS) are the shares of all parcels that grow a class in a region; they sum to 1. Over them, the
    expected share of wrong declarations is `wrong_share`.
    """
    count = len(CROPS)
    uniform = np.full((len(REGIONS), count, count), 1.0 / (count - 1))
    if pattern == Pattern.UNIFORM:
        off = wrong_share * uniform
    elif pattern == Pattern.CONCENTRATED:
        off = wrong_share * (1 - sum(share for _, _, share in FLOWS)) * uniform
        for true, said, share in FLOWS:
            off[:, CROPS.index(true), CROPS.index(said)] += wrong_share * share / shares[:, CROPS.index(true)].sum()
    else:
        rng = stream(seed, "mismatch rates")
        rate = np.exp(rng.normal(0, REGION_SPREAD, (len(REGIONS), 1)) + rng.normal(0, CLASS_SPREAD, (1, count)))
        off = (wrong_share * rate / (rate * shares).sum())[:, :, None] * uniform
    off[:, np.arange(count), np.arange(count)] = 0
    off *= np.minimum(1, MOST_WRONG / np.maximum(off.sum(axis=2, keepdims=True), MOST_WRONG))
    off[:, np.arange(count), np.arange(count)] = 1 - off.sum(axis=2)
    return off


def declare(true: Classes, region: npt.NDArray[np.int16], planted: Law, *, seed: int) -> Classes:
    """(N,) declared classes, drawn from the law; at a higher rate the same parcels are wrong, and more."""
    below = stream(seed, "mismatches").random((len(true), 1)) > _by_step(planted).cumsum(axis=2)[region, true]
    step = np.minimum(below.sum(axis=1), len(CROPS) - 1)
    return np.asarray((true + step) % len(CROPS))


def _by_step(planted: Law) -> Law:
    """The law by steps from the true class, so that right is drawn first."""
    count = planted.shape[1]
    column = (np.arange(count)[:, None] + np.arange(count)[None]) % count
    return np.take_along_axis(planted, column[None], axis=2)


def atypical(grown: Classes, *, share: float, seed: int) -> Classes:
    """(N,) true classes of which `share` differ from the class whose signal the parcel carries: failed, mixed or
    misplaced parcels, declared rightly or wrongly like any other."""
    rng = stream(seed, "atypical")
    step = rng.integers(1, len(CROPS), len(grown))
    return np.where(rng.random(len(grown)) < share, (grown + step) % len(CROPS), grown)


def joint_shares(true: Classes, region: npt.NDArray[np.int16]) -> Law:
    """(REGIONS, CROPS) shares of all parcels."""
    cells = np.bincount(region * len(CROPS) + true, minlength=len(REGIONS) * len(CROPS)).astype(float)
    return np.asarray(cells.reshape(len(REGIONS), len(CROPS)) / len(true))
