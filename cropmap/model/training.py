"""One training loop, to be read from top to bottom: a dataset and the parcels to learn from in, a network out.

Deterministic on a CPU: the same dataset, configuration, seed and thread count give the same bits, also when the
training was killed on the way and goes on from its last checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cropmap.dataset.batches import by_length, pad, shuffled
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series
from cropmap.errors import ModelError
from cropmap.model.augmentation import augmented
from cropmap.model.checkpoints import Checkpoints, Progress
from cropmap.model.distributed import add_gradients, share
from cropmap.model.networks import Network, build_network, peak_learning_rate
from cropmap.model.ragged import Inputs, on_device
from cropmap.model.training_config import TrainingConfig

INFERENCE_BATCH: Final = 512
STANDARDISE_ROWS: Final = 1 << 20
"""observations summed at a time: a mapped dataset is streamed"""


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
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[float], None] = lambda _: None,
) -> Trained:
    """Trains on the labelled, observed parcels of `learn_from` (N,). `on_step` is called with the share done.

    Under torchrun every process trains on its share of each batch and holds the same network.
    Raises ModelError where fewer than two classes are left to learn.
    """
    learn, check = _split(dataset, learnable(dataset, learn_from), config, np.random.default_rng([seed, 0]))
    network = new_network(dataset.series.bands, len(dataset.crops), config, seed=seed)
    standardise(network, dataset.series, learn)
    network.to(device)
    ragged = on_device(dataset.series, device)
    label = torch.from_numpy(dataset.label.astype(np.int64)).to(device)
    adjustment = config.logit_adjustment * log_class_shares(dataset.label[learn], len(dataset.crops)).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=peak_learning_rate(config), weight_decay=config.weight_decay)
    per_epoch = math.ceil(len(learn) / config.batch_size)
    steps = min(max(config.epochs * per_epoch, config.min_steps), config.max_steps)
    every = max(steps // config.evaluations, 1)
    progress = Progress.resume(checkpoints, network, optimiser, device)
    on_step(progress.step / steps)
    losses: list[Tensor] = []
    batches: list[NDArray[np.intp]] = []
    with seeded(seed):
        for step in range(progress.step + 1, steps + 1):
            epoch, position = divmod(step - 1, per_epoch)
            if position == 0 or not batches:
                lengths, order = dataset.series.lengths, np.random.default_rng([seed, 1, epoch])
                batches = shuffled(lengths, learn, batch_size=config.batch_size, random=order)
            random = np.random.default_rng([seed, 2, step])  # the step's own: a resumed training repeats nothing
            torch.manual_seed(int(random.integers(2**62)))
            rows, weight = share(batches[position])
            inputs = augmented(dataset.series, ragged, rows, config, random)
            rate = _learning_rate(step, steps, config)
            loss = _loss(network.train(), inputs, label[torch.from_numpy(rows).to(device)], adjustment, config, device)
            _descend(loss, network, optimiser, rate=rate, weight=weight, clip_norm=config.clip_norm)
            losses.append(loss.detach())
            on_step(1 / steps)
            if step % every and step != steps:
                continue
            mean = _mean_loss(losses, network, step)
            row = {"step": float(step), "epoch": step / per_epoch, "learning_rate": rate, "train_loss": mean}
            losses.clear()
            if len(check):
                row |= _validate(network, dataset, check, device)
            progress.note(row, network)
            if progress.since_best >= config.patience:
                on_step(1 - step / steps)
                break
            progress.save(checkpoints, network, optimiser)
    if progress.best_state is not None:
        network.load_state_dict(progress.best_state)
    return Trained(network.eval().cpu(), tuple(progress.history), int(progress.history[-1]["step"]), len(learn))


def learnable(dataset: Dataset, learn_from: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of the parcels that can be learnt from. Raises ModelError where they are of fewer than two classes."""
    index = np.flatnonzero(learn_from & (dataset.label >= 0) & (dataset.series.lengths > 0))
    if len(np.unique(dataset.label[index])) < 2:
        raise ModelError(
            f"{len(index)} parcels of fewer than two classes are left to train on",
            mend="Use fewer or larger folds, a smaller neighbour distance, or more declarations",
        )
    return index


def new_network(bands: tuple[str, ...], classes: int, config: TrainingConfig, *, seed: int) -> Network:
    """A network with weights drawn from the seed."""
    with seeded(seed):
        return build_network(bands, classes, config)


def standardise(network: Network, series: Series, index: NDArray[np.intp]) -> None:
    """Sets the input's mean and standard deviation from the observations of the training parcels alone."""
    owner = np.zeros(len(series), bool)
    owner[index] = True
    used = np.repeat(owner, series.lengths)  # (M,)
    channels = len(series.bands) + 1
    count, mean, squares = (np.zeros(channels) for _ in range(3))
    for start in range(0, len(used), STANDARDISE_ROWS):  # Chan et al. 1979: means and squares of parts add up
        rows = slice(start, start + STANDARDISE_ROWS)
        values = np.column_stack([series.reflectance[rows], series.clear_fraction[rows]])[used[rows]].astype(np.float64)
        seen = np.isfinite(values)
        n = seen.sum(axis=0)
        part = np.where(seen, values, 0).sum(axis=0) / np.maximum(n, 1)
        gap, total = part - mean, np.maximum(count + n, 1)
        squares += (np.where(seen, values - part, 0) ** 2).sum(axis=0) + gap**2 * count * n / total
        mean += gap * n / total
        count += n
    std = np.sqrt(squares / np.maximum(count, 1))
    # at least 1e-3: a constant channel, such as "all clear"
    network.standardise(torch.from_numpy(mean), torch.from_numpy(np.maximum(std, 1e-3)))


@torch.inference_mode()
def logits_of(network: Network, series: Series, index: NDArray[np.intp], *, device: str = "cpu") -> NDArray[np.float32]:
    """(len(index), K) logits of observed parcels, in torch, full precision."""
    network.eval()
    out = np.empty((len(index), network.classes), np.float32)
    for part in by_length(series.lengths[index], batch_size=INFERENCE_BATCH):
        inputs = (torch.from_numpy(array).to(device) for array in pad(series, index[part]).inputs)
        out[part] = network(*inputs).float().cpu().numpy()
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
    wanted = min(int(len(index) * config.validation_share), config.max_validation_parcels)
    if wanted < config.min_validation_parcels:
        return index, index[:0]
    holding = np.unique(dataset.folds.holding[index], return_inverse=True)[1]
    order = random.permutation(int(holding.max()) + 1)
    size = np.bincount(holding)[order]
    chosen = order[np.cumsum(size) <= wanted]
    check = np.isin(holding, chosen)
    return index[~check], index[check]


def _loss(
    network: Network, inputs: Inputs, target: Tensor, adjustment: Tensor, config: TrainingConfig, device: str
) -> Tensor:
    """Sum of the members' losses: they share no weight, each has its own."""
    with _precision(device):
        logits = network.each(*inputs)  # of every member (B, K)
    smoothing = config.label_smoothing
    return torch.stack(
        [cross_entropy(head.float() + adjustment, target, label_smoothing=smoothing) for head in logits]
    ).sum()


def _descend(
    loss: Tensor, network: Network, optimiser: torch.optim.Optimizer, *, rate: float, weight: float, clip_norm: float
) -> None:
    """One step of the optimiser; `weight` is this process's share of the batch."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    add_gradients(network, weight)
    for member in network.members:
        nn.utils.clip_grad_norm_(member.parameters(), clip_norm)
    optimiser.step()


def _mean_loss(losses: Sequence[Tensor], network: Network, step: int) -> float:
    """Of a member, over the steps since the last evaluation. Raises ModelError where it is not finite."""
    mean = float(torch.stack(list(losses)).mean()) / len(network.members)
    if not math.isfinite(mean):
        raise ModelError(f"the loss is {mean} at step {step}", mend="Lower the learning rate")
    return mean


def _learning_rate(step: int, steps: int, config: TrainingConfig) -> float:
    peak, warmup = peak_learning_rate(config), max(int(steps * config.warmup_share), 1)
    if step <= warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def log_class_shares(label: NDArray[np.int16], classes: int) -> Tensor:
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


def _precision(device: str) -> Any:
    """bfloat16 on a GPU, which needs no loss scaling; full precision on a CPU."""
    return torch.autocast(device_type=device.split(":")[0], dtype=torch.bfloat16, enabled=device != "cpu")
