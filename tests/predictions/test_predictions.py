"""The rows of stored predictions are those of the table, and of equal probabilities the first class comes first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cropmap.contracts.tables import PREDICTION, PREDICTION_COLUMNS
from cropmap.predictions import predictions as predictions_module
from cropmap.predictions.predictions import Predictions, read_rows
from cropmap.store import Store

NAN = float("nan")
CROPS = ("maize", "wheat", "grassland")


def some() -> Predictions:
    logits = [[0.0, 2.0, 1.0], [1.0, 1.0, 1.0], [NAN] * 3, [0.0, 3.0, 3.0], [5.0, NAN, 1.0], [-np.inf, 1.0, 2.0]]
    n = len(logits)
    return Predictions(
        parcel_ids=np.array([f"{number:03d}" for number in range(n)], dtype=np.str_),
        crops=CROPS,
        logits=np.array(logits, np.float32),
        scored_by=["fold 1", "mean of 2 folds"] * (n // 2),
        n_observations=np.arange(n, dtype=np.int32),
        last_observation=[None, *(date(2018, 5, day) for day in range(1, n))],
        out_of_distribution=np.array([0.5, NAN, NAN, 0.25, 0.0, 1.0], np.float32),
    )


@pytest.mark.parametrize("row_group", [2, 65_536])
def test_rows_of_stored_predictions_are_those_of_the_table(
    tmp_path: Path, row_group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions_module, "ROW_GROUP", row_group)
    store, predictions = Store(tmp_path), some()
    predictions.write(store, "p.parquet")
    parts = list(read_rows(store, "p.parquet"))
    assert len(parts) == -(-len(predictions) // row_group)
    assert all(part.schema.names == list(PREDICTION_COLUMNS) for part in parts)
    rows, table = pa.concat_tables(parts), predictions.table()
    for column in PREDICTION:
        wanted = pa.array(table[column.name].tolist(), column.kind.arrow)
        assert rows[column.name].cast(column.kind.arrow).combine_chunks().to_pylist() == pytest.approx(
            wanted.to_pylist(), abs=0, nan_ok=True
        ), column.name


def test_of_equal_probabilities_the_first_class_comes_first() -> None:
    predictions = some()
    table = predictions.table()
    assert table["crop"].tolist() == ["wheat", "maize", None, "wheat", None, None]
    assert table["second_crop"].tolist() == ["grassland", "wheat", None, "grassland", None, None]
    order = np.argsort(-predictions.probabilities, axis=1, kind="stable")
    best = np.take_along_axis(predictions.probabilities, order, axis=1)
    np.testing.assert_array_equal(table[["probability", "second_probability"]].to_numpy(np.float32), best[:, :2])
