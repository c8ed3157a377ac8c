"""Wall time to the published networks' accuracy: the breizhcrops package and ours on one fold of the same parcels.

Both train at the same time, one process and one thread each, so that a busy minute hits both alike. The package's
network gets its batches from memory and for nothing; ours pays for its own. Ours is trained twice, with a schedule of
SHORT_STEPS and with its whole one, each timed to its end: nobody who trains can see the test fold and stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from cropmap.bench.peer_files import import_peer, peer_network
from cropmap.bench.train import bare_step
from cropmap.breizhcrops.samples import batches, make_samples
from cropmap.breizhcrops.training import CompatConfig
from cropmap.dataset.dataset import Dataset
from cropmap.model.evaluation import evaluate
from cropmap.model.training import learnable, logits_of, seeded, threads, train
from cropmap.model.training_config import TrainingConfig
from cropmap.processes import worker_pool
from cropmap.progress import Counter
from cropmap.schemas import Architecture
from tests.studies.ablation import read_folder

TARGET: Final = "<= 0.20"
PEER: Final = "breizhcrops"
SHORT_STEPS: Final = 600
"""a quarter of the schedule of 3,000 parcels"""


@dataclass(frozen=True)
class Finished:
    logits: NDArray[np.float32]
    """(n, K) of the parcels that the fold judges"""
    seconds: float


def measure(
    *, folder: Path, fold: int, architecture: Architecture, epochs: int, seed: int, config: TrainingConfig
) -> list[dict[str, Any]]:
    """What each reached on the fold and in what time. `epochs` are the peer's."""
    import_peer()
    published = CompatConfig.published(architecture, epochs=epochs)
    dataset = read_folder(folder)
    judged = _judged(dataset, fold)
    with worker_pool(2) as pool:
        peer = pool.submit(_peer, folder, fold, published, seed)
        short = pool.submit(_ours, folder, fold, replace(config, max_steps=SHORT_STEPS), seed)
        ours = pool.submit(_ours, folder, fold, config, seed)
        done = {f"ours, {SHORT_STEPS} steps": short.result(), "ours": ours.result(), PEER: peer.result()}
    rows = []
    for name, one in done.items():
        scores = evaluate(dataset.label[judged], _softmax(one.logits), dataset.crops)
        rows.append(
            {
                "network": f"{architecture}, {name}",
                "n": scores.n,
                "OA": f"{scores.oa:.3f}",
                "macro F1": f"{scores.macro_f1:.3f}",
                "seconds": round(one.seconds),
                "of the peer's time": f"{one.seconds / done[PEER].seconds:.2f}",
                "target": "" if name == PEER else TARGET,
                "how": f"fold {dataset.folds.names[fold]}, one thread each at the same time"
                + (f", {epochs} epochs" if name == PEER else ""),
            }
        )
    return rows


def _judged(dataset: Dataset, fold: int) -> NDArray[np.intp]:
    return np.flatnonzero(dataset.judged & (dataset.folds.fold == fold))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    return shares


def _ours(folder: Path, fold: int, config: TrainingConfig, seed: int) -> Finished:
    dataset = read_folder(folder)
    with threads(1):
        started = time.perf_counter()
        trained = train(dataset, dataset.folds.training_mask(fold), config, seed=seed)
        seconds = time.perf_counter() - started
        return Finished(logits_of(trained.network, dataset.series, _judged(dataset, fold)), seconds)


def _peer(folder: Path, fold: int, config: CompatConfig, seed: int) -> Finished:
    """The package's own model and optimiser, as its training script steps."""
    peer, dataset = import_peer(), read_folder(folder)
    samples = make_samples(dataset.series, device="cpu")
    learn, judged = learnable(dataset, dataset.folds.training_mask(fold)), _judged(dataset, fold)
    label, random = torch.from_numpy(dataset.label.astype(np.int64)), np.random.default_rng(seed)
    seconds = 0.0
    bands, classes = samples.values.shape[1], len(dataset.crops)
    with threads(1), seeded(seed):
        model = peer_network(peer, config.architecture, bands=bands, classes=classes).train()
        adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        with Counter(f"breizhcrops {config.architecture}", total=config.epochs, unit="epochs") as counter:
            for _ in range(config.epochs):
                ready = list(batches(samples, learn, random, batch_size=config.batch_size, dates=config.dates))
                started = time.perf_counter()
                for x, part in ready:
                    bare_step(model, adam, x, label[torch.from_numpy(part)])
                seconds += time.perf_counter() - started
                counter.add(1)
        with torch.inference_mode():
            x = samples.batch(judged, config.dates, random)
            return Finished(model.eval()(x).float().numpy(), seconds)
