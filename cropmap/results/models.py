"""What a person does with models: look at the versions, promote one, go back to the champion before.

MLflow is written first, the pointer that predicts last: a command that was cut off is simply given again. What people
deleted in MLflow stands in the store still: such a model is named by its artifact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypedDict

from cropmap.errors import ArtifactError, InputError
from cropmap.model import registry
from cropmap.model.artifact import Manifest, read_manifest
from cropmap.model.gate import GateReason, Score, flaw
from cropmap.model.registry import ModelVersion
from cropmap.predictions.predict import load_artifact
from cropmap.schemas import BANDS, Architecture
from cropmap.stages.champion import (
    TrainedModel,
    make_champion,
    metrics_of,
    model_name,
    pointer_version,
    present_champion,
    record_of,
    standing,
    succession,
    write_record,
    write_succession,
)
from cropmap.stages.context import SeasonContext

LIST: Final = "`cropmap models list` shows the versions"


class ModelRow(TypedDict):
    network: str
    version: int | None
    """its number in MLflow; None where it is no longer in MLflow"""
    season: int | None
    """that it was trained in"""
    oa: float | None
    macro_f1: float | None
    ece: float | None
    alias: str | None
    """champion or challenger"""
    decision: str | None
    """promoted or refused"""
    reason: str | None
    """a GateReason"""
    detail: str | None
    created: str | None
    """ISO 8601"""
    artifact: str


class ModelList(TypedDict):
    agency: str
    models: list[ModelRow]


class NewChampion(TypedDict):
    agency: str
    network: str
    champion: int | None
    """number of its version"""
    artifact: str
    before: str | None
    """artifact of the champion before"""
    next: str
    """what follows, in words"""


def list_models(context: SeasonContext, architectures: Sequence[Architecture] = tuple(Architecture)) -> ModelList:
    """Every version of the agency's networks: figures, what the gate said, and which one is champion. A champion that
    MLflow no longer knows has no version."""
    rows: list[ModelRow] = []
    for architecture in architectures:
        line, _ = standing(context, architecture)
        champion = line[-1] if line else None
        versions = registry.list_versions(context.mlflow_uri, name=model_name(context, architecture))
        rows += [_row(context, architecture, version, champion) for version in versions]
        known = {version.registered.artifact_id for version in versions}
        rows += [_kept_row(architecture, model, champion) for model in line if model.artifact_id not in known]
    return {"agency": context.agency.agency, "models": rows}


@dataclass(frozen=True)
class _Named:
    """A model that a person names."""

    artifact_id: str
    training_key: str
    """empty where no record of it is left"""
    version: ModelVersion | None
    """None where it was deleted in MLflow"""
    label: str
    """what the person called it"""

    @property
    def number(self) -> int | None:
        return int(self.version.registered.version) if self.version else None


def promote_model(context: SeasonContext, architecture: Architecture, *, version: str, reason: str) -> NewChampion:
    """Makes a version (its number, or its artifact's id) champion because a person says so; what no person can mend
    still refuses.

    Raises InputError where there is no such version, its artifact cannot be read or has no figures or no parity, or
    it was made for other bands or another legend than the agency's.
    """
    wanted = _version(context, architecture, version)
    manifest = _sound(context, wanted)
    model = TrainedModel(
        wanted.artifact_id,
        wanted.training_key,
        int(manifest.about["season"]),
        metrics_of(manifest),
        True,
        GateReason.BY_HAND,
        reason,
        str(wanted.number or ""),
    )
    before = present_champion(context, architecture)
    _note(context, wanted, model)
    if wanted.version is not None:
        registry.call_champion(context.mlflow_uri, wanted.version.registered)
    make_champion(context, architecture, model)
    if model.training_key:
        write_record(context, architecture, model)
    return _answer(context, architecture, wanted, before=before)


def roll_back(context: SeasonContext, architecture: Architecture, *, reason: str) -> NewChampion:
    """Makes the champion before the present one champion again; the present one predicts nowhere until it is promoted.

    Raises InputError where there was none before, or where its artifact cannot be read.
    """
    version = pointer_version(context, architecture)
    line = succession(context, architecture)
    if len(line) < 2:
        raise InputError(f"{architecture} has no champion before the present one", mend=LIST)
    present = replace(line[-1], promoted=False, reason=str(GateReason.ROLLED_BACK), detail=reason)
    left, back = (_named(context, architecture, model.artifact_id) for model in (line[-1], line[-2]))
    _sound(context, back)
    _note(context, left, present)
    if back.version is not None:
        registry.call_champion(context.mlflow_uri, back.version.registered)
    write_record(context, architecture, present)
    write_succession(context, architecture, line[:-1], before=version)
    return _answer(context, architecture, back, before=line[-1])


def _note(context: SeasonContext, named: _Named, model: TrainedModel) -> None:
    if named.version is not None:
        registry.note_decision(
            context.mlflow_uri,
            named.version.registered,
            promoted=model.promoted,
            reason=model.reason,
            detail=model.detail,
        )


def _row(
    context: SeasonContext, architecture: Architecture, version: ModelVersion, champion: TrainedModel | None
) -> ModelRow:
    """What MLflow says; of a run that was deleted there, what the artifact says of itself."""
    is_champion = champion is not None and champion.artifact_id == version.registered.artifact_id
    season, figures = version.tags.get("season"), version.metrics
    if season is None:
        season, figures = _season_and_scores(context, version.registered.artifact_id)
    return {
        "network": str(architecture),
        "version": int(version.registered.version),
        "season": None if season is None else int(season),
        "oa": figures.get("oa"),
        "macro_f1": figures.get("macro_f1"),
        "ece": figures.get("ece"),
        "alias": "champion" if is_champion else "challenger" if "challenger" in version.aliases else None,
        "decision": None if version.promoted is None else "promoted" if version.promoted else "refused",
        "reason": version.reason or None,
        "detail": version.detail or None,
        "created": version.created.isoformat(timespec="seconds"),
        "artifact": version.registered.artifact_id,
    }


def _season_and_scores(context: SeasonContext, artifact_id: str) -> tuple[str | None, Mapping[str, Any]]:
    try:
        manifest = read_manifest(context.store, artifact_id)
    except ArtifactError:
        return None, {}
    return manifest.about.get("season"), manifest.evaluation


def _kept_row(architecture: Architecture, model: TrainedModel, champion: TrainedModel | None) -> ModelRow:
    return {
        "network": str(architecture),
        "version": None,
        "season": model.season,
        "oa": model.metrics.get("oa"),
        "macro_f1": model.metrics.get("macro_f1"),
        "ece": model.metrics.get("ece"),
        "alias": "champion" if model is champion else None,
        "decision": "promoted",
        "reason": model.reason or None,
        "detail": model.detail or None,
        "created": None,
        "artifact": model.artifact_id,
    }


def _version(context: SeasonContext, architecture: Architecture, named: str) -> _Named:
    known = registry.list_versions(context.mlflow_uri, name=model_name(context, architecture))
    for version in known:
        if version.registered.version == named:
            return _named(context, architecture, version.registered.artifact_id)
    if any(version.registered.artifact_id == named for version in known) or record_of(context, architecture, named):
        return _named(context, architecture, named)
    there = ", ".join(version.registered.version for version in known) or "none"
    raise InputError(f"{architecture} of {context.agency.agency} has no version {named} (there: {there})", mend=LIST)


def _named(context: SeasonContext, architecture: Architecture, artifact_id: str) -> _Named:
    known = registry.list_versions(context.mlflow_uri, name=model_name(context, architecture))
    version = next((v for v in known if v.registered.artifact_id == artifact_id), None)
    record = record_of(context, architecture, artifact_id)
    key = (version.run_key if version else "") or (record.training_key if record else "")
    label = f"{model_name(context, architecture)} " + (
        f"version {version.registered.version}" if version else f"artifact {artifact_id}"
    )
    return _Named(artifact_id, key, version, label)


def _sound(context: SeasonContext, named: _Named) -> Manifest:
    """The manifest of a version that can predict for the agency, read with all its files."""
    try:
        manifest = load_artifact(context.store, named.artifact_id).manifest
    except ArtifactError as error:
        raise InputError(f"{GateReason.UNREADABLE}: {error}", where=named.label) from error
    wrong = flaw(Score.read(manifest), manifest.parity)
    legend = context.agency.of_season(int(manifest.about["season"])).read_legend()
    if manifest.bands != BANDS:
        wrong = GateReason.OTHER_BANDS
    elif not set(manifest.crops) <= set(legend.crops):
        wrong = GateReason.OTHER_LEGEND
    if wrong is not None:
        raise InputError(
            f"does not fit {context.agency.agency}: {wrong}",
            where=named.label,
            mend="Train again; a season of another legend names it with {season} in the agency file's `legend`",
        )
    return manifest


def _answer(
    context: SeasonContext, architecture: Architecture, version: _Named, *, before: TrainedModel | None
) -> NewChampion:
    return {
        "agency": context.agency.agency,
        "network": str(architecture),
        "champion": version.number,
        "artifact": version.artifact_id,
        "before": before.artifact_id if before else None,
        "next": "the next `cropmap season run` or `predict` publishes with it",
    }
