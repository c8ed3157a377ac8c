from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cropmap.contracts.tables import PREDICTION_COLUMNS
from cropmap.dataset.dataset import Dataset
from cropmap.errors import ArtifactError
from cropmap.model.fitting import Fitted, fit_model
from cropmap.predictions import predictions as predictions_module
from cropmap.predictions.predict import Artifact, load_artifact, predict
from cropmap.predictions.predictions import Predictions, read_rows
from cropmap.schemas import Architecture
from cropmap.store import Store
from tests.model.problems import CROPS, make_dataset, tiny

DATASET = make_dataset(60)
FOLD = np.where(np.arange(60) < 9, -1, DATASET.folds.fold).astype(np.int16)
NO_OBSERVATION = 4


pytestmark = pytest.mark.slow  # a network is trained


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Fitted, Artifact]:
    folder: Path = tmp_path_factory.mktemp("predict")
    store = Store(folder)
    made = fit_model(
        store,
        DATASET,
        tiny(Architecture.TRANSFORMER, min_steps=30),
        seed=1,
        min_clear_fraction=0.5,
        about={"agency": "test"},
        workers=1,
    )
    return store, made, load_artifact(store, made.artifact_id)


def test_a_parcel_of_a_fold_has_the_out_of_fold_logits_of_training(fitted: tuple[Store, Fitted, Artifact]) -> None:
    _, made, artifact = fitted
    predictions = predict(artifact, DATASET.series, fold=DATASET.folds.fold)
    judged = DATASET.judged
    expected = made.out_of_fold.calibration.apply(made.out_of_fold.cross_fit.logits[judged])
    np.testing.assert_allclose(predictions.logits[judged], expected, atol=1e-4)
    assert predictions.scored_by[0] == "fold 0"
    assert predictions.scored_by[-1] == "fold 2"


def test_an_undeclared_parcel_has_the_mean_of_all_models(fitted: tuple[Store, Fitted, Artifact]) -> None:
    _, _, artifact = fitted
    mean = predict(artifact, DATASET.series, fold=FOLD).probabilities[:9]
    each = [predict(artifact, DATASET.series, fold=np.full(60, k, np.int16)).probabilities[:9] for k in range(3)]
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-6)
    assert np.abs(each[0] - each[1])[0].max() > 1e-3


def test_rows_sum_to_one_and_a_parcel_without_observation_is_empty(fitted: tuple[Store, Fitted, Artifact]) -> None:
    _, _, artifact = fitted
    predictions = predict(artifact, DATASET.series, fold=FOLD)
    seen = np.arange(60) != NO_OBSERVATION
    np.testing.assert_allclose(predictions.probabilities[seen].sum(axis=1), 1, atol=1e-6)
    assert np.isnan(predictions.probabilities[NO_OBSERVATION]).all()
    strange = predictions.out_of_distribution
    assert np.isnan(strange[NO_OBSERVATION])
    assert 0 <= strange[seen].min() < 0.2 < 0.8 < strange[seen].max() <= 1
    table = predictions.table()
    assert tuple(table.columns) == PREDICTION_COLUMNS
    empty = table.iloc[NO_OBSERVATION]
    assert empty.crop is None
    assert empty.second_crop is None
    assert empty.last_observation is None
    assert (empty.n_observations, empty.scored_by) == (0, "mean of 3 folds")
    row, probabilities = table.iloc[20], predictions.probabilities[20]
    assert row.crop == CROPS[int(probabilities.argmax())]
    assert row.probability == probabilities.max() > row.second_probability == np.sort(probabilities)[1]
    assert row.n_observations == DATASET.series.lengths[20]
    assert row.last_observation == DATASET.series.last_days()[20]


def test_the_bits_depend_on_neither_threads_nor_the_company_of_a_parcel(fitted: tuple[Store, Fitted, Artifact]) -> None:
    _, _, artifact = fitted
    one, two = (predict(artifact, DATASET.series, fold=FOLD, threads=n).logits for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    few = np.array([1, 20, 44])
    alone = predict(artifact, DATASET.series.take(few), fold=FOLD[few]).logits
    np.testing.assert_allclose(alone, one[few], atol=1e-5)


@pytest.mark.parametrize("rows", [7, 65_536])
def test_predictions_come_back_from_parquet_bit_for_bit(
    fitted: tuple[Store, Fitted, Artifact], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _, artifact = fitted
    monkeypatch.setattr(predictions_module, "ROW_GROUP", rows)
    written = predict(artifact, DATASET.series, fold=FOLD)
    written.write(store, "predictions/p.parquet")
    read = Predictions.read(store, "predictions/p.parquet")
    np.testing.assert_array_equal(read.logits, written.logits)
    np.testing.assert_array_equal(read.probabilities, written.probabilities)
    assert read.table().equals(written.table())
    assert read.crops == CROPS
    parts = list(Predictions.read_parts(store, "predictions/p.parquet"))
    assert len(parts) == -(-len(written) // rows)
    shown = pa.concat_tables(read_rows(store, "predictions/p.parquet")).to_pandas()
    pd.testing.assert_frame_equal(shown.convert_dtypes(), written.table().convert_dtypes(), check_dtype=False)


def test_series_that_the_artifact_was_not_made_for_are_refused(fitted: tuple[Store, Fitted, Artifact]) -> None:
    store, made, artifact = fitted
    with pytest.raises(ArtifactError, match=r"made for bands \['B04', 'B08'\], the series have \['B08', 'B04'\]"):
        predict(artifact, replace(DATASET.series, bands=("B08", "B04")))
    with pytest.raises(ArtifactError, match="fold 7 of a model with 3 folds"):
        predict(artifact, DATASET.series, fold=np.full(60, 7, np.int16))
    with pytest.raises(ArtifactError, match="no such artifact"):
        load_artifact(store, "nothing")
    assert made.manifest.folds_made_by == "region"
    assert max(made.manifest.parity) < 1e-5


def test_nothing_to_predict_is_an_empty_table(fitted: tuple[Store, Fitted, Artifact]) -> None:
    _, _, artifact = fitted
    nobody: Dataset = DATASET
    predictions = predict(artifact, nobody.series.take(np.array([NO_OBSERVATION])))
    assert len(predictions.table()) == 1
    assert np.isnan(predictions.logits).all()
