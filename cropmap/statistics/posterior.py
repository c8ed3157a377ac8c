"""Recalibrated class probabilities of a region, and the posterior given the declaration.

In: out-of-fold probabilities and declared classes of the parcels of *one* region. Out: probabilities that agree with
the declared counts (raking), and posteriors whose rows still sum to one. Recipe and measurements: docs of the area
estimator; without raking the intervals cover 73-83 % instead of 93-99 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

DECLARATION_ERROR: Final = 0.03
"""ε: working value for the share of wrong declarations; true shares of 1-7 % did no harm in simulation"""
RAKING_ITERATIONS: Final = 30
MOST_ITERATIONS: Final = 300
"""sharp probabilities need more than 30 (100 where they were raised to the power 1.7): stopped there, a region failed
the check on its counts and threw the model away, at three times the error"""
RAKED: Final = 0.001
"""largest relative gap of a class's count at which it ends"""
UNDECLARED: Final = -1


@dataclass(frozen=True)
class Raked:
    factors: Floats
    """α [K]"""
    probabilities: Floats
    """p2 [n, K], rows sum to 1"""
    declared_counts: Floats
    """n_k [K]"""
    expected_counts: Floats
    """Σ p2 over declared parcels [K]: equals `declared_counts` when raking has converged"""


def rake(probabilities: Floats, declared: Integers, *, most: int = MOST_ITERATIONS) -> Raked:
    """Scales classes until Σ p2 over the declared parcels equals their declared counts: at least RAKING_ITERATIONS
    times, then on to a gap of RAKED, at most `most` times.

    α_k ← α_k (n_k + 1) / (Σ_declared t_k + 1) with t = pα / Σ pα. `declared` is a class index, -1 for undeclared.
    """
    known = declared != UNDECLARED
    counts = np.bincount(declared[known], minlength=probabilities.shape[1]).astype(float)
    among = probabilities[known]
    factors = np.ones(probabilities.shape[1])
    for iteration in range(most):
        expected = factors * ((1 / (among @ factors)) @ among)
        step = (counts + 1) / (expected + 1)
        if iteration >= RAKING_ITERATIONS and (np.abs(step - 1) <= RAKED).all():
            break
        factors = factors * step
    scaled = probabilities * factors
    scaled /= scaled.sum(axis=1, keepdims=True)
    return Raked(factors, scaled, counts, scaled[known].sum(axis=0))


def posterior(
    probabilities: Floats, declared: Integers, *, shares: Floats, declaration_error: float = DECLARATION_ERROR
) -> Floats:
    """q [n, K] ∝ p2_k L(k, d): L = 1-ε where k = d, else ε share_d / (1 - share_k); undeclared parcels keep p2.

    `shares` [K]: share of each class among the declared parcels, by count.
    """
    known = np.flatnonzero(declared != UNDECLARED)
    chosen = declared[known]
    others = 1 - shares
    wrong = declaration_error * shares[chosen, None] / np.where(others > 0, others, 1)
    likelihood = wrong
    likelihood[np.arange(len(known)), chosen] = 1 - declaration_error
    updated = probabilities.copy()
    updated[known] *= likelihood
    updated[known] /= updated[known].sum(axis=1, keepdims=True)
    return updated


def declared_shares(declared: Integers, *, classes: int) -> Floats:
    """Share of each class among declared parcels [K]; zeros where nothing is declared."""
    counts = np.bincount(declared[declared != UNDECLARED], minlength=classes).astype(float)
    shares: Floats = counts / max(counts.sum(), 1)
    return shares
