"""What each answer to the seven challenges is worth: the same folds with and without it, one table.

Every row trains one network anew with one option turned; the others stay as they are by default. Simulated Brittany has
a holding and a region for every parcel and 3 % wrong declarations; a folder with observations.parquet, labels.csv and
folds.csv brings real parcels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import at_random
from cropmap.model.evaluation import Evaluation
from cropmap.model.fitting import OutOfFold, evaluate_out_of_fold
from cropmap.model.training import logits_of
from cropmap.model.training_config import TrainingConfig
from cropmap.results.evaluation import read_judged
from cropmap.settings import Settings
from tests.studies.brittany import simulated_brittany

CLOUDY: Final = 0.5
"""clear share below which observations are left out in the row about them"""
DROPPED: Final = 0.3
"""share of the dates that are taken away at prediction"""

Change = Callable[[Dataset, TrainingConfig], tuple[Dataset, TrainingConfig]]


@dataclass(frozen=True)
class Option:
    challenge: str
    name: str
    by_default: bool
    other: Change
    """from the default to its opposite"""


def _config(**values: Any) -> Change:
    return lambda dataset, config: (dataset, replace(config, **values))


def _without_clear_fraction(dataset: Dataset, config: TrainingConfig) -> tuple[Dataset, TrainingConfig]:
    clear = np.ones_like(dataset.series.clear_fraction)
    return replace(dataset, series=replace(dataset.series, clear_fraction=clear)), config


def _at_random(dataset: Dataset, config: TrainingConfig) -> tuple[Dataset, TrainingConfig]:
    label = np.where(dataset.judged, dataset.label, np.int16(-1))
    return replace(dataset, folds=at_random(label=label, count=dataset.folds.count, seed=0)), config


OPTIONS: Final = (
    Option("imbalanced classes", "logit adjustment (tau 1)", False, _config(logit_adjustment=1.0)),
    Option("similar classes", "spectral indices", True, _config(indices=False)),
    Option("similar classes", "label smoothing (0.1)", False, _config(label_smoothing=0.1)),
    Option("clouds", "clear fraction given to the network", True, _without_clear_fraction),
    Option("clouds", "injected clouds (2 %)", True, _config(cloud_rate=0.0)),
    Option("regional variation", "calendar shifts (5 days)", True, _config(shift_days=0.0)),
    Option("irregular sampling", "dates dropped in training (up to half)", True, _config(drop_rate=0.0)),
    Option("variable length", "series cut in training (15 %)", True, _config(truncate_rate=0.0)),
    Option("spatial autocorrelation", "spatial folds (off: dealt at random)", True, _at_random),
)


def measure(
    settings: Settings, *, folder: Path | None, parcels: int, config: TrainingConfig, seed: int
) -> list[dict[str, Any]]:
    """Rows of the table; trained folds are kept, so that a table that was cut short goes on."""
    dataset = read_folder(folder) if folder else simulated_brittany(parcels=parcels, seed=seed).dataset
    store = settings.open_store()

    def evaluated(other: Change | None) -> tuple[OutOfFold, Dataset]:
        changed, values = other(dataset, config) if other else (dataset, config)
        return evaluate_out_of_fold(store, changed, values, seed=seed, workers=settings.threads), changed

    whole, _ = evaluated(None)
    base = _figures(whole, dataset)
    rows = [{"challenge": "", "option": f"{config.architecture}, defaults", "": "", **base}]
    for option in OPTIONS:
        found = _figures(*evaluated(option.other))
        off, on = (found, base) if option.by_default else (base, found)
        both = {name: f"{off[name]} / {on[name]}" for name in base}
        rows.append(
            {"challenge": option.challenge, "option": option.name, "": "on" if option.by_default else "off", **both}
        )
    return rows


def read_folder(folder: Path) -> Dataset:
    """The labelled parcels of a folder with observations.parquet, labels.csv and folds.csv."""
    return read_judged(folder / "observations.parquet", folder / "labels.csv", folder / "folds.csv").dataset


def _figures(found: OutOfFold, dataset: Dataset) -> dict[str, str]:
    """As text with three digits: off and on stand side by side in one column."""
    scores = found.evaluation
    figures = {
        "OA": scores.oa,
        "macro F1": scores.macro_f1,
        "ECE": scores.ece,
        "spread": _spread(scores),
        "OA, 30 % of dates dropped": dropped_accuracy(found, dataset),
    }
    return {name: f"{value:.3f}" for name, value in figures.items()}


def _spread(scores: Evaluation) -> float:
    """Standard deviation of the overall accuracy over folds."""
    return float(np.std(list(scores.per_fold.values()), ddof=1))


def dropped_accuracy(found: OutOfFold, dataset: Dataset) -> float:
    """Overall accuracy of the same networks when each series lacks DROPPED of its dates, the same ones always;
    parcels that lose all of them are not judged."""
    random = np.random.default_rng(0)
    thinned = dataset.series.keep(random.random(len(dataset.series.day_of_year)) >= DROPPED)
    right = []
    for k in range(dataset.folds.count):
        index = np.flatnonzero(dataset.judged & (dataset.folds.fold == k) & (thinned.lengths > 0))
        logits = logits_of(found.cross_fit.network(k, dataset), thinned, index)
        right.append(logits.argmax(axis=1) == dataset.label[index])
    return float(np.concatenate(right).mean())
