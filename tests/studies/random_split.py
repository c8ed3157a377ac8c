"""What a random split pretends: the same parcels scored on their own folds and on random ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import at_random
from cropmap.model.evaluation import Evaluation
from cropmap.model.fitting import evaluate_out_of_fold
from cropmap.model.training_config import TrainingConfig
from cropmap.store import Store


@dataclass(frozen=True)
class SplitGap:
    """What a random split would have pretended."""

    spatial: Evaluation
    """on the dataset's own folds"""
    at_random: Evaluation
    """the same parcels dealt at random, neighbours on both sides"""

    @property
    def oa(self) -> float:
        return self.at_random.oa - self.spatial.oa

    @property
    def macro_f1(self) -> float:
        return self.at_random.macro_f1 - self.spatial.macro_f1


def random_split_gap(
    store: Store, dataset: Dataset, config: TrainingConfig, *, seed: int, workers: int | None = None
) -> SplitGap:
    """Scores the same parcels twice, on the dataset's folds and on as many random ones: the difference is what
    spatial autocorrelation adds to an accuracy that says nothing about a place that was not seen."""
    judged = np.where(dataset.judged, dataset.label, np.int16(-1))
    dealt = replace(dataset, folds=at_random(label=judged, count=dataset.folds.count, seed=seed))
    spatial, random = (
        evaluate_out_of_fold(store, d, config, seed=seed, workers=workers).evaluation for d in (dataset, dealt)
    )
    return SplitGap(spatial, random)
