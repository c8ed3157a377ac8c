"""Compatibility mode: the published BreizhCrops networks, sampling and hyper-parameters on any dataset and its folds.

In: a dataset and a configuration. Out: scores of the parcels that each fold judges, to be compared with what our own
networks reach on the same folds. As published, a series is 45 of its dates at random (with replacement where it has
fewer), at training and at test time, and the days are thrown away; here the seed decides which.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from cropmap.breizhcrops import networks as compat_networks
from cropmap.breizhcrops import samples as compat_samples
from cropmap.breizhcrops.networks import CompatNetwork, build_compat
from cropmap.breizhcrops.samples import Samples, batches, make_samples
from cropmap.breizhcrops.step import stepping
from cropmap.dataset.dataset import Dataset
from cropmap.errors import ConfigurationError, ModelError
from cropmap.model.evaluation import Evaluation, evaluate
from cropmap.model.training import choose_device, seeded
from cropmap.progress import Counter
from cropmap.provenance import content_hash, files_hash, value_hash
from cropmap.schemas import Architecture
from cropmap.store import Store


@dataclass(frozen=True)
class CompatConfig:
    architecture: Architecture
    epochs: int
    learning_rate: float
    weight_decay: float
    batch_size: int = 256
    dates: int = 45
    """dates of a series that the network is shown"""

    @classmethod
    def published(cls, architecture: Architecture, *, epochs: int | None = None) -> CompatConfig:
        """The authors' settings; small datasets need more than their `epochs`. Raises ConfigurationError for a network
        that they have not published."""
        config = PUBLISHED.get(architecture)
        if config is None:
            raise ConfigurationError(
                "is none of the published BreizhCrops networks",
                where=architecture,
                mend=f"Known: {', '.join(PUBLISHED)}",
            )
        return config if epochs is None else replace(config, epochs=epochs)


PUBLISHED: Final = {
    Architecture.LSTM: CompatConfig(Architecture.LSTM, 17, 0.009880117756170353, 5.256755602421856e-07),
    Architecture.TRANSFORMER: CompatConfig(
        Architecture.TRANSFORMER, 30, 0.00017369201853408445, 3.5156458637523697e-06
    ),
}
"""Of the released weights: rates stand in their file names, epochs in the authors' evaluation script."""


@dataclass(frozen=True)
class CompatFold:
    judged: NDArray[np.int64]
    """(n,) positions in the dataset of the parcels that this fold scores"""
    logits: NDArray[np.float32]
    """(n, K)"""
    losses: NDArray[np.float64]
    """(epochs,) mean training loss"""
    n_training: int
    seconds: float


@dataclass(frozen=True)
class CompatResult:
    folds: dict[str, CompatFold]
    """by name, those that were asked for"""
    probabilities: NDArray[np.float32]
    """(N, K) softmax, not calibrated; NaN where a parcel is not judged"""
    evaluation: Evaluation
    """over all parcels of these folds"""


def evaluate_compat(
    store: Store,
    dataset: Dataset,
    config: CompatConfig,
    *,
    seed: int,
    folds: Sequence[int] | None = None,
    device: str = "auto",
) -> CompatResult:
    """Trains what the store does not have yet, one fold after the other on all threads of torch, and scores the
    parcels that `folds` judge (None: all)."""
    chosen = range(dataset.folds.count) if folds is None else folds
    names = [dataset.folds.names[k] for k in chosen]
    with Counter(f"train compat {config.architecture}", total=len(names), unit="folds") as counter:
        parts = [compat_fold(store, dataset, k, config, seed=seed, device=device, on_step=counter.add) for k in chosen]
    judged = np.concatenate([part.judged for part in parts])
    probabilities = np.full((len(dataset.label), len(dataset.crops)), np.nan, np.float32)
    for part in parts:
        probabilities[part.judged] = torch.softmax(torch.from_numpy(part.logits), dim=1).numpy()
    evaluation = evaluate(
        dataset.label[judged],
        probabilities[judged],
        dataset.crops,
        fold=dataset.folds.fold[judged],
        fold_names=dataset.folds.names,
    )
    return CompatResult(dict(zip(names, parts, strict=True)), probabilities, evaluation)


def _fold_from(data: bytes) -> CompatFold:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return CompatFold(
            file["judged"], file["logits"], file["losses"], int(file["n_training"]), float(file["seconds"])
        )


def compat_fold(
    store: Store,
    dataset: Dataset,
    fold: int,
    config: CompatConfig,
    *,
    seed: int,
    device: str = "auto",
    on_step: Callable[[float], None] = lambda _: None,
) -> CompatFold:
    """One fold's network, trained, and its predictions; read from the store where it was before."""
    name = _name(dataset, fold, config, seed)
    if (kept := store.recall(name, _fold_from)) is not None:
        on_step(1)
        return kept
    started, seed = time.perf_counter(), seed + 1000 * fold
    samples = make_samples(dataset.series, device=choose_device(device))
    network, losses, n_training = _train(dataset, samples, fold, config, seed=seed, on_step=on_step)
    judged = np.flatnonzero(dataset.judged & (dataset.folds.fold == fold))
    logits = _logits(network, samples, judged, config, np.random.default_rng([seed, 1]))
    result = CompatFold(judged, logits, losses, n_training, time.perf_counter() - started)
    buffer = io.BytesIO()
    np.savez(buffer, **asdict(result))
    store.write_bytes(name, buffer.getvalue())
    return result


def make_optimiser(network: CompatNetwork, config: CompatConfig) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _train(
    dataset: Dataset, samples: Samples, fold: int, config: CompatConfig, *, seed: int, on_step: Callable[[float], None]
) -> tuple[CompatNetwork, NDArray[np.float64], int]:
    learn = np.flatnonzero(dataset.folds.training_mask(fold) & (dataset.label >= 0) & (samples.length > 0))
    if len(np.unique(dataset.label[learn])) < 2:
        raise ModelError(f"{len(learn)} parcels of fewer than two classes are left to train on")
    device = samples.values.device
    label = torch.from_numpy(dataset.label.astype(np.int64)).to(device)
    random, losses = np.random.default_rng([seed, 0]), []
    share = 1 / (config.epochs * math.ceil(len(learn) / config.batch_size))
    lanes = torch.get_num_threads() if device.type == "cpu" else 1
    with seeded(seed):
        bands, classes = samples.values.shape[1], len(dataset.crops)
        network = build_compat(config.architecture, bands, classes, seed=seed, lanes=lanes).to(device)
        network.train()
        with stepping(network, make_optimiser(network, config), lanes=lanes) as step:
            for _ in range(config.epochs):
                epoch = []
                for x, part in batches(samples, learn, random, batch_size=config.batch_size, dates=config.dates):
                    epoch.append(step(x, label[torch.from_numpy(part).to(device)]))
                    on_step(share)
                losses.append(float(torch.stack(epoch).mean()))
                if not math.isfinite(losses[-1]):
                    raise ModelError(f"the loss is {losses[-1]} after {len(losses)} epochs")
    return network, np.array(losses), len(learn)


@torch.inference_mode()
def _logits(
    network: CompatNetwork,
    samples: Samples,
    parcels: NDArray[np.intp],
    config: CompatConfig,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    network.eval()
    parts = [parcels[start : start + 1024] for start in range(0, len(parcels), 1024)]
    logits = [network(samples.batch(part, config.dates, random)).float().cpu() for part in parts]
    if not logits:
        raise ModelError("the fold judges no parcel", mend="Look at the folds: one of them has no labelled parcel")
    return torch.cat(logits).numpy()


def _name(dataset: Dataset, fold: int, config: CompatConfig, seed: int) -> str:
    rules = files_hash(
        [Path(module) for module in (__file__, compat_networks.__file__, compat_samples.__file__)], length=8
    )
    key = content_hash(value_hash(asdict(config)), str(seed), rules)
    return f"training/{dataset.hash}/compat-{config.architecture}-{key}/fold-{fold}.npz"
