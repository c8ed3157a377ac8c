"""What every network is made of besides its own layers: the input, the pooling over time and the output layer."""

from __future__ import annotations

import math
from typing import ClassVar, Final, cast

import torch
from torch import Tensor, nn

from cropmap.model.training_config import TrainingConfig

LONGEST_PERIOD_DAYS: Final = 730.0
"""Longer than any season's window, so that the autumn before and the autumn after differ."""
SHORTEST_PERIOD_DAYS: Final = 12.0
PERIODS: Final = 8
INDICES: Final = (("B08", "B04"), ("B08", "B11"), ("B07", "B05"), ("B03", "B08"))
"""NDVI, NDMI, red-edge NDVI, NDWI as normalised differences; those whose bands are there are used."""
MASKED: Final = -1e4
"""Score of a padded step: its weight is exactly zero, and a series without a step does not give NaN."""
CLAMP: Final = 6.0
"""Standardised values are cut here: thin cloud is far outside of what a crop does."""


class Member(nn.Module):
    """One network of a kind, which its module derives: (reflectance[B, T, C'], day_of_year[B, T], valid[B, T]) to
    logits[B, K].

    C' = bands + 1: the bands as reflectance 0-1, NaN where one is missing, then clear_fraction. `valid` is True for a
    parcel's observations, which come first, and False for the padding behind them. A parcel must have the same logits
    alone and in a padded batch.
    """

    LEARNING_RATE: ClassVar[float]
    """peak of the schedule where the configuration names none"""

    def __init__(self, bands: tuple[str, ...], classes: int, config: TrainingConfig) -> None:
        super().__init__()
        self.classes = classes
        self.inputs = Inputs(bands, config.width, indices=config.indices)

    def merge(self) -> None:
        """Multiplies layers together, where that is the same function with less work. Only copies for export are
        merged; by default nothing is."""


class Inputs(nn.Module):
    """Standardised bands, clear fraction, spectral indices and the calendar, projected to `width`."""

    mean: Tensor
    std: Tensor
    periods: Tensor

    def __init__(self, bands: tuple[str, ...], width: int, *, indices: bool) -> None:
        super().__init__()
        channels = len(bands) + 1
        pairs = [pair for pair in INDICES if indices and set(pair) <= set(bands)]
        self.above = [bands.index(a) for a, _ in pairs]
        self.below = [bands.index(b) for _, b in pairs]
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        steps = torch.linspace(0, 1, PERIODS)
        self.register_buffer("periods", LONGEST_PERIOD_DAYS * (SHORTEST_PERIOD_DAYS / LONGEST_PERIOD_DAYS) ** steps)
        self.project = nn.Linear(channels + len(pairs) + 2 * PERIODS, width)

    def forward(self, reflectance: Tensor, day_of_year: Tensor) -> Tensor:
        x = (reflectance - self.mean) / self.std  # (B, T, C')
        x = torch.where(torch.isnan(x), torch.zeros_like(x), x).clamp(-CLAMP, CLAMP)  # a missing band is the mean
        parts = [x, self.calendar(day_of_year)]
        if self.above:
            parts.append(self.indices(reflectance))
        return cast(Tensor, self.project(torch.cat(parts, dim=-1)))  # (B, T, width)

    def calendar(self, day_of_year: Tensor) -> Tensor:
        """(B, T, 2 * PERIODS) sine and cosine of the day at several periods; any day is legal, also <= 0."""
        angle = day_of_year.unsqueeze(-1) * (2 * math.pi / self.periods)
        return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)

    def indices(self, reflectance: Tensor) -> Tensor:
        """(B, T, pairs) normalised differences, 0 where a band is missing or nothing is reflected."""
        above, below = reflectance[..., self.above].clamp(min=0), reflectance[..., self.below].clamp(min=0)
        ratio = (above - below) / (above + below + 1e-3)
        return torch.where(torch.isnan(ratio), torch.zeros_like(ratio), ratio)


class Pool(nn.Module):
    """Attention over time: each head weighs the steps by a learned score and averages its share of the channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.score = nn.Linear(width, heads, bias=False)  # a constant changes no softmax

    def forward(self, steps: Tensor, valid: Tensor) -> Tensor:
        score = self.score(steps).masked_fill(~valid.unsqueeze(-1), MASKED)  # (B, T, H)
        weight = torch.softmax(score.float(), dim=1).to(steps.dtype)
        shared = steps.reshape(*score.shape, steps.shape[-1] // self.heads)  # (B, T, H, width / H)
        return (weight.unsqueeze(-1) * shared).sum(dim=1).flatten(1)  # (B, width)


class Head(nn.Module):
    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout, self.out = nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.dropout(self.norm(pooled))))
