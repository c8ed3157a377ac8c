"""A season whose store is a bucket of a real S3 server: the same bytes of every object, the same rows as on disk."""

from __future__ import annotations

import io
import json
import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import fs

from cropmap.stages.work import claimed
from cropmap.store import Store
from flows.season import season as season_flow
from tests.cutting_proxy import Cuts, cutting
from tests.flows.conftest import Season, Undisturbed, killed_after, season_command, season_of
from tests.flows.terminal import rows
from tests.s3_server import READER, S3Server
from tests.stac_server import pixel_environment, put_scenes, read_over_the_wire, serving
from tests.studies.wire import comparable

KILLS = 1
OF_ONE_PLACE = ("mlflow/", "rates/", "checked/", "judged/", "items/")
"""objects that hold what each place has of its own: MLflow's ids, seconds, versions of objects and rows"""


@pytest.fixture
def in_bucket(
    simulated_inputs: Path,
    tmp_path: Path,
    database_url: str,
    empty_tracking: bytes,
    s3_server: S3Server,
    s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Season:
    season = season_of(simulated_inputs, tmp_path, database_url, empty_tracking)
    season.enter(monkeypatch)
    monkeypatch.setenv("CROPMAP_STORE", f"s3://{s3_bucket}/season")
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    return season


def content(store: Store) -> dict[str, Any]:
    """Every object of a season by name, as bytes; of a trained fold all but the seconds that it took, of the evidence
    of offsets all but the versions of rows."""
    without = {"training": _fold, "offsets": _evidence}
    return {name: without.get(name.partition("/")[0], bytes)(data) for name, data in objects(store).items()}


def objects(store: Store) -> dict[str, bytes]:
    return {name: store.read_bytes(name) for name in store.names("") if not name.startswith(OF_ONE_PLACE)}


def _fold(data: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: file[name].tobytes() for name in file.files if name != "facts"}
        facts = {key: value for key, value in json.loads(str(file["facts"])).items() if key != "seconds"}
    return {**arrays, "facts": facts}


def _evidence(data: bytes) -> dict[str, Any]:
    return {key: sorted(value) if key == "versions" else value for key, value in json.loads(data).items()}


def refused(season: Season) -> tuple[int, str]:
    """Exit code and message of a second run, of another home, while this process works on the agency."""
    context, home = season.open(), season.request.home
    assert home is not None
    with claimed(context, "season run", clock=lambda: datetime.now(UTC)):
        second = subprocess.run(
            season_command(season.request.agency_file.parent, home), capture_output=True, text=True, check=False
        )
    return second.returncode, second.stderr


@pytest.mark.slow
def test_a_season_in_a_bucket_that_two_machines_share_is_the_season_on_disk(
    undisturbed: Undisturbed,
    in_bucket: Season,
    s3_server: S3Server,
    s3_bucket: str,
    prefect_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One answer in twenty is cut, workers of two homes are killed in turn, and a second run comes meanwhile."""
    homes = [
        replace(in_bucket, request=in_bucket.request.model_copy(update={"home": tmp_path / name})) for name in "ab"
    ]
    kept: dict[str, int] = {}
    chance, cuts = random.Random(20), Cuts(one_in=20)  # noqa: S311
    with cutting(s3_server.endpoint, cuts) as endpoint:
        monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        for number in range(KILLS):
            killed_after(
                homes[number % 2], prefect_url, chance.uniform(0.25 * undisturbed.seconds, undisturbed.seconds)
            )
            kept |= finished(s3_server, s3_bucket)
        homes[KILLS % 2].enter(monkeypatch)
        season_flow(homes[KILLS % 2].request)
    monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", s3_server.endpoint)
    code, said = refused(homes[0])

    assert code == 3, said
    assert "agency simulated-bretagne: is being worked on (season run 2018 by" in said
    assert "Traceback" not in said
    assert cuts.made >= 3
    assert rows(in_bucket.database_url) == undisturbed.rows
    store = in_bucket.open().store
    assert content(store) == content(Store(undisturbed.store))
    assert any(name.startswith("offsets/") for name in content(store))
    assert kept.items() <= finished(s3_server, s3_bucket).items()  # what was finished was not made again
    assert {name.rpartition("/")[2] for name in store.names("mlflow")} >= {"confusion.png", "fold-0.onnx"}
    assert [path for home in "ab" for path in (tmp_path / home / "mlflow").rglob("*")] == []


def finished(server: S3Server, bucket: str) -> dict[str, int]:
    """When what no later run makes again was written, in ns: observations and trained folds."""
    found = server.client().get_file_info(fs.FileSelector(bucket, recursive=True))
    return {
        info.path: info.mtime_ns
        for info in found
        if info.type == fs.FileType.File and ("/observations/" in info.path or info.path.endswith(".npz"))
    }


@pytest.mark.slow
def test_a_season_over_the_wire_is_the_season_on_disk(
    undisturbed: Undisturbed,
    in_bucket: Season,
    s3_server: S3Server,
    prefect_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a STAC API, with pixels and store in buckets that want keys, to the database."""
    pixels, inputs = s3_server.make_bucket(), in_bucket.request.agency_file.parent
    with serving(*put_scenes(inputs, s3_server, pixels)) as api:
        agency_file = read_over_the_wire(inputs, tmp_path / "wire", api=api, server=s3_server, bucket=pixels)
        season = replace(in_bucket, request=in_bucket.request.model_copy(update={"agency_file": agency_file}))
        for name, value in pixel_environment(READER).items():
            monkeypatch.setenv(name, value)
        killed_after(season, prefect_url)
    assert comparable(rows(in_bucket.database_url)) == comparable(undisturbed.rows)
    assert season.open().store.names("observations") == sorted(undisturbed.files)
