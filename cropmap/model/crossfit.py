"""Cross-fitting: one model per fold, every labelled parcel scored by the model that never saw it.

On a CPU folds train side by side, one process and one thread each; on several GPUs one fold after the other trains on
all of them; or other machines train them (`elsewhere`). A killed run resumes with the folds that are missing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.model.elsewhere import FoldJob, FoldTrainer, fold_jobs
from cropmap.model.fold import FoldResult, fold_name, kept_fold, train_fold
from cropmap.model.networks import Network
from cropmap.model.processes import record_fold, train_apart, train_together
from cropmap.model.training import choose_device, new_network
from cropmap.model.training_config import TrainingConfig
from cropmap.progress import Counter
from cropmap.store import Store


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
    elsewhere: FoldTrainer | None = None,
) -> CrossFit:
    """Trains the folds that the store does not have yet, on a CPU `workers` at a time (None: one per core), or
    `elsewhere`.

    `suspects` (N,) are kept out of every training set and are still scored.
    """
    device = choose_device(device)
    count = dataset.folds.count
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    names = [fold_name(dataset, k, config, seed=seed, suspects=suspects) for k in range(count)]
    missing = [k for k, name in enumerate(names) if kept_fold(store, name) is None]
    with Counter(f"train {config.architecture}", total=count, unit="folds") as counter:
        counter.add(count - len(missing))
        if elsewhere is not None and missing:

            def trained(job: FoldJob, seconds: float) -> None:
                record_fold(counter, job.fold, seconds)
                counter.add(1)

            wanted = [(k, names[k]) for k in missing]
            owner = elsewhere.owner
            elsewhere.train(
                fold_jobs(store, dataset, config, wanted, seed=seed, suspects=suspects, owner=owner), trained
            )
        elif device == "cpu" and min(workers, len(missing)) > 1:
            train_apart(store, dataset, config, missing, seed, suspects, workers, counter)
        elif device != "cpu" and torch.cuda.device_count() > 1:
            for k in missing:
                started = time.monotonic()
                train_together(store, dataset, k, config, seed, suspects, processes=torch.cuda.device_count())
                record_fold(counter, k, time.monotonic() - started)
                counter.add(1)
        else:
            for k in missing:
                started = time.monotonic()
                train_fold(store, dataset, k, config, seed=seed, suspects=suspects, device=device, on_step=counter.add)
                record_fold(counter, k, time.monotonic() - started)
    folds = tuple(
        train_fold(store, dataset, k, config, seed=seed, suspects=suspects, device=device) for k in range(count)
    )
    logits = np.full((len(dataset.label), len(dataset.crops)), np.nan, np.float32)
    for fold in folds:
        logits[fold.judged] = fold.logits
    return CrossFit(config, seed, folds, logits)
