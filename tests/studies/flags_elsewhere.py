"""The same rows on real series with exchanged labels, and on simulated series through the project's own networks.

The exchange is known here alone. A folder holds observations.parquet, labels.csv and folds.csv, as in `ablation`;
nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.bench.estimate import plain_legend
from cropmap.dataset.dataset import Dataset
from cropmap.model.fitting import evaluate_out_of_fold
from cropmap.model.training_config import TrainingConfig
from cropmap.progress import track
from cropmap.settings import Settings
from cropmap.simulation.crops import CROPS
from cropmap.simulation.landscape import REGIONS
from cropmap.simulation.randomness import stream
from tests.studies.ablation import read_folder
from tests.studies.accuracy import calendar_features
from tests.studies.brittany import simulated_brittany
from tests.studies.flags import Case, row
from tests.studies.flags_classifier import Light, Projection, out_of_fold
from tests.studies.flags_study import SHOWN, Setting
from tests.studies.mismatches import declare, joint_shares, law
from tests.studies.thinned import subset

SWAPPED: Final = 0.03
FEW_PARCELS: Final = Light(hidden=96, epochs=60)
"""a few thousand parcels make few steps an epoch"""


def measure_folder(folder: Path, *, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """One row per seed: labels exchanged between SWAPPED of the parcels, the light classifier, the folder's folds."""
    dataset = read_folder(folder)
    keep = np.flatnonzero(dataset.judged)
    inputs = calendar_features(dataset.series)[keep]
    inputs, folds = Projection.of(inputs)(inputs), subset(dataset.folds, keep)
    label, crops = dataset.label[keep].astype(np.int64), dataset.crops

    def case(seed: int) -> Case:
        declared = swap(label, share=SWAPPED, seed=seed)
        return Case(
            crops=crops,
            true=label,
            declared=declared,
            region=folds.fold,
            observations=dataset.series.lengths[keep],
            legend=plain_legend(crops),
            score=lambda without: out_of_fold(
                inputs, declared, folds, classes=len(crops), without=without, light=FEW_PARCELS, seed=seed
            ),
        )

    name = f"{folder.name}, {SWAPPED:.0%} exchanged"
    counted = track(seeds, "flags", total=len(seeds), unit="runs")
    return [{"setting": name, "seed": seed, **row(case(seed), seed=seed)} for seed in counted]


def measure_networks(
    settings: Settings, *, parcels: int, seeds: Sequence[int], config: TrainingConfig
) -> list[dict[str, Any]]:
    """The settings with 3 % wrong through a network of the project; trained folds are kept in the store."""
    runs = [(setting, seed) for seed in seeds for setting in SHOWN]
    return [
        {
            "setting": setting.name,
            "seed": seed,
            **row(_of_networks(settings, setting, parcels=parcels, config=config, seed=seed), seed=seed),
        }
        for setting, seed in track(runs, "flags", total=len(runs), unit="runs")
    ]


def _of_networks(settings: Settings, setting: Setting, *, parcels: int, config: TrainingConfig, seed: int) -> Case:
    dataset = simulated_brittany(parcels=parcels, seed=seed, wrong_share=0.0).dataset
    keep = np.flatnonzero(dataset.judged)
    position = np.array([CROPS.index(crop) for crop in dataset.crops])
    true = position[dataset.label[keep]]
    region = np.array([REGIONS.index(name) for name in dataset.folds.names], np.int16)[dataset.folds.fold[keep]]
    shares = joint_shares(true, region)
    drawn_from = law(setting.pattern, wrong_share=setting.wrong_share, shares=shares, seed=seed)
    said = np.full(len(CROPS), -1)
    said[position] = np.arange(len(position))
    declared = said[declare(true, region, drawn_from, seed=seed)]
    declared = np.where(declared < 0, dataset.label[keep], declared)  # a class that nobody could learn is not declared
    label = dataset.label.copy()
    label[keep] = declared
    planted = replace(dataset, label=label)
    return Case(
        crops=dataset.crops,
        true=dataset.label[keep].astype(np.int64),
        declared=declared.astype(np.int64),
        region=region,
        observations=dataset.series.lengths[keep],
        legend=plain_legend(dataset.crops),
        declared_given_crop=drawn_from[region][:, position, :][np.arange(len(keep)), :, position[declared]],
        score=lambda without: network_logits(settings, planted, config, keep, without, seed=seed),
    )


def network_logits(
    settings: Settings,
    dataset: Dataset,
    config: TrainingConfig,
    keep: NDArray[np.intp],
    without: NDArray[np.bool_],
    *,
    seed: int,
) -> NDArray[np.float32]:
    """(len(keep), K) out-of-fold logits of the parcels `keep`; those in `without` [len(keep)] are scored and never
    trained on."""
    suspects = np.zeros(len(dataset.label), bool)
    suspects[keep] = without
    store = settings.open_store()
    found = evaluate_out_of_fold(store, dataset, config, seed=seed, suspects=suspects, workers=settings.threads)
    return np.asarray(found.cross_fit.logits[keep], np.float32)


def swap(label: NDArray[np.int64], *, share: float, seed: int) -> NDArray[np.int64]:
    """(N,) labels of which `share` were exchanged between pairs of parcels of different classes."""
    order = stream(seed, "exchange").permutation(len(label) // 2 * 2).reshape(-1, 2)
    pairs = order[label[order[:, 0]] != label[order[:, 1]]][: round(share * len(label) / 2)]
    declared = label.copy()
    declared[pairs] = label[pairs[:, ::-1]]
    return declared
