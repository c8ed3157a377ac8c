"""The study of area estimates on populations that the project's own network scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cropmap.dataset.dataset import Dataset
from cropmap.model.calibration import fit_calibration
from cropmap.model.training_config import TrainingConfig
from cropmap.progress import track
from cropmap.settings import Settings
from cropmap.simulation.crops import CROPS
from tests.studies.areas import SCENARIOS, Case, Scenario, declarations, judged_case, reviewed_cells
from tests.studies.brittany import simulated_brittany
from tests.studies.flags_elsewhere import network_logits


def measure_networks(
    settings: Settings, *, parcels: int, seeds: Sequence[int], config: TrainingConfig
) -> list[dict[str, Any]]:
    """As `areas.measure`, without noise on the features; trained folds are kept in the store."""
    runs, rows = [(seed, scenario) for seed in seeds for scenario in SCENARIOS], []
    for seed, scenario in track(runs, "areas", total=len(runs), unit="populations"):
        dataset = simulated_brittany(parcels=parcels, seed=seed, wrong_share=0.0).dataset
        one = _case(settings, dataset, scenario, config=config, seed=seed)
        rows += [{"scenario": scenario.name, "seed": seed, **found} for found in reviewed_cells(one, seed=seed)]
    return rows


def _case(settings: Settings, dataset: Dataset, scenario: Scenario, *, config: TrainingConfig, seed: int) -> Case:
    keep = np.flatnonzero(dataset.judged)
    true = dataset.label[keep].astype(np.int64)
    position = np.array([CROPS.index(crop) for crop in dataset.crops])
    known_as = np.full(len(CROPS), -1)
    known_as[position] = np.arange(len(position))
    holding = dataset.folds.holding[keep]
    drawn = declarations(position[true], holding, scenario, seed=seed)
    said = known_as[drawn.said]
    drawn = replace(drawn, said=np.where(said < 0, true, said))  # a class that nobody could learn is not declared
    label = dataset.label.copy()
    label[keep] = drawn.said
    logits = network_logits(settings, replace(dataset, label=label), config, keep, ~drawn.known, seed=seed)
    calibration = fit_calibration(logits[drawn.known], label[keep][drawn.known], biased=True)
    regions = np.array(dataset.folds.names, dtype=object)[dataset.folds.fold[keep]]
    return judged_case(true, regions, holding, drawn, calibration.apply(logits), scenario, crops=dataset.crops)
