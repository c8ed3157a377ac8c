"""Inference speed: parcels per second of ONNX Runtime, as `predict` runs it, against torch in eager mode.

Both get the same series, the same batches and as many threads, the median of alternating repetitions is compared, and
torch is given the better of its two ways to use threads: several on one batch, or a batch on each. The weights are
not trained: the time does not depend on them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from cropmap.dataset.batches import by_length, pad
from cropmap.dataset.series import Series
from cropmap.model.export import export_network
from cropmap.model.networks import Network
from cropmap.model.training import TrainingConfig, new_network, standardise, threads
from cropmap.predictions.predict import BATCH_SIZE, open_session, run_session
from cropmap.schemas import BANDS, Architecture

CLASSES: Final = 13
OBSERVATIONS: Final = (35, 95)
"""Clear observations per parcel: two satellites at 48° N, with and without orbit overlap; the mean is 65."""


def measure(*, quick: bool = False) -> list[dict[str, Any]]:
    """Both networks at their default size; with `quick` a small number of parcels that only shows that it works."""
    return run(parcels=300, repeats=1) if quick else run()


def run(
    *,
    architectures: Sequence[Architecture] = tuple(Architecture),
    parcels: int = 4_000,
    repeats: int = 5,
    thread_count: int = 2,
    seed: int = 1,
) -> list[dict[str, Any]]:
    """Rows of a table: parcels per second of both, their ratio and the largest difference of a logit."""
    series = make_series(parcels, seed=seed)
    index = np.arange(parcels)
    rows = []
    for architecture in architectures:
        network, data = make_network(series, architecture, seed=seed)
        session = open_session(data)
        ways: dict[str, Callable[[], NDArray[np.float32]]] = {
            "ONNX Runtime": partial(run_session, session, series, index, threads=thread_count),
            "torch, threads share a batch": partial(torch_logits, network, series, index, inside=thread_count),
            "torch, a batch per thread": partial(torch_logits, network, series, index, beside=thread_count),
        }
        logits, seconds = alternate(ways, repeats=repeats)
        ours, best = seconds.pop("ONNX Runtime"), min(seconds, key=lambda way: seconds[way])
        gap = max(np.abs(logits["ONNX Runtime"] - logits[way]).max() for way in seconds)
        rows.append(
            {
                "network": str(architecture),
                "torch eager, parcels/s": round(parcels / seconds[best]),
                "ONNX Runtime, parcels/s": round(parcels / ours),
                "ratio": f"{seconds[best] / ours:.2f}",
                "target": ">= 1",
                "largest logit difference": f"{gap:.1e}",
                "how": f"{parcels} parcels, {series.lengths.mean():.0f} dates, batches of {BATCH_SIZE}, "
                f"{thread_count} threads ({best}), median of {repeats}",
            }
        )
    return rows


def make_network(series: Series, architecture: Architecture, *, seed: int) -> tuple[Network, bytes]:
    """A network of default size and its ONNX file."""
    config = TrainingConfig(architecture=architecture)
    network = new_network(series.bands, CLASSES, config, seed=seed)
    standardise(network, series, np.arange(len(series)))
    return network.eval(), export_network(network, series.bands, config)


def torch_logits(
    network: Network, series: Series, index: NDArray[np.intp], *, inside: int = 1, beside: int = 1
) -> NDArray[np.float32]:
    """(n, K) logits in eager mode over the batches of `run_session`: `inside` threads on a batch, `beside` at once."""
    out = np.empty((len(index), CLASSES), np.float32)

    def run_batch(part: NDArray[np.intp]) -> None:
        with torch.inference_mode():
            out[part] = network(*(torch.from_numpy(a) for a in pad(series, index[part]).inputs)).numpy()

    with threads(inside), ThreadPoolExecutor(beside) as pool:
        for _ in pool.map(run_batch, by_length(series.lengths[index], batch_size=BATCH_SIZE)):
            pass
    return out


def alternate(
    ways: Mapping[str, Callable[[], NDArray[np.float32]]], *, repeats: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    """What each way gives, and its median seconds over repetitions in turn, so that a busy minute hits all alike."""
    results: dict[str, NDArray[np.float32]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            started = time.perf_counter()
            results[name] = work()
            seconds[name].append(time.perf_counter() - started)
    return results, {name: statistics.median(spent) for name, spent in seconds.items()}


def make_series(parcels: int, *, seed: int) -> Series:
    """Random series with the lengths of a season; the values do not matter."""
    random = np.random.default_rng(seed)
    lengths = random.integers(*OBSERVATIONS, parcels, endpoint=True)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    count = int(offsets[-1])
    return Series(
        parcel_ids=np.array([f"P{i:07d}" for i in range(parcels)]),
        offsets=offsets,
        day_of_year=np.concatenate([np.sort(random.integers(1, 366, n)) for n in lengths]).astype(np.int16),
        reflectance=random.uniform(0, 0.6, (count, len(BANDS))).astype(np.float32),
        clear_fraction=random.uniform(0.5, 1, count).astype(np.float32),
        bands=BANDS,
        day_zero=date(2017, 12, 31),
    )
