"""Scores adapted to the region that they judge, before anything is inferred from them.

In: out-of-fold logits [N, K], declared classes [N], the region of each parcel [N], and a noise channel fitted to them.
Out: logits [N, K]. A parcel is judged by a model that was trained without its region, so its
scores are systematically off there: what grows more often than elsewhere gets too little. One offset per region and
class, and one matrix between the classes for all, take that out again, fitted through the channel like temperature and
bias. After Kull et al. 2019 (matrix scaling with a penalty on what is off the diagonal) and Saerens et al. 2002 (prior
shift), with the noise of the declarations allowed for as in Patrini et al. 2017.

Shrunk towards no change, so that a few hundred declarations move next to nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import softmax

from cropmap.assessments.channel import Channel, Floats, row_parts

OFFSET_SPREAD: Final = 0.5
MIXING_SPREAD: Final = 0.1
"""standard deviations that the offsets, and the matrix's departures from the identity, are expected to have: 25,000
parcels gain a little from twice as much, 2,500 lose by it (`docs/flags.md`)"""
SAMPLE: Final = 100_000
"""parcels that the adaptation, and the channel of what it gives, are fitted to at most"""
ITERATIONS: Final = 200


def adapted(
    logits: NDArray[Any], declared: NDArray[np.intp], region: NDArray[np.intp], channel: Channel, *, seed: int
) -> Floats:
    """[N, K] z + z M + b_r, with z the scores as the channel calibrates them.

    `region` counts from 0 without gaps. The same inputs and seed give the same bits.
    """
    classes, regions = logits.shape[1], int(region.max()) + 1
    rows = np.arange(len(logits))
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), size=SAMPLE, replace=False))
    z, r, emission = channel.calibrated(logits[rows]), region[rows], channel.matrix[:, declared[rows]].T
    of_region = csr_array((np.ones(len(rows)), (r, np.arange(len(rows)))), shape=(regions, len(rows)))
    tail, shares = channel.tail, channel.shares

    def loss(numbers: Floats) -> tuple[float, Floats]:
        """-Σ log Σ_c q_c T_{c,d}, and the penalty of normal priors; numbers are in their spreads."""
        offset, mixing = _unpacked(numbers, regions, classes)
        soft = softmax(z + z @ mixing + offset[r], axis=1)
        likelihood = (((1 - tail) * soft + tail * shares) * emission).sum(axis=1)
        weight = (1 - tail) * soft * emission / likelihood[:, None]
        slope = weight - soft * weight.sum(axis=1, keepdims=True)
        gradient = np.concatenate([(of_region @ slope).ravel() * OFFSET_SPREAD, (z.T @ slope).ravel() * MIXING_SPREAD])
        return float(-np.log(likelihood).sum() + numbers @ numbers / 2), numbers - gradient

    start = np.zeros((regions + classes) * classes)
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    offset, mixing = _unpacked(np.asarray(fitted.x, dtype=float), regions, classes)
    found = np.empty(logits.shape)
    for part in row_parts(len(logits)):
        scores = channel.calibrated(logits[part])
        found[part] = scores + scores @ mixing + offset[region[part]]
    return found


def _unpacked(numbers: Floats, regions: int, classes: int) -> tuple[Floats, Floats]:
    """Offsets [R, K] and the matrix's departure from the identity [K, K]."""
    offset = numbers[: regions * classes].reshape(regions, classes) * OFFSET_SPREAD
    mixing = numbers[regions * classes :].reshape(classes, classes) * MIXING_SPREAD
    return offset, mixing
