"""A classifier light enough for hundreds of trainings: one hidden layer on principal components, in NumPy.

In: features and declared classes. Out: logits of parcels that it was not trained on. It stands in for the networks
where a study needs every fold trained four times for each of hundreds of populations, and is never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.folds import Folds

Matrix = NDArray[np.float32]

COMPONENTS: Final = 80
BATCH: Final = 256
LEARNING_RATE: Final = 4e-3
WEIGHT_DECAY: Final = 1e-4
MOMENTA: Final = (0.9, 0.999)
"""of Adam (Kingma and Ba 2015)"""


@dataclass(frozen=True)
class Light:
    hidden: int = 96
    epochs: int = 8


@dataclass(frozen=True)
class Trained:
    weights: tuple[Matrix, Matrix]
    biases: tuple[Matrix, Matrix]

    def logits(self, inputs: Matrix) -> Matrix:
        """(N, K)"""
        hidden = np.maximum(inputs @ self.weights[0] + self.biases[0], 0)
        return np.asarray(hidden @ self.weights[1] + self.biases[1])


@dataclass(frozen=True)
class Projection:
    """Principal components of standardised features, scaled to unit variance. It sees no label."""

    centre: NDArray[np.float64]
    matrix: NDArray[np.float64]
    """(features, components)"""

    @classmethod
    def of(cls, features: NDArray[Any]) -> Projection:
        """From (N, features); features that never vary are left out."""
        centre, spread = features.mean(axis=0, dtype=float), features.std(axis=0, dtype=float)
        scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)
        values, vectors = np.linalg.eigh(np.cov((features - centre) * scale, rowvar=False))
        leading = vectors[:, ::-1][:, :COMPONENTS] / np.sqrt(np.maximum(values[::-1][:COMPONENTS], 1e-9))
        return cls(centre, scale[:, None] * leading)

    def __call__(self, features: NDArray[Any]) -> Matrix:
        return np.asarray((features - self.centre) @ self.matrix, np.float32)


def out_of_fold(
    inputs: Matrix, label: NDArray[np.int64], folds: Folds, *, classes: int, without: NDArray[np.bool_],
    light: Light, seed: int,
) -> Matrix:  # fmt: skip
    """(N, K) logits of every parcel from the fold that saw neither it, nor its holding, nor its neighbours.

    Parcels in `without` (N,) train nobody and are scored all the same.
    """
    logits = np.full((len(label), classes), np.nan, np.float32)
    for k in range(folds.count):
        learn, judged = folds.training_mask(k) & ~without, folds.fold == k
        logits[judged] = train(inputs[learn], label[learn], classes=classes, light=light, seed=seed).logits(
            inputs[judged]
        )
    return logits


def train(inputs: Matrix, label: NDArray[np.int64], *, classes: int, light: Light, seed: int) -> Trained:
    """Adam on the cross-entropy with a cosine schedule; the same inputs and seed give the same weights."""
    rng = np.random.default_rng(seed)
    state = _start(inputs.shape[1], light.hidden, classes, rng)
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in state]
    batch = min(BATCH, len(inputs))
    per_epoch = len(inputs) // batch
    for step in range(light.epochs * per_epoch):
        if step % per_epoch == 0:
            order = rng.permutation(len(inputs))
        rows = order[(step % per_epoch) * batch :][:batch]
        gradients = _gradients(state, inputs[rows], label[rows])
        rate = LEARNING_RATE * (1 + np.cos(np.pi * step / (light.epochs * per_epoch))) / 2
        _adam(state, moments, gradients, rate=rate, step=step + 1)
    return Trained((state[0], state[1]), (state[2], state[3]))


def _start(inputs: int, hidden: int, classes: int, rng: np.random.Generator) -> list[Matrix]:
    first = rng.standard_normal((inputs, hidden)) * np.sqrt(2 / inputs)
    second = rng.standard_normal((hidden, classes)) * np.sqrt(0.02 / hidden)
    return [np.asarray(p, np.float32) for p in (first, second, np.zeros(hidden), np.zeros(classes))]


def _gradients(state: list[Matrix], inputs: Matrix, label: NDArray[np.int64]) -> list[Matrix]:
    """Of the mean cross-entropy and the weight decay, in the order of `state`."""
    hidden = np.maximum(inputs @ state[0] + state[2], 0)
    scores = hidden @ state[1] + state[3]
    wrong = np.exp(scores - scores.max(axis=1, keepdims=True))
    wrong /= wrong.sum(axis=1, keepdims=True)
    wrong[np.arange(len(label)), label] -= 1
    wrong /= len(label)
    back = (wrong @ state[1].T) * (hidden > 0)
    decay = [WEIGHT_DECAY * weights for weights in state[:2]]
    return [inputs.T @ back + decay[0], hidden.T @ wrong + decay[1], back.sum(axis=0), wrong.sum(axis=0)]


def _adam(
    state: list[Matrix], moments: list[tuple[Matrix, Matrix]], gradients: list[Matrix], *, rate: float, step: int
) -> None:
    first, second = MOMENTA
    scale = np.float32(rate * np.sqrt(1 - second**step) / (1 - first**step))
    for value, (mean, square), gradient in zip(state, moments, gradients, strict=True):
        mean += np.float32(1 - first) * (gradient - mean)
        square += np.float32(1 - second) * (gradient * gradient - square)
        value -= scale * mean / (np.sqrt(square) + np.float32(1e-8))
