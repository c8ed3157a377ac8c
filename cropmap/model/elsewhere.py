"""Folds that other processes, on this machine or another, train into the store that they share with this one.

What is sent is a description; the dataset lies in the store. A fold that is there is found by whoever looks for it.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.files import open_dataset, write_dataset
from cropmap.errors import DamagedObjectError, StoreError
from cropmap.model.fold import kept_fold, train_fold
from cropmap.model.training import choose_device
from cropmap.model.training_config import TrainingConfig
from cropmap.store import Store

FACTS: Final = "facts.json"
"""written last, so that a dataset is either wholly there or absent"""
DATASETS: Final = "datasets"

_one_fold = Lock()
"""torch's threads and random numbers are those of the process"""
_fetching = Lock()
_fetched: dict[str, Dataset] = {}
"""by hash, the one that was asked for last"""


@dataclass(frozen=True)
class FoldJob:
    """One fold to be trained: all that another process needs beside the store."""

    name: str
    """of the fold in the store"""
    dataset: str
    """hash"""
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
                    suspects=_unpacked(self.left_out, len(dataset.label)),
                    device=choose_device("auto"),
                )
        return time.monotonic() - started


FoldTrainer = Callable[[Sequence[FoldJob], Callable[[FoldJob, float], None]], None]
"""Trains these folds elsewhere, and says after each how many seconds it took; raises what they failed of."""


def fold_jobs(
    store: Store,
    dataset: Dataset,
    config: TrainingConfig,
    missing: Sequence[tuple[int, str]],
    *,
    seed: int,
    suspects: NDArray[np.bool_] | None,
) -> list[FoldJob]:
    """The folds (number, name in the store) as jobs; their dataset is in the store afterwards."""
    share_dataset(store, dataset)
    left_out = _packed(suspects)
    return [FoldJob(name, dataset.hash, fold, config, seed, left_out) for fold, name in missing]


def share_dataset(store: Store, dataset: Dataset) -> None:
    """The dataset is in the store afterwards: as files that are mapped in a folder, else as objects."""
    if store.is_local:
        write_dataset(store.local_path(DATASETS), dataset)
        return
    place = f"{DATASETS}/{dataset.hash}"
    if store.exists(f"{place}/{FACTS}"):
        return
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(write_dataset(Path(folder), dataset).iterdir(), key=lambda file: file.name == FACTS)
        for file in files:
            store.write_bytes(f"{place}/{file.name}", file.read_bytes())


def shared_dataset(store: Store, name: str) -> Dataset:
    """The dataset of this hash, mapped; of a store that is no folder a copy is mapped, from files without a name that
    end with this process.

    Raises StoreError where it is not in the store; where it is damaged there, `share_dataset` makes it again.
    """
    place = f"{DATASETS}/{name}"
    if (store.is_local or name not in _fetched) and not store.exists(f"{place}/{FACTS}"):
        raise StoreError("is not in the store", where=place, mend="Run the same command again: it is made again")
    if store.is_local:
        return open_dataset(store.local_path(place))
    with _fetching:
        if name not in _fetched:
            _fetched.clear()
            _fetched[name] = _fetch(store, place)
        return _fetched[name]


def _fetch(store: Store, place: str) -> Dataset:
    with tempfile.TemporaryDirectory(prefix="cropmap-dataset-") as folder:
        try:
            for file in store.names(place):
                (Path(folder) / Path(file).name).write_bytes(store.read_bytes(file))
        except DamagedObjectError:
            store.remove(f"{place}/{FACTS}")
            raise
        return open_dataset(Path(folder))  # what is mapped stays when its names are gone


def _packed(mask: NDArray[np.bool_] | None) -> bytes:
    return b"" if mask is None or not mask.any() else zlib.compress(np.packbits(mask).tobytes())


def _unpacked(packed: bytes, count: int) -> NDArray[np.bool_] | None:
    if not packed:
        return None
    return np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=count).astype(np.bool_)
