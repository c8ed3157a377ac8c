"""Which model predicts for an agency, and whether it may: pointers in the store, and the gate's view of a champion.

`models/<agency>/<network>.json` is the champion with its predecessors, oldest first;
`models/<agency>/<network>/<training key>.json` is what the gate said of one training. The pointer is written before the
record: whoever finds a record finds its decision carried out, and a training without one is gone through again, from
what it has kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.errors import ArtifactError, InputError
from cropmap.legends import Legend
from cropmap.model.artifact import Manifest, read_manifest
from cropmap.model.evaluation import evaluate
from cropmap.model.gate import OUT_OF_REACH, GateReason, Ground, Rival, Score, honest_folds, obstacle
from cropmap.predictions.predict import Artifact, load_artifact, predict
from cropmap.provenance import value_hash
from cropmap.schemas import Architecture
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData, needed_dataset, read_folds

BY_HAND: Final = "`cropmap models list` shows the versions; `cropmap models promote` confirms one"


@dataclass(frozen=True)
class TrainedModel:
    """One training and what the gate said of it."""

    artifact_id: str
    training_key: str
    """hash of the data, the settings, the seed and the code that it was trained with"""
    season: int
    metrics: dict[str, Any]
    """out-of-fold: n, oa, kappa, macro_f1, ece, brier, parity"""
    promoted: bool = True
    reason: str = GateReason.FIRST_MODEL
    detail: str = ""


def model_name(context: SeasonContext, architecture: Architecture) -> str:
    """Name of the registered model in MLflow."""
    return f"cropmap-{context.agency.agency}-{architecture}"


def metrics_of(manifest: Manifest) -> dict[str, Any]:
    figures = ("n", "oa", "kappa", "macro_f1", "ece", "brier")
    return {**{name: manifest.evaluation[name] for name in figures}, "parity": max(manifest.parity)}


def current_model(context: SeasonContext, architecture: Architecture) -> TrainedModel | None:
    """The agency's champion."""
    line = succession(context, architecture)
    return line[-1] if line else None


def succession(context: SeasonContext, architecture: Architecture) -> tuple[TrainedModel, ...]:
    """The champions, oldest first, the present one last."""
    document = _read(context, _pointer(context, architecture))
    if document is None:
        return ()
    return tuple(TrainedModel(**one) for one in [*document.pop("former", []), document])


def write_succession(context: SeasonContext, architecture: Architecture, line: tuple[TrainedModel, ...]) -> None:
    former = [asdict(one) for one in line[:-1]]
    _write(context, _pointer(context, architecture), {**asdict(line[-1]), "former": former})


def make_champion(context: SeasonContext, architecture: Architecture, model: TrainedModel) -> None:
    """Puts a model at the end of the line; one that stands there already changes nothing."""
    line = succession(context, architecture)
    if not line or line[-1].artifact_id != model.artifact_id:
        write_succession(context, architecture, (*line, model))


def trained_model(context: SeasonContext, architecture: Architecture, key: str) -> TrainedModel | None:
    """A training that went through the gate, by its key."""
    document = _read(context, _record(context, architecture, key))
    return TrainedModel(**document) if document else None


def write_record(context: SeasonContext, architecture: Architecture, model: TrainedModel) -> None:
    _write(context, _record(context, architecture, model.training_key), asdict(model))


def legend_key(legend: Legend) -> str:
    """What makes a legend another one for a model: its classes, not how codes or statistics are attached to them."""
    return value_hash(legend.crops)


def folds_rule(context: SeasonContext) -> str:
    """What gives a place its fold whatever the data; empty where folds are dealt anew from each state of the data."""
    section = context.agency.model.folds
    if section.by == "region":
        return f"region, NUTS {context.agency.regions.nuts_version}, {section.neighbour_distance_m:g} m"
    if section.by == "file":
        file = Path(context.agency.resolve(section.file or "", season=context.season.year))
        return f"file {value_hash(read_folds(file))}"
    return ""


def ground_of(context: SeasonContext, data: SeasonData) -> Ground:
    return Ground(
        bands=data.series.bands, legend=legend_key(data.legend), last_day=context.season.end.isoformat(),
        folds=folds_rule(context), dataset=needed_dataset(data),
    )  # fmt: skip


def rival(context: SeasonContext, data: SeasonData, architecture: Architecture) -> Rival | None:
    """The champion on this season's folds; None where the agency has none yet."""
    champion, ground = current_model(context, architecture), ground_of(context, data)
    if champion is None:
        return None
    try:
        artifact = load_artifact(context.store, champion.artifact_id)
    except ArtifactError:
        return Rival(GateReason.UNREADABLE, None)
    found = obstacle(artifact.manifest, ground)
    return Rival(found, None if found else score_artifact(artifact, ground, threads=context.threads))


def score_artifact(artifact: Artifact, ground: Ground, *, threads: int) -> Score:
    """A model on the folds of a season that it may predict in, as it would predict there."""
    dataset, judged = ground.dataset, ground.dataset.judged
    if artifact.manifest.dataset_hash == dataset.hash:
        return Score.read(artifact.manifest)
    fold = honest_folds(artifact.manifest, ground)
    assert fold is not None, "an obstacle was overlooked"
    here = np.flatnonzero(judged)
    said = predict(artifact, dataset.series.take(here), fold=fold[here], threads=threads)
    crops = tuple(dict.fromkeys([*dataset.crops, *said.crops]))
    probabilities = np.zeros((len(here), len(crops)), np.float32)  # a class it does not know has none
    probabilities[:, [crops.index(crop) for crop in said.crops]] = said.probabilities
    return Score.of(
        evaluate(
            dataset.label[here], probabilities, crops, fold=dataset.folds.fold[here], fold_names=dataset.folds.names
        )
    )


def predicting_model(context: SeasonContext, data: SeasonData, architecture: Architecture, *, key: str) -> TrainedModel:
    """The champion where it can judge this season; else the season's own model (of training `key`) where nobody decided
    on what stands between the two.

    Raises InputError where neither may predict.
    """
    champion, own = current_model(context, architecture), trained_model(context, architecture, key)
    if champion is None:
        raise InputError(f"no {architecture} is trained", mend="Run `cropmap train` (or `season run`) first")
    if own is not None and own.artifact_id == champion.artifact_id:
        return champion
    found = _obstacle(context, champion, ground_of(context, data))
    if found is None:
        return champion
    if found not in OUT_OF_REACH:
        raise InputError(f"the champion ({architecture}, {champion.season}) does not fit: {found}", mend=BY_HAND)
    if own is None:
        raise InputError(
            f"the champion ({architecture}, {champion.season}) cannot judge this season: {found}",
            mend="Run `cropmap train` (or `season run`) first",
        )
    if not own.promoted and own.reason not in OUT_OF_REACH:
        raise InputError(
            f"neither the champion ({found}) nor the season's own model ({own.reason}) may predict", mend=BY_HAND
        )
    return own


def judging_folds(context: SeasonContext, data: SeasonData, artifact: Artifact) -> NDArray[np.int16]:
    """(N,) which of the artifact's folds scores each parcel. Raises ArtifactError where it must not predict here."""
    ground = ground_of(context, data)
    found, fold = obstacle(artifact.manifest, ground), honest_folds(artifact.manifest, ground)
    if found is not None or fold is None:
        raise ArtifactError(f"does not fit this season: {found}", where=artifact.artifact_id, mend=BY_HAND)
    return fold


def _obstacle(context: SeasonContext, model: TrainedModel, ground: Ground) -> GateReason | None:
    try:
        return obstacle(read_manifest(context.store, model.artifact_id), ground)
    except ArtifactError:
        return GateReason.UNREADABLE


def _pointer(context: SeasonContext, architecture: Architecture) -> str:
    return f"models/{context.agency.agency}/{architecture}.json"


def _record(context: SeasonContext, architecture: Architecture, key: str) -> str:
    return f"models/{context.agency.agency}/{architecture}/{key}.json"


def _read(context: SeasonContext, name: str) -> dict[str, Any] | None:
    return json.loads(context.store.read_bytes(name)) if context.store.exists(name) else None


def _write(context: SeasonContext, name: str, document: Mapping[str, Any]) -> None:
    context.store.write_bytes(name, json.dumps(document).encode())
