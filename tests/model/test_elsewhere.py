"""Folds that others train into the store: the same bits, and a dataset that comes with the store."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.shared import share_dataset, shared_dataset
from cropmap.errors import DamagedObjectError, StoreError
from cropmap.model.crossfit import cross_fit
from cropmap.model.elsewhere import FoldJob
from cropmap.schemas import Architecture
from cropmap.store import Store
from tests.model.problems import make_dataset, tiny
from tests.s3_server import S3Server


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def bucket(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    return Store(f"s3://{s3_bucket}/store")


def _as_sent(
    store: Store, seen: list[FoldJob]
) -> Callable[[Sequence[FoldJob], Callable[[FoldJob, float], None]], None]:
    """Trains what comes out of the bytes that would be sent, last fold first."""

    def train(jobs: Sequence[FoldJob], trained: Callable[[FoldJob, float], None]) -> None:
        for job in reversed(jobs):
            again = pickle.loads(pickle.dumps(job))  # noqa: S301
            seen.append(again)
            trained(job, again.train(Store(store.root)))

    return train


def test_folds_that_others_train_are_those_of_this_process(store: Store, dataset: Dataset, tmp_path: Path) -> None:
    config = tiny(Architecture.LSTM, min_steps=6)
    suspects = np.zeros(len(dataset.label), np.bool_)
    suspects[3:9] = True
    here = cross_fit(Store(tmp_path / "here"), dataset, config, seed=1, suspects=suspects, workers=1)
    seen: list[FoldJob] = []
    there = cross_fit(store, dataset, config, seed=1, suspects=suspects, elsewhere=_as_sent(store, seen))
    np.testing.assert_array_equal(here.logits, there.logits)
    assert [job.fold for job in seen] == list(reversed(range(dataset.folds.count)))

    seen.clear()
    again = cross_fit(store, dataset, config, seed=1, suspects=suspects, elsewhere=_as_sent(store, seen))
    assert seen == [], "a fold in the store is not trained again"
    np.testing.assert_array_equal(again.logits, there.logits)


def test_a_dataset_comes_with_a_store_that_is_no_folder(
    bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dataset, other = make_dataset(seed=1), make_dataset(seed=2)
    assert not bucket.is_local
    with pytest.raises(StoreError, match="is not in the store"):
        shared_dataset(bucket, dataset.hash)
    share_dataset(bucket, dataset)
    share_dataset(bucket, dataset)
    share_dataset(bucket, other)
    copy = shared_dataset(bucket, dataset.hash)
    assert copy.hash == dataset.hash
    assert shared_dataset(Store(bucket.root), dataset.hash) is copy, "it is fetched once"
    assert shared_dataset(bucket, other.hash).hash == other.hash
    np.testing.assert_array_equal(copy.series.reflectance, dataset.series.reflectance)
    assert list(tmp_path.iterdir()) == [], "a worker that is killed now leaves nothing behind"


def test_a_dataset_that_is_damaged_in_the_store_is_made_again(bucket: Store, s3_server: S3Server) -> None:
    dataset = make_dataset(seed=3)
    share_dataset(bucket, dataset)
    key, client = bucket.address(f"datasets/{dataset.hash}/label.npy").removeprefix("s3://"), s3_server.client()
    whole = client.open_input_stream(key).read()
    with client.open_output_stream(key) as sink:
        sink.write(whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:])
    with pytest.raises(DamagedObjectError, match="Run the same command again: it is made again"):
        shared_dataset(bucket, dataset.hash)
    share_dataset(bucket, dataset)
    assert shared_dataset(bucket, dataset.hash).hash == dataset.hash


def test_a_dataset_that_is_gone_is_one_line(store: Store, dataset: Dataset) -> None:
    share_dataset(store, dataset)
    assert shared_dataset(store, dataset.hash).hash == dataset.hash
    shutil.rmtree(store.local_path("datasets") / dataset.hash)
    with pytest.raises(StoreError, match=f"datasets/{dataset.hash}: is not in the store"):
        shared_dataset(store, dataset.hash)
