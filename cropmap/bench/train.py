"""Training speed against the breizhcrops package, in one run on the same series.

Compatibility mode trains the package's architectures: its whole loop (dates drawn, batches gathered, step) is held
against the package's bare step on batches that lie ready, with the same batch size and threads, in turn. Beside it
stand the loader's share of our steps, and what the package's own file loader delivers. No weight is worth anything
afterwards: the time does not depend on them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from cropmap.bench import Row
from cropmap.bench.peer_files import import_peer, peer_loader_seconds, peer_network, write_peer_files
from cropmap.bench.predict import alternate, make_bands
from cropmap.breizhcrops.networks import build_compat
from cropmap.breizhcrops.samples import Samples, batches, make_samples
from cropmap.breizhcrops.step import stepping
from cropmap.breizhcrops.training import PUBLISHED, CompatConfig, make_optimiser
from cropmap.dataset.batches import shuffled
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import at_random
from cropmap.dataset.series import Series
from cropmap.model.augmentation import augmented
from cropmap.model.ragged import on_device
from cropmap.model.training import threads, train
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture

CLASSES: Final = 9
MAX_LOADER_SHARE: Final = "<= 2 %"


def measure(*, quick: bool = False) -> list[Row]:
    """Both networks at the published batch size; with `quick` a small size that only shows that it works."""
    return run(batch_size=16, batch_count=1, repeats=1, files=20, steps=3) if quick else run()


def run(
    *,
    architectures: Sequence[Architecture] = tuple(Architecture),
    batch_size: int = 256,
    batch_count: int = 2,
    repeats: int = 7,
    files: int = 2_000,
    steps: int = 200,
    thread_count: int = 2,
    seed: int = 1,
) -> list[Row]:
    """Rows of a table: what, ours, the peer's, their ratio, the target, and how it was measured."""
    peer = import_peer()
    series = make_bands(max(batch_size * batch_count, files), seed=seed)
    samples = make_samples(series, device="cpu")
    label = np.random.default_rng(seed).integers(0, CLASSES, len(series)).astype(np.int16)
    with threads(thread_count):
        rows = [file_loader_row(peer, series, samples, label, files=files, batch_size=batch_size, seed=seed)]
        for architecture in (name for name in architectures if name in PUBLISHED):
            config = replace(CompatConfig.published(architecture), batch_size=batch_size)
            rows += compat_rows(peer, samples, label, config, batch_count=batch_count, repeats=repeats, seed=seed)
    with threads(1):  # as a fold is trained
        own = [own_loader_row(series, label, architecture, steps=steps, seed=seed) for architecture in architectures]
    return [*in_threads(rows, thread_count), *in_threads(own, 1)]


def in_threads(rows: list[Row], count: int) -> list[Row]:
    return [row | {"how": f"{row['how']}, {count} thread{'s' if count > 1 else ''}"} for row in rows]


def compat_rows(
    peer: Any,
    samples: Samples,
    label: NDArray[np.int16],
    config: CompatConfig,
    *,
    batch_count: int,
    repeats: int,
    seed: int,
) -> list[Row]:
    """Our whole loop against the peer's bare step, and the loader's part of our loop."""
    index = np.arange(config.batch_size * batch_count)
    target = torch.from_numpy(label.astype(np.int64))
    torch.manual_seed(seed)
    lanes = torch.get_num_threads()
    network = build_compat(config.architecture, samples.values.shape[1], CLASSES, seed=seed, lanes=lanes).train()
    other = peer_network(peer, config.architecture, bands=samples.values.shape[1], classes=CLASSES).train()
    ready = [(x, target[part]) for x, part in loaded(samples, index, config, seed)]
    adam = torch.optim.Adam(other.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    optimiser = make_optimiser(network, config)

    def our_loop() -> NDArray[np.float32]:
        with stepping(network, optimiser, lanes=lanes) as step:
            losses = [step(x, target[part]) for x, part in loaded(samples, index, config, seed)]
        return torch.stack(losses).numpy()

    ways = {
        "ours": our_loop,
        "peer": lambda: np.array([bare_step(other, adam, x, y) for x, y in ready]),
        "loader": lambda: np.array([len(part) for _, part in loaded(samples, index, config, seed)]),
    }
    alternate(ways, repeats=1)  # memory is set aside and code is loaded here
    _, seconds = alternate(ways, repeats=repeats)
    how = f"{batch_count} batches of {config.batch_size} x {config.dates} dates x 13 bands, median of {repeats} in turn"
    return [
        {
            "what": f"training, compat {config.architecture}, series/s",
            "ours": round(len(index) / seconds["ours"]),
            "peer": round(len(index) / seconds["peer"]),
            "ratio": f"{seconds['peer'] / seconds['ours']:.2f}",
            "target": ">= 1",
            "how": f"our loop against the peer's bare step; {how}",
        },
        share_row(f"compat {config.architecture}", seconds["loader"] / seconds["ours"], how),
    ]


def loaded(samples: Samples, index: NDArray[np.intp], config: CompatConfig, seed: int) -> Any:
    random = np.random.default_rng(seed)
    return batches(samples, index, random, batch_size=config.batch_size, dates=config.dates)


def bare_step(model: Any, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    """As the peer's training script: forward, loss, backward, Adam."""
    optimiser.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.item()


def own_loader_row(
    series: Series, label: NDArray[np.int16], architecture: Architecture, *, steps: int, seed: int
) -> Row:
    """Time to pick, gather and augment our own networks' batches, over the time of the training that does it."""
    config = TrainingConfig(architecture=architecture, epochs=1, min_steps=steps, max_steps=steps, validation_share=0)
    folds = at_random(label=label, count=2, seed=seed)
    crops = tuple(f"class {k}" for k in range(CLASSES))
    heard: list[float] = []
    learn = np.ones(len(label), bool)
    train(
        Dataset(series, label, crops, folds),
        learn,
        config,
        seed=seed,
        on_step=lambda _: heard.append(time.perf_counter()),
    )
    step = statistics.median(np.diff(heard[1:]).tolist())  # the first report comes before the first step
    spent = loader_seconds(series, config, steps=steps, seed=seed)
    how = f"{steps} steps of {config.batch_size} parcels, whole series of {series.lengths.mean():.0f} dates, augmented"
    return share_row(f"our {architecture}", spent / step, f"{how}, medians")


def loader_seconds(series: Series, config: TrainingConfig, *, steps: int, seed: int) -> float:
    """Median seconds to gather and augment a batch, and its share of dealing the parcels out to batches."""
    ragged, random = on_device(series, "cpu"), np.random.default_rng(seed)
    started = time.perf_counter()
    dealt = list(shuffled(series.lengths, np.arange(len(series)), batch_size=config.batch_size, random=random))
    dealing = (time.perf_counter() - started) / len(dealt)
    spent = []
    for step in range(steps):
        started = time.perf_counter()
        augmented(series, ragged, dealt[step % len(dealt)], config, random)
        spent.append(time.perf_counter() - started)
    return dealing + statistics.median(spent)


def share_row(what: str, share: float, how: str) -> Row:
    return {
        "what": f"loader's share of a step, {what}",
        "ours": f"{share:.1%}",
        "peer": None,
        "ratio": None,
        "target": MAX_LOADER_SHARE,
        "how": how,
    }


def file_loader_row(
    peer: Any, series: Series, samples: Samples, label: NDArray[np.int16], *, files: int, batch_size: int, seed: int
) -> Row:
    """Series per second of the package's dataset class and DataLoader on h5 files, and of our loader in memory."""
    config = replace(CompatConfig.published(Architecture.LSTM), batch_size=batch_size)
    with tempfile.TemporaryDirectory(prefix="cropmap-bench-") as folder:
        write_peer_files(Path(folder), series, label, count=files)
        seconds = peer_loader_seconds(peer, Path(folder), batch_size=batch_size)
    started = time.perf_counter()
    for _ in loaded(samples, np.arange(files), config, seed):
        pass
    ours = time.perf_counter() - started
    return {
        "what": "loader alone, series/s",
        "ours": round(files / ours),
        "peer": round(files / seconds),
        "ratio": f"{seconds / ours:.0f}",
        "target": None,
        "how": f"{files} series, ours from memory, the peer's from its h5 file, one pass",
    }
