"""The study of a GPU on a few parcels: what it counts, and that it says on which device."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cropmap.model.training import new_network
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import BANDS, Architecture
from tests.studies import gpu


def test_the_operations_of_a_transformer_are_those_that_torch_counts() -> None:
    network = new_network(BANDS, 5, TrainingConfig(architecture=Architecture.TRANSFORMER), seed=1).eval()
    batch, dates = 3, 7
    inputs = (
        torch.rand(batch, dates, len(BANDS) + 1),
        torch.rand(batch, dates),
        torch.ones(batch, dates, dtype=torch.bool),
    )
    plain = sdpa_kernel(SDPBackend.MATH)
    with gpu.counted(network) as counts, plain, torch.inference_mode(), FlopCounterMode(display=False) as torchs:
        network.each(*inputs)
    assert sum(counts) == torchs.get_total_flops()


def test_the_operations_of_an_lstm_are_those_of_its_gates() -> None:
    layer = torch.nn.LSTM(6, 4, 2, batch_first=True)
    with gpu.counted(torch.nn.Sequential(layer)) as counts:
        layer(torch.rand(3, 5, 6))
    assert counts == [2 * 4 * 4 * (6 + 4) * 15, 2 * 4 * 4 * (4 + 4) * 15]


def test_a_row_says_what_was_trained_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "CPU_MATRIX", 64)
    rows = gpu.measure(parcels=64, dates=6, batch_sizes=[0, 64])
    assert [(row["network"], row["batch"], row["steps"]) for row in rows] == [
        (str(name), batch, 64 // batch) for name in Architecture for batch in (32, 64)
    ]
    on = "bfloat16" if torch.cuda.is_available() else "float32"
    assert all(on in row["device"] and row["epoch s"] > 0 and row["TFLOP/s"] >= 0 for row in rows)
