"""Cross-fitting: one model per fold, every labelled parcel scored by the model that never saw it.

The unit of work is one fold. A finished fold is kept in the store under a key made of the dataset, the
configuration, the seed and the rules of training, so that a killed run resumes with the folds that are missing.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import cropmap.dataset
from cropmap.dataset.dataset import Dataset
from cropmap.model import networks, training
from cropmap.model.networks import Network
from cropmap.model.training import TrainingConfig, choose_device, logits_of, new_network, threads, train
from cropmap.progress import Counter
from cropmap.provenance import content_hash, files_hash
from cropmap.store import Store


@dataclass(frozen=True)
class FoldResult:
    fold: int
    weights: Mapping[str, NDArray[np.float32]]
    """the network's state, by name"""
    judged: NDArray[np.int64]
    """(n,) positions in the dataset of the parcels that this fold scores"""
    logits: NDArray[np.float32]
    """(n, K) their logits, before calibration"""
    history: tuple[dict[str, float], ...]
    steps: int
    n_training: int
    seconds: float


@dataclass(frozen=True)
class CrossFit:
    config: TrainingConfig
    seed: int
    folds: tuple[FoldResult, ...]
    logits: NDArray[np.float32]
    """(N, K) out-of-fold logits, NaN where a parcel is not judged or has no observation"""

    def network(self, fold: int, dataset: Dataset) -> Network:
        """The trained network of one fold."""
        network = new_network(dataset.series.bands, len(dataset.crops), self.config, seed=self.seed)
        network.load_state_dict({name: torch.from_numpy(w.copy()) for name, w in self.folds[fold].weights.items()})
        return network.eval()


def cross_fit(
    store: Store,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    seed: int,
    suspects: NDArray[np.bool_] | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> CrossFit:
    """Trains the folds that the store does not have yet, on a CPU `workers` at a time (None: one per core).

    `suspects` (N,) are kept out of every training set and are still scored.
    """
    device = choose_device(device)
    count = dataset.folds.count
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if device == "cpu" else 1
    missing = [k for k in range(count) if not store.exists(fold_name(dataset, k, config, seed=seed, suspects=suspects))]
    with Counter(f"train {config.architecture}", total=count, unit="folds") as counter:
        counter.add(count - len(missing))
        if min(workers, len(missing)) > 1:
            _train_apart(store, dataset, config, missing, seed, suspects, workers, counter)
        else:
            for k in missing:
                train_fold(store, dataset, k, config, seed=seed, suspects=suspects, device=device, on_step=counter.add)
    folds = tuple(
        train_fold(store, dataset, k, config, seed=seed, suspects=suspects, device=device) for k in range(count)
    )
    logits = np.full((len(dataset.label), len(dataset.crops)), np.nan, np.float32)
    for fold in folds:
        logits[fold.judged] = fold.logits
    return CrossFit(config, seed, folds, logits)


def train_fold(
    store: Store,
    dataset: Dataset,
    fold: int,
    config: TrainingConfig,
    *,
    seed: int,
    suspects: NDArray[np.bool_] | None = None,
    device: str = "cpu",
    on_step: Callable[[float], None] = lambda _: None,
) -> FoldResult:
    """Trains one fold's model and keeps it; reads it where it is kept already."""
    name = fold_name(dataset, fold, config, seed=seed, suspects=suspects)
    if store.exists(name):
        return _read(store, name)
    learn_from = dataset.folds.training_mask(fold)
    if suspects is not None:
        learn_from = learn_from & ~suspects
    judged = np.flatnonzero(dataset.judged & (dataset.folds.fold == fold))
    started = time.perf_counter()
    with threads(1):  # small steps gain nothing from more, and one thread gives the same bits everywhere
        trained = train(dataset, learn_from, config, seed=seed + 1000 * fold, device=device, on_step=on_step)
        result = FoldResult(
            fold=fold,
            weights={key: value.numpy() for key, value in trained.network.state_dict().items()},
            judged=judged,
            logits=logits_of(trained.network, dataset.series, judged),
            history=trained.history,
            steps=trained.steps,
            n_training=trained.n_training,
            seconds=time.perf_counter() - started,
        )
    _write(store, name, result)
    return result


def fold_name(
    dataset: Dataset, fold: int, config: TrainingConfig, *, seed: int, suspects: NDArray[np.bool_] | None = None
) -> str:
    """Name of a finished fold in the store: everything that its bits depend on."""
    left_out = suspects.tobytes() if suspects is not None and suspects.any() else b""
    key = content_hash(config.hash, str(seed), left_out, rules_version())
    return f"training/{dataset.hash}/{config.architecture}-{key}/fold-{fold}.npz"


@cache
def rules_version() -> str:
    """Digest of the modules that decide what a trained network is: a kept fold of other rules is not taken."""
    dataset_room = Path(cropmap.dataset.__file__).parent.glob("*.py")
    return files_hash([*dataset_room, Path(networks.__file__), Path(training.__file__)], length=8)


def _train_apart(
    store: Store, dataset: Dataset, config: TrainingConfig, missing: list[int], seed: int,
    suspects: NDArray[np.bool_] | None, workers: int, counter: Counter,
) -> None:  # fmt: skip
    """One process per fold: each trains on one thread, which is faster than one fold on several threads."""
    with ProcessPoolExecutor(
        min(workers, len(missing)), mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        jobs = [pool.submit(_train_one, store.root, dataset, k, config, seed, suspects) for k in missing]
        for job in as_completed(jobs):
            job.result()
            counter.add(1)


def _train_one(
    root: str, dataset: Dataset, fold: int, config: TrainingConfig, seed: int, suspects: NDArray[np.bool_] | None
) -> None:
    train_fold(Store(root), dataset, fold, config, seed=seed, suspects=suspects)


def _end_with_parent() -> None:
    """A killed parent leaves no training process behind."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write(store: Store, name: str, result: FoldResult) -> None:
    facts = {
        "fold": result.fold, "history": result.history, "steps": result.steps, "n_training": result.n_training,
        "seconds": result.seconds,
    }  # fmt: skip
    arrays: dict[str, Any] = {f"weights/{key}": value for key, value in result.weights.items()}
    arrays |= {"judged": result.judged, "logits": result.logits, "facts": np.array(json.dumps(facts))}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    store.write_bytes(name, buffer.getvalue())


def _read(store: Store, name: str) -> FoldResult:
    with np.load(io.BytesIO(store.read_bytes(name)), allow_pickle=False) as file:
        facts = json.loads(str(file["facts"]))
        return FoldResult(
            fold=facts["fold"],
            weights={k.removeprefix("weights/"): file[k] for k in file.files if k.startswith("weights/")},
            judged=file["judged"],
            logits=file["logits"],
            history=tuple(facts["history"]),
            steps=facts["steps"],
            n_training=facts["n_training"],
            seconds=facts["seconds"],
        )
