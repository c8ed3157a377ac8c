"""The networks: one module each, found under the name that it has in `Architecture`, and several of a kind as one.

Everything that the input needs (standardising, filling, spectral indices, the calendar) happens inside, so that the
exported file needs nothing else. To add a network, write its module with a `Member` called NETWORK (see `parts`), and
add its line to `schemas.Architecture`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from importlib import import_module
from types import ModuleType
from typing import cast

import torch
from torch import Tensor, nn

from cropmap.model.networks.parts import Member
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture


def network_module(architecture: Architecture) -> ModuleType:
    return import_module(f"{__name__}.{architecture}")


def network_kind(architecture: Architecture) -> type[Member]:
    """The class that the network's module calls NETWORK."""
    kind: type[Member] = network_module(architecture).NETWORK
    return kind


def peak_learning_rate(config: TrainingConfig) -> float:
    """The configuration's own, else that of the network."""
    return network_kind(config.architecture).LEARNING_RATE if config.learning_rate is None else config.learning_rate


class Network(nn.Module):
    """Members of one architecture that begin with different weights and are trained side by side.

    Their mean probability is steadier than any of them: rare classes depend least on the luck of one training
    (Lakshminarayanan et al. 2017, arXiv:1612.01474).
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.classes = members[0].classes

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Sets what every member takes from its channels (C',) and divides them by."""
        for member in self.members:
            inputs = cast(Member, member).inputs
            inputs.mean.copy_(mean)
            inputs.std.copy_(std)

    def merged(self) -> Network:
        """A copy for export whose members are merged: it gives the same logits but for rounding."""
        copy = deepcopy(self)
        for member in copy.members:
            cast(Member, member).merge()
        return copy

    def each(self, reflectance: Tensor, day_of_year: Tensor, valid: Tensor) -> list[Tensor]:
        """The logits (B, K) of every member."""
        return [member(reflectance, day_of_year, valid) for member in self.members]

    def forward(self, reflectance: Tensor, day_of_year: Tensor, valid: Tensor) -> Tensor:
        logits = self.each(reflectance, day_of_year, valid)
        if len(logits) == 1:
            return logits[0]
        shares = torch.stack([torch.log_softmax(member, dim=-1) for member in logits])  # (M, B, K)
        return torch.logsumexp(shares, dim=0) - math.log(len(logits))


def build_network(bands: tuple[str, ...], classes: int, config: TrainingConfig) -> Network:
    """A network with weights drawn from torch's own random numbers."""
    kind = network_kind(config.architecture)
    return Network([kind(bands, classes, config) for _ in range(config.members)])
