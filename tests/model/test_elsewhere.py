"""Folds that others train into the store: the same bits, and a dataset that comes with the store."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.shared import DATASETS, FACTS, KEPT, LAST, MACHINE_COPIES, place_of, share_dataset, shared_dataset
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
def bucket(s3_server: S3Server, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    (tmp_path / "machine").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "machine"))
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    return Store(f"s3://{s3_bucket}/store")


@dataclass
class AsSent:
    """Trains what comes out of the bytes that would be sent, last fold first."""

    store: Store
    seen: list[FoldJob]
    owner: str = "an_agency"

    def train(self, jobs: Sequence[FoldJob], trained: Callable[[FoldJob, float], None], /) -> None:
        for job in reversed(jobs):
            again = pickle.loads(pickle.dumps(job))  # noqa: S301
            self.seen.append(again)
            trained(job, again.train(Store(self.store.root)))


def test_folds_that_others_train_are_those_of_this_process(store: Store, dataset: Dataset, tmp_path: Path) -> None:
    config = tiny(Architecture.LSTM, min_steps=6)
    suspects = np.zeros(len(dataset.label), np.bool_)
    suspects[3:9] = True
    here = cross_fit(Store(tmp_path / "here"), dataset, config, seed=1, suspects=suspects, workers=1)
    seen: list[FoldJob] = []
    there = cross_fit(store, dataset, config, seed=1, suspects=suspects, elsewhere=AsSent(store, seen))
    np.testing.assert_array_equal(here.logits, there.logits)
    assert [job.fold for job in seen] == list(reversed(range(dataset.folds.count)))

    seen.clear()
    again = cross_fit(store, dataset, config, seed=1, suspects=suspects, elsewhere=AsSent(store, seen))
    assert seen == [], "a fold in the store is not trained again"
    np.testing.assert_array_equal(again.logits, there.logits)


def arrays(dataset: Dataset) -> list[bytes]:
    return [dataset.series.reflectance.tobytes(), dataset.series.parcel_ids.tobytes(), dataset.label.tobytes()]


def in_another_process(store: Store, place: str) -> str:
    """What another process of this machine maps: its hash."""
    code = (
        "from cropmap.dataset.shared import shared_dataset; from cropmap.store import Store; "
        f"print(shared_dataset(Store({store.root!r}), {place!r}).hash)"
    )
    there = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    done = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def test_a_machine_takes_one_copy_of_a_dataset_in_a_bucket(bucket: Store) -> None:
    dataset = make_dataset(seed=1)
    place = place_of(dataset, owner="a")
    with pytest.raises(StoreError, match="is not in the store"):
        shared_dataset(bucket, place)
    assert share_dataset(bucket, dataset, owner="a") == share_dataset(bucket, dataset, owner="a") == place
    assert in_another_process(bucket, place) == dataset.hash
    # of the objects, all but the last are gone: what is mapped now is the machine's copy
    for name in bucket.names(place):
        if not name.endswith(FACTS):
            bucket.remove(name)
    copy = shared_dataset(bucket, place)
    assert arrays(copy) == arrays(dataset)
    assert shared_dataset(Store(bucket.root), place) is copy, "it is mapped once"


def test_a_machine_keeps_the_last_copies_and_whole_ones(bucket: Store, tmp_path: Path) -> None:
    datasets = [make_dataset(seed=seed) for seed in range(MACHINE_COPIES + 2)]
    places = [share_dataset(bucket, dataset, owner="a") for dataset in datasets]
    copies = [shared_dataset(bucket, place) for place in places]
    (root,) = (tmp_path / "machine").iterdir()
    assert root.stat().st_mode & 0o077 == 0
    assert {folder.name for folder in root.iterdir()} == {dataset.hash for dataset in datasets[-MACHINE_COPIES:]}
    assert arrays(copies[0]) == arrays(datasets[0]), "who has mapped one keeps it"

    shared_dataset(bucket, places[0])
    (root / datasets[-1].hash / "label.npy").unlink()  # by whoever tidies temporary folders
    assert arrays(shared_dataset(bucket, places[-1])) == arrays(datasets[-1])

    root.chmod(0o777)
    with pytest.raises(StoreError, match="others can enter it"):
        shared_dataset(bucket, places[0])


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_of_shared_datasets_the_last_of_each_owner_stay(
    kind: str, store: Store, request: pytest.FixtureRequest
) -> None:
    either = store if kind == "folder" else request.getfixturevalue("bucket")
    others = share_dataset(either, make_dataset(seed=90), owner="another")
    datasets = [make_dataset(seed=seed) for seed in range(KEPT + 2)]
    either.write_bytes(f"{DATASETS}/a/of-a-killed-command/label.npy", b"half a dataset")
    for dataset in datasets:
        share_dataset(either, dataset, owner="a")
    share_dataset(either, datasets[2], owner="a")
    there = {name.split("/")[2] for name in either.names(f"{DATASETS}/a")}
    assert there == {LAST, *(dataset.hash for dataset in datasets[-KEPT:])}
    assert shared_dataset(either, others).hash == others.rpartition("/")[2]
    assert share_dataset(either, datasets[0], owner="a")  # takes the place of the one that was wanted longest ago
    there = {name.split("/")[2] for name in either.names(f"{DATASETS}/a")}
    assert there == {LAST, *(datasets[number].hash for number in (0, 2, 4, 5))}


def test_a_dataset_that_is_damaged_in_the_store_is_made_again(bucket: Store, s3_server: S3Server) -> None:
    dataset = make_dataset(seed=3)
    place = share_dataset(bucket, dataset, owner="a")
    key, client = bucket.address(f"{place}/label.npy").removeprefix("s3://"), s3_server.client()
    whole = client.open_input_stream(key).read()
    with client.open_output_stream(key) as sink:
        sink.write(whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:])
    with pytest.raises(DamagedObjectError, match="Run the same command again: it is made again"):
        shared_dataset(bucket, place)
    share_dataset(bucket, dataset, owner="a")
    assert shared_dataset(bucket, place).hash == dataset.hash


def test_a_dataset_that_is_gone_is_one_line(store: Store, dataset: Dataset) -> None:
    place = share_dataset(store, dataset, owner="a")
    assert shared_dataset(store, place).hash == dataset.hash
    shutil.rmtree(store.local_path(place))
    with pytest.raises(StoreError, match=f"{place}: is not in the store"):
        shared_dataset(store, place)
