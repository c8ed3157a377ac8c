"""MLflow remembers every training and every model; any database or server by its tracking URI.

A run is found again by the tag `cropmap.run_key`, a model version by `cropmap.artifact_id`, so that a retry
resumes what it began and leaves one run and one version.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cropmap.errors import ModelError

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # mlflow reads it when it is imported

from mlflow.entities import Metric, Param, Run, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

RUN_KEY: Final = "cropmap.run_key"
ARTIFACT_ID: Final = "cropmap.artifact_id"
BATCH: Final = 900
"""metrics in one request; MLflow takes 1,000"""

Alias = Literal["champion", "challenger"]


@dataclass(frozen=True)
class RegisteredVersion:
    name: str
    version: str
    artifact_id: str
    run_id: str


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
    with _translated(tracking_uri):
        client = MlflowClient(tracking_uri, tracking_uri)
        run = _find_or_start(client, _experiment(client, experiment, artifact_root), run_key)
        run_id = str(run.info.run_id)
        if run.info.status == RunStatus.to_string(RunStatus.FINISHED):
            return run_id
        rows = [
            Metric(f"{fold}/{name}", value, 0, int(row["step"]))
            for fold, rows in history.items() for row in rows for name, value in row.items() if name != "step"
        ]  # fmt: skip
        rows += [Metric(name, value, 0, 0) for name, value in metrics.items()]
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


def register_version(
    tracking_uri: str, *, name: str, run_id: str, artifact_id: str, tags: Mapping[str, str] | None = None
) -> RegisteredVersion:
    """The registry's version of an artifact, made if there is none, and called `challenger`."""
    with _translated(tracking_uri):
        client = MlflowClient(tracking_uri, tracking_uri)
        known = {model.name for model in client.search_registered_models(f"name = '{name}'")}
        if name not in known:
            client.create_registered_model(name)
        versions = client.search_model_versions(f"name = '{name}'")
        version = next((v for v in versions if v.tags.get(ARTIFACT_ID) == artifact_id), None)
        if version is None:
            source = client.get_run(run_id).info.artifact_uri
            version = client.create_model_version(
                name, source, run_id, tags={**(tags or {}), ARTIFACT_ID: artifact_id}
            )  # fmt: skip
        client.set_registered_model_alias(name, "challenger", version.version)
        return RegisteredVersion(name, str(version.version), artifact_id, str(version.run_id))


def promote(tracking_uri: str, version: RegisteredVersion) -> None:
    """Calls a version `champion`: what the next predictions use."""
    with _translated(tracking_uri):
        client = MlflowClient(tracking_uri, tracking_uri)
        client.set_registered_model_alias(version.name, "champion", version.version)


def version_called(tracking_uri: str, *, name: str, alias: Alias) -> RegisteredVersion | None:
    """The version that bears an alias; None where there is no such model or alias."""
    with _translated(tracking_uri):
        client = MlflowClient(tracking_uri, tracking_uri)
        models = client.search_registered_models(f"name = '{name}'")
        number = models[0].aliases.get(alias) if models else None
        if number is None:
            return None
        version = client.get_model_version(name, number)
        return RegisteredVersion(name, str(number), version.tags[ARTIFACT_ID], str(version.run_id))


def _experiment(client: MlflowClient, name: str, artifact_root: str | None) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_root))


def _find_or_start(client: MlflowClient, experiment_id: str, run_key: str) -> Run:
    found = client.search_runs([experiment_id], f"tags.`{RUN_KEY}` = '{run_key}'", max_results=1)
    return found[0] if found else client.create_run(experiment_id, tags={RUN_KEY: run_key}, run_name=run_key)


@contextmanager
def _translated(tracking_uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        raise ModelError(
            f"MLflow cannot go on ({str(error).splitlines()[0]})", where=_without_password(tracking_uri),
            mend="Check MLFLOW_TRACKING_URI",
        ) from error  # fmt: skip


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
