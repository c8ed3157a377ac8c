"""Accuracy beside a peer: both networks and a random forest on the same parcels, observations and folds, of a season
or of a folder of parcels; there also with less of the same data (`thinned`), which nothing was tuned to.

The forest sees what such forests are usually given: every band linearly interpolated to a fixed calendar of slots
(Inglada et al. 2017, Remote Sensing 9:95), with the cloud mask applied. It is never used for anything but this table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series
from cropmap.errors import ConfigurationError, InputError
from cropmap.model.evaluation import Evaluation, evaluate
from cropmap.model.fitting import evaluate_out_of_fold
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import training_config
from cropmap.store import Store
from tests.studies.ablation import read_folder
from tests.studies.thinned import VARIANTS

SLOT_DAYS: Final = 15
SEASON_DAYS: Final = (32, 288)
"""1 February to 15 October"""
TREES: Final = 300


def measure(context: SeasonContext) -> list[dict[str, Any]]:
    """One row per method: n, oa, kappa, macro_f1, ece, oa by fold.

    Raises ConfigurationError where scikit-learn is not installed.
    """
    configs = {a: training_config(context, a) for a in context.networks}
    seeded = {context.agency.model.seed: needed_dataset(OpenSeason(context).data)}
    return _beside(context.store, seeded, configs, workers=context.threads)


def measure_folder(
    settings: Settings, folder: Path, *, thinned: bool, seeds: Sequence[int], config: TrainingConfig | None = None
) -> list[dict[str, Any]]:
    """The same rows for a folder with observations.parquet, labels.csv and folds.csv, means over the seeds with the
    range in brackets; `thinned` puts less of the same data in its place, drawn anew with each seed."""
    whole = read_folder(folder)
    configs = {a: replace(config or TrainingConfig(), architecture=a) for a in Architecture}
    if not thinned:
        return _rows(settings, "whole", dict.fromkeys(seeds, whole), configs)
    if not (variants := [variant for variant in VARIANTS if variant.fits(whole)]):
        raise InputError(
            f"{int(whole.judged.sum())} parcels leave nothing to thin",
            where=str(folder),
            mend=f"More than {VARIANTS[0].parcels} are needed; leave out --thinned",
        )
    return [
        row
        for variant in variants
        for row in _rows(settings, variant.name, {seed: variant.of(whole, seed=seed) for seed in seeds}, configs)
    ]


def _rows(
    settings: Settings, name: str, seeded: Mapping[int, Dataset], configs: Mapping[Architecture, TrainingConfig]
) -> list[dict[str, Any]]:
    facts = {
        "data": name,
        "classes": max(len(one.crops) for one in seeded.values()),
        "dates": int(np.median([_dates(one) for one in seeded.values()])),
    }
    return [facts | row for row in _beside(settings.open_store(), seeded, configs, workers=settings.threads)]


def _beside(
    store: Store, seeded: Mapping[int, Dataset], configs: Mapping[Architecture, TrainingConfig], *, workers: int
) -> list[dict[str, Any]]:
    """One row per method, over the seeds and what each is trained on."""
    rows = []
    for architecture, config in configs.items():
        found = [
            evaluate_out_of_fold(store, dataset, config, seed=seed, workers=workers).evaluation
            for seed, dataset in seeded.items()
        ]
        rows.append(_row(str(architecture), found))
    forests = [forest(dataset, seed=seed, threads=workers) for seed, dataset in seeded.items()]
    return [*rows, _row("random forest", forests)]


def _dates(dataset: Dataset) -> float:
    """Median observations of a judged parcel."""
    return float(np.median(dataset.series.lengths[dataset.judged]))


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
    return evaluate(
        dataset.label[judged],
        probabilities[judged],
        dataset.crops,
        fold=dataset.folds.fold[judged],
        fold_names=dataset.folds.names,
    )


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


def _row(method: str, found: Sequence[Evaluation]) -> dict[str, Any]:
    """`n` is that of the first; folds that not all have are not shown."""
    names = ("oa", "kappa", "macro_f1", "ece")
    row = {"method": method, "n": found[0].n} | {name: _spread([getattr(one, name) for one in found]) for name in names}
    folds = [fold for fold in found[0].per_fold if all(fold in one.per_fold for one in found)]
    by_fold = ", ".join(f"{fold} {_text(_spread([one.per_fold[fold] for one in found]))}" for fold in folds)
    return row | {"oa by fold": by_fold}


def _spread(values: Sequence[float]) -> float | str:
    """The value, or the mean of several with their range."""
    if len(values) == 1:
        return values[0]
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"
