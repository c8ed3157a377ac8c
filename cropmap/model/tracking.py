"""MLflow records every training; any database or server by its tracking URI.

A run is found again by the tag `cropmap.run_key`, so that a retry resumes what it began and leaves one run. People tidy
MLflow up: an experiment or a run that was deleted stays so, and the next training is noted in a new
one. A server keeps the files itself; where MLflow is a database alone they go to a folder of ours, or into the bucket
of the store.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from cropmap.errors import ConfigurationError, ModelError
from cropmap.masking import masked, masked_value
from cropmap.store import Store

# mlflow reads them when it is imported, or with each request. Its own 7 retries of 120 s are a quarter of an hour
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "12")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

from google.protobuf.json_format import ParseError
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunStatus,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as database_utils
from mlflow.tracking import MlflowClient
from sqlalchemy import MetaData, make_url, select
from sqlalchemy.exc import SQLAlchemyError

RUN_KEY: Final = "cropmap.run_key"
BATCH: Final = 900
"""metrics in one request; MLflow takes 1,000"""
REACH_SECONDS: Final = 8.0
"""for a server to take a connection"""
PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
BUCKET: Final = "s3://"
MOST_EXPERIMENTS: Final = 100
"""of one name, deleted one after the other"""
MEND: Final = "Check MLFLOW_TRACKING_URI, and that MLflow runs"


@dataclass(frozen=True)
class TrackedData:
    """What a model was trained on, as MLflow shows it."""

    name: str
    digest: str
    source: str
    """name of the object in the store"""


def require(tracking_uri: str) -> None:
    """Asks MLflow for something. Raises ConfigurationError within half a minute where it does not answer."""
    with _needed(), connected(tracking_uri) as client:
        client.search_experiments(max_results=1)


def begin_training(
    tracking_uri: str, *, experiment: str, run_key: str, name: str, tags: Mapping[str, str], artifact_root: str | None
) -> str:
    """Opens the run of a training before anything is trained, and returns its id: the run's duration is then that of
    the training, and an MLflow that cannot be used is named before hours of work. A run of the same key that was begun
    goes on; one that is finished stays finished. Raises ConfigurationError."""
    with _needed(), connected(tracking_uri) as client:
        run = _find_or_start(client, _experiment(client, experiment, tracking_uri, artifact_root), run_key, name)
        finished = run.info.status == RunStatus.to_string(RunStatus.FINISHED)
        if not finished:
            client.update_run(run.info.run_id, status=RunStatus.to_string(RunStatus.RUNNING), name=name)
            client.log_batch(run.info.run_id, tags=_tags(tags))
        return str(run.info.run_id)


def track_training(
    tracking_uri: str,
    *,
    experiment: str,
    run_key: str,
    params: Mapping[str, Any],
    history: Mapping[str, Sequence[Mapping[str, float]]],
    metrics: Mapping[str, float],
    files: Mapping[str, bytes],
    tags: Mapping[str, str],
    artifact_root: str | None = None,
    store: Store | None = None,
    name: str | None = None,
    data: TrackedData | None = None,
) -> str:
    """Writes one training down and returns MLflow's run id; a run of the same key that is finished stays as it is.

    history: per fold, rows with a `step`. files: what to keep beside the figures (pictures, manifest, ONNX).
    artifact_root: the folder, or address in a bucket, where a new experiment keeps its files where MLflow is a database
    alone (None: MLflow's default); a server keeps them where it keeps all. What lies in `store` is written through it:
    MLflow's own way to a bucket needs another client with other variables.

    Raises ModelError where the tracking store cannot be used.
    """
    with connected(tracking_uri) as client:
        experiment_id = _experiment(client, experiment, tracking_uri, artifact_root)
        run = _find_or_start(client, experiment_id, run_key, name or run_key)
        run_id = str(run.info.run_id)
        if run.info.status == RunStatus.to_string(RunStatus.FINISHED):
            return run_id
        rows = [
            Metric(_allowed(f"{fold}/{name}"), value, 0, int(row["step"]))
            for fold, rows in history.items()
            for row in rows
            for name, value in row.items()
            if name != "step"
        ]
        rows += [Metric(_allowed(name), value, 0, 0) for name, value in metrics.items()]
        client.log_batch(
            run_id, params=[Param(name, masked(str(value))) for name, value in params.items()], tags=_tags(tags)
        )
        for start in range(0, len(rows), BATCH):
            client.log_batch(run_id, metrics=rows[start : start + BATCH])
        if data is not None:
            trained_on = Dataset(data.name, data.digest, "cropmap", data.source)
            client.log_inputs(
                run_id, datasets=[DatasetInput(trained_on, [InputTag("mlflow.data.context", "training")])]
            )
        _keep_files(client, run, files, store)
        client.set_terminated(run_id)
        return run_id


def track_failure(
    tracking_uri: str, *, experiment: str, run_key: str, tags: Mapping[str, str], artifact_root: str | None = None
) -> None:
    """Writes down a training that gave nothing to register; the next try of the same key resumes the run."""
    with connected(tracking_uri) as client:
        experiment_id = _experiment(client, experiment, tracking_uri, artifact_root)
        run_id = _find_or_start(client, experiment_id, run_key, run_key).info.run_id
        client.log_batch(run_id, tags=_tags(tags))
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))


def mask_error_texts(tracking_uri: str, *, experiment: str, tag: str, mask: Callable[[str], str]) -> int:
    """Puts what `mask` gives in the place of the text that a tag of an experiment's runs has; returns how many were
    changed. Where nothing was ever tracked there is nothing to change. Raises ModelError as `connected` does."""
    database = make_url(tracking_uri).database if tracking_uri.startswith("sqlite:") else None
    if database is not None and not Path(database).exists():
        return 0
    changed = 0
    with connected(tracking_uri) as client:
        known = [each.experiment_id for each in client.search_experiments(filter_string=f"name LIKE '{experiment}%'")]
        page: str | None = ""
        while known and page is not None:
            runs = client.search_runs(known, page_token=page or None)
            for run in runs:
                text = run.data.tags.get(tag, "")
                if mask(text) != text:
                    client.set_tag(run.info.run_id, tag, mask(text))
                    changed += 1
            page = runs.token or None
    return changed


def _keep_files(client: MlflowClient, run: Run, files: Mapping[str, bytes], store: Store | None) -> None:
    if store is not None and (place := store.name_at(str(run.info.artifact_uri))) is not None:
        for file, content in files.items():
            store.write_bytes(f"{place}/{file}", content, digest=False)
        return
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_bytes(content)
        client.log_artifacts(str(run.info.run_id), folder)


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in masked_value(dict(tags)).items()]


def _allowed(name: str) -> str:
    """A fold's or a crop's name as MLflow takes it in the name of a metric."""
    return re.sub(r"[^/\w.\- ]", "_", name)


def _experiment(client: MlflowClient, name: str, tracking_uri: str, artifact_root: str | None) -> str:
    """The experiment's id. The name of one that was deleted is taken until it is collected, an earlier version told
    servers to keep files in a folder of the worker, and an experiment never moves from a folder into a bucket: the next
    number after the name stands in for all three."""
    served = _is_server(tracking_uri)
    for number in range(1, MOST_EXPERIMENTS + 1):
        numbered = name if number == 1 else f"{name} ({number})"
        experiment = client.get_experiment_by_name(numbered)
        if experiment is None:
            location = None if served or artifact_root is None else _location(artifact_root)
            try:
                return str(client.create_experiment(numbered, location))
            except MlflowException:  # another process was first
                experiment = client.get_experiment_by_name(numbered)
                if experiment is None:
                    raise
        if experiment.name != numbered:
            raise ModelError(
                f"was asked for the experiment {numbered!r} and answers {experiment.name!r}",
                where=masked(tracking_uri),
                mend=MEND,
            )
        if experiment.lifecycle_stage == LifecycleStage.ACTIVE and not _lies_elsewhere(
            experiment, artifact_root, served=served
        ):
            return str(experiment.experiment_id)
    raise ModelError(
        f"holds {MOST_EXPERIMENTS} deleted experiments named {name}",
        where=masked(tracking_uri),
        mend="Collect them: mlflow gc",
    )


def _is_server(tracking_uri: str) -> bool:
    return urlsplit(tracking_uri).scheme in ("http", "https")


def _lies_elsewhere(experiment: Experiment, artifact_root: str | None, *, served: bool) -> bool:
    if artifact_root is None:
        return False
    location = str(experiment.artifact_location)
    if served:
        return location == f"file://{artifact_root.removeprefix('file://')}"
    in_bucket = artifact_root.startswith(BUCKET)
    return location != artifact_root if in_bucket else location.startswith(BUCKET)


def _location(root: str) -> str:
    """As an address: # ? % and blanks in the name of a folder are no part of the address's own grammar."""
    return root if root.startswith(BUCKET) else Path(root.removeprefix("file://")).absolute().as_uri()


def _find_or_start(client: MlflowClient, experiment_id: str, run_key: str, name: str) -> Run:
    runs = client.search_runs([experiment_id], f"tags.`{RUN_KEY}` = '{run_key}'", max_results=1)
    return runs[0] if runs else client.create_run(experiment_id, tags={RUN_KEY: run_key}, run_name=name)


@contextmanager
def _needed() -> Iterator[None]:
    """What cannot be used is a matter of settings: trying again does not help."""
    try:
        yield
    except ModelError as error:
        raise ConfigurationError(error.what, where=error.where, mend=error.mend) from error


@contextmanager
def connected(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client; what MLflow and its database raise, and answers that are not MLflow's, become ModelError, without the
    password of the address."""
    try:
        _reach(tracking_uri)
        if tracking_uri.startswith("sqlite:"):
            _make_sqlite(tracking_uri)
        yield MlflowClient(tracking_uri, tracking_uri)
    except (MlflowException, SQLAlchemyError, OSError, ParseError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"MLflow cannot go on ({reason})", where=masked(tracking_uri), mend=MEND) from error


def _reach(tracking_uri: str) -> None:
    """Raises OSError where no server takes a connection: MLflow and its database drivers would try for minutes."""
    if "://" not in tracking_uri or tracking_uri.startswith("sqlite:"):
        return
    try:
        address = urlsplit(tracking_uri)
        port = address.port
    except ValueError as error:
        raise OSError(f"not an address: {error}") from error
    kind = address.scheme.partition("+")[0]
    if not address.hostname or kind not in PORTS or (_is_server(tracking_uri) and getproxies().keys() & {kind, "all"}):
        return
    socket.create_connection((address.hostname, port or PORTS[kind]), REACH_SECONDS).close()


@cache
def _make_sqlite(tracking_uri: str) -> None:
    """Makes MLflow's database, one process at a time. SQLite keeps half of a migration: a process killed on first use
    leaves a database that MLflow neither finishes nor takes. Where nothing was ever written to it, it is made anew;
    one with experiments is left to its owner. Other databases keep all of a migration or nothing."""
    url = make_url(tracking_uri)
    if not url.database:
        return
    mlflow_database: Any = database_utils  # not typed
    engine = mlflow_database.create_sqlalchemy_engine_with_retry(tracking_uri)
    try:
        with Path(f"{url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tables = MetaData()
            tables.reflect(engine)
            with engine.connect() as connection:
                made = mlflow_database._get_schema_version(engine) == mlflow_database._get_latest_schema_revision()
                used = (
                    "experiments" in tables.tables and connection.execute(select(tables.tables["experiments"])).first()
                )
            if not made and not used:
                tables.drop_all(engine)
                mlflow_database._initialize_tables(engine)
    finally:
        engine.dispose()
