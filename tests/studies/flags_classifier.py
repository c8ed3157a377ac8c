"""A classifier light enough for hundreds of trainings: one hidden layer on principal components.

In: features and declared classes. Out: logits of parcels that it was not trained on. It stands in for the networks
where a study needs every fold trained four times for each of hundreds of populations, and is never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cropmap.dataset.folds import Folds

Matrix = NDArray[np.float32]

COMPONENTS: Final = 80
BATCH: Final = 256
LEARNING_RATE: Final = 4e-3
WEIGHT_DECAY: Final = 1e-4


@dataclass(frozen=True)
class Light:
    hidden: int = 256
    epochs: int = 8


@dataclass(frozen=True)
class Trained:
    network: nn.Module

    def logits(self, inputs: Matrix) -> Matrix:
        """(N, K)"""
        with torch.inference_mode():
            return np.asarray(self.network(torch.from_numpy(inputs)).numpy())


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
    inputs: Matrix,
    label: NDArray[np.int64],
    folds: Folds,
    *,
    classes: int,
    without: NDArray[np.bool_],
    light: Light,
    seed: int,
) -> Matrix:
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
    generator = torch.Generator().manual_seed(seed)
    network = _start(inputs.shape[1], light.hidden, classes, generator)
    batch = min(BATCH, len(inputs))
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    steps = light.epochs * (len(inputs) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    features, target = torch.from_numpy(inputs), torch.from_numpy(label)
    for _ in range(light.epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for rows in torch.split(order, batch):
            if len(rows) < batch:
                continue
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(features[rows]), target[rows])
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            optimizer.step()
            schedule.step()
    return Trained(network)


def _start(inputs: int, hidden: int, classes: int, generator: torch.Generator) -> nn.Sequential:
    """Nearly indifferent between the classes."""
    first, last = nn.Linear(inputs, hidden), nn.Linear(hidden, classes)
    with torch.no_grad():
        for layer, variance in ((first, 2 / inputs), (last, 0.02 / hidden)):
            layer.weight.normal_(std=variance**0.5, generator=generator)
            layer.bias.zero_()
    return nn.Sequential(first, nn.ReLU(), last)
