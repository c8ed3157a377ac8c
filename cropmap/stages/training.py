"""Training: every network of the season on every fold, one checked artifact each, remembered in MLflow and held
against the champion.

Order of what is written, for a kill at any moment: folds, artifact, MLflow's run and version with the decision, the
champion's pointer, the record of the training. What stands is found again by its key.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cropmap.assessments.suspects import suspects
from cropmap.dataset.dataset import Dataset
from cropmap.errors import ModelError, ParityError
from cropmap.model.gate import Decision, GateReason, Score, decide
from cropmap.model.training_config import TrainingConfig
from cropmap.progress import part_of_work
from cropmap.provenance import code_version, content_hash
from cropmap.schemas import Architecture
from cropmap.stages.champion import (
    TrainedModel,
    champion_score,
    has_line,
    is_whole,
    legend_key,
    make_champion,
    metrics_of,
    model_name,
    present_champion,
    trained_model,
    write_record,
)
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData, needed_dataset
from cropmap.stages.findings import ReviewedLabels
from cropmap.stages.open_season import OpenSeason

if TYPE_CHECKING:
    from cropmap.model.elsewhere import FoldTrainer
    from cropmap.model.fitting import Fitted


def training_config(context: SeasonContext, architecture: Architecture) -> TrainingConfig:
    section = context.agency.model
    return TrainingConfig(
        architecture=architecture, epochs=section.epochs, min_steps=section.min_steps, members=section.members
    )


def training_key(
    context: SeasonContext, data: SeasonData, architecture: Architecture, *, reviewed: ReviewedLabels
) -> str:
    """What the model of this season is made of, and what the gate holds against a model; empty where there is nothing
    to learn."""
    if data.dataset is None:
        return ""
    config, rounds = training_config(context, architecture), _clean_up_rounds(context, architecture)
    return content_hash(
        data.dataset.hash,
        config.hash,
        str(context.agency.model.seed),
        str(rounds),
        code_version(),
        legend_key(data.legend),
        data.seen_until,
        data.folds_rule,
        *reviewed.key,
    )


def networks_to_train(season: OpenSeason) -> tuple[Architecture, ...]:
    """The season's networks; none where fewer than two crops have enough parcels."""
    return () if season.data.dataset is None else season.context.networks


def is_trained(season: OpenSeason, architecture: Architecture) -> bool:
    """Whether the network went through the gate with the season as it stands, and its artifact is whole."""
    context = season.context
    key = training_key(context, season.data, architecture, reviewed=season.run_inputs.reviewed)
    known = trained_model(context, architecture, key)
    return known is not None and is_whole(context, known)


def train_network(
    season: OpenSeason, architecture: Architecture, *, elsewhere: FoldTrainer | None = None
) -> dict[str, object]:
    """Trains one network on every fold, exports and checks it, and makes it champion where the gate lets it.

    A fold that is in the store is not trained again; a training that went through the gate is left as it is, except
    that what was damaged since is made again. All of it works on the season as it stood at the beginning. `elsewhere`
    trains the folds; None: processes that this one starts. Returns its out-of-fold metrics and the decision. Raises
    ConfigurationError where MLflow cannot be used, before anything is trained; ParityError where ONNX and torch
    disagree: that is noted in MLflow, and nothing else changes.
    """
    context, data, reviewed = season.context, season.data, season.run_inputs.reviewed
    key = training_key(context, data, architecture, reviewed=reviewed)
    known = trained_model(context, architecture, key)
    if known is None or not is_whole(context, known):
        known = _trained(context, data, architecture, key, reviewed, known, elsewhere)
    if known.promoted and not has_line(context, architecture):
        make_champion(context, architecture, known)
    return {
        **known.metrics,
        "artifact": known.artifact_id,
        "gate": "promoted" if known.promoted else "refused",
        "reason": known.reason,
    }


def _trained(
    context: SeasonContext,
    data: SeasonData,
    architecture: Architecture,
    key: str,
    reviewed: ReviewedLabels,
    known: TrainedModel | None,
    elsewhere: FoldTrainer | None,
) -> TrainedModel:
    """Trained, decided on and noted down; `known` is the record of an artifact that is to be made again."""
    from cropmap.model import tracking

    if known is None:
        tracking.begin_training(
            context.mlflow_uri,
            experiment=_experiment(context),
            run_key=key,
            name=_run_name(context, architecture),
            tags=_tags(context, architecture),
            artifact_root=context.mlflow_artifacts,
        )
    fitted = _fit(context, data, architecture, key, reviewed, elsewhere)
    if known is not None and fitted.artifact_id == known.artifact_id:
        return known
    decision = _decide(context, data, architecture, fitted)
    model = TrainedModel(
        fitted.artifact_id,
        key,
        context.season.year,
        metrics_of(fitted.manifest),
        decision.promoted,
        str(decision.reason),
        decision.detail,
    )
    model = replace(model, version=_remember(context, architecture, fitted, model))
    if model.promoted:
        make_champion(context, architecture, model)
    write_record(context, architecture, model)
    return model


def _fit(
    context: SeasonContext,
    data: SeasonData,
    architecture: Architecture,
    key: str,
    reviewed: ReviewedLabels,
    elsewhere: FoldTrainer | None,
) -> Fitted:
    from cropmap.model.fitting import fit_model  # torch, which a season that trains nothing does without

    rounds = _clean_up_rounds(context, architecture)
    try:
        left_out = left_out_of_training(context, data, architecture, reviewed, elsewhere=elsewhere)
        with part_of_work(_round(rounds, rounds)):
            return fit_model(
                context.store,
                needed_dataset(data),
                training_config(context, architecture),
                seed=context.agency.model.seed,
                min_clear_fraction=context.agency.observations.min_clear_fraction,
                suspects=left_out,
                about=_about(context, data, left_out, reviewed),
                workers=context.threads,
                elsewhere=elsewhere,
            )
    except Exception as error:
        _note_failure(context, architecture, key, error)
        raise


def _about(
    context: SeasonContext, data: SeasonData, left_out: NDArray[np.bool_], reviewed: ReviewedLabels
) -> dict[str, str]:
    """What the artifact says of itself to later seasons."""
    return {
        "agency": context.agency.agency,
        "season": str(context.season.year),
        "left_out_of_training": str(int(left_out.sum())),
        "left_out_by_reviews": str(len(reviewed.wrong)),
        "legend": legend_key(data.legend),
        "classes": json.dumps(data.legend.crops, ensure_ascii=False),
        "last_acquisition": data.seen_until,
        "folds": data.folds_rule,
    }


def _decide(context: SeasonContext, data: SeasonData, architecture: Architecture, fitted: Fitted) -> Decision:
    champion = present_champion(context, architecture)
    if champion is not None and champion.artifact_id == fitted.artifact_id:  # a try before this one came as far
        return Decision(champion.promoted, GateReason(champion.reason), champion.detail)
    score = Score.of(fitted.out_of_fold.evaluation)
    return decide(score, parity=fitted.manifest.parity, champion_score=champion_score(context, data, architecture))


@dataclass(frozen=True)
class OutOfFoldScores:
    """What `assessments` needs to know of a training."""

    parcel_ids: NDArray[np.str_]
    crops: tuple[str, ...]
    logits: NDArray[np.float32]
    n_observations: NDArray[np.int64]


def left_out_of_training(
    context: SeasonContext,
    data: SeasonData,
    architecture: Architecture,
    reviewed: ReviewedLabels,
    *,
    elsewhere: FoldTrainer | None = None,
) -> NDArray[np.bool_]:
    """(N,) declarations that look wrong to models that never saw them, and those that a review contradicts: kept out
    of training, still scored. What a review confirmed stays in, however strange it looks.

    A network that was trained on wrong labels learns a floor under P(declared) that hides them; each round of
    training without them lowers it.
    """
    dataset, section = needed_dataset(data), context.agency.assessment
    from cropmap.model.fitting import evaluate_out_of_fold

    ids = dataset.series.parcel_ids
    wrong, right = (np.isin(ids, np.array(sorted(known), dtype=str)) for known in (reviewed.wrong, reviewed.right))
    left_out, row = wrong, {str(parcel): n for n, parcel in enumerate(ids)}
    at = np.array([row.get(parcel, -1) for parcel in data.parcels["parcel_id"]])
    one_network = replace(training_config(context, architecture), members=1)  # their order is what counts here
    rounds = _clean_up_rounds(context, architecture)
    for number in range(rounds):
        with part_of_work(_round(number, rounds)):
            out = evaluate_out_of_fold(
                context.store,
                dataset,
                one_network,
                seed=context.agency.model.seed,
                suspects=left_out,
                workers=context.threads,
                elsewhere=elsewhere,
            )
        series = dataset.series
        suspect_ids = suspects(
            data.parcels.assign(has_geometry=True, not_learnt=_judged_unlearnt(dataset, left_out)[at] & (at >= 0)),
            OutOfFoldScores(series.parcel_ids, dataset.crops, out.cross_fit.logits, series.lengths),
            data.legend,
            seed=context.agency.model.seed,
            limits=section.limits,
        )
        if not suspect_ids:
            break
        left_out = (np.isin(series.parcel_ids, sorted(suspect_ids)) | wrong) & ~right
    return left_out


def _judged_unlearnt(dataset: Dataset, left_out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) parcels whose fold's model is trained without any parcel of their crop: strange to it, and not wrong."""
    missing = dataset.never_learnt(left_out)
    return dataset.judged & missing[dataset.folds.fold, dataset.label]


def _round(number: int, rounds: int) -> str:
    """The line of progress: the first training, or which of the trainings without suspects this is."""
    if number == 0:
        return f"first of {rounds + 1} rounds" if rounds else ""
    return f"clean-up {number} of {rounds}"


def _clean_up_rounds(context: SeasonContext, architecture: Architecture) -> int:
    """Only the network that is published assesses declarations; the others are there for comparison."""
    return context.agency.assessment.clean_up_rounds if architecture == context.architecture else 0


def _note_failure(context: SeasonContext, architecture: Architecture, key: str, error: Exception) -> None:
    """Why a training gave nothing; that MLflow cannot take it down must not hide why."""
    from cropmap.model import registry, tracking

    refused = {registry.PROMOTED: "false", registry.REASON: str(GateReason.PARITY)}
    with suppress(ModelError):
        tracking.track_failure(
            context.mlflow_uri,
            experiment=_experiment(context),
            run_key=key,
            tags={
                **_tags(context, architecture),
                **(refused if isinstance(error, ParityError) else {}),
                registry.DETAIL: str(error),
            },
            artifact_root=context.mlflow_artifacts,
        )


def _remember(context: SeasonContext, architecture: Architecture, fitted: Fitted, model: TrainedModel) -> str:
    """MLflow: the run with its figures and pictures, the registered version, and what the gate said of it. Returns the
    version's number."""
    from cropmap.model import registry, tracking
    from cropmap.model.pictures import confusion_picture, reliability_picture

    evaluation, manifest = fitted.out_of_fold.evaluation, fitted.manifest
    kept = fitted.out_of_fold.cross_fit.folds
    folds = zip(manifest.fold_names, kept, strict=True)
    title = f"{context.agency.agency} {context.season.year} {architecture}: out-of-fold"
    run_id = tracking.track_training(
        context.mlflow_uri,
        experiment=_experiment(context),
        run_key=model.training_key,
        params={
            **manifest.config,
            "seed": manifest.seed,
            "folds": manifest.folds_made_by,
            "season": context.season.year,
        },
        history={name: fold.history for name, fold in folds},
        metrics={
            **evaluation.metrics(),
            "parity": max(manifest.parity),
            "training_seconds": sum(fold.seconds for fold in kept),
        },
        files={
            "confusion.png": confusion_picture(evaluation, title=title),
            "reliability.png": reliability_picture(evaluation, title=title),
            "manifest.json": json.dumps(manifest.to_json(), indent=1, ensure_ascii=False).encode(),
            **fitted.files,
        },
        tags={
            **_tags(context, architecture),
            "data": manifest.dataset_hash,
            "code": manifest.code_version,
            "artifact": fitted.artifact_id,
        },
        artifact_root=context.mlflow_artifacts,
        store=context.store,
        name=_run_name(context, architecture),
        data=tracking.TrackedData(
            f"{context.agency.agency} {context.season.year}", manifest.dataset_hash, f"datasets/{manifest.dataset_hash}"
        ),
    )
    version = registry.register_version(
        context.mlflow_uri,
        name=model_name(context, architecture),
        run_id=run_id,
        artifact_id=fitted.artifact_id,
        run_key=model.training_key,
    )
    registry.note_decision(
        context.mlflow_uri, version, promoted=model.promoted, reason=model.reason, detail=model.detail
    )
    if model.promoted:
        registry.call_champion(context.mlflow_uri, version)
    return version.version


def _run_name(context: SeasonContext, architecture: Architecture) -> str:
    until = f" until {context.as_of}" if context.as_of else ""
    return f"{context.agency.agency} {context.season.year}{until} {architecture}"


def _experiment(context: SeasonContext) -> str:
    return f"cropmap/{context.agency.agency}"


def _tags(context: SeasonContext, architecture: Architecture) -> dict[str, str]:
    return {
        "agency": context.agency.agency,
        "season": str(context.season.year),
        "architecture": str(architecture),
        "simulated": str(context.agency.simulated).lower(),
    }
