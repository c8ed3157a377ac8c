"""What somebody could know who knows the simulation: the posterior that the list of mismatches is held against.

In: a season. Out: P(crop | features, region), from four further populations of the same season whose truth is known,
and with it P(right) by the very law that the mismatches were drawn from. The simulation has no posterior in closed
form; that this one is sharp but not overconfident shows in its own lists, whose realised rate stands in the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from cropmap.simulation.crops import CROPS
from cropmap.simulation.landscape import REGIONS
from tests.studies.flags_classifier import Light, Matrix, Projection, Trained, train
from tests.studies.flags_season import Grown, grow
from tests.studies.mismatches import Law

POPULATIONS: Final = 4
FIRST_SEED: Final = 9_000
"""of the reference's populations; no study uses seeds this high"""
MEMBERS: Final = 2
LIGHT: Final = Light(hidden=256, epochs=12)


@dataclass(frozen=True)
class Reference:
    projection: Projection
    trained: tuple[Trained, ...]
    sharpness: float = 1.0
    """inverse temperature"""

    def posterior(self, grown: Grown) -> NDArray[np.float64]:
        """(N, CROPS)"""
        return np.asarray(softmax(self.sharpness * self.logits(grown), axis=1))

    def logits(self, grown: Grown) -> NDArray[np.float64]:
        inputs = _inputs(self.projection, grown)
        return np.asarray(np.mean([one.logits(inputs).astype(float) for one in self.trained], axis=0))

    def right(self, grown: Grown, declared: NDArray[np.int64], planted: Law) -> NDArray[np.float64]:
        """(N,) P(the declaration is right), by Bayes' rule under the true law of the mismatches."""
        joint = self.posterior(grown) * planted[grown.region, :, declared]
        return np.asarray(joint[np.arange(len(declared)), declared] / joint.sum(axis=1))


def learn(*, parcels: int, season: int) -> Reference:
    """Grows and learns POPULATIONS times `parcels`; one more population sets the temperature."""
    first = FIRST_SEED + (POPULATIONS + 1) * season
    *populations, last = (grow(parcels=parcels, season=season, seed=first + k) for k in range(POPULATIONS + 1))
    projection = Projection.of(np.concatenate([grown.features for grown in populations]))
    inputs = np.concatenate([_inputs(projection, grown) for grown in populations])
    crop = np.concatenate([grown.crop for grown in populations])
    members = (train(inputs, crop, classes=len(CROPS), light=LIGHT, seed=first + m) for m in range(MEMBERS))
    reference = Reference(projection, tuple(members))
    return Reference(projection, reference.trained, _sharpness(reference.logits(last), last.crop))


def _sharpness(logits: NDArray[np.float64], crop: NDArray[np.int64]) -> float:
    """Inverse temperature of the greatest likelihood."""

    def loss(log_scale: float) -> float:
        return float(-log_softmax(np.exp(log_scale) * logits, axis=1)[np.arange(len(crop)), crop].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-1, 1), method="bounded").x))


def _inputs(projection: Projection, grown: Grown) -> Matrix:
    return np.column_stack([projection(grown.features), np.eye(len(REGIONS), dtype=np.float32)[grown.region]])
