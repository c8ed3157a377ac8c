"""From a dataset to a checked artifact: cross-fit, calibrate, evaluate, export, compare with torch, keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.errors import ModelError
from cropmap.model.artifact import Manifest, file_digest, write_artifact
from cropmap.model.calibration import MIN_BIAS_FOLDS, Calibration, calibrate_across, fit_calibration
from cropmap.model.crossfit import CrossFit, cross_fit
from cropmap.model.elsewhere import FoldTrainer
from cropmap.model.evaluation import Evaluation, evaluate
from cropmap.model.export import check_parity, export_network
from cropmap.model.networks import peak_learning_rate
from cropmap.model.strangeness import learn_familiar
from cropmap.model.training_config import TrainingConfig
from cropmap.provenance import code_version
from cropmap.store import Store


@dataclass(frozen=True)
class OutOfFold:
    """What cross-fitting says about parcels that were not seen."""

    cross_fit: CrossFit
    calibration: Calibration
    """fitted on all judged parcels: what predictions use"""
    probabilities: NDArray[np.float32]
    """(N, K) each fold calibrated on the others, NaN where a parcel is not judged"""
    evaluation: Evaluation
    """scores of those probabilities"""


@dataclass(frozen=True)
class Fitted:
    artifact_id: str
    manifest: Manifest
    out_of_fold: OutOfFold
    files: Mapping[str, bytes]
    """the artifact's ONNX files by name"""


def evaluate_out_of_fold(
    store: Store,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    seed: int,
    suspects: NDArray[np.bool_] | None = None,
    device: str = "auto",
    workers: int | None = None,
    elsewhere: FoldTrainer | None = None,
) -> OutOfFold:
    """Trains what is missing and scores every judged parcel by the model of its fold."""
    fitted = cross_fit(
        store, dataset, config, seed=seed, suspects=suspects, device=device, workers=workers, elsewhere=elsewhere
    )
    judged = dataset.judged
    if not judged.any():
        raise ModelError("no labelled parcel has an observation", mend="Look at the season's window and the clouds")
    label, fold = dataset.label[judged], dataset.folds.fold[judged]
    probabilities = np.full_like(fitted.logits, np.nan)
    adjusted = config.logit_adjustment
    probabilities[judged] = calibrate_across(fitted.logits[judged], label, fold, logit_adjustment=adjusted)
    evaluation = evaluate(label, probabilities[judged], dataset.crops, fold=fold, fold_names=dataset.folds.names)
    several = len(np.unique(fold)) > MIN_BIAS_FOLDS  # what is published is calibrated as what was evaluated
    calibration = fit_calibration(fitted.logits[judged], label, logit_adjustment=adjusted, biased=several)
    return OutOfFold(fitted, calibration, probabilities, evaluation)


def fit_model(
    store: Store,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    seed: int,
    min_clear_fraction: float,
    about: Mapping[str, str],
    suspects: NDArray[np.bool_] | None = None,
    device: str = "auto",
    workers: int | None = None,
    elsewhere: FoldTrainer | None = None,
) -> Fitted:
    """A model per fold, exported and compared with torch on the dataset's own series, kept as one artifact.

    Raises ParityError where an exported file does not predict what torch predicts; nothing is kept then.
    """
    out = evaluate_out_of_fold(
        store, dataset, config, seed=seed, suspects=suspects, device=device, workers=workers, elsewhere=elsewhere
    )
    files, parity = _export(dataset, out.cross_fit)
    manifest = Manifest(
        architecture=str(config.architecture),
        crops=dataset.crops,
        bands=dataset.series.bands,
        min_clear_fraction=min_clear_fraction,
        calibration=out.calibration,
        familiar=learn_familiar(dataset),
        folds_made_by=dataset.folds.made_by,
        fold_names=dataset.folds.names,
        dataset_hash=dataset.hash,
        config=as_trained(config),
        seed=seed,
        code_version=code_version(),
        evaluation=out.evaluation.to_json(),
        parity=parity,
        files={name: file_digest(data) for name, data in files.items()},
        about={**about, "not_learnt": json.dumps(_not_learnt(dataset, suspects), ensure_ascii=False)},
    )
    return Fitted(write_artifact(store, manifest, files), manifest, out, files)


def as_trained(config: TrainingConfig) -> dict[str, Any]:
    """As it is written down: with the rate that was taken."""
    return asdict(config) | {"learning_rate": peak_learning_rate(config)}


def _not_learnt(dataset: Dataset, suspects: NDArray[np.bool_] | None) -> dict[str, list[str]]:
    """Fold -> the crops that its model was trained without any parcel of, where there are such."""
    missing = dataset.never_learnt(suspects)
    return {
        name: [dataset.crops[c] for c in np.flatnonzero(row)]
        for name, row in zip(dataset.folds.names, missing, strict=True)
        if row.any()
    }


def _export(dataset: Dataset, fitted: CrossFit) -> tuple[dict[str, bytes], tuple[float, ...]]:
    files: dict[str, bytes] = {}
    parity: list[float] = []
    for k in range(dataset.folds.count):
        name, network = f"fold-{k}.onnx", fitted.network(k, dataset)
        files[name] = export_network(network, dataset.series.bands, fitted.config)
        parity.append(check_parity(files[name], network, dataset.series, where=name))
    return files, tuple(parity)
