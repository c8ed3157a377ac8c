"""How good predictions are, from labels and probabilities of parcels that the models never saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.errors import ModelError

ECE_BINS: Final = 15


@dataclass(frozen=True)
class ClassScore:
    crop: str
    precision: float
    """share of the parcels called this crop that are; 0 where none was called so"""
    recall: float
    """share of this crop's parcels that were found"""
    f1: float
    support: int
    """parcels of this crop"""


@dataclass(frozen=True)
class ReliabilityBin:
    """Parcels whose best probability lies in one of the equal bins."""

    n: int
    confidence: float
    """their mean best probability"""
    accuracy: float
    """share of them whose best class is right"""


@dataclass(frozen=True)
class Evaluation:
    n: int
    oa: float
    """overall accuracy"""
    kappa: float
    """Cohen 1960: agreement beyond what the margins give by chance"""
    macro_f1: float
    """mean F1 of the classes that have parcels"""
    ece: float
    """expected calibration error of the top class, 15 equal bins (Guo et al. 2017)"""
    ece_by_chance: float
    """the mean ECE of so many parcels whose probabilities were exactly right: what is left of `ece` by chance alone"""
    brier: float
    """mean squared error of the probability vector, 0-2 (Brier 1950)"""
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """rows: declared (true) class, columns: predicted class"""
    per_fold: dict[str, float]
    """overall accuracy of each fold, by its name"""
    per_fold_macro_f1: dict[str, float]
    """mean F1 of the classes that have parcels in the fold"""
    reliability: tuple[ReliabilityBin, ...]
    """bins that hold parcels, from unsure to sure"""
    crops: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The figures that a run is remembered by."""
        whole = {"n": float(self.n), "oa": self.oa, "kappa": self.kappa, "macro_f1": self.macro_f1}
        folds = {f"oa/{name}": value for name, value in self.per_fold.items()}
        folds |= {f"macro_f1/{name}": value for name, value in self.per_fold_macro_f1.items()}
        classes = {f"f1/{score.crop}": score.f1 for score in self.per_class if score.support}
        return {**whole, "ece": self.ece, "brier": self.brier, **folds, **classes}


def evaluate(
    label: NDArray[np.int16],
    probabilities: NDArray[np.float32],
    crops: tuple[str, ...],
    *,
    fold: NDArray[np.int16] | None = None,
    fold_names: tuple[str, ...] = (),
) -> Evaluation:
    """Scores of n labelled parcels: label (n,), probabilities (n, K), and their folds.

    Raises ModelError where there is nothing to score or a probability is no number: a missing metric is no metric.
    """
    if not len(label) or not np.isfinite(probabilities).all():
        raise ModelError(f"{len(label)} judged parcels, {int((~np.isfinite(probabilities)).sum())} without probability")
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(label, predicted, len(crops))
    per_class = _per_class(matrix, crops)
    right = predicted == label
    parts = {} if fold is None else {name: fold == k for k, name in enumerate(fold_names) if (fold == k).any()}
    confidence = probabilities.max(axis=1)
    bins = _reliability(confidence, right)
    return Evaluation(
        n=len(label),
        oa=float(right.mean()),
        kappa=_kappa(matrix),
        macro_f1=_macro_f1(per_class),
        ece=sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(label),
        ece_by_chance=_ece_by_chance(confidence),
        brier=float(((probabilities - np.eye(len(crops))[label]) ** 2).sum(axis=1).mean()),
        per_class=per_class,
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        per_fold={name: float(right[here].mean()) for name, here in parts.items()},
        per_fold_macro_f1={
            name: _macro_f1(_per_class(confusion_matrix(label[here], predicted[here], len(crops)), crops))
            for name, here in parts.items()
        },
        reliability=bins,
        crops=crops,
    )


def confusion_matrix(label: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """(K, K) counts, rows true, columns predicted."""
    return np.bincount(label.astype(np.int64) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _per_class(matrix: NDArray[np.int64], crops: tuple[str, ...]) -> tuple[ClassScore, ...]:
    right, called, support = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return tuple(
        ClassScore(
            crop=crop,
            precision=float(right[i] / max(called[i], 1)),
            recall=float(right[i] / max(support[i], 1)),
            f1=float(2 * right[i] / max(called[i] + support[i], 1)),
            support=int(support[i]),
        )
        for i, crop in enumerate(crops)
    )


def _macro_f1(per_class: tuple[ClassScore, ...]) -> float:
    return float(np.mean([score.f1 for score in per_class if score.support]))


def _kappa(matrix: NDArray[np.int64]) -> float:
    n = matrix.sum()
    observed = np.trace(matrix) / n
    by_chance = float((matrix.sum(axis=0) * matrix.sum(axis=1)).sum() / n**2)
    return float((observed - by_chance) / (1 - by_chance)) if by_chance < 1 else 0.0


def _reliability(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    position = _bin(confidence)
    count = np.bincount(position, minlength=ECE_BINS)
    sure = np.bincount(position, weights=confidence, minlength=ECE_BINS)
    right_sum = np.bincount(position, weights=right, minlength=ECE_BINS)
    return tuple(
        ReliabilityBin(int(n), float(s / n), float(f / n)) for n, s, f in zip(count, sure, right_sum, strict=True) if n
    )


def _bin(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def _ece_by_chance(confidence: NDArray[np.float32]) -> float:
    """Mean of |hits - Σ c| over the bins for hits drawn with probability c: √(2/π) standard deviations each."""
    spread = np.bincount(_bin(confidence), weights=confidence * (1.0 - confidence), minlength=ECE_BINS)
    return float(np.sqrt(2 / np.pi * spread).sum() / len(confidence))
