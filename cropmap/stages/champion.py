"""Which model predicts for an agency, and whether it may: pointers in the store, and the gate's view of a champion.

`models/<agency>/<network>.json` is the champion with its predecessors, oldest first;
`models/<agency>/<network>/<training key>.json` is what the gate said of one training. The pointer is written before the
record: where a record is found, its decision is carried out, and a training without one is gone through again, from
what it has kept. A damaged record is no record. A damaged pointer names no model: seasons go on with models of their
own, until a person promotes one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropmap.errors import ArtifactError, DamagedObjectError, InputError
from cropmap.legends import Legend
from cropmap.model.artifact import Manifest
from cropmap.model.evaluation import evaluate
from cropmap.model.gate import INCOMPARABLE, ChampionScore, GateReason, ModelRequirements, Score, obstacle, unseen_folds
from cropmap.predictions.predict import Artifact, load_artifact, logits_of
from cropmap.predictions.predictions import probabilities_of
from cropmap.provenance import value_hash
from cropmap.schemas import Architecture
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData, needed_dataset
from cropmap.stages.dataset import folds_rule as folds_rule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedModel:
    """One training and what the gate said of it."""

    artifact_id: str
    training_key: str
    """hash of the data, the settings, the seed and the code that it was trained with"""
    season: int
    metrics: Mapping[str, float]
    """out-of-fold: n, oa, kappa, macro_f1, ece, brier, parity"""
    promoted: bool = True
    reason: str = GateReason.FIRST_MODEL
    detail: str = ""
    version: str = ""
    """its number in MLflow's registry; empty where an earlier version of this code wrote it down"""


def model_name(context: SeasonContext, architecture: Architecture) -> str:
    """Name of the registered model in MLflow."""
    return f"cropmap-{context.agency.agency}-{architecture}"


def metrics_of(manifest: Manifest) -> dict[str, float]:
    figures = ("n", "oa", "kappa", "macro_f1", "ece", "brier")
    return {**{name: manifest.evaluation[name] for name in figures}, "parity": max(manifest.parity)}


def current_model(context: SeasonContext, architecture: Architecture) -> TrainedModel | None:
    """The agency's champion. Raises ArtifactError where its pointer is damaged."""
    line = succession(context, architecture)
    return line[-1] if line else None


def succession(context: SeasonContext, architecture: Architecture) -> tuple[TrainedModel, ...]:
    """The champions, oldest first, the present one last. Raises ArtifactError where the pointer is damaged."""
    name = _pointer(context, architecture)
    if not context.store.exists(name):
        return ()
    try:
        return context.store.read(name, _line)
    except DamagedObjectError as error:
        raise ArtifactError(
            f"the pointer to the champion {error.what}",
            where=name,
            mend=f"`{_command(context, architecture)} --version N` writes it anew; "
            f"`cropmap models list {context.agency.file}` shows the versions",
        ) from error


def _line(data: bytes) -> tuple[TrainedModel, ...]:
    document = json.loads(data)
    return tuple(TrainedModel(**record) for record in [*document.pop("former", []), document])


def standing(context: SeasonContext, architecture: Architecture) -> tuple[tuple[TrainedModel, ...], GateReason | None]:
    """The line of champions, and UNREADABLE where the pointer is damaged."""
    try:
        return succession(context, architecture), None
    except ArtifactError as error:
        log.warning("%s", error)
        return (), GateReason.UNREADABLE


def present_champion(context: SeasonContext, architecture: Architecture) -> TrainedModel | None:
    """The champion where there is a pointer that can be read."""
    line, _ = standing(context, architecture)
    return line[-1] if line else None


def has_line(context: SeasonContext, architecture: Architecture) -> bool:
    """Whether a pointer is there, readable or not."""
    line, unreadable = standing(context, architecture)
    return bool(line) or unreadable is not None


def pointer_version(context: SeasonContext, architecture: Architecture) -> str | None:
    """What `write_succession` is to replace; to be asked for before the line is read."""
    return context.store.version(_pointer(context, architecture))


def write_succession(
    context: SeasonContext, architecture: Architecture, line: tuple[TrainedModel, ...], *, before: str | None
) -> None:
    """Raises ObjectChangedError where a person, or a season's gate, changed the line meanwhile."""
    document = {**asdict(line[-1]), "former": [asdict(former_model) for former_model in line[:-1]]}
    context.store.replace(_pointer(context, architecture), json.dumps(document).encode(), before=before)


def make_champion(context: SeasonContext, architecture: Architecture, model: TrainedModel) -> None:
    """Puts a model at the end of the line; one that stands there already changes nothing. A damaged line begins
    anew."""
    before = pointer_version(context, architecture)
    line, _ = standing(context, architecture)
    if not line or line[-1].artifact_id != model.artifact_id:
        write_succession(context, architecture, (*line, model), before=before)


def trained_model(context: SeasonContext, architecture: Architecture, key: str) -> TrainedModel | None:
    """A training that went through the gate, by its key; a damaged record is none."""
    if not key:
        return None
    return context.store.recall(_record(context, architecture, key), lambda data: TrainedModel(**json.loads(data)))


def record_of(context: SeasonContext, architecture: Architecture, artifact_id: str) -> TrainedModel | None:
    """The training that made an artifact, by its record in the store."""
    for name in context.store.names(f"models/{context.agency.agency}/{architecture}"):
        model = context.store.recall(name, lambda data: TrainedModel(**json.loads(data)))
        if model is not None and model.artifact_id == artifact_id:
            return model
    return None


def is_whole(context: SeasonContext, model: TrainedModel) -> bool:
    """Whether the model's artifact is there with all its files, as they were written."""
    try:
        load_artifact(context.store, model.artifact_id)
    except ArtifactError as error:
        log.warning("%s", error)
        return False
    return True


def write_record(context: SeasonContext, architecture: Architecture, model: TrainedModel) -> None:
    _write(context, _record(context, architecture, model.training_key), asdict(model))


def legend_key(legend: Legend) -> str:
    """What makes a legend another one for a model: its classes, not how codes or statistics are attached to them."""
    return value_hash(legend.crops)


def requirements_of(context: SeasonContext, data: SeasonData) -> ModelRequirements:
    return ModelRequirements(
        bands=data.series.bands,
        legend=legend_key(data.legend),
        classes=data.legend.crops,
        last_day=context.season.end.isoformat(),
        folds=data.folds_rule,
        dataset=needed_dataset(data),
    )


def champion_score(context: SeasonContext, data: SeasonData, architecture: Architecture) -> ChampionScore | None:
    """The champion on this season's folds; None where the agency has none yet."""
    (line, unreadable), required = standing(context, architecture), requirements_of(context, data)
    if not line:
        return ChampionScore(unreadable, None) if unreadable else None
    try:
        artifact = load_artifact(context.store, line[-1].artifact_id)
    except ArtifactError:
        return ChampionScore(GateReason.UNREADABLE, None)
    unfit = obstacle(artifact.manifest, required)
    return ChampionScore(unfit, None if unfit else score_artifact(artifact, required, threads=context.threads))


def score_artifact(artifact: Artifact, required: ModelRequirements, *, threads: int) -> Score:
    """A model on the folds of a season that it may predict in, as it would predict there."""
    dataset, judged = required.dataset, required.dataset.judged
    if artifact.manifest.dataset_hash == dataset.hash:
        return Score.read(artifact.manifest)
    fold = unseen_folds(artifact.manifest, required)
    assert fold is not None, "an obstacle was overlooked"
    here = np.flatnonzero(judged)
    predicted = probabilities_of(logits_of(artifact, dataset.series, here, fold=fold[here], threads=threads))
    crops = tuple(dict.fromkeys([*dataset.crops, *artifact.manifest.crops]))
    probabilities = np.zeros((len(here), len(crops)), np.float32)  # a class it was not trained on has none
    probabilities[:, [crops.index(crop) for crop in artifact.manifest.crops]] = predicted
    return Score.of(
        evaluate(
            dataset.label[here], probabilities, crops, fold=dataset.folds.fold[here], fold_names=dataset.folds.names
        )
    )


def predicting_model(context: SeasonContext, data: SeasonData, architecture: Architecture, *, key: str) -> TrainedModel:
    """Which model predicts a season, the first of these that can judge it:

    1. the champion;
    2. the season's own model (of training `key`), where it was promoted in its time, or where there was no decision on
       what stands between the champion and the season;
    3. where the season's own model was refused, the last former champion: what was published with it then is
       published with it again.

    Raises InputError, with the command that leads out, where none of them may predict.
    """
    own, required = trained_model(context, architecture, key), requirements_of(context, data)
    line, unfit = standing(context, architecture)
    if not line and unfit is None:
        if own is None:
            raise InputError(f"no {architecture} is trained", mend="Run `cropmap train` (or `season run`) first")
        unfit = GateReason.UNREADABLE
    elif line:
        unfit = _obstacle(context, line[-1], required)
        if unfit is None:
            return line[-1]
    fit_to_predict = own is not None and (own.promoted or {unfit, own.reason} <= INCOMPARABLE)
    if own is not None and fit_to_predict and is_whole(context, own):
        return own
    for former in reversed(line[:-1]):
        if own is not None and not fit_to_predict and _obstacle(context, former, required) is None:
            return former
    champion = f"the champion ({architecture}, {line[-1].season})" if line else f"the champion ({architecture})"
    if own is None or fit_to_predict:
        raise InputError(
            f"{champion} cannot judge this season: {unfit}", mend="Run `cropmap train` (or `season run`) first"
        )
    version = own.version or own.artifact_id
    raise InputError(
        f"neither {champion}: {unfit}, nor the season's own model ({own.reason}) may predict",
        mend=f"`{_command(context, architecture)} --version {version}` confirms the season's own",
    )


def _command(context: SeasonContext, architecture: Architecture) -> str:
    return f"cropmap models promote {context.agency.file} --model {architecture}"


def judging_folds(context: SeasonContext, data: SeasonData, artifact: Artifact) -> NDArray[np.int16]:
    """(N,) which of the artifact's folds scores each parcel. Raises ArtifactError where it must not predict here."""
    required = requirements_of(context, data)
    unfit, fold = obstacle(artifact.manifest, required), unseen_folds(artifact.manifest, required)
    if unfit is not None or fold is None:
        raise ArtifactError(
            f"does not fit this season: {unfit}", where=artifact.artifact_id, mend="Run `cropmap train` first"
        )
    return fold


def _obstacle(context: SeasonContext, model: TrainedModel, required: ModelRequirements) -> GateReason | None:
    try:
        return obstacle(load_artifact(context.store, model.artifact_id).manifest, required)
    except ArtifactError as error:
        log.warning("%s", error)
        return GateReason.UNREADABLE


def _pointer(context: SeasonContext, architecture: Architecture) -> str:
    return f"models/{context.agency.agency}/{architecture}.json"


def _record(context: SeasonContext, architecture: Architecture, key: str) -> str:
    return f"models/{context.agency.agency}/{architecture}/{key}.json"


def _write(context: SeasonContext, name: str, document: Mapping[str, Any]) -> None:
    context.store.write_bytes(name, json.dumps(document).encode())
