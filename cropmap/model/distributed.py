"""One training on several processes (torchrun): each takes its share of every batch, gradients are added.

Outside of torchrun every function here does nothing. The network is the same on every process at every step, because
all begin with the seed's weights and take the same steps.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn


def rank() -> int:
    """0 for the process that writes, or the only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def share(rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], float]:
    """This process's part of a batch, and the weight of its gradient: the weights of all processes add up to 1.

    A batch with fewer parcels than processes goes to all of them whole.
    """
    if not distributed.is_initialized():
        return rows, 1.0
    count = distributed.get_world_size()
    if len(rows) < count:
        return rows, 1 / count
    part = rows[distributed.get_rank() :: count]
    return part, len(part) / len(rows)


def add_gradients(network: nn.Module, weight: float) -> None:
    """The weighted sum over the processes, in one message."""
    if not distributed.is_initialized():
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients]) * weight
    distributed.all_reduce(flat)
    for gradient, whole in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(whole.view_as(gradient))
