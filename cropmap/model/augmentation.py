"""What training does to a batch so that a network is trained on more seasons than were observed.

Everything is drawn from the step's own generator: step 1,000 of a training that was killed and resumed is step 1,000
of one that was not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cropmap.dataset.batches import Positions, positions
from cropmap.dataset.series import Series
from cropmap.model.ragged import Inputs, Ragged
from cropmap.model.training_config import TrainingConfig

CLOUD_REFLECTANCE: Final = (0.3, 0.9)
"""Range of the brightness of an injected cloud."""
CLOUD_OPACITY: Final = (0.1, 0.6)


def augmented(
    series: Series, ragged: Ragged, index: NDArray[np.intp], config: TrainingConfig, random: np.random.Generator
) -> Inputs:
    """The parcels at `index` as a batch, changed as the configuration says."""
    picked = positions(series, index)
    if config.truncate_rate:
        picked = _truncated(series, picked, config.truncate_rate, random)
    if config.drop_rate:
        picked = _thinned(picked, config.drop_rate, random)
    shift = random.normal(0, config.shift_days, len(index)).astype(np.float32) if config.shift_days else None
    reflectance, day_of_year, valid = ragged.batch(picked, shift_days=shift)
    if config.cloud_rate:
        reflectance = _clouded(reflectance, config.cloud_rate)
    return reflectance, day_of_year, valid


def _truncated(series: Series, picked: Positions, rate: float, random: np.random.Generator) -> Positions:
    """A share of the parcels ends on a random day, as every series does in season; one observation stays."""
    day = series.day_of_year[picked.row]  # (B, T)
    first, last = day[:, 0], np.where(picked.valid, day, -(2**15)).max(axis=1)
    cut = np.where(random.random(len(day)) < rate, random.uniform(first, last + 1), np.inf)
    return picked.keep(day <= cut[:, None])


def _thinned(picked: Positions, most: float, random: np.random.Generator) -> Positions:
    """The parcels of a batch lose a random share of their dates, up to `most`, and never the last one."""
    kept = random.random(picked.valid.shape) >= random.uniform(0, most)
    kept[:, 0] |= ~(kept & picked.valid).any(axis=1)
    return picked.keep(kept)


def _clouded(reflectance: Tensor, rate: float) -> Tensor:
    """A share of the observations gets a thin cloud that no mask found."""
    shape = (*reflectance.shape[:2], 1)
    cloudy, opacity, cloud = (torch.rand(shape, device=reflectance.device) for _ in range(3))
    low, high = CLOUD_OPACITY
    opacity = torch.where(cloudy < rate, low + (high - low) * opacity, torch.zeros_like(opacity))
    cloud = CLOUD_REFLECTANCE[0] + (CLOUD_REFLECTANCE[1] - CLOUD_REFLECTANCE[0]) * cloud
    bands = reflectance[..., :-1]
    return torch.cat([bands + opacity * (cloud - bands), reflectance[..., -1:]], dim=-1)
