"""An epoch of training on the GPU of this machine, else on its processor: `python -m tests.studies gpu`.

The product's own loop trains both networks on random series. Floating-point operations are those of the layers on
batches as the loop makes them (shortened, padded), three times the forward pass. The peak is what a large product of
matrices reaches here in the precision of the training: bfloat16 on a GPU, float32 on a processor; beside it, on a GPU
that is known, the data sheet's. Where a GPU needs another torch, install that one: https://pytorch.org/get-started.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import at_random
from cropmap.dataset.series import Series
from cropmap.model.augmentation import augmented
from cropmap.model.networks.transformer import Layer
from cropmap.model.ragged import on_device
from cropmap.model.training import choose_device, new_network, train
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import BANDS, Architecture

CLASSES: Final = 20
SAMPLED: Final = 20
"""batches whose operations are counted"""
WARM_STEPS: Final = 20
GPU_MATRIX: Final = 8_192
CPU_MATRIX: Final = 1_024
PEAK_FLOPS: Final = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""of dense products in bfloat16, by a part of the device's name; NVIDIA's data sheets"""


def measure(*, parcels: int, dates: int, batch_sizes: Sequence[int], seed: int = 1) -> list[dict[str, Any]]:
    """A row for each network and batch size. 0 stands for the batch size that the product trains with."""
    device = choose_device()
    name = torch.cuda.get_device_name() if device == "cuda" else f"processor, {torch.get_num_threads()} threads"
    peak = peak_flops(device)
    dataset = make_dataset(parcels, dates, seed=seed)
    return [
        _row(dataset, architecture, batch_size, device=device, name=name, peak=peak, seed=seed)
        for architecture in Architecture
        for batch_size in batch_sizes
    ]


def make_dataset(parcels: int, dates: int, *, seed: int) -> Dataset:
    """Random series, each with all dates, of random classes."""
    random, rows = np.random.default_rng(seed), parcels * dates
    label = random.integers(0, CLASSES, parcels).astype(np.int16)
    series = Series(
        parcel_ids=np.char.zfill(np.arange(parcels).astype(str), 9),
        offsets=np.arange(parcels + 1, dtype=np.int64) * dates,
        day_of_year=np.tile(np.linspace(1, 360, dates).astype(np.int16), parcels),
        reflectance=random.random((rows, len(BANDS)), np.float32),
        clear_fraction=random.random(rows, np.float32),
        bands=BANDS,
        day_zero=date(2025, 12, 31),
    )
    return Dataset(series, label, tuple(f"class {k}" for k in range(CLASSES)), at_random(label=label, count=2, seed=1))


def _row(
    dataset: Dataset, architecture: Architecture, batch_size: int, *, device: str, name: str, peak: float, seed: int
) -> dict[str, Any]:
    config = TrainingConfig(architecture=architecture, epochs=1, validation_share=0, evaluations=1)
    config = replace(config, batch_size=min(batch_size or config.batch_size, len(dataset.label)))
    steps = -(-len(dataset.label) // config.batch_size)
    epoch_seconds(dataset, replace(config, min_steps=1, max_steps=min(WARM_STEPS, steps)), device=device, seed=seed)
    seconds = epoch_seconds(dataset, replace(config, min_steps=1, max_steps=steps), device=device, seed=seed)
    flops = 3 * steps * forward_flops(dataset, config, seed=seed) / seconds
    sheet = next((value for part, value in PEAK_FLOPS.items() if device == "cuda" and part in name), None)
    return {
        "network": str(architecture),
        "parcels x dates": f"{len(dataset.label)} x {int(dataset.series.lengths[0])}",
        "batch": config.batch_size,
        "steps": steps,
        "epoch s": round(seconds, 2),
        "TFLOP/s": round(flops / 1e12, 3),
        "share of the measured peak": f"{flops / peak:.1%}",
        "share of the data sheet's": f"{flops / sheet:.1%}" if sheet else None,
        "measured peak, TFLOP/s": round(peak / 1e12, 2),
        "device": f"{name}, {'bfloat16' if device == 'cuda' else 'float32'}",
    }


def epoch_seconds(dataset: Dataset, config: TrainingConfig, *, device: str, seed: int) -> float:
    """From the first step to the trained network; the data are on the device before."""
    heard: list[float] = []

    def note(_: float) -> None:
        if not heard:
            _wait(device)
            heard.append(time.perf_counter())

    train(dataset, np.ones(len(dataset.label), bool), config, seed=seed, device=device, on_step=note)
    _wait(device)
    return time.perf_counter() - heard[0]


def forward_flops(dataset: Dataset, config: TrainingConfig, *, seed: int) -> float:
    """Of one batch, on average over some as the loop makes them."""
    network = new_network(dataset.series.bands, len(dataset.crops), config, seed=seed).eval()
    ragged, random = on_device(dataset.series, "cpu"), np.random.default_rng(seed)
    with counted(network) as counts, torch.inference_mode():
        for _ in range(SAMPLED):
            rows = random.choice(len(dataset.label), config.batch_size, replace=False)
            network.each(*augmented(dataset.series, ragged, rows, config, random))
    return sum(counts) / SAMPLED


@contextmanager
def counted(network: nn.Module) -> Iterator[list[float]]:
    """Operations of the products of matrices in every forward pass while the block works. Torch's own counter knows no
    LSTM."""
    counts: list[float] = []

    def linear(layer: nn.Module, _: Any, out: torch.Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        counts.append(2.0 * layer.in_features * out.numel())

    def lstm(layer: nn.Module, given: Any, _: Any) -> None:
        assert isinstance(layer, nn.LSTM)
        steps, hidden = given[0].shape[0] * given[0].shape[1], layer.hidden_size
        widths = [layer.input_size, *[hidden] * (layer.num_layers - 1)]
        counts.extend(2.0 * 4 * hidden * (width + hidden) * steps for width in widths)

    def attention(_: nn.Module, given: Any, __: Any) -> None:
        batch, steps, width = given[0].shape
        counts.append(2.0 * 2 * batch * steps * steps * width)  # queries by keys, and weights by values

    kinds = {nn.Linear: linear, nn.LSTM: lstm, Layer: attention}
    hooks = [
        module.register_forward_hook(hook)
        for module in network.modules()
        for kind, hook in kinds.items()
        if type(module) is kind
    ]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def peak_flops(device: str, *, repeats: int = 10) -> float:
    """Operations per second of a product of large matrices, in the precision of the training: the best of some."""
    size, kind = (GPU_MATRIX, torch.bfloat16) if device == "cuda" else (CPU_MATRIX, torch.float32)
    left, right = (torch.rand((size, size), device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        _wait(device)
        began = time.perf_counter()
        left @ right
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best


def _wait(device: str) -> None:
    """For all that the device was given to do."""
    if device == "cuda":
        torch.cuda.synchronize()
