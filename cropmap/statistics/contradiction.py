"""Where reviews contradict the probabilities: how much larger their common error must be than the prior says.

In: per cell the correction that a sample implies, its sampling variance, and what the prior expects of it. Out: one
factor per verdict, 1 unless the corrections are larger than chance allows. It is to a common error of the probabilities
what φ is to that of single parcels: raked sums can be wrong together where declarations name a rare crop as often as a
common one, and no declaration shows it.

Axes: R regions, V verdicts, J crops that partition the area.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]

SIGNIFICANT: Final = 2.0
"""standard errors: below, the prior stands. Of 44 simulated samples with sound probabilities none exceeded it, of 14
with unsound ones all but one did, where declaration and image disagree (`python -m tests.studies areas`, development
seeds 100 to 106)"""
SURPRISE: Final = 3.0
"""standard deviations that one cell counts with at most: a single review that finds what was held impossible is
evidence about its parcel, not about all. Without this bound two of the sound samples lost their probabilities"""
MOST: Final = 20.0
"""a few reviews may not throw the probabilities away altogether"""


def contradiction(correction: Floats, sampling: Floats, prior: Floats, chance: Floats) -> Floats:
    """Factors [V] of the prior variance, 1 to MOST. All arguments are [R, V, J]; cells whose sampling variance is zero
    were not reviewed.

    Under the prior E[D²] = V_D + chance + τ². The factor is the maximum-likelihood scale of τ² (D normal, single cells
    limited to SURPRISE), taken where its score at 1 exceeds SIGNIFICANT standard errors.
    """
    return np.array(
        [
            _scale(*(part[:, verdict] for part in (correction**2, sampling, prior, chance)))
            for verdict in range(correction.shape[1])
        ]
    )


def _scale(square: Floats, sampling: Floats, prior: Floats, chance: Floats) -> float:
    asked = (sampling > 0) & (prior > 0)
    if not asked.any():
        return 1.0
    observed, expected, common = square[asked], (sampling + chance)[asked], prior[asked]

    def score(scale: float) -> float:
        total = expected + scale * common
        return float((common / total**2 * (np.minimum(observed, SURPRISE**2 * total) - total)).sum())

    information = float(((common / (expected + common)) ** 2).sum())
    if score(1.0) <= SIGNIFICANT * np.sqrt(2 * information):
        return 1.0
    return MOST if score(MOST) >= 0 else float(brentq(score, 1.0, MOST))
