"""Predictions in parts: the same bytes whoever scores them, in the order of the parcels, and no part twice."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropmap.model.artifact import Manifest, file_digest
from cropmap.model.calibration import Calibration
from cropmap.model.export import export_network
from cropmap.model.strangeness import learn_familiar
from cropmap.model.training import new_network, standardise
from cropmap.predictions import parts as parts_module
from cropmap.predictions import predictions as predictions_module
from cropmap.predictions.parts import PartJob, join_parts, write_unscored
from cropmap.predictions.predict import Artifact, predict
from cropmap.predictions.predictions import Predictions
from cropmap.schemas import Architecture
from cropmap.store import Store
from tests.model.problems import CROPS, make_dataset, tiny

DATASET = make_dataset(90)
FOLD = np.where(np.arange(90) < 9, -1, DATASET.folds.fold).astype(np.int16)
PART_OF = np.random.default_rng(2).integers(0, 3, 90)
NAMES = [f"runs/r/parts/{tile}.parquet" for tile in ("30UVU", "30UWU", "no-tile")]
JOINED = "runs/r/predictions.parquet"


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    """Three networks that learnt nothing."""
    config, files = tiny(Architecture.TRANSFORMER), []
    for seed in range(3):
        network = new_network(DATASET.series.bands, len(CROPS), config, seed=seed)
        standardise(network, DATASET.series, np.arange(len(DATASET.series)))
        files.append(export_network(network.eval(), DATASET.series.bands, config))
    manifest = Manifest(
        architecture="transformer",
        crops=CROPS,
        bands=DATASET.series.bands,
        min_clear_fraction=0.0,
        calibration=Calibration(1.0, (0.0,) * len(CROPS)),
        familiar=learn_familiar(DATASET),
        folds_made_by="region",
        fold_names=DATASET.folds.names,
        dataset_hash=DATASET.hash,
        config={},
        seed=0,
        code_version="",
        evaluation={},
        parity=(0.0,) * 3,
        files={f"fold-{k}.onnx": file_digest(data) for k, data in enumerate(files)},
        about={},
    )
    return Artifact(manifest.artifact_id, manifest, tuple(files))


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that parts and what is joined of them have many row groups."""
    monkeypatch.setattr(parts_module, "PART_ROWS", 8)
    monkeypatch.setattr(parts_module, "ROW_GROUP", 20)


def jobs(artifact: Artifact, *, words: str = "") -> list[PartJob]:
    return [
        PartJob.of(
            str(number),
            name,
            dataset=DATASET.hash,
            artifact_id=artifact.artifact_id,
            here=np.equal(PART_OF, number),
            fold=FOLD,
            words=words,
        )
        for number, name in enumerate(NAMES)
    ]


def score(store: Store, job: PartJob, artifact: Artifact, *, threads: int = 1) -> tuple[str, float]:
    """What was done, and how many parcels were told of."""
    told: list[float] = []
    return job.score(store, DATASET.series, artifact, threads=threads, on_done=told.append), sum(told)


def join(store: Store) -> None:
    ids = DATASET.series.parcel_ids
    join_parts(store, JOINED, NAMES, part_of=PART_OF, parcel_ids=ids, crops=CROPS)


def test_joined_parts_are_the_predictions_of_all_parcels(store: Store, artifact: Artifact) -> None:
    for job in jobs(artifact):
        assert score(store, job, artifact) == ("predicted", job.count)
    join(store)
    whole, joined = predict(artifact, DATASET.series, fold=FOLD), Predictions.read(store, JOINED)
    np.testing.assert_allclose(joined.logits, whole.logits, atol=1e-5)
    np.testing.assert_allclose(joined.out_of_distribution, whole.out_of_distribution, atol=1e-4)
    for name in ("parcel_ids", "scored_by", "n_observations", "last_observation"):
        assert list(getattr(joined, name)) == list(getattr(whole, name)), name
    assert [len(part) for part in Predictions.read_parts(store, JOINED)] == [20, 20, 20, 20, 10]


def test_the_bytes_depend_on_neither_the_process_nor_the_order_nor_the_threads(
    store: Store, artifact: Artifact, tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    for job in jobs(artifact):
        score(store, job, artifact)
    for job in reversed(jobs(artifact)):
        sent = pickle.loads(pickle.dumps(job))  # noqa: S301
        score(other, sent, artifact, threads=2)
    join(store)
    join(other)
    for name in [*NAMES, JOINED]:
        assert store.read_bytes(name) == other.read_bytes(name), name


@pytest.mark.parametrize("damage", [lambda data: data[:-90], lambda data: data[:60] + b"x" + data[61:]])
def test_a_part_that_is_there_is_kept_and_a_damaged_one_made_again(
    store: Store, artifact: Artifact, damage: Callable[[bytes], bytes]
) -> None:
    job = jobs(artifact)[1]
    score(store, job, artifact)
    path = store.local_path(job.name)
    whole, written = path.read_bytes(), path.stat().st_mtime_ns
    assert score(store, job, artifact) == ("kept", job.count)
    assert path.stat().st_mtime_ns == written
    path.write_bytes(damage(whole))
    assert score(store, job, artifact) == ("predicted", job.count)
    assert path.read_bytes() == whole


def test_words_stand_before_what_a_parcel_is_scored_by(store: Store, artifact: Artifact) -> None:
    for job in jobs(artifact, words="forecast from 2017, "):
        score(store, job, artifact)
    join(store)
    assert Predictions.read(store, JOINED).scored_by[0] == "forecast from 2017, mean of 3 folds"


def test_without_a_model_every_parcel_is_there_and_none_is_predicted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_unscored(store, JOINED, DATASET.series, CROPS, scored_by="no model")
    whole = Predictions.none(DATASET.series, CROPS, scored_by="no model")
    assert Predictions.read(store, JOINED).table().equals(whole.table())
    assert np.isnan(whole.logits).all()
    monkeypatch.setattr(predictions_module, "ROW_GROUP", 20)
    replace(whole).write(store, "whole.parquet")
    assert store.read_bytes("whole.parquet") == store.read_bytes(JOINED)
