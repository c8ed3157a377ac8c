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

from cropmap.model.tracking import RUN_KEY, connected

ARTIFACT_ID: Final = "cropmap.artifact_id"
PROMOTED: Final = "cropmap.promoted"
REASON: Final = "cropmap.reason"
DETAIL: Final = "cropmap.detail"


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
    created: datetime
    aliases: tuple[str, ...]
    promoted: bool | None
    """what the gate, or a person after it, said; None where training was cut off before"""
    reason: str
    detail: str
    tags: Mapping[str, str]
    """of its run: season, code, data, ..."""
    metrics: Mapping[str, float]
    """of its run"""


def register_version(tracking_uri: str, *, name: str, run_id: str, artifact_id: str) -> RegisteredVersion:
    """The registry's version of an artifact, made if there is none, and called `challenger`."""
    with connected(tracking_uri) as client:
        known = {model.name for model in client.search_registered_models(f"name = '{name}'")}
        if name not in known:
            client.create_registered_model(name)
        versions = client.search_model_versions(f"name = '{name}'")
        version = next((v for v in versions if v.tags.get(ARTIFACT_ID) == artifact_id), None)
        if version is None:
            source = client.get_run(run_id).info.artifact_uri
            version = client.create_model_version(name, source, run_id, tags={ARTIFACT_ID: artifact_id})
        client.set_registered_model_alias(name, "challenger", version.version)
        return RegisteredVersion(name, str(version.version), artifact_id, str(version.run_id))


def note_decision(tracking_uri: str, version: RegisteredVersion, *, promoted: bool, reason: str, detail: str) -> None:
    """Writes what was decided on a version, and why, on it and on its run; a later decision replaces it."""
    said = {PROMOTED: str(promoted).lower(), REASON: reason, DETAIL: detail}
    with connected(tracking_uri) as client:
        for name, value in said.items():
            client.set_model_version_tag(version.name, version.version, name, value)
            client.set_tag(version.run_id, name, value)


def call_champion(tracking_uri: str, version: RegisteredVersion) -> None:
    with connected(tracking_uri) as client:
        client.set_registered_model_alias(version.name, "champion", version.version)


def list_versions(tracking_uri: str, *, name: str) -> tuple[ModelVersion, ...]:
    """Every version of a model, oldest first; none where there is no such model."""
    with connected(tracking_uri) as client:
        models = client.search_registered_models(f"name = '{name}'")
        aliases = models[0].aliases if models else {}
        found = [v for v in client.search_model_versions(f"name = '{name}'") if ARTIFACT_ID in v.tags]
        return tuple(_known(client, v, aliases) for v in sorted(found, key=lambda v: int(v.version)))


def _known(client: Any, version: Any, aliases: Mapping[str, Any]) -> ModelVersion:
    number, run = str(version.version), client.get_run(version.run_id)
    promoted = version.tags.get(PROMOTED)
    return ModelVersion(
        registered=RegisteredVersion(version.name, number, version.tags[ARTIFACT_ID], str(version.run_id)),
        run_key=run.data.tags[RUN_KEY],
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        aliases=tuple(sorted(alias for alias, of in aliases.items() if str(of) == number)),
        promoted=None if promoted is None else promoted == "true",
        reason=version.tags.get(REASON, ""),
        detail=version.tags.get(DETAIL, ""),
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
    )
