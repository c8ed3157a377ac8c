"""Accuracy beside a peer: both networks and a random forest on the same parcels, observations and folds.

The forest sees what such forests are usually given: every band linearly interpolated to a fixed calendar of slots
(Inglada et al. 2017, Remote Sensing 9:95), with the cloud mask applied. It is never used for anything but this table.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series
from cropmap.errors import ConfigurationError
from cropmap.model.evaluation import Evaluation, evaluate
from cropmap.model.fitting import evaluate_out_of_fold
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset, season_data
from cropmap.stages.training import training_config

SLOT_DAYS: Final = 15
SEASON_DAYS: Final = (32, 288)
"""1 February to 15 October"""
TREES: Final = 300


def measure(context: SeasonContext) -> list[dict[str, Any]]:
    """One row per method: n, oa, kappa, macro_f1. Raises ConfigurationError where scikit-learn is not installed."""
    dataset = needed_dataset(season_data(context))
    seed = context.agency.model.seed
    rows = []
    for architecture in context.networks:
        config = training_config(context, architecture)
        found = evaluate_out_of_fold(context.store, dataset, config, seed=seed, workers=context.threads)
        rows.append(_row(str(architecture), found.evaluation))
    return [*rows, _row("random forest", forest(dataset, seed=seed, threads=context.threads))]


def forest(dataset: Dataset, *, seed: int, threads: int) -> Evaluation:
    """Out-of-fold evaluation of a random forest on the dataset's own folds."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise ConfigurationError("scikit-learn is not installed", mend="pip install 'cropmap[peers]'") from error
    features, judged = calendar_features(dataset.series), dataset.judged
    probabilities = np.zeros((len(dataset.label), len(dataset.crops)), np.float32)
    for k in range(dataset.folds.count):
        learn = dataset.folds.training_mask(k) & (dataset.label >= 0) & (dataset.series.lengths > 0)
        test = judged & (dataset.folds.fold == k)
        model = RandomForestClassifier(TREES, random_state=seed, n_jobs=threads)
        model.fit(features[learn], dataset.label[learn])
        probabilities[np.ix_(test, model.classes_)] = model.predict_proba(features[test])
    return evaluate(dataset.label[judged], probabilities[judged], dataset.crops)


def calendar_features(series: Series) -> NDArray[np.float32]:
    """(N, slots * C): each band interpolated to the middle of each slot; 0 where a parcel never has the band."""
    slots = np.arange(SEASON_DAYS[0], SEASON_DAYS[1] + 1, SLOT_DAYS)
    features = np.zeros((len(series), len(slots), len(series.bands)), np.float32)
    for i, (start, end) in enumerate(zip(series.offsets[:-1], series.offsets[1:], strict=True)):
        days = series.day_of_year[start:end]
        for band in range(len(series.bands)):
            values = series.reflectance[start:end, band]
            seen = np.isfinite(values)
            if seen.any():
                features[i, :, band] = np.interp(slots, days[seen], values[seen])
    return features.reshape(len(series), -1)


def _row(method: str, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "method": method, "n": evaluation.n, "oa": evaluation.oa, "kappa": evaluation.kappa,
        "macro_f1": evaluation.macro_f1, "ece": evaluation.ece,
    }  # fmt: skip
