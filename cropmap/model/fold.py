"""One fold: trained once, kept in the store, found again.

A finished fold is kept under a key made of the dataset, the configuration, the seed and the rules of training. While it
is being trained its checkpoint lies beside that place, so that a killed training goes on in the middle.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import cropmap.dataset
from cropmap.dataset.dataset import Dataset
from cropmap.model import augmentation, distributed, networks, ragged, training
from cropmap.model.training import logits_of, threads, train
from cropmap.model.training_config import TrainingConfig
from cropmap.provenance import content_hash, files_hash
from cropmap.schemas import Architecture
from cropmap.store import Store

BEGUN: Final = ".begun"
"""follows the name of a fold while it is being trained"""


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
    """Trains one fold's model and keeps it; reads it where it is kept already, whole."""
    name = fold_name(dataset, fold, config, seed=seed, suspects=suspects)
    if (kept := kept_fold(store, name)) is not None:
        return kept
    learn_from = dataset.folds.training_mask(fold)
    if suspects is not None:
        learn_from = learn_from & ~suspects
    judged = np.flatnonzero(dataset.judged & (dataset.folds.fold == fold))
    started = time.perf_counter()
    begun = _Begun(store, name + BEGUN)
    with threads(1):  # small steps gain nothing from more, and one thread gives the same bits everywhere
        trained = train(
            dataset, learn_from, config, seed=seed + 1000 * fold, device=device, checkpoints=begun, on_step=on_step
        )
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
    if distributed.rank() == 0:
        _write(store, name, result)
        store.remove(begun.name)
    return result


@dataclass(frozen=True)
class _Begun:
    """The checkpoint of a fold, beside the place where its result will be."""

    store: Store
    name: str

    def read(self) -> bytes | None:
        return self.store.recall(self.name, bytes)

    def write(self, state: bytes) -> None:
        self.store.write_bytes(self.name, state)


def fold_name(
    dataset: Dataset, fold: int, config: TrainingConfig, *, seed: int, suspects: NDArray[np.bool_] | None = None
) -> str:
    """Name of a finished fold in the store: everything that its bits depend on."""
    left_out = suspects.tobytes() if suspects is not None and suspects.any() else b""
    key = content_hash(config.hash, str(seed), left_out, rules_version(config.architecture))
    return f"training/{dataset.hash}/{config.architecture}-{key}/fold-{fold}.npz"


@cache
def rules_version(architecture: Architecture) -> str:
    """Digest of the modules that decide what a trained network of a kind is: a kept fold of other rules is not taken.
    Another network's module is none of them, so that a new network costs the others no training."""
    dataset_room = Path(cropmap.dataset.__file__).parent.glob("*.py")
    modules = (augmentation, networks, networks.parts, networks.network_module(architecture), ragged, training)
    return files_hash([*dataset_room, *(Path(module.__file__ or "") for module in modules)], length=8)


def _write(store: Store, name: str, result: FoldResult) -> None:
    facts = {
        "fold": result.fold,
        "history": result.history,
        "steps": result.steps,
        "n_training": result.n_training,
        "seconds": result.seconds,
    }
    arrays: dict[str, Any] = {f"weights/{key}": value for key, value in result.weights.items()}
    arrays |= {"judged": result.judged, "logits": result.logits, "facts": np.array(json.dumps(facts))}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    store.write_bytes(name, buffer.getvalue())


def kept_fold(store: Store, name: str) -> FoldResult | None:
    """A finished fold; None where it is still to be trained, or its object is damaged, which is logged."""
    return store.recall(name, _read)


def _read(data: bytes) -> FoldResult:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
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
