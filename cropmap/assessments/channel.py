"""The noise channel: how true crops come to be declared, fitted from declarations alone.

In: out-of-fold logits L [N, K] and declared classes d [N]. Out: `Channel`, from which `right_probability` follows.
It never reads a truth, and no rate is guaranteed: a rightly declared parcel that carries another crop's signal cannot
be told from a wrong declaration.

Model: P(declared k | x) = Σ_c q_c(x) T_ck with the clean posterior q = (1-η) softmax(e^a L + b) + η π. Temperature and
bias are fitted *through* T: calibrating on the declarations themselves would absorb the noise and destroy the signal.
After Patrini et al. 2017 (forward correction); T is not identifiable without anchors (Liu et al. 2023), hence the
gate: look-alike pairs are held at the background rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

TAIL: Final = 0.001
"""η: share of rightly declared parcels that may carry any crop's signal. Without it the far tail is overconfident
(said 0.004, was 0.017 in simulation) and the 5 % list fails."""
PRIOR_STRENGTH: Final = 3_000.0
"""κ: pseudo-parcels that shrink every pair towards its class's rate, and every class towards the background. With 300
around one background the handful of parcels that a classifier mistakes counts as a flow of wrong declarations: with
1 % wrong, concentrated, a 10 % list held 16 % right ones, now 2 % (`docs/flags.md`)."""
PRIOR_SHARE: Final = 0.2
"""κ is at most this share of the declarations that the fit looks at, 3,000 of 15,000: the demo's 2,500 would drown in
3,000 pseudo-parcels (11 of 75 planted mistakes flagged, all of them wrong, where the list was to hold a tenth right)"""
MOST_ORDINARY: Final = 6.0
"""times the background rate, above which a pair says nothing about the others of its class"""
FLOW: Final = 12.0
FLOW_STRENGTH: Final = 300.0
"""parcels from which a pair that is not ordinary counts as a flow of wrong declarations, and its κ: shrunk by 3,000, a
large flow would be expected at half its size and observed / expected would refuse a good list"""
SAMPLE: Final = 15_000
"""parcels that the fit uses by default: enough to adapt scores to their regions and to find suspects"""
STEPS: Final = 12
CLEANING_STEPS: Final = 5
NEAR_STEPS: Final = 3
"""EM steps of a first fit, of one between clean-up trainings, and of one that starts from a channel close to it"""
START_WRONG: Final = 0.024
"""off-diagonal mass of a row of T at the start: 0.002 per pair with 13 classes"""
MAX_WRONG: Final = 0.3
"""cap on the off-diagonal mass of a row"""
LOOK_ALIKE_SHARE: Final = 0.05
"""a pair is identifiable while at most this share of the declared class looks like the other one"""
HANDFUL: Final = 3.0
"""parcels of a pair that chance alone may bring"""
BIAS_PENALTY: Final = 1e-4
ROWS: Final = 65_536
"""parcels whose N x K numbers are held at a time: a row depends on no other"""
MIN_BACKGROUND: Final = 1e-6


@contextmanager
def one_thread() -> Iterator[None]:
    """Around what must give the same bits on any machine: the last digits of a product of matrices depend on how many
    threads share it. So narrow ones are slower in several, too (25,000 declarations: 2.9 s in one, 5.4 s in two)."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def row_parts(count: int) -> Iterator[slice]:
    """Rows that are worked on together."""
    for start in range(0, count, ROWS):
        yield slice(start, min(start + ROWS, count))


@dataclass(frozen=True)
class Channel:
    log_scale: float
    """a: logarithm of the inverse temperature"""
    bias: Floats
    """b [K]"""
    matrix: Floats
    """T [K, K]: row = true class, column = declared class; rows sum to 1"""
    background: float
    """m: declared-as rate of an ordinary pair"""
    identifiable: NDArray[np.bool_]
    """[K, K], same axes: False where the pair looks alike and is held at the background rate"""
    shares: Floats
    """π [K]: shares among the declarations"""
    tail: float
    """η"""

    def calibrated(self, logits: NDArray[Any]) -> Floats:
        """[N, K]: logits after temperature and bias."""
        scores: Floats = np.exp(self.log_scale) * _centred(logits) + self.bias
        return scores

    def of_calibrated(self) -> Channel:
        """The same channel of logits that are calibrated already."""
        return replace(self, log_scale=0.0, bias=np.zeros_like(self.bias))

    def clean(self, logits: NDArray[Any]) -> Floats:
        """q [N, K]: probabilities of the true crop, before the declaration is looked at."""
        return _clean(_centred(logits), self.log_scale, self.bias, self.shares, self.tail)

    def typical(self, clean: Floats) -> Floats:
        """[N, K]: q of a parcel that carries its own crop's signal, η taken out again."""
        return np.maximum(clean - self.tail * self.shares, 0) / (1 - self.tail)

    def declared(self, clean: Floats) -> Floats:
        """[N, K]: probability that class k is declared."""
        return clean @ self.matrix

    def right(self, clean: Floats) -> Floats:
        """[N, K]: probability that a declaration of class k would be right."""
        return clean * np.diag(self.matrix) / self.declared(clean)

    def likelihood(self, clean: Floats, declared: NDArray[np.intp]) -> Floats:
        """[N]: probability of the declaration that was made."""
        total: Floats = np.einsum("ic,ci->i", clean, self.matrix[:, declared])
        return total

    def right_probability(self, clean: Floats, declared: NDArray[np.intp]) -> Floats:
        """[N]: P(right) of the declaration that was made."""
        rows = np.arange(len(declared))
        chosen = clean[rows, declared] * np.diag(self.matrix)[declared]
        return chosen / self.likelihood(clean, declared)


def fit_channel(
    logits: NDArray[Any],
    declared: NDArray[np.intp],
    *,
    seed: int,
    tail: float = TAIL,
    steps: int = STEPS,
    sample: int = SAMPLE,
    start: Channel | None = None,
) -> Channel:
    """EM of the channel on at most `sample` random parcels; the same inputs and seed give the same bits.

    `start` is a channel of the same declarations under another η or of other scores, from which few steps lead here.
    """
    classes = logits.shape[1]
    counts = np.bincount(declared, minlength=classes).astype(float)
    shares = counts / counts.sum()
    if len(declared) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(len(declared), size=sample, replace=False))
        logits, declared = logits[rows], declared[rows]
    scores = _centred(logits)
    counts = np.bincount(declared, minlength=classes).astype(float)
    background = START_WRONG / max(classes - 1, 1)
    matrix, parameters = _with_diagonal(np.full((classes, classes), background)), np.zeros(classes + 1)
    if start is not None:
        matrix, background = start.matrix, start.background
        parameters = np.concatenate([[start.log_scale], start.bias])
    identifiable = np.ones((classes, classes), dtype=bool)
    prior = float(np.clip(PRIOR_SHARE * len(declared), FLOW_STRENGTH, PRIOR_STRENGTH))
    for _ in range(steps):
        parameters = _fit_calibration(parameters, scores, declared, matrix, shares, tail)
        clean = _clean(scores, parameters[0], parameters[1:], shares, tail)
        identifiable = _identifiable(clean, declared, counts, background)
        joint = _joint_counts(clean, declared, matrix)
        background = _background(joint, identifiable)
        matrix = _update(joint, identifiable, background, prior)
    return Channel(float(parameters[0]), parameters[1:], matrix, background, identifiable, shares, tail)


def _centred(logits: NDArray[Any]) -> Floats:
    scores = np.asarray(logits, dtype=float)
    centred: Floats = scores - scores.mean(axis=1, keepdims=True)
    return centred


def _clean(scores: Floats, log_scale: float, bias: Floats, shares: Floats, tail: float) -> Floats:
    clean: Floats = np.empty(scores.shape)
    for rows in row_parts(len(scores)):
        clean[rows] = (1 - tail) * softmax(np.exp(log_scale) * scores[rows] + bias, axis=1) + tail * shares
    return clean


def _fit_calibration(
    start: Floats, scores: Floats, declared: NDArray[np.intp], matrix: Floats, shares: Floats, tail: float
) -> Floats:
    """(a, b) that minimise -mean log Σ_c q_c T_{c,d} + 1e-4 |b|², by L-BFGS with the analytic gradient."""
    emission = matrix[:, declared].T  # (N, K): T_{c, d_i}

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale, bias = np.exp(parameters[0]), parameters[1:]
        soft = softmax(scale * scores + bias, axis=1)
        likelihood = (((1 - tail) * soft + tail * shares) * emission).sum(axis=1)
        weight = (1 - tail) * soft * emission / likelihood[:, None]
        slope = weight - soft * weight.sum(axis=1, keepdims=True)  # d log S / d z, (N, K)
        gradient = np.concatenate([[-(slope * scores).sum() * scale], -slope.sum(axis=0)]) / len(scores)
        gradient[1:] += 2 * BIAS_PENALTY * bias
        return -np.log(likelihood).mean() + BIAS_PENALTY * bias @ bias, gradient

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-4, 4)] + [(-20, 20)] * scores.shape[1])
    return np.asarray(fitted.x, dtype=float)


def _joint_counts(clean: Floats, declared: NDArray[np.intp], matrix: Floats) -> Floats:
    """C [K, K]: expected number of parcels with true class c and declared class k."""
    responsibility = clean * matrix[:, declared].T
    responsibility /= responsibility.sum(axis=1, keepdims=True)
    one_hot = np.zeros_like(responsibility)
    one_hot[np.arange(len(declared)), declared] = 1
    return responsibility.T @ one_hot


def _identifiable(clean: Floats, declared: NDArray[np.intp], counts: Floats, background: float) -> NDArray[np.bool_]:
    """Pairs (c, k) of which at most max(5 %, 3 m n_c/n_k) of the declared k look like c."""
    classes = clean.shape[1]
    confusion = np.bincount(clean.argmax(axis=1) * classes + declared, minlength=classes**2).reshape(classes, classes)
    present = np.maximum(counts, 1)
    limit = np.maximum(LOOK_ALIKE_SHARE, 3 * background * counts[:, None] / present[None, :])
    identifiable: NDArray[np.bool_] = confusion / present[None, :] <= limit
    np.fill_diagonal(identifiable, val=True)
    return identifiable


def _background(joint: Floats, identifiable: NDArray[np.bool_]) -> float:
    """m: pooled rate over identifiable pairs, without those above three times their weighted median.

    A pair with a handful of parcels is no outlier: in a small season most pairs expect less than one, their median
    is zero, and leaving out every pair that has any would let m fall to nothing.
    """
    totals = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
    pairs = identifiable & ~np.eye(len(joint), dtype=bool) & (totals > 0)
    if not pairs.any():
        return MIN_BACKGROUND
    count, total = joint[pairs], totals[pairs]
    rate = count / total
    ordinary = (rate <= 3 * _weighted_median(rate, total)) | (count <= HANDFUL)
    return max(float(count[ordinary].sum() / total[ordinary].sum()), MIN_BACKGROUND)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _update(joint: Floats, identifiable: NDArray[np.bool_], background: float, prior: float) -> Floats:
    totals = joint.sum(axis=1, keepdims=True)
    usual = joint <= MOST_ORDINARY * background * totals
    rates = _class_rates(joint, identifiable & (usual | (joint <= HANDFUL)), background, prior)
    strength = np.where(usual | (joint < FLOW), prior, FLOW_STRENGTH)
    matrix = (joint + strength * rates) / (totals + strength)
    return _with_diagonal(np.where(identifiable, matrix, np.minimum(matrix, background)))


def _class_rates(joint: Floats, ordinary: NDArray[np.bool_], background: float, prior: float) -> Floats:
    """[K, 1]: rate per ordinary pair of each true class, shrunk to the background as if κ parcels of it were pooled."""
    pairs = ordinary & ~np.eye(len(joint), dtype=bool)
    pooled = (joint * pairs).sum(axis=1, keepdims=True)
    seen = pairs.sum(axis=1, keepdims=True) * joint.sum(axis=1, keepdims=True)
    rates: Floats = (pooled + prior * background) / (seen + prior)
    return rates


def _with_diagonal(matrix: Floats) -> Floats:
    """Caps the off-diagonal mass of every row and adds the rest to the diagonal."""
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    mass = off.sum(axis=1, keepdims=True)
    off *= np.minimum(1, MAX_WRONG / np.maximum(mass, MAX_WRONG))
    np.fill_diagonal(off, 1 - off.sum(axis=1))
    return off
