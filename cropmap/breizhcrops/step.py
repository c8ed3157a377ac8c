"""One optimiser step of compatibility mode.

On a CPU each thread takes its part of the batch through the network and back, and the parts' gradients are added: the
same sums as the whole batch at once. Threads that share every operation instead would wait for each other at each of
them, and these operations are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cropmap.breizhcrops.networks import CompatNetwork, in_lane
from cropmap.model.training import threads

Step = Callable[[Tensor, Tensor], Tensor]
"""inputs (B, T, C) and labels (B,) of a batch to its mean loss, after one step down"""


@contextmanager
def stepping(network: CompatNetwork, optimiser: torch.optim.Optimizer, *, lanes: int) -> Iterator[Step]:
    """Steps over `lanes` parts of each batch side by side; the bits depend on how many."""
    weights = list(network.parameters())
    with threads(1) if lanes > 1 else threads(torch.get_num_threads()), ThreadPoolExecutor(lanes) as pool:

        def step(x: Tensor, label: Tensor) -> Tensor:
            parts = zip(x.tensor_split(lanes), label.tensor_split(lanes), strict=True)
            work = [pool.submit(_part, network, weights, *part, len(x), lane) for lane, part in enumerate(parts)]
            losses, gradients = zip(*(part.result() for part in work), strict=True)
            for weight, *parts_of_it in zip(weights, *gradients, strict=True):
                weight.grad = torch.stack(parts_of_it).sum(dim=0) if lanes > 1 else parts_of_it[0]
            optimiser.step()
            return torch.stack(losses).sum()

        yield step


def _part(
    network: CompatNetwork, weights: Sequence[Tensor], x: Tensor, label: Tensor, batch: int, lane: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A part's share of the mean loss of the batch, and its gradient."""
    with in_lane(lane):
        if not len(x):
            return x.new_zeros(()), tuple(torch.zeros_like(weight) for weight in weights)
        loss = cross_entropy(network(x), label, reduction="sum") / batch
        return loss.detach(), torch.autograd.grad(loss, weights)
