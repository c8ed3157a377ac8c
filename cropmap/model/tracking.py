"""MLflow remembers every training; any database or server by its tracking URI.

A run is found again by the tag `cropmap.run_key`, so that a retry resumes what it began and leaves one run.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from cropmap.errors import ModelError

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # mlflow reads it when it is imported

from mlflow.entities import Metric, Param, Run, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as database_utils
from mlflow.tracking import MlflowClient
from sqlalchemy import MetaData, make_url, select
from sqlalchemy.exc import SQLAlchemyError

RUN_KEY: Final = "cropmap.run_key"
BATCH: Final = 900
"""metrics in one request; MLflow takes 1,000"""


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
) -> str:
    """Writes one training down and returns MLflow's run id; a run of the same key that is finished stays as it is.

    history: per fold, rows with a `step`. files: what to keep beside the figures (pictures, manifest, ONNX).
    artifact_root: where a new experiment keeps its files (None: MLflow's default).
    Raises ModelError where the tracking store cannot be used.
    """
    with connected(tracking_uri) as client:
        run = _find_or_start(client, _experiment(client, experiment, artifact_root), run_key)
        run_id = str(run.info.run_id)
        if run.info.status == RunStatus.to_string(RunStatus.FINISHED):
            return run_id
        rows = [
            Metric(_allowed(f"{fold}/{name}"), value, 0, int(row["step"]))
            for fold, rows in history.items() for row in rows for name, value in row.items() if name != "step"
        ]  # fmt: skip
        rows += [Metric(_allowed(name), value, 0, 0) for name, value in metrics.items()]
        client.log_batch(
            run_id, params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )  # fmt: skip
        for start in range(0, len(rows), BATCH):
            client.log_batch(run_id, metrics=rows[start : start + BATCH])
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id)
        return run_id


def track_failure(
    tracking_uri: str, *, experiment: str, run_key: str, tags: Mapping[str, str], artifact_root: str | None = None
) -> None:
    """Writes down a training that gave nothing to register; the next try of the same key resumes the run."""
    with connected(tracking_uri) as client:
        run_id = _find_or_start(client, _experiment(client, experiment, artifact_root), run_key).info.run_id
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))


def _allowed(name: str) -> str:
    """A fold's or a crop's name as MLflow takes it in the name of a metric."""
    return re.sub(r"[^/\w.\- ]", "_", name)


def _experiment(client: MlflowClient, name: str, artifact_root: str | None) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_root))


def _find_or_start(client: MlflowClient, experiment_id: str, run_key: str) -> Run:
    found = client.search_runs([experiment_id], f"tags.`{RUN_KEY}` = '{run_key}'", max_results=1)
    return found[0] if found else client.create_run(experiment_id, tags={RUN_KEY: run_key}, run_name=run_key)


@contextmanager
def connected(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client; what MLflow and its database raise becomes ModelError, without the password of the address."""
    try:
        if tracking_uri.startswith("sqlite:"):
            _make_sqlite(tracking_uri)
        yield MlflowClient(tracking_uri, tracking_uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ModelError(
            f"MLflow cannot go on ({str(error).splitlines()[0]})", where=_without_password(tracking_uri),
            mend="Check MLFLOW_TRACKING_URI",
        ) from error  # fmt: skip


@cache
def _make_sqlite(tracking_uri: str) -> None:
    """Makes MLflow's database, one process at a time. SQLite keeps half of a migration: whoever is killed on first use
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


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
