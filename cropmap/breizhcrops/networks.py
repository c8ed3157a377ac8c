"""The two networks of the BreizhCrops paper (Russwurm et al. 2020), layer by layer as published, in our own words.

Both map (B, T, C) reflectances of T sampled dates to (B, K) logits and take no days as input. Their tensors come in the
order of the published weights. They are here to be compared with, and are trained by `breizhcrops.training` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from cropmap.schemas import Architecture

LSTM_DROPOUT: Final = 0.5713020228087161
TRANSFORMER_DROPOUT: Final = 0.017998950510888446
SPARSE: Final = 0.1
"""below this rate it is quicker to draw which values are dropped than to draw for each value"""


Randoms = Sequence[np.random.Generator]
"""one for each thread, so that what is dropped does not depend on who comes first"""
_lane: Final = ContextVar("lane", default=0)


@contextmanager
def in_lane(number: int) -> Iterator[None]:
    """The calling thread draws from its own random numbers inside."""
    token = _lane.set(number)
    try:
        yield
    finally:
        _lane.reset(token)


class CompatLstm(nn.Module):
    """Four bidirectional layers of 128 without bias; the cell states that all of them end with are classified."""

    def __init__(self, bands: int, classes: int, randoms: Randoms) -> None:
        super().__init__()
        width, layers = 128, 4
        self.norm_in, self.norm_cells = nn.LayerNorm(bands), nn.LayerNorm(2 * width * layers)
        self.layers = nn.ModuleList(
            nn.LSTM(2 * width if below else bands, width, bias=False, batch_first=True, bidirectional=True)
            for below in range(layers)
        )
        self.out = nn.Linear(2 * width * layers, classes)
        self.drop = Dropout(LSTM_DROPOUT, randoms)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_in(x)  # (B, T, C)
        cells = []
        for number, layer in enumerate(self.layers):
            x, (_, cell) = layer(self.drop(x) if number else x)  # (B, T, 2 * width), (2, B, width)
            cells.append(cell)
        return cast(Tensor, self.out(self.norm_cells(torch.cat(cells).transpose(0, 1).flatten(1))))


class CompatTransformer(nn.Module):
    """Five post-norm encoder layers over a linear embedding, no positions; the maximum over time is classified."""

    def __init__(self, bands: int, classes: int, randoms: Randoms) -> None:
        super().__init__()
        width, layers, heads, inner = 64, 5, 2, 128
        self.embed = nn.Linear(bands, width)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, inner, randoms) for _ in range(layers))
        for layer in self.layers[1:]:  # torch's encoder begins with copies of one layer
            layer.load_state_dict(self.layers[0].state_dict())
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).relu()  # (B, T, width)
        for layer in self.layers:
            x = layer(x)
        return cast(Tensor, self.out(self.norm(x).amax(dim=1).relu()))


class EncoderLayer(nn.Module):
    """Vaswani et al. 2017: attention and two linear layers, each added to its input and normalised."""

    def __init__(self, width: int, heads: int, inner: int, randoms: Randoms) -> None:
        super().__init__()
        self.heads = heads
        self.qkv_weight, self.qkv_bias = (
            nn.Parameter(torch.empty(3 * width, width)),
            nn.Parameter(torch.zeros(3 * width)),
        )
        self.out = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = Dropout(TRANSFORMER_DROPOUT, randoms)
        nn.init.xavier_uniform_(self.qkv_weight)  # as torch's own attention begins
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_attention(x + self.drop(self.attend(x)))
        inner = self.drop(self.widen(x).relu())
        return cast(Tensor, self.norm_forward(x + self.drop(self.narrow(inner))))

    def attend(self, x: Tensor) -> Tensor:
        b, t, width = x.shape
        split = linear(x, self.qkv_weight, self.qkv_bias).view(b, t, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).flatten(1, 2).unbind()  # each (B * H, T, width / H)
        weight = torch.softmax((query * math.sqrt(self.heads / width)) @ key.transpose(1, 2), dim=-1)
        seen = self.drop(weight) @ value
        return cast(Tensor, self.out(seen.view(b, self.heads, t, -1).transpose(1, 2).reshape(b, t, width)))


CompatNetwork = CompatLstm | CompatTransformer
NETWORKS: Final[Mapping[Architecture, type[CompatNetwork]]] = {
    Architecture.LSTM: CompatLstm,
    Architecture.TRANSFORMER: CompatTransformer,
}


def build_compat(architecture: Architecture, bands: int, classes: int, *, seed: int, lanes: int = 1) -> CompatNetwork:
    """A network as published, for `lanes` threads at once; `seed` is for what it drops, torch's own for its weights."""
    return NETWORKS[architecture](
        bands, classes, [np.random.Generator(np.random.SFC64([seed, lane])) for lane in range(lanes)]
    )


class Dropout(nn.Module):
    """Dropout as everywhere, each value on its own. On a CPU torch draws one number per value on one core, which is
    a good part of a step of these small networks; here numpy draws fewer or smaller numbers."""

    def __init__(self, rate: float, randoms: Randoms) -> None:
        super().__init__()
        self.rate, self.randoms = rate, randoms

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return dropout(x, self.rate, self.training)
        random = self.randoms[_lane.get()]
        if self.rate < SPARSE:
            return cast(Tensor, _Dropped.apply(x, self.dropped(x.numel(), random), 1 / (1 - self.rate)))  # type: ignore[no-untyped-call]
        kept = random.integers(0, 1 << 16, x.numel(), np.uint16) >= round(self.rate * (1 << 16))
        return x * torch.from_numpy(kept).view(x.shape).to(x.dtype).mul_(1 / (1 - self.rate))

    def dropped(self, count: int, random: np.random.Generator) -> Tensor:
        """Positions of the dropped among `count` values: the gaps between them are geometric."""
        expected = count * self.rate
        gaps = random.geometric(self.rate, int(expected + 8 * math.sqrt(expected)) + 16)
        position = np.cumsum(gaps) - 1
        return torch.from_numpy(position[: np.searchsorted(position, count)])


class _Dropped(torch.autograd.Function):
    """Zero at some positions of the flat tensor, scaled elsewhere; the gradient alike."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, positions: Tensor, scale: float) -> Tensor:
        ctx.positions, ctx.scale = positions, scale
        return _zeroed(x, positions, scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _zeroed(grads[0], ctx.positions, ctx.scale), None, None


def _zeroed(x: Tensor, positions: Tensor, scale: float) -> Tensor:
    out = x.contiguous() * scale
    out.view(-1)[positions] = 0
    return out
