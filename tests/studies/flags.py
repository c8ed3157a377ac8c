"""The list of mismatches held against the truth: realised rate, recall, and the same for rules that others use.

In: populations whose truth is known. Out: one row of counts per population and setting. Scores are out of fold, and the
classifier is trained again without suspects as often as the product does; `suspects` and `assess_at` are the product's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from cropmap.assessments.assess import Assessed, assess_at
from cropmap.assessments.suspects import suspects
from cropmap.assessments.verdict import largest_list
from cropmap.legends import Legend
from cropmap.schemas import Verdict
from cropmap.stages.training import OutOfFoldScores
from tests.studies import peers

TARGETS: Final = (0.05, 0.10, 0.20)
MAIN_TARGET: Final = 0.10
"""whose number of flags the peers are compared at"""
ROUNDS: Final = 2
"""clean-up trainings, as the agency file has it by default"""
COUNTS: Final = (25, 50, 75, 100, 150, 200, 300, 400, 500, 650, 800, 1_000, 1_300, 1_600, 2_000, 2_500, 3_000, 4_000)
"""numbers of flags at which precision is drawn"""
ALL_PIXELS: Final = 100.0
"""every parcel is large enough to be assessed here"""

Score = Callable[[NDArray[np.bool_]], NDArray[np.float32]]
"""from parcels to leave out of training (N,) to out-of-fold logits (N, K)"""


@dataclass(frozen=True)
class Case:
    """N declarations and what is known of them beside."""

    crops: tuple[str, ...]
    true: NDArray[np.int64]
    """(N,) position in `crops`"""
    declared: NDArray[np.int64]
    region: NDArray[Any]
    """(N,) where they lie, by any name"""
    observations: NDArray[np.int64]
    legend: Legend
    score: Score
    reference: NDArray[np.float64] | None = None
    """(N,) P(right) of somebody who knows the simulation; None where there is none"""
    declared_given_crop: NDArray[np.float64] | None = None
    """(N, K) the law that the declarations were drawn from; None where it is not known"""

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.asarray(self.declared != self.true)

    @property
    def parcels(self) -> pd.DataFrame:
        """As `assess` wants them."""
        code_of = {self.legend.crop_of(code): code for code in self.legend.by_code}
        codes = np.array([code_of[crop] for crop in self.crops], object)
        ids = [f"{number:07d}" for number in range(len(self.true))]
        return pd.DataFrame(
            {
                "parcel_id": ids,
                "crop_code": codes[self.declared],
                "area_ha": 1.0,
                "pixels": ALL_PIXELS,
                "has_geometry": True,
                "nuts_id": self.region.astype(str),
            }
        )


@dataclass(frozen=True)
class Judged:
    lists: list[Assessed]
    """in the order of TARGETS"""
    logits: NDArray[np.float32]
    """of the last training"""
    left_out: int
    """declarations that it was not trained on"""


def judge(case: Case, *, seed: int, rounds: int = ROUNDS, targets: tuple[float, ...] = TARGETS) -> Judged:
    """As a season does: train, leave out what looks wrong, train again, assess."""
    parcels, without = case.parcels, np.zeros(len(case.true), bool)
    ids = parcels["parcel_id"].to_numpy()

    def scored() -> OutOfFoldScores:
        return OutOfFoldScores(ids, case.crops, case.score(without), case.observations)

    scores = scored()
    for _ in range(rounds):
        names = suspects(parcels, scores, case.legend, seed=seed)
        if not names:
            break
        without = np.isin(ids, sorted(names))
        scores = scored()
    lists = assess_at(parcels, scores, case.legend, false_alarm_rates=targets, seed=seed)
    return Judged(lists, scores.logits, int(without.sum()))


def row(case: Case, *, seed: int) -> dict[str, Any]:
    """Counts, not rates: rates of several populations follow from them."""
    judged = judge(case, seed=seed)
    main = judged.lists[TARGETS.index(MAIN_TARGET)]
    probabilities = softmax(judged.logits.astype(float), axis=1)
    rankings = _rankings(case, probabilities, main.order)
    guards = main.report.guards
    assert guards is not None
    return {
        "parcels": len(case.true),
        "wrong": int(case.wrong.sum()),
        "accuracy": float((probabilities.argmax(axis=1) == case.true).mean()),
        "left_out": judged.left_out,
        "skill": guards.skill,
        "observed_expected": guards.observed_expected,
        "refused": bool(guards.refused),
        "classes_refused": len(guards.classes_refused),
        "lists": [_list(case, one) for one in judged.lists],
        "reference": None if case.reference is None else [_ideal(case, target) for target in TARGETS],
        "peers": _peers(case, probabilities, rankings, count=main.report.flags),
        "curves": {name: _wrong_among_first(case, ranking) for name, ranking in rankings.items()},
    }


def _list(case: Case, assessed: Assessed) -> dict[str, Any]:
    flagged = (assessed.table["verdict"] == Verdict.MISMATCH).to_numpy()
    return {"target": assessed.report.target, "estimated": assessed.report.estimated_rate, **_hits(case, flagged)}


def _ideal(case: Case, target: float) -> dict[str, Any]:
    assert case.reference is not None
    flagged = largest_list(case.reference, target=target, candidates=np.ones(len(case.true), bool))
    return {"target": target, **_hits(case, flagged)}


def _hits(case: Case, flagged: NDArray[np.bool_]) -> dict[str, int]:
    return {"flags": int(flagged.sum()), "false": int((flagged & ~case.wrong).sum())}


def _peers(
    case: Case, probabilities: NDArray[np.float64], rankings: dict[str, NDArray[np.float64]], *, count: int
) -> dict[str, dict[str, Any]]:
    """Each rule at its own number of flags, p(declared) at the list's; and the rankings at the same number."""
    found = {
        "p(declared)": peers.lowest(rankings["p(declared)"], count=count),
        "Sen4CAP": peers.sen4cap(probabilities, case.declared),
        "Flemish": peers.flemish(probabilities, case.declared),
    }
    return {
        rule: {
            **_hits(case, flagged),
            "beside": {
                name: _hits(case, peers.lowest(ranking, count=int(flagged.sum()))) for name, ranking in rankings.items()
            },
        }
        for rule, flagged in found.items()
    }


def _rankings(
    case: Case, probabilities: NDArray[np.float64], order: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """What declarations may be ordered by, lowest first: as the list is, and as others would."""
    rankings = {"list": order, "p(declared)": probabilities[np.arange(len(case.declared)), case.declared]}
    if case.declared_given_crop is not None:
        rankings["law known"] = _right_by_law(case, probabilities)
    if case.reference is not None:
        rankings["reference"] = case.reference
    return rankings


def _right_by_law(case: Case, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) P(right) of the scores as they came under the law itself: the best that any channel of them could rank."""
    assert case.declared_given_crop is not None
    joint = probabilities * case.declared_given_crop
    return np.asarray(joint[np.arange(len(joint)), case.declared] / joint.sum(axis=1))


def _wrong_among_first(case: Case, score: NDArray[np.float64]) -> list[int]:
    """At each of COUNTS."""
    hits = case.wrong[np.argsort(score, kind="stable")].cumsum()
    return [int(hits[min(count, len(hits)) - 1]) for count in COUNTS]
