"""Folds that other processes, on this machine or another, train into the store that they share with this one.

What is sent is a description; the dataset lies in the store. A fold that is there is found by whoever looks for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.shared import packed_mask, share_dataset, shared_dataset, unpacked_mask
from cropmap.model.fold import kept_fold, train_fold
from cropmap.model.training import choose_device
from cropmap.model.training_config import TrainingConfig
from cropmap.store import Store

_one_fold = Lock()
"""torch's threads and random numbers are those of the process"""


@dataclass(frozen=True)
class FoldJob:
    """One fold to be trained: all that another process needs beside the store."""

    name: str
    """of the fold in the store"""
    dataset: str
    """its place in the store"""
    fold: int
    config: TrainingConfig
    seed: int
    left_out: bytes
    """parcels kept out of training: a bit each, compressed; empty where there are none"""

    def train(self, store: Store) -> float:
        """Trains the fold into the store, unless it is there; returns the seconds that it took. One at a time in a
        process. Raises StoreError where the dataset is not in the store."""
        started = time.monotonic()
        with _one_fold:
            if kept_fold(store, self.name) is None:
                dataset = shared_dataset(store, self.dataset)
                train_fold(
                    store,
                    dataset,
                    self.fold,
                    self.config,
                    seed=self.seed,
                    suspects=unpacked_mask(self.left_out, len(dataset.label)),
                    device=choose_device("auto"),
                )
        return time.monotonic() - started


class FoldTrainer(Protocol):
    """Trains folds elsewhere."""

    @property
    def owner(self) -> str:
        """Of the datasets that are shared for it."""
        ...

    def train(self, jobs: Sequence[FoldJob], trained: Callable[[FoldJob, float], None], /) -> None:
        """Trains these folds, and says after each how many seconds it took; raises what they failed of."""
        ...


def fold_jobs(
    store: Store,
    dataset: Dataset,
    config: TrainingConfig,
    missing: Sequence[tuple[int, str]],
    *,
    seed: int,
    suspects: NDArray[np.bool_] | None,
    owner: str,
) -> list[FoldJob]:
    """The folds (number, name in the store) as jobs; their dataset is in the store afterwards, as `owner`'s."""
    place, left_out = share_dataset(store, dataset, owner=owner), packed_mask(suspects)
    return [FoldJob(name, place, fold, config, seed, left_out) for fold, name in missing]
