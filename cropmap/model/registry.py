"""MLflow's registry: the versions of a network of an agency, and what was decided on each.

A version is found again by the tag `cropmap.artifact_id`, so that a retry leaves one. What the gate or a person said
of it stands on the version and on its run. The aliases are for people: what predicts is the agency's pointer in the
store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cropmap.masking import masked
from cropmap.model.tracking import RUN_KEY, connected  # first: it sets what mlflow reads when it is imported

# isort: split
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

ARTIFACT_ID: Final = "cropmap.artifact_id"
PROMOTED: Final = "cropmap.promoted"
REASON: Final = "cropmap.reason"
DETAIL: Final = "cropmap.detail"
CREATION_SECONDS: Final = 30
"""for a server to finish a version; MLflow itself waits for five minutes"""
GONE: Final = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
"""what MLflow says of what was deleted"""


@dataclass(frozen=True)
class RegisteredVersion:
    name: str
    version: str
    artifact_id: str
    run_id: str


@dataclass(frozen=True)
class ModelVersion:
    """A version with what is known of it, for people to choose from."""

    registered: RegisteredVersion
    run_key: str
    """empty where neither the version nor its run says it any more"""
    created: datetime
    aliases: tuple[str, ...]
    promoted: bool | None
    """what the gate, or a person after it, said; None where training was cut off before"""
    reason: str
    detail: str
    tags: Mapping[str, str]
    """of its run: season, code, data, ...; none where the run is gone"""
    metrics: Mapping[str, float]
    """of its run; none where it is gone"""


def register_version(
    tracking_uri: str, *, name: str, run_id: str, artifact_id: str, run_key: str = ""
) -> RegisteredVersion:
    """The registry's version of an artifact, made if there is none, and called `challenger`."""
    with connected(tracking_uri) as client:
        known = {model.name for model in client.search_registered_models(f"name = '{name}'")}
        if name not in known:
            client.create_registered_model(name)
        versions = client.search_model_versions(f"name = '{name}'")
        version = next((v for v in versions if v.tags.get(ARTIFACT_ID) == artifact_id), None)
        if version is None:
            run = client.get_run(run_id)
            key = run_key or run.data.tags.get(RUN_KEY, "")
            version = client.create_model_version(
                name,
                run.info.artifact_uri,
                run_id,
                tags={ARTIFACT_ID: artifact_id, RUN_KEY: key},
                await_creation_for=CREATION_SECONDS,
            )
        client.set_registered_model_alias(name, "challenger", version.version)
        return RegisteredVersion(name, str(version.version), artifact_id, str(version.run_id))


def note_decision(tracking_uri: str, version: RegisteredVersion, *, promoted: bool, reason: str, detail: str) -> None:
    """Writes what was decided on a version, and why, on it and on its run; a later decision replaces it. A version or
    run that was deleted is left out."""
    tags = {PROMOTED: str(promoted).lower(), REASON: str(reason), DETAIL: masked(detail)}
    with connected(tracking_uri) as client:
        if not _is_there(client, version):
            return
        run = _run_of(client, version.run_id)
        for name, value in tags.items():
            client.set_model_version_tag(version.name, version.version, name, value)
            if run is not None and run.info.lifecycle_stage == LifecycleStage.ACTIVE:
                client.set_tag(version.run_id, name, value)


def call_champion(tracking_uri: str, version: RegisteredVersion) -> None:
    """Puts the alias on a version; one that was deleted gets none."""
    with connected(tracking_uri) as client:
        if _is_there(client, version):
            client.set_registered_model_alias(version.name, "champion", version.version)


def list_versions(tracking_uri: str, *, name: str) -> tuple[ModelVersion, ...]:
    """Every version of a model, oldest first; none where there is no such model."""
    with connected(tracking_uri) as client:
        models = client.search_registered_models(f"name = '{name}'")
        aliases = models[0].aliases if models else {}
        versions = [v for v in client.search_model_versions(f"name = '{name}'") if ARTIFACT_ID in v.tags]
        return tuple(_known(client, v, aliases) for v in sorted(versions, key=lambda v: int(v.version)))


def _known(client: MlflowClient, version: Any, aliases: Mapping[str, Any]) -> ModelVersion:
    number, run = str(version.version), _run_of(client, version.run_id)
    promoted = version.tags.get(PROMOTED)
    tags: dict[str, str] = dict(run.data.tags) if run is not None else {}
    return ModelVersion(
        registered=RegisteredVersion(version.name, number, version.tags[ARTIFACT_ID], str(version.run_id)),
        run_key=tags.get(RUN_KEY) or version.tags.get(RUN_KEY, ""),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        aliases=tuple(sorted(alias for alias, of in aliases.items() if str(of) == number)),
        promoted=None if promoted is None else promoted == "true",
        reason=version.tags.get(REASON, ""),
        detail=version.tags.get(DETAIL, ""),
        tags=tags,
        metrics=dict(run.data.metrics) if run is not None else {},
    )


def _run_of(client: MlflowClient, run_id: str) -> Run | None:
    """None where it was deleted for good."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in GONE:
            return None
        raise


def _is_there(client: MlflowClient, version: RegisteredVersion) -> bool:
    try:
        client.get_model_version(version.name, version.version)
    except MlflowException as error:
        if error.error_code in GONE:
            return False
        raise
    return True
