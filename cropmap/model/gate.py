"""Which model may predict: pure decisions, challenger against champion on the same folds.

In: the figures of both on one season's folds, and what a model must fit to predict there. Out: a decision and reason.
Nothing is read or written here. Whatever is missing refuses: the gate fails closed.

A champion of another season, or of fewer acquisitions, has no out-of-fold figures on this season's folds; it is scored
there by the rule that predicts with it too (`unseen_folds`): fold by *name*, because its model of a region never saw
that region. Where that does not hold the champion has no unbiased score here, neither for the gate nor for a
publication. What can stand between a model and a season (`obstacle`):

- later data (a season as of a day, or one of the past, must not use what was acquired afterwards), other folds (blocks
  are dealt anew from new data), an artifact that this code cannot read: the challenger is refused as champion all the
  same, but it is the only model that can judge these parcels without having seen them, so the season goes on with it
  and says so;
- other bands, another legend (a class that the model's legend did not have is declared, or the model predicts a
  class that the season's legend has no more): the agency decided something new; a person confirms it with
  `cropmap models promote`.

Later data comes first: where a model cannot judge a past season anyway, its legend is not compared. Between a model and
the very data that it was made from nothing stands.

What the names of folds do not cover: between seasons a holding may have taken land in another region.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.model.artifact import PARITY_TOLERANCE, Manifest
from cropmap.model.evaluation import Evaluation
from cropmap.schemas import ReasonCode

NOISE_FACTOR: Final = 2.0
"""a gain counts when its mean over folds exceeds this many standard errors of the paired differences: with four folds
that do not differ a metric passes by chance once in fourteen times"""
MIN_FOLDS_UP: Final = 2
"""and when this many folds, and more than half of all, gain: one region alone does not decide"""


class GateReason(ReasonCode):
    """Why a model became champion, or did not."""

    FIRST_MODEL = ("FIRST_MODEL", "there was no champion of this network", "Nothing")
    GAIN = ("GAIN", "better than the champion beyond the noise between folds, and worse in nothing", "Nothing")
    BY_HAND = ("BY_HAND", "a person promoted it with `cropmap models promote`", "Nothing")
    MISSING_METRIC = (
        "MISSING_METRIC",
        "overall accuracy or macro-F1 is missing for a fold, of the model itself or of the champion",
        "Train the season again; `cropmap evaluate` shows the figures of every fold",
    )
    PARITY = (
        "PARITY",
        "the exported file does not predict what the trained network predicts",
        "Train again; where it stays, install the versions of torch and ONNX Runtime that cropmap was released with",
    )
    OTHER_BANDS = (
        "OTHER_BANDS",
        "the champion was trained on other bands",
        "Compare the two models, then promote one with `cropmap models promote`",
    )
    OTHER_LEGEND = (
        "OTHER_LEGEND",
        "a declared class is not in the champion's legend, or it knows a class that the season's legend does not have",
        "Compare the two models, then promote one with `cropmap models promote`",
    )
    OTHER_FOLDS = (
        "OTHER_FOLDS",
        "the champion was trained on folds that were assigned otherwise, so it may have seen these parcels",
        "Nothing: the season goes on with its own model, and the champion stays",
    )
    LATER_DATA = (
        "LATER_DATA",
        "the champion has seen acquisitions that this season does not have yet",
        "Nothing: the season goes on with its own model, and the champion stays",
    )
    UNREADABLE = (
        "UNREADABLE",
        "the champion's artifact is missing, changed, or of another format",
        "Run `cropmap train` for the season in which the champion was trained: it makes the artifact again",
    )
    WORSE = ("WORSE", "overall accuracy or macro-F1 is lower than the champion's", "Nothing: the champion predicts")
    NO_GAIN = (
        "NO_GAIN",
        "no better than the champion beyond the noise between folds",
        "Nothing: the champion predicts",
    )
    ROLLED_BACK = (
        "ROLLED_BACK",
        "a person made the champion before it champion again",
        "Nothing; `cropmap models promote` brings it back",
    )


INCOMPARABLE: Final = frozenset({GateReason.OTHER_FOLDS, GateReason.LATER_DATA, GateReason.UNREADABLE})
"""obstacles without a decision on the score: the season goes on with its own model, which does not become champion"""


@dataclass(frozen=True)
class Decision:
    promoted: bool
    reason: GateReason
    detail: str
    """one line for a person: the figures, or what does not fit"""


@dataclass(frozen=True)
class Score:
    """How good a model is on the folds of a season; NaN and empty where a figure is missing."""

    oa: float
    macro_f1: float
    fold_oa: Mapping[str, float]
    """overall accuracy by the fold's name"""
    fold_macro_f1: Mapping[str, float]

    @classmethod
    def of(cls, evaluation: Evaluation) -> Score:
        return cls(evaluation.oa, evaluation.macro_f1, evaluation.per_fold, evaluation.per_fold_macro_f1)

    @classmethod
    def read(cls, manifest: Manifest) -> Score:
        """What an artifact says of itself: out-of-fold, on the folds that it was made on."""
        scores = manifest.evaluation
        return cls(scores["oa"], scores["macro_f1"], scores["per_fold"], scores.get("per_fold_macro_f1", {}))

    @property
    def is_complete(self) -> bool:
        figures = [self.oa, self.macro_f1, *self.fold_oa.values(), *self.fold_macro_f1.values()]
        folds = set(self.fold_oa)
        return bool(folds) and folds == set(self.fold_macro_f1) and all(map(math.isfinite, figures))


@dataclass(frozen=True)
class ChampionScore:
    """The champion, as the season of the challenger sees it."""

    obstacle: GateReason | None
    """what stands between it and this season"""
    score: Score | None
    """on the challenger's folds; None where there is an obstacle"""


@dataclass(frozen=True)
class ModelRequirements:
    """What a model must fit to predict in a season."""

    bands: tuple[str, ...]
    legend: str
    """hash of the legend's classes"""
    classes: tuple[str, ...]
    """the legend's classes"""
    last_day: str
    """ISO day; a model that was trained on a later acquisition must not predict"""
    folds: str
    """the rule that gives a place its fold, the same from one data state to the next; empty where there is none"""
    dataset: Dataset


def obstacle(manifest: Manifest, required: ModelRequirements) -> GateReason | None:
    """What stands between a model and a season; None where it can predict parcels that it has not seen."""
    if manifest.dataset_hash == required.dataset.hash:
        return None
    # letters sort after digits: unknown is too late
    if manifest.about.get("last_acquisition", "unknown") > required.last_day:
        return GateReason.LATER_DATA
    if manifest.bands != required.bands:
        return GateReason.OTHER_BANDS
    if not knows_classes(manifest, declared=required.dataset.crops, legend=required.legend, classes=required.classes):
        return GateReason.OTHER_LEGEND
    return GateReason.OTHER_FOLDS if unseen_folds(manifest, required) is None else None


def knows_classes(manifest: Manifest, *, declared: Sequence[str], legend: str, classes: Sequence[str]) -> bool:
    """Whether a model was made for the classes of a legend, as far as it shows: every class that it predicts is
    one of the legend's, and every class that is declared stood in the legend that it was made with. A class that is not
    declared makes no other legend; one that was merely too rare to be learnt is no new decision of the agency."""
    return set(manifest.crops) <= set(classes) and set(declared) <= _legend_of(manifest, legend, classes)


def _legend_of(manifest: Manifest, legend: str, classes: Sequence[str]) -> set[str]:
    """The classes of the legend that a model was made with; an older manifest has their hash alone."""
    about = manifest.about
    if "classes" in about:
        return set(json.loads(about["classes"]))
    return set(classes if about.get("legend", legend) == legend else manifest.crops)


def unseen_folds(manifest: Manifest, required: ModelRequirements) -> NDArray[np.int16] | None:
    """(N,) which of the model's folds scores each parcel without having seen it; -1 where none of them has.

    None where that cannot be known: the folds were dealt from other data, or by another rule.
    """
    folds = required.dataset.folds
    if manifest.dataset_hash == required.dataset.hash:
        return folds.fold
    if not required.folds or manifest.about.get("folds") != required.folds:
        return None
    number = {name: k for k, name in enumerate(manifest.fold_names)}
    # a place that is no fold of the model had no labelled parcel when it was trained
    return np.array([*(number.get(name, -1) for name in folds.names), -1], np.int16)[folds.fold]


def flaw(score: Score, parity: Sequence[float]) -> GateReason | None:
    """What rules a model out whatever it is compared with."""
    if not score.is_complete:
        return GateReason.MISSING_METRIC
    if not parity or not all(gap <= PARITY_TOLERANCE for gap in parity):  # NaN is no parity either
        return GateReason.PARITY
    return None


def decide(challenger: Score, *, parity: Sequence[float], champion_score: ChampionScore | None) -> Decision:
    """The gate. Promoted only if neither macro-F1 nor OA falls and one rises beyond the fold-to-fold noise.

    champion_score: None where the agency has no champion of this network yet.
    """
    if wrong := flaw(challenger, parity):
        return Decision(False, wrong, "the challenger itself does not pass its checks")
    if champion_score is None:
        return Decision(True, GateReason.FIRST_MODEL, "there was no champion")
    if champion_score.obstacle is not None:
        return Decision(False, champion_score.obstacle, "the champion cannot be scored on the parcels of this season")
    if champion_score.score is None or not champion_score.score.is_complete:
        return Decision(False, GateReason.MISSING_METRIC, "the champion has no figures on these folds")
    champion = champion_score.score
    if set(champion.fold_oa) != set(challenger.fold_oa):
        return Decision(False, GateReason.OTHER_FOLDS, "the champion was scored on other folds")
    detail = (
        f"{_change('OA', champion.oa, challenger.oa)}, {_change('macro-F1', champion.macro_f1, challenger.macro_f1)}"
    )
    if challenger.oa < champion.oa or challenger.macro_f1 < champion.macro_f1:
        return Decision(False, GateReason.WORSE, detail)
    gains = {
        "OA": fold_gain(champion.fold_oa, challenger.fold_oa),
        "macro-F1": fold_gain(champion.fold_macro_f1, challenger.fold_macro_f1),
    }
    detail = "; ".join([detail, *(f"{name} by fold {gain}" for name, gain in gains.items())])
    risen = any(gain.beyond_noise for gain in gains.values())
    return Decision(risen, GateReason.GAIN if risen else GateReason.NO_GAIN, detail)


@dataclass(frozen=True)
class FoldGain:
    """A figure of the challenger minus the champion's, over the folds of both."""

    mean: float
    standard_error: float
    """of the mean of the paired differences; infinite with a single fold"""
    up: int
    """folds that gained"""
    folds: int

    @property
    def beyond_noise(self) -> bool:
        several = self.up >= MIN_FOLDS_UP and 2 * self.up > self.folds
        return several and self.mean > NOISE_FACTOR * self.standard_error

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ± {self.standard_error:.4f}, {self.up} of {self.folds} up"


def fold_gain(champion: Mapping[str, float], challenger: Mapping[str, float]) -> FoldGain:
    """Paired by the fold's name; both have the same folds."""
    differences = np.array([challenger[name] - champion[name] for name in sorted(champion)])
    count = len(differences)
    error = float(differences.std(ddof=1) / math.sqrt(count)) if count > 1 else math.inf
    return FoldGain(float(differences.mean()), error, int((differences > 0).sum()), count)


def _change(name: str, before: float, after: float) -> str:
    return f"{name} {before:.4f} -> {after:.4f}"
