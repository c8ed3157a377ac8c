"""How far a training is, kept so that a killed one goes on.

What is random in a step is drawn from the seed and the step's number, so a checkpoint needs no generator's state: the
network, the optimiser and the history are enough to give the bits of a training that was not killed.
"""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor, nn

from cropmap.model.distributed import rank

CHECKPOINT_SECONDS: Final = 30.0
"""a killed training loses at most about this much"""


class Checkpoints(Protocol):
    """Where a training keeps how far it is; `crossfit` gives it a place in the store."""

    def read(self) -> bytes | None: ...

    def write(self, state: bytes) -> None: ...


@dataclass
class Progress:
    """How far a training is, apart from the network's and the optimiser's own state."""

    history: list[dict[str, float]]
    best: float = math.inf
    best_state: dict[str, Tensor] | None = None
    since_best: int = 0
    saved_at: float = 0.0

    @property
    def step(self) -> int:
        return int(self.history[-1]["step"]) if self.history else 0

    def note(self, row: dict[str, float], network: nn.Module) -> None:
        """Takes down an evaluation, and the network where it is the best so far."""
        self.history.append(row)
        if "validation_loss" not in row:
            return
        self.since_best += 1
        if row["validation_loss"] < self.best:
            self.best, self.since_best = row["validation_loss"], 0
            self.best_state = {name: value.clone() for name, value in network.state_dict().items()}

    def save(self, checkpoints: Checkpoints | None, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        if checkpoints is None or time.monotonic() - self.saved_at < CHECKPOINT_SECONDS or rank() > 0:
            return
        self.saved_at = time.monotonic()
        sink = io.BytesIO()
        kept = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "history": self.history,
            "best": self.best,
            "best_state": self.best_state,
            "since_best": self.since_best,
        }
        torch.save(kept, sink)
        checkpoints.write(sink.getvalue())

    @classmethod
    def resume(
        cls, checkpoints: Checkpoints | None, network: nn.Module, optimiser: torch.optim.Optimizer, device: str
    ) -> Progress:
        """The state that was kept last, put into network and optimiser; a beginning where there is none."""
        data = checkpoints.read() if checkpoints else None
        if data is None:
            return cls([], saved_at=time.monotonic())
        kept = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        return cls(kept["history"], kept["best"], kept["best_state"], kept["since_best"], time.monotonic())
