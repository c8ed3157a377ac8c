"""What a person does with models: look at the versions, promote one, go back to the champion before.

MLflow is written first, the pointer that predicts last: a command that was cut off is simply given again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from cropmap.errors import ArtifactError, InputError
from cropmap.model import registry
from cropmap.model.artifact import Manifest
from cropmap.model.gate import GateReason, Score, flaw
from cropmap.model.registry import ModelVersion
from cropmap.predictions.predict import load_artifact
from cropmap.schemas import BANDS, Architecture
from cropmap.stages.champion import (
    TrainedModel,
    current_model,
    legend_key,
    make_champion,
    metrics_of,
    model_name,
    succession,
    write_record,
    write_succession,
)
from cropmap.stages.context import SeasonContext

LIST: Final = "`cropmap models list` shows the versions"


def list_models(context: SeasonContext, architectures: Sequence[Architecture] = tuple(Architecture)) -> dict[str, Any]:
    """Every version of the agency's networks: figures, what the gate said, and which one is champion."""
    rows = []
    for architecture in architectures:
        champion = current_model(context, architecture)
        versions = registry.list_versions(context.mlflow_uri, name=model_name(context, architecture))
        rows += [_row(architecture, version, champion) for version in versions]
    return {"agency": context.agency.agency, "models": rows}


def promote_model(context: SeasonContext, architecture: Architecture, *, version: str, reason: str) -> dict[str, Any]:
    """Makes a version champion because a person says so; what no person can mend still refuses.

    Raises InputError where there is no such version, its artifact cannot be read or has no figures or no parity, or
    it was made for other bands or another legend than the agency's.
    """
    wanted = _version(context, architecture, version)
    manifest = _sound(context, wanted)
    model = TrainedModel(
        wanted.registered.artifact_id, wanted.run_key, int(manifest.about["season"]), metrics_of(manifest), True,
        GateReason.BY_HAND, reason,
    )  # fmt: skip
    before = current_model(context, architecture)
    registry.note_decision(context.mlflow_uri, wanted.registered, promoted=True, reason=model.reason, detail=reason)
    registry.call_champion(context.mlflow_uri, wanted.registered)
    make_champion(context, architecture, model)
    write_record(context, architecture, model)
    return _answer(context, architecture, wanted, before=before)


def roll_back(context: SeasonContext, architecture: Architecture, *, reason: str) -> dict[str, Any]:
    """Makes the champion before the present one champion again; the present one predicts nowhere until it is promoted.

    Raises InputError where there was none before, or where its artifact cannot be read.
    """
    line = succession(context, architecture)
    if len(line) < 2:
        raise InputError(f"{architecture} has no champion before the present one", mend=LIST)
    present = replace(line[-1], promoted=False, reason=str(GateReason.ROLLED_BACK), detail=reason)
    left, back = (_version_of(context, architecture, model.artifact_id) for model in (line[-1], line[-2]))
    _sound(context, back)
    registry.note_decision(
        context.mlflow_uri, left.registered, promoted=False, reason=present.reason, detail=present.detail
    )
    registry.call_champion(context.mlflow_uri, back.registered)
    write_record(context, architecture, present)
    write_succession(context, architecture, line[:-1])
    return _answer(context, architecture, back, before=line[-1])


def _row(architecture: Architecture, version: ModelVersion, champion: TrainedModel | None) -> dict[str, Any]:
    is_champion = champion is not None and champion.artifact_id == version.registered.artifact_id
    return {
        "network": str(architecture), "version": int(version.registered.version),
        "season": int(version.tags["season"]),
        **{name: version.metrics.get(name) for name in ("oa", "macro_f1", "ece")},
        "alias": "champion" if is_champion else "challenger" if "challenger" in version.aliases else None,
        "decision": None if version.promoted is None else "promoted" if version.promoted else "refused",
        "reason": version.reason or None, "detail": version.detail or None,
        "created": version.created.isoformat(timespec="seconds"), "artifact": version.registered.artifact_id,
    }  # fmt: skip


def _version(context: SeasonContext, architecture: Architecture, number: str) -> ModelVersion:
    known = registry.list_versions(context.mlflow_uri, name=model_name(context, architecture))
    for version in known:
        if version.registered.version == number:
            return version
    there = ", ".join(version.registered.version for version in known) or "none"
    raise InputError(f"{architecture} of {context.agency.agency} has no version {number} (there: {there})", mend=LIST)


def _version_of(context: SeasonContext, architecture: Architecture, artifact_id: str) -> ModelVersion:
    known = registry.list_versions(context.mlflow_uri, name=model_name(context, architecture))
    for version in known:
        if version.registered.artifact_id == artifact_id:
            return version
    raise InputError(f"artifact {artifact_id} stands in the store and not in MLflow", mend="Check MLFLOW_TRACKING_URI")


def _sound(context: SeasonContext, version: ModelVersion) -> Manifest:
    """The manifest of a version that can predict for the agency, read with all its files."""
    where = f"{version.registered.name} version {version.registered.version}"
    try:
        manifest = load_artifact(context.store, version.registered.artifact_id).manifest
    except ArtifactError as error:
        raise InputError(f"{GateReason.UNREADABLE}: {error}", where=where) from error
    wrong = flaw(Score.read(manifest), manifest.parity)
    if manifest.bands != BANDS:
        wrong = GateReason.OTHER_BANDS
    elif manifest.about.get("legend") != legend_key(context.agency.read_legend()):
        wrong = GateReason.OTHER_LEGEND
    if wrong is not None:
        raise InputError(f"does not fit {context.agency.agency}: {wrong}", where=where, mend="Train again")
    return manifest


def _answer(
    context: SeasonContext, architecture: Architecture, version: ModelVersion, *, before: TrainedModel | None
) -> dict[str, Any]:
    return {
        "agency": context.agency.agency,
        "network": str(architecture),
        "champion": int(version.registered.version),
        "artifact": version.registered.artifact_id,
        "before": before.artifact_id if before else None,
        "next": "the next `cropmap season run` or `predict` publishes with it",
    }
