"""The benchmark runs, and what it compares are equal numbers. It says nothing about time."""

from __future__ import annotations

import pytest

from cropmap.bench import predict as bench
from cropmap.schemas import Architecture


@pytest.mark.slow
def test_torch_and_onnx_runtime_give_the_same_logits_in_the_benchmark() -> None:
    rows = bench.run(parcels=60, repeats=1)
    assert [row["network"] for row in rows] == list(Architecture)
    for row in rows:
        assert float(row["largest logit difference"]) < 1e-5
        assert row["torch eager, parcels/s"] > 0
        assert row["ONNX Runtime, parcels/s"] > 0
