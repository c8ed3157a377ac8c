"""The two networks: (reflectance[B, T, C'], day_of_year[B, T], valid[B, T]) to logits[B, K], one or several of a kind.

C' = bands + 1: the bands as reflectance 0-1, NaN where one is missing, then clear_fraction. `valid` is True for a
parcel's observations, which come first, and False for the padding behind them. Everything that the input needs
(standardising, filling, spectral indices, the calendar) happens inside, so that the exported file needs nothing
else. A parcel has the same logits alone and in a padded batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from cropmap.schemas import Architecture

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


class Lstm(nn.Module):
    """A stacked LSTM, forward in time, or both ways: the second reads each valid prefix in reverse."""

    def __init__(
        self,
        bands: tuple[str, ...],
        classes: int,
        *,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        indices: bool,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(bands, width, indices=indices)
        between = dropout if layers > 1 else 0.0
        self.onward = nn.LSTM(width, width, layers, batch_first=True, dropout=between)
        self.backward_in_time = (
            nn.LSTM(width, width, layers, batch_first=True, dropout=between) if bidirectional else None
        )
        both = width * (2 if bidirectional else 1)
        self.pool, self.head = Pool(both, heads), Head(both, classes, dropout)

    def forward(self, reflectance: Tensor, day_of_year: Tensor, valid: Tensor) -> Tensor:
        x = self.inputs(reflectance, day_of_year)  # (B, T, width)
        steps, _ = self.onward(x)
        if self.backward_in_time is not None:
            turn = reversed_prefix(valid).unsqueeze(-1)
            turned, _ = self.backward_in_time(torch.gather(x, 1, turn.expand(-1, -1, x.shape[-1])))
            steps = torch.cat([steps, torch.gather(turned, 1, turn.expand(-1, -1, turned.shape[-1]))], dim=-1)
        return cast(Tensor, self.head(self.pool(steps, valid)))


def reversed_prefix(valid: Tensor) -> Tensor:
    """(B, T) index that turns each row's valid prefix around and leaves the padding where it is."""
    position = torch.arange(valid.shape[1], device=valid.device).unsqueeze(0)
    length = valid.sum(dim=1, keepdim=True)
    return torch.where(position < length, length - 1 - position, position)


class Layer(nn.Module):
    """Pre-norm self-attention and feed-forward (Xiong et al. 2020, arXiv:2002.04745)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        split = self.query_key_value(self.norm_attention(x)).reshape(
            *x.shape[:2], 3, self.heads, x.shape[-1] // self.heads
        )
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, H, T, width / H)
        seen = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.drop(self.out(seen.transpose(1, 2).flatten(2)))
        return x + cast(Tensor, self.drop(self.narrow(gelu(self.widen(self.norm_forward(x))))))


class Transformer(nn.Module):
    """A Transformer encoder whose only notion of order is the calendar in its inputs."""

    def __init__(
        self,
        bands: tuple[str, ...],
        classes: int,
        *,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        indices: bool,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(bands, width, indices=indices)
        self.layers = nn.ModuleList([Layer(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.pool, self.head = Pool(width, heads), Head(width, classes, dropout)

    def forward(self, reflectance: Tensor, day_of_year: Tensor, valid: Tensor) -> Tensor:
        x = self.inputs(reflectance, day_of_year)  # (B, T, width)
        bias = torch.zeros_like(day_of_year).masked_fill(~valid, MASKED)[:, None, None, :].to(x.dtype)  # (B, 1, 1, T)
        for layer in self.layers:
            x = layer(x, bias)
        return cast(Tensor, self.head(self.pool(self.norm(x), valid)))


class Network(nn.Module):
    """Members of one architecture that begin with different weights and are trained side by side.

    Their mean probability is steadier than any of them: rare classes depend least on the luck of one training
    (Lakshminarayanan et al. 2017, arXiv:1612.01474).
    """

    def __init__(self, members: Sequence[Lstm | Transformer]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.classes = members[0].head.out.out_features

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Sets what every member takes from its channels (C',) and divides them by."""
        for member in self.members:
            inputs = cast(Inputs, member.inputs)
            inputs.mean.copy_(mean)
            inputs.std.copy_(std)

    def each(self, reflectance: Tensor, day_of_year: Tensor, valid: Tensor) -> list[Tensor]:
        """The logits (B, K) of every member."""
        return [member(reflectance, day_of_year, valid) for member in self.members]

    def forward(self, reflectance: Tensor, day_of_year: Tensor, valid: Tensor) -> Tensor:
        logits = self.each(reflectance, day_of_year, valid)
        if len(logits) == 1:
            return logits[0]
        shares = torch.stack([torch.log_softmax(one, dim=-1) for one in logits])  # (M, B, K)
        return torch.logsumexp(shares, dim=0) - math.log(len(logits))


def build_network(
    architecture: Architecture,
    bands: tuple[str, ...],
    classes: int,
    *,
    width: int,
    layers: int,
    heads: int,
    dropout: float,
    indices: bool,
    bidirectional: bool,
    members: int,
) -> Network:
    def member() -> Lstm | Transformer:
        if architecture is Architecture.LSTM:
            return Lstm(
                bands,
                classes,
                width=width,
                layers=layers,
                heads=heads,
                dropout=dropout,
                indices=indices,
                bidirectional=bidirectional,
            )
        return Transformer(bands, classes, width=width, layers=layers, heads=heads, dropout=dropout, indices=indices)

    return Network([member() for _ in range(members)])
