"""Training: every network of the season on every fold, one checked artifact each, remembered in MLflow."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments import suspects
from cropmap.model.fitting import Fitted, evaluate_out_of_fold, fit_model
from cropmap.model.training import TrainingConfig
from cropmap.provenance import code_version, content_hash
from cropmap.schemas import Architecture
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData, needed_dataset, season_data


@dataclass(frozen=True)
class TrainedModel:
    """The artifact that predicts for an agency now."""

    artifact_id: str
    training_key: str
    """hash of the data, the settings, the seed and the code that it was trained with"""
    season: int
    metrics: dict[str, Any]
    """out-of-fold: n, oa, kappa, macro_f1, ece, brier, parity"""


def training_config(context: SeasonContext, architecture: Architecture) -> TrainingConfig:
    section = context.agency.model
    return TrainingConfig(architecture=architecture, epochs=section.epochs, min_steps=section.min_steps)


def training_key(context: SeasonContext, data: SeasonData, architecture: Architecture) -> str:
    """What the model of this season is made of; empty where there is nothing to learn."""
    if data.dataset is None:
        return ""
    config, rounds = training_config(context, architecture), _clean_up_rounds(context, architecture)
    return content_hash(data.dataset.hash, config.hash, str(context.agency.model.seed), str(rounds), code_version())


def networks_to_train(context: SeasonContext) -> tuple[Architecture, ...]:
    """The season's networks; none where fewer than two crops have enough parcels."""
    return () if season_data(context).dataset is None else context.networks


def current_model(context: SeasonContext, architecture: Architecture) -> TrainedModel | None:
    """What was trained last and passed its checks."""
    name = _pointer(context, architecture)
    if not context.store.exists(name):
        return None
    return TrainedModel(**json.loads(context.store.read_bytes(name)))


def train_network(context: SeasonContext, architecture: Architecture) -> dict[str, Any]:
    """Trains one network on every fold, exports and checks it, and makes it the one that predicts.

    A fold that is in the store is not trained again; a network whose key is that of the current model is left as it
    is. Returns its out-of-fold metrics. Raises ParityError where ONNX and torch disagree: nothing changes then.
    """
    data = season_data(context)
    dataset = needed_dataset(data)
    key = training_key(context, data, architecture)
    known = current_model(context, architecture)
    if known is None or known.training_key != key:
        left_out = _suspects(context, data, architecture)
        fitted = fit_model(
            context.store, dataset, training_config(context, architecture), seed=context.agency.model.seed,
            min_clear_fraction=context.agency.observations.min_clear_fraction, suspects=left_out,
            about={
                "agency": context.agency.agency, "season": str(context.season.year),
                "left_out_of_training": str(int(left_out.sum())),
            },
            workers=context.threads,
        )  # fmt: skip
        known = TrainedModel(fitted.artifact_id, key, context.season.year, _metrics(fitted))
        _remember(context, architecture, fitted, key)
        context.store.write_bytes(_pointer(context, architecture), json.dumps(asdict(known)).encode())
    return {**known.metrics, "artifact": known.artifact_id}


@dataclass(frozen=True)
class _OutOfFoldScores:
    """What `assessments` needs to know of a training."""

    parcel_ids: NDArray[np.str_]
    crops: tuple[str, ...]
    logits: NDArray[np.float32]
    n_observations: NDArray[np.int64]


def _suspects(context: SeasonContext, data: SeasonData, architecture: Architecture) -> NDArray[np.bool_]:
    """(N,) declarations that look wrong to models that never saw them: kept out of training, still scored.

    A network that was trained on wrong labels learns a floor under P(declared) that hides them; each round of
    training without them lowers it.
    """
    dataset, section = needed_dataset(data), context.agency.assessment
    left_out = np.zeros(len(dataset.label), bool)
    for _ in range(_clean_up_rounds(context, architecture)):
        out = evaluate_out_of_fold(
            context.store, dataset, training_config(context, architecture), seed=context.agency.model.seed,
            suspects=left_out, workers=context.threads,
        )  # fmt: skip
        series = dataset.series
        found = suspects(
            pd.DataFrame(data.parcels.drop(columns="geometry")).assign(has_geometry=True),
            _OutOfFoldScores(series.parcel_ids, dataset.crops, out.cross_fit.logits, series.lengths),
            data.legend, seed=context.agency.model.seed, min_pixels=section.min_pixels,
            min_observations=section.min_observations, min_class_parcels=section.min_class_parcels,
        )  # fmt: skip
        if not found:
            break
        left_out = np.isin(series.parcel_ids, sorted(found))
    return left_out


def _clean_up_rounds(context: SeasonContext, architecture: Architecture) -> int:
    """Only the network that is published assesses declarations; the others are there for comparison."""
    return context.agency.assessment.clean_up_rounds if architecture == context.architecture else 0


def _pointer(context: SeasonContext, architecture: Architecture) -> str:
    return f"models/{context.agency.agency}/{architecture}.json"


def _metrics(fitted: Fitted) -> dict[str, Any]:
    evaluation = fitted.out_of_fold.evaluation
    return {
        "n": evaluation.n, "oa": evaluation.oa, "kappa": evaluation.kappa, "macro_f1": evaluation.macro_f1,
        "ece": evaluation.ece, "brier": evaluation.brier, "parity": max(fitted.manifest.parity),
    }  # fmt: skip


def _remember(context: SeasonContext, architecture: Architecture, fitted: Fitted, key: str) -> None:
    """MLflow: the run with its figures and pictures, and the registered version."""
    from cropmap.model import tracking
    from cropmap.model.evaluation import confusion_picture

    agency, year = context.agency.agency, context.season.year
    evaluation, manifest = fitted.out_of_fold.evaluation, fitted.manifest
    folds = zip(manifest.fold_names, fitted.out_of_fold.cross_fit.folds, strict=True)
    title = f"{agency} {year} {architecture}: out-of-fold"
    run_id = tracking.track_training(
        context.mlflow_uri,
        experiment=f"cropmap/{agency}",
        run_key=key,
        params={**manifest.config, "seed": manifest.seed, "folds": manifest.folds_made_by, "season": year},
        history={name: fold.history for name, fold in folds},
        metrics=evaluation.metrics(),
        files={
            "confusion.png": confusion_picture(evaluation, title=title),
            "manifest.json": json.dumps(manifest.to_json(), indent=1, ensure_ascii=False).encode(),
            **fitted.files,
        },
        tags={
            "agency": agency, "season": str(year), "architecture": str(architecture), "data": manifest.dataset_hash,
            "code": manifest.code_version, "artifact": fitted.artifact_id,
            "simulated": str(context.agency.simulated).lower(),
        },
        artifact_root=f"file://{context.mlflow_artifacts}",
    )  # fmt: skip
    version = tracking.register_version(
        context.mlflow_uri, name=f"cropmap-{agency}-{architecture}", run_id=run_id, artifact_id=fitted.artifact_id
    )
    tracking.promote(context.mlflow_uri, version)
