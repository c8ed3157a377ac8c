"""Temperature and class bias, fitted on out-of-fold logits: probabilities that mean what they say.

calibrated logits = logits / T + b (vector scaling with one temperature; Guo et al. 2017, arXiv:1706.04599).
A logit adjustment is taken back by the bias that it implies, so that probabilities follow the class shares of the
training data; the fitted bias departs from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

BIAS_PENALTY: Final = 1_000.0
"""Squared bias counts like this many parcels' loss: a few thousand parcels get a temperature and next to no bias, a
whole agency gets both. On 3,851 parcels in five spatial folds the bias that a penalty of 1 lets through cost .4 points
of overall accuracy, 2 of macro-F1 and 4 % of the Brier score, because it is another one in the next region."""

MIN_BIAS_FOLDS: Final = 2
"""folds that a class bias is fitted on at least"""


@dataclass(frozen=True)
class Calibration:
    temperature: float
    bias: tuple[float, ...]
    """(K,)"""

    def apply(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, K) calibrated logits; their softmax is the probability."""
        bias = np.array(self.bias, np.float32)
        return (logits / np.float32(self.temperature) + bias).astype(np.float32)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, K), rows sum to 1."""
        shares: NDArray[np.float32] = softmax(self.apply(logits).astype(np.float64), axis=1).astype(np.float32)
        return shares


def fit_calibration(
    logits: NDArray[np.float32], label: NDArray[np.int16], *, logit_adjustment: float = 0.0, biased: bool = True
) -> Calibration:
    """Least negative log likelihood over parcels with logits (n, K, finite) and a label (n,).

    logit_adjustment: the tau that the network was trained with. `biased` False fits a temperature alone.
    """
    from scipy.optimize import minimize  # a third of a second, and an observing calibrates nothing

    assert len(logits) == len(label) > 0, "calibration needs judged parcels"
    count, classes = logits.shape
    implied = logit_adjustment * np.log((np.bincount(label, minlength=classes) + 1) / (count + classes))
    scores = logits.astype(np.float64)
    truth = np.eye(classes)[label]

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        sharpness, bias = np.exp(parameters[0]), parameters[1:]
        log_p = log_softmax(scores * sharpness + implied + bias, axis=1)
        residual = np.exp(log_p) - truth  # (n, K) gradient of the loss with respect to the calibrated logits
        value = -(truth * log_p).sum() + BIAS_PENALTY * (bias**2).sum() / 2
        slope = np.concatenate([[(residual * scores).sum() * sharpness], residual.sum(axis=0) + BIAS_PENALTY * bias])
        return value / count, slope / count

    # a separable toy problem would otherwise go to infinity
    limits = [(-4.0, 4.0)] + [(-10.0, 10.0) if biased else (0.0, 0.0)] * classes
    best = minimize(loss, np.zeros(classes + 1), jac=True, method="L-BFGS-B", bounds=limits).x
    return Calibration(float(np.exp(-best[0])), tuple(float(b) for b in implied + best[1:]))


def calibrate_across(
    logits: NDArray[np.float32], label: NDArray[np.int16], fold: NDArray[np.int16], *, logit_adjustment: float = 0.0
) -> NDArray[np.float32]:
    """(n, K) probabilities of which each fold's were calibrated on the other folds: what calibration is worth on
    parcels it was not fitted to."""
    out = np.empty_like(logits)
    for k, elsewhere in calibrations_elsewhere(logits, label, fold, logit_adjustment=logit_adjustment).items():
        out[fold == k] = elsewhere.probabilities(logits[fold == k])
    return out


def calibrations_elsewhere(
    logits: NDArray[np.float32], label: NDArray[np.int16], fold: NDArray[np.int16], *, logit_adjustment: float = 0.0
) -> dict[int, Calibration]:
    """For every fold the calibration of all others; none at all where there is one fold.

    Of a single other fold the temperature alone is taken: whether its classes are over- or understated everywhere, or
    only there, cannot be inferred from one region.
    """
    calibrations = {}
    for k in np.unique(fold).tolist():
        others = fold != k
        several = len(np.unique(fold[others])) >= MIN_BIAS_FOLDS
        calibrations[k] = (
            fit_calibration(logits[others], label[others], logit_adjustment=logit_adjustment, biased=several)
            if others.any()
            else Calibration(1.0, (0.0,) * logits.shape[1])
        )
    return calibrations
