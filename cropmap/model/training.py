"""One training loop, to be read from top to bottom: a dataset and the parcels to learn from in, a network out.

Deterministic on a CPU: the same dataset, configuration, seed and thread count give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cropmap.dataset.batches import Batch, by_length, pad, shuffled
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series
from cropmap.errors import ModelError
from cropmap.model.networks import Network, build_network
from cropmap.provenance import value_hash
from cropmap.schemas import Architecture

INFERENCE_BATCH: Final = 512
CLOUD_REFLECTANCE: Final = (0.3, 0.9)
"""Range of the brightness of an injected cloud."""


@dataclass(frozen=True)
class TrainingConfig:
    architecture: Architecture = Architecture.TRANSFORMER
    width: int = 64
    """channels of the network"""
    layers: int = 2
    heads: int = 4
    """attention heads, of the Transformer's layers and of the pooling over time"""
    dropout: float = 0.2
    indices: bool = True
    """give spectral indices to the network beside the bands"""
    bidirectional: bool = False
    """LSTM only: read the season both ways (a third slower in both training and prediction)"""

    epochs: int = 25
    min_steps: int = 600
    """few parcels need more passes: at least this many optimiser steps"""
    max_steps: int = 20_000
    """many parcels need fewer passes"""
    batch_size: int = 32
    learning_rate: float = 2e-3
    """peak of the schedule: linear warm-up, then cosine to zero"""
    warmup_share: float = 0.1
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    """a smoothed label puts a floor under every probability, and below it wrong declarations cannot be told apart"""
    logit_adjustment: float = 0.0
    """tau of Menon et al. 2021 (arXiv:2007.07314): 1 trains for balanced accuracy, 0 leaves the class shares alone"""

    drop_rate: float = 0.5
    """augmentation: the parcels of a batch lose a random share of their dates, up to this one"""
    shift_days: float = 5.0
    """augmentation: standard deviation of a shift of the whole calendar (earlier and later springs)"""
    cloud_rate: float = 0.02
    """augmentation: share of observations that get an undetected cloud"""

    validation_share: float = 0.1
    """part of the training parcels, whole holdings, that decides when to stop"""
    min_validation_parcels: int = 500
    """below, the part is worth more as training: then the whole schedule runs on every parcel (measured on 3,100
    training parcels with classes of 30: macro-F1 .68 instead of .63)"""
    evaluations: int = 30
    """how often the loss is written down and the validation part is looked at"""
    patience: int = 8
    """stop after this many evaluations without a better validation loss"""

    @property
    def hash(self) -> str:
        return value_hash(asdict(self))


@dataclass(frozen=True)
class Trained:
    network: Network
    history: tuple[dict[str, float], ...]
    """per evaluation: step, epoch, learning_rate, train_loss and, with a validation part, validation_loss and _oa"""
    steps: int
    n_training: int


def train(
    dataset: Dataset,
    learn_from: NDArray[np.bool_],
    config: TrainingConfig,
    *,
    seed: int,
    device: str = "cpu",
    on_step: Callable[[float], None] = lambda _: None,
) -> Trained:
    """Trains on the labelled, observed parcels of `learn_from` (N,). `on_step` hears the share done, to count it.

    Raises ModelError where fewer than two classes are left to learn.
    """
    index = np.flatnonzero(learn_from & (dataset.label >= 0) & (dataset.series.lengths > 0))
    if len(np.unique(dataset.label[index])) < 2:
        raise ModelError(
            f"{len(index)} parcels of fewer than two classes are left to train on",
            mend="Use fewer or larger folds, a smaller neighbour distance, or more declarations",
        )
    random = np.random.default_rng(seed)
    learn, check = _split(dataset, index, config, random)
    network = new_network(dataset.series.bands, len(dataset.crops), config, seed=seed)
    standardise(network, dataset.series, learn)
    network.to(device)
    label = torch.from_numpy(dataset.label.astype(np.int64)).to(device)
    log_prior = _log_prior(dataset.label[learn], len(dataset.crops)).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    per_epoch = math.ceil(len(learn) / config.batch_size)
    steps = min(max(config.epochs * per_epoch, config.min_steps), config.max_steps)
    every = max(steps // config.evaluations, 1)

    history: list[dict[str, float]] = []
    best, best_state, since_best = math.inf, None, 0
    losses: list[Tensor] = []
    batches = _endless(dataset.series, learn, config, random)
    with seeded(seed):
        for step in range(1, steps + 1):
            rows = next(batches)
            batch = _augmented(dataset.series, rows, config, random)
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(step, steps, config)
            network.train()
            with _precision(device):
                logits = network(*_tensors(batch, device))  # (B, K)
            loss = cross_entropy(
                logits.float() + config.logit_adjustment * log_prior,
                label[rows],
                label_smoothing=config.label_smoothing,
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimiser.step()
            losses.append(loss.detach())
            on_step(1 / steps)
            if step % every and step != steps:
                continue
            row = {
                "step": float(step), "epoch": step / per_epoch, "learning_rate": _learning_rate(step, steps, config),
                "train_loss": float(torch.stack(losses).mean()),
            }  # fmt: skip
            losses.clear()
            if not math.isfinite(row["train_loss"]):
                raise ModelError(f"the loss is {row['train_loss']} at step {step}", mend="Lower the learning rate")
            history.append(row)
            if not len(check):
                continue
            row |= _validate(network, dataset, check, device)
            since_best += 1
            if row["validation_loss"] < best:
                best, since_best = row["validation_loss"], 0
                best_state = {name: value.clone() for name, value in network.state_dict().items()}
            if since_best >= config.patience:
                on_step(1 - step / steps)
                break
    if best_state is not None:
        network.load_state_dict(best_state)
    return Trained(network.eval().cpu(), tuple(history), int(history[-1]["step"]), len(learn))


def new_network(bands: tuple[str, ...], classes: int, config: TrainingConfig, *, seed: int) -> Network:
    """A network with weights drawn from the seed."""
    with seeded(seed):
        return build_network(
            config.architecture, bands, classes, width=config.width, layers=config.layers, heads=config.heads,
            dropout=config.dropout, indices=config.indices, bidirectional=config.bidirectional,
        )  # fmt: skip


def standardise(network: Network, series: Series, index: NDArray[np.intp]) -> None:
    """Sets the input's mean and standard deviation from the observations of the training parcels alone."""
    owner = np.zeros(len(series), bool)
    owner[index] = True
    rows = np.repeat(owner, series.lengths)
    values = np.column_stack([series.reflectance[rows], series.clear_fraction[rows]]).astype(np.float64)
    seen = np.isfinite(values)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, values, 0).sum(axis=0) / count
    std = np.sqrt((np.where(seen, values - mean, 0) ** 2).sum(axis=0) / count)
    network.inputs.mean.copy_(torch.from_numpy(mean))
    network.inputs.std.copy_(torch.from_numpy(np.maximum(std, 1e-3)))  # a constant channel, such as "all clear"


@torch.inference_mode()
def logits_of(network: Network, series: Series, index: NDArray[np.intp], *, device: str = "cpu") -> NDArray[np.float32]:
    """(len(index), K) logits of observed parcels, in torch, full precision."""
    network.eval()
    out = np.empty((len(index), network.head.out.out_features), np.float32)
    for part in by_length(series.lengths[index], batch_size=INFERENCE_BATCH):
        out[part] = network(*_tensors(pad(series, index[part]), device)).float().cpu().numpy()
    return out


def choose_device(device: str = "auto") -> str:
    """ "auto" takes a GPU where torch finds one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers follow the seed inside, and are as before outside."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Sums depend on how they are split: a fixed number of threads gives the same bits on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _split(
    dataset: Dataset, index: NDArray[np.intp], config: TrainingConfig, random: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Parcels to learn from and parcels to validate on, whole holdings each."""
    wanted = int(len(index) * config.validation_share)
    if wanted < config.min_validation_parcels:
        return index, index[:0]
    holding = np.unique(dataset.folds.holding[index], return_inverse=True)[1]
    order = random.permutation(int(holding.max()) + 1)
    size = np.bincount(holding)[order]
    chosen = order[np.cumsum(size) <= wanted]
    check = np.isin(holding, chosen)
    return index[~check], index[check]


def _endless(
    series: Series, index: NDArray[np.intp], config: TrainingConfig, random: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    while True:
        yield from shuffled(series.lengths, index, batch_size=config.batch_size, random=random)


def _augmented(series: Series, rows: NDArray[np.intp], config: TrainingConfig, random: np.random.Generator) -> Batch:
    batch = pad(series, rows)
    if config.drop_rate:
        keep = random.random(batch.valid.shape) >= random.uniform(0, config.drop_rate)
        keep[:, 0] |= ~(keep & batch.valid).any(axis=1)  # never the last one
        batch = batch.keep(keep)
    if config.shift_days:
        batch.day_of_year[:] += random.normal(0, config.shift_days, (len(rows), 1))
    if config.cloud_rate:
        cloudy = random.random(batch.valid.shape) < config.cloud_rate
        opacity = random.uniform(0.1, 0.6, (*cloudy.shape, 1)) * cloudy[..., None]
        cloud = random.uniform(*CLOUD_REFLECTANCE, (*cloudy.shape, 1))
        bands = batch.reflectance[..., :-1]
        bands += (opacity * (cloud - bands)).astype(np.float32)
    return batch


def _learning_rate(step: int, steps: int, config: TrainingConfig) -> float:
    warmup = max(int(steps * config.warmup_share), 1)
    if step <= warmup:
        return config.learning_rate * step / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def _log_prior(label: NDArray[np.int16], classes: int) -> Tensor:
    """(K,) log class shares; one parcel is added to each, so that a class absent here stays finite."""
    count = np.bincount(label, minlength=classes) + 1.0
    return torch.from_numpy(np.log(count / count.sum()).astype(np.float32))


def _validate(network: Network, dataset: Dataset, check: NDArray[np.intp], device: str) -> dict[str, float]:
    logits = torch.from_numpy(logits_of(network, dataset.series, check, device=device))
    truth = torch.from_numpy(dataset.label[check].astype(np.int64))
    return {
        "validation_loss": float(cross_entropy(logits, truth)),
        "validation_oa": float((logits.argmax(dim=1) == truth).float().mean()),
    }


def _tensors(batch: Batch, device: str) -> tuple[Tensor, Tensor, Tensor]:
    reflectance, day_of_year, valid = (torch.from_numpy(part).to(device, non_blocking=True) for part in batch.inputs)
    return reflectance, day_of_year, valid


def _precision(device: str) -> Any:
    """bfloat16 on a GPU, which needs no loss scaling; full precision on a CPU."""
    return torch.autocast(device_type=device.split(":")[0], dtype=torch.bfloat16, enabled=device != "cpu")
