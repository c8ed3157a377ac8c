"""Training on several processes: folds side by side on a CPU, one fold on all GPUs.

The processes map one copy of the dataset from disk instead of each being sent its own.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.files import open_dataset, write_dataset
from cropmap.leftovers import partial_name
from cropmap.model.fold import train_fold
from cropmap.model.training_config import TrainingConfig
from cropmap.processes import worker_pool
from cropmap.progress import Counter
from cropmap.store import Store

record = logging.getLogger(f"{__name__}.record")


@contextmanager
def _on_disk(store: Store, dataset: Dataset) -> Iterator[Path]:
    """The dataset as files that processes can map: beside the series where these are mapped, else beside the folds in
    a local store, else for the time being."""
    if dataset.series.folder is not None:
        for_now = dataset.series.folder.parent / partial_name()
        try:
            yield write_dataset(for_now, dataset)
        finally:
            shutil.rmtree(for_now, ignore_errors=True)
        return
    if store.is_local:
        yield write_dataset(store.local_path("datasets"), dataset)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield write_dataset(Path(folder), dataset)


def train_apart(
    store: Store,
    dataset: Dataset,
    config: TrainingConfig,
    missing: list[int],
    seed: int,
    suspects: NDArray[np.bool_] | None,
    workers: int,
    counter: Counter,
) -> None:
    """One process per fold: each trains on one thread, which is faster than one fold on several threads."""
    with _on_disk(store, dataset) as folder, worker_pool(min(workers, len(missing))) as pool:
        jobs = {pool.submit(_train_one, store.root, folder, k, config, seed, suspects): k for k in missing}
        for job in as_completed(jobs):
            record_fold(counter, jobs[job], job.result())
            counter.add(1)


def record_fold(counter: Counter, fold: int, seconds: float) -> None:
    record.info("%s: fold %d in %.1f s", counter.description, fold + 1, seconds)


def _train_one(
    root: str,
    folder: Path,
    fold: int,
    config: TrainingConfig,
    seed: int,
    suspects: NDArray[np.bool_] | None,
    device: str = "cpu",
) -> float:
    """Trains the fold into the store; returns the seconds that it took."""
    started = time.monotonic()
    train_fold(Store(root), open_dataset(folder), fold, config, seed=seed, suspects=suspects, device=device)
    return time.monotonic() - started


def train_together(
    store: Store,
    dataset: Dataset,
    fold: int,
    config: TrainingConfig,
    seed: int,
    suspects: NDArray[np.bool_] | None,
    *,
    processes: int,
) -> None:
    """One fold on several processes, each with a GPU of its own where there is one."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with _on_disk(store, dataset) as folder, tempfile.TemporaryDirectory() as logs:
        launch = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            run_id=f"fold-{fold}",
            max_restarts=0,
            start_method="spawn",
            local_addr="localhost",
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        elastic_launch(launch, _train_share)(store.root, folder, fold, config, seed, suspects)


def _train_share(
    root: str, folder: Path, fold: int, config: TrainingConfig, seed: int, suspects: NDArray[np.bool_] | None
) -> None:
    """What each process of `train_together` runs."""
    on_gpu = torch.cuda.is_available()
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        device = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
        _train_one(root, folder, fold, config, seed, suspects, device)
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()
