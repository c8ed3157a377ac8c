from __future__ import annotations

import numpy as np
import pytest

from cropmap.errors import ModelError
from cropmap.model.evaluation import evaluate
from cropmap.model.pictures import confusion_picture, reliability_picture

CROPS = ("maize", "rape", "wheat", "hops")
LABEL = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2], np.int16)
PREDICTED = np.array([0, 0, 0, 2, 1, 0, 2, 2, 1, 2])
SURE = np.full((10, 4), 0.1, np.float32)
SURE[np.arange(10), PREDICTED] = 0.7


def test_scores_follow_from_the_confusion_matrix_by_hand() -> None:
    scores = evaluate(LABEL, SURE, CROPS, fold=np.array([0] * 4 + [1] * 6, np.int16), fold_names=("west", "east"))
    assert scores.confusion == ((3, 0, 1, 0), (1, 1, 0, 0), (0, 1, 3, 0), (0, 0, 0, 0))
    assert scores.oa == pytest.approx(0.7)
    # chance: (4*4 + 2*2 + 4*4 + 0) / 100 = .36
    assert scores.kappa == pytest.approx((0.7 - 0.36) / 0.64)
    assert [s.precision for s in scores.per_class] == [0.75, 0.5, 0.75, 0.0]
    assert [s.recall for s in scores.per_class] == [0.75, 0.5, 0.75, 0.0]
    assert scores.macro_f1 == pytest.approx((0.75 + 0.5 + 0.75) / 3)  # no hops parcel, so no F1 of hops
    assert scores.per_fold == {"west": 0.75, "east": pytest.approx(4 / 6)}
    # west: 3 of 4 maize found, nothing else called maize; east: rape 1 of 2 found, 2 called; wheat 3 of 4, 3 called
    assert scores.per_fold_macro_f1 == {"west": pytest.approx(6 / 7), "east": pytest.approx((0.5 + 6 / 7) / 2)}
    assert scores.metrics()["macro_f1/west"] == pytest.approx(6 / 7)
    # always .7 sure and .7 right; seven rows .09 + 3 * .01, three rows .49 + .81 + 2 * .01
    assert scores.ece == pytest.approx(0, abs=1e-6)
    assert scores.brier == pytest.approx((7 * 0.12 + 3 * 1.32) / 10)
    assert scores.metrics()["f1/rape"] == pytest.approx(0.5)


def test_precision_and_recall_are_not_swapped() -> None:
    label, predicted = np.array([0, 0, 0, 1], np.int16), np.array([0, 1, 1, 1])
    scores = evaluate(label, np.eye(2, dtype=np.float32)[predicted], ("a", "b"))
    assert [(s.precision, s.recall) for s in scores.per_class] == [(1, pytest.approx(1 / 3)), (pytest.approx(1 / 3), 1)]
    assert scores.ece == pytest.approx(0.5)


def test_reliability_holds_confidence_against_accuracy_bin_by_bin() -> None:
    best = np.array([0.9, 0.6, 0.92, 0.62], np.float32)
    right = np.array([True, True, True, False])
    label = np.zeros(4, np.int16)
    first = np.where(right, best, 1 - best)
    scores = evaluate(label, np.column_stack([first, 1 - first]), ("a", "b"))
    assert [(one.n, one.accuracy) for one in scores.reliability] == [(2, 0.5), (2, 1.0)]
    assert [one.confidence for one in scores.reliability] == pytest.approx([0.61, 0.91])
    assert scores.ece == pytest.approx((2 * 0.11 + 2 * 0.09) / 4)
    png = reliability_picture(scores, title="lstm")
    assert png.startswith(b"\x89PNG")
    assert len(png) > 5_000


def test_a_missing_probability_is_not_passed_over() -> None:
    with pytest.raises(ModelError, match="4 without probability"):
        evaluate(LABEL, np.where(np.arange(10)[:, None] == 3, np.nan, SURE).astype(np.float32), CROPS)
    with pytest.raises(ModelError, match=r"^0 judged parcels"):
        evaluate(LABEL[:0], SURE[:0], CROPS)


def test_the_confusion_matrix_is_a_picture() -> None:
    png = confusion_picture(evaluate(LABEL, SURE, CROPS), title="lstm")
    assert png.startswith(b"\x89PNG")
    assert len(png) > 5_000


def test_ece_by_chance_is_the_mean_of_calibrated_scores() -> None:
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1, 400)
    probabilities = np.column_stack([confidence, 1 - confidence]).astype(np.float32)
    drawn = [evaluate((rng.random(400) > confidence).astype(np.int16), probabilities, ("a", "b")) for _ in range(200)]
    by_chance = drawn[0].ece_by_chance
    assert by_chance == pytest.approx(np.mean([one.ece for one in drawn]), rel=0.05)
    many = evaluate(np.zeros(40_000, np.int16), np.tile(probabilities, (100, 1)), ("a", "b"))
    assert many.ece_by_chance == pytest.approx(by_chance / 10)
