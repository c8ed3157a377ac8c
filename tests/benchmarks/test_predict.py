"""The benchmark runs, and what it compares are equal numbers. It says nothing about time."""

from __future__ import annotations

import pytest

from cropmap.bench import predict as bench
from cropmap.schemas import Architecture


@pytest.mark.slow
def test_torch_and_onnx_runtime_give_the_same_logits_in_the_benchmark() -> None:
    row, *others = bench.run(architectures=[Architecture.TRANSFORMER], parcels=60, repeats=1)
    assert (row["network"], others) == ("transformer", [])
    assert 0 < float(str(row["largest logit difference"])) < 1e-5
    for measured in ("torch eager, parcels/s", "ONNX Runtime, parcels/s"):
        rate = row[measured]
        assert isinstance(rate, float | int)
        assert rate > 0


@pytest.mark.slow
def test_the_whole_stage_predicts_what_inference_alone_does() -> None:
    series = bench.make_series(40, seed=2)
    _, data = bench.make_network(series, Architecture.LSTM, seed=2)
    seconds = bench.stage_seconds(series, data, repeats=1, thread_count=1)
    assert set(seconds) == {"infer", "read, infer, write"}
    assert min(seconds.values()) > 0
