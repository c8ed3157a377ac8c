"""Who judges a declaration must not have been trained on it.

Nearest neighbours stand for a classifier that remembers: with the parcel itself among them, its own declaration speaks
for itself.
"""

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cropmap.assessments.assess import assess
from cropmap.assessments.evaluation import against_truth
from cropmap.dataset.folds import by_block
from tests.assessments.population import CENTRES, CROPS, Scores, legend, simulate

NEIGHBOURS = 15
PARCELS = 4_000


@pytest.fixture(scope="module")
def season() -> tuple[Any, ...]:
    parcels, scores, truth = simulate(parcels=PARCELS, wrong=0.03, seed=11)
    rng = np.random.default_rng(1)
    true = np.array([CROPS.index(truth[parcel]) for parcel in scores.parcel_ids])
    signal = 1.6 * CENTRES[true] + rng.normal(size=(PARCELS, 4))
    declared = np.array([CROPS.index(code.lower()) for code in parcels["crop_code"]])
    return parcels, scores, truth, signal, declared


def votes(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Logarithm of the neighbours' shares, weighted by nearness: a parcel is infinitely near to itself."""
    distance, index = cKDTree(train).query(test, k=NEIGHBOURS)
    weight = 1 / (distance + 1e-6)
    share = np.stack([(weight * (label[index] == k)).sum(axis=1) for k in range(len(CROPS))], axis=1)
    logarithm: np.ndarray = np.log(share / share.sum(axis=1, keepdims=True) + 0.002)
    return logarithm


@pytest.mark.slow
def test_in_sample_scoring_hides_a_planted_label_and_out_of_fold_scoring_finds_it(season: tuple[Any, ...]) -> None:
    parcels, scores, truth, signal, declared = season
    xy = np.random.default_rng(2).uniform(0, 40_000, (PARCELS, 2))
    folds = by_block(xy, label=declared.astype(np.int16), count=5, block_m=5_000)
    apart = np.empty((PARCELS, len(CROPS)))
    for k in range(folds.count):
        learn, judged = folds.training_mask(k), folds.fold == k
        apart[judged] = votes(signal[learn], declared[learn], signal[judged])
    inside = votes(signal, declared, signal)

    def found(logits: np.ndarray) -> float:
        one = Scores(scores.parcel_ids, CROPS, logits.astype(np.float32), scores.n_observations)
        return against_truth(assess(parcels, one, legend(), false_alarm_rate=0.2, seed=0).table, truth, legend()).recall

    wrong = np.flatnonzero([truth[parcel] != CROPS[k] for parcel, k in zip(scores.parcel_ids, declared, strict=True)])
    assert (inside.argmax(axis=1)[wrong] == declared[wrong]).mean() > 0.99  # each supports itself
    assert (apart.argmax(axis=1)[wrong] == declared[wrong]).mean() < 0.1
    assert found(inside) == 0
    assert found(apart) > 0.5
