"""Every declaration assessed: gates, channel, guards, verdicts, and a report that says what may be believed.

In: the season's declared parcels and the out-of-fold scores of a classifier that saw neither a parcel nor its holding
nor its neighbours. Out: `Assessed`. It decides nothing about aid and never states recall, per-class or per-region
rates: none of them can be known without reviews.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from cropmap.assessments import guards
from cropmap.assessments.channel import CLEANING_STEPS, NEAR_STEPS, TAIL, Channel, Floats, fit_channel
from cropmap.assessments.gates import OPEN, first_gate
from cropmap.assessments.verdict import Evidence, largest_list, verdicts
from cropmap.legends import Legend
from cropmap.schemas import ASSESSMENT_COLUMNS, Reason, Verdict

SENSITIVITY_TAILS: Final = (0.0, 0.001, 0.005)
"""η of the sensitivity band"""
MIN_PIXELS: Final = 3.0
MIN_OBSERVATIONS: Final = 5
MIN_CLASS_PARCELS: Final = 10
SUSPECT_RIGHT: Final = 0.5
MAX_SUSPECT_SHARE: Final = 0.2
"""a class of which more would be dropped from training is left whole: it was not learnt, it is not wrong"""
ASSUMPTION: Final = (
    "Estimated, not guaranteed. It assumes that at most {tail:.1%} of the rightly declared parcels carry another "
    "crop's signal (failed, mixed or misplaced parcels); if more do, more of the list is right than stated. "
    "Look-alike crops are not assessed against each other."
)


class Scores(Protocol):
    """What is needed of a prediction: calibrated out-of-fold scores, one row per parcel."""

    @property
    def parcel_ids(self) -> Sequence[str] | NDArray[Any]: ...
    @property
    def crops(self) -> Sequence[str]: ...
    @property
    def logits(self) -> NDArray[Any]:
        """[N, K]; NaN rows where a parcel was never observed"""
        ...

    @property
    def n_observations(self) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Assessed:
    table: pd.DataFrame
    """ASSESSMENT_COLUMNS, one row per declaration, in the order of the parcels. `declared_probability` and
    `right_probability` are those of the declared crop's inseparable group. `priority` is the area in ha that is
    expected to be wrongly declared. NaN where not assessable; the last two also where a guard refused them."""
    report: dict[str, Any]
    """JSON-like: target, estimated rate with assumption and sensitivity, guards, counts, pairs not assessed"""


@dataclass(frozen=True)
class _Case:
    """The assessable declarations, scored between groups of inseparable crops."""

    rows: NDArray[np.intp]
    """positions in the table"""
    groups: tuple[str, ...]
    logits: Floats
    declared: NDArray[np.intp]


@dataclass(frozen=True)
class _Fit:
    """What the declarations and scores say before anybody names a target."""

    case: _Case
    seed: int
    channel: Channel | None
    """None where there is nothing to compare"""
    evidence: Evidence
    skill: float
    refusals: tuple[str, ...]
    """reasons why no list can be made at all"""

    @cached_property
    def right_by_tail(self) -> dict[float, Floats]:
        """P(right) [N] under each η of the sensitivity band."""
        assert self.channel is not None
        others = {
            tail: fit_channel(
                self.case.logits, self.case.declared, seed=self.seed, tail=tail, steps=NEAR_STEPS, start=self.channel
            )
            for tail in SENSITIVITY_TAILS if tail != TAIL
        }  # fmt: skip
        channels = {**others, TAIL: self.channel}
        return {
            tail: channels[tail].right_probability(channels[tail].clean(self.case.logits), self.case.declared)
            for tail in SENSITIVITY_TAILS
        }


@dataclass(frozen=True)
class _Judgement:
    fit: _Fit
    flagged: NDArray[np.bool_]
    """the list, as published when it is not refused"""
    withdrawn: NDArray[np.bool_]
    """flags of classes that a guard refused"""
    refused_classes: NDArray[np.bool_]
    counts: guards.TailCounts | None
    refusals: list[str]

    @property
    def evidence(self) -> Evidence:
        return self.fit.evidence

    @property
    def unreliable(self) -> NDArray[np.bool_]:
        """[N]: rows whose evidence a guard refused."""
        return np.full(len(self.flagged), bool(self.refusals)) | self.refused_classes[self.evidence.declared]


def assess(
    parcels: pd.DataFrame,
    predictions: Scores,
    legend: Legend,
    *,
    false_alarm_rate: float,
    seed: int,
    min_pixels: float = MIN_PIXELS,
    min_observations: int = MIN_OBSERVATIONS,
    min_class_parcels: int = MIN_CLASS_PARCELS,
) -> Assessed:
    """Assesses every declared parcel of `parcels` (columns parcel_id, crop_code, area_ha, pixels, has_geometry).

    `mismatch` is the largest list whose mean P(right) is at most `false_alarm_rate`. Rows without a crop_code are no
    declarations and are left out. The same inputs and seed give the same bits.
    """
    return assess_at(
        parcels, predictions, legend, false_alarm_rates=(false_alarm_rate,), seed=seed, min_pixels=min_pixels,
        min_observations=min_observations, min_class_parcels=min_class_parcels,
    )[0]  # fmt: skip


def assess_at(
    parcels: pd.DataFrame,
    predictions: Scores,
    legend: Legend,
    *,
    false_alarm_rates: Sequence[float],
    seed: int,
    min_pixels: float = MIN_PIXELS,
    min_observations: int = MIN_OBSERVATIONS,
    min_class_parcels: int = MIN_CLASS_PARCELS,
) -> list[Assessed]:
    """`assess` at several targets, fitted once."""
    table, case, gate = _prepare(parcels, predictions, legend, min_pixels, min_observations, min_class_parcels)
    fit = _fit(case, seed=seed)
    return [_assessed(table.copy(), case, fit, gate, target=target) for target in false_alarm_rates]


def _assessed(
    table: pd.DataFrame, case: _Case, fit: _Fit, gate: NDArray[np.object_], *, target: float
) -> Assessed:  # fmt: skip
    judgement = _judge(case, fit, target=target)
    _write_evidence(table, case, judgement)
    _write_verdicts(table, case, judgement, gate)
    report = _report(table, case, judgement, target=target)
    return Assessed(table[list(ASSESSMENT_COLUMNS)], report)


def suspects(
    parcels: pd.DataFrame,
    predictions: Scores,
    legend: Legend,
    *,
    seed: int,
    min_pixels: float = MIN_PIXELS,
    min_observations: int = MIN_OBSERVATIONS,
    min_class_parcels: int = MIN_CLASS_PARCELS,
) -> frozenset[str]:
    """Parcels to leave out of *training* (P(right) < 0.5); they are still scored out of fold.

    Retraining three times without them is worth most of the recall: a network trained on wrong labels learns a noise
    floor under P(declared). Empty where the classifier or the population is too weak to say anything, and never more
    than a fifth of a class.
    """
    table, case, _ = _prepare(parcels, predictions, legend, min_pixels, min_observations, min_class_parcels)
    if len(case.groups) < 2 or len(case.rows) < guards.MIN_PARCELS:
        return frozenset()
    channel = fit_channel(case.logits, case.declared, seed=seed, steps=CLEANING_STEPS)
    clean = channel.clean(case.logits)
    if guards.skill(channel, clean, case.declared) < guards.MIN_SKILL:
        return frozenset()
    doubtful = channel.right_probability(clean, case.declared) < SUSPECT_RIGHT
    size = np.bincount(case.declared, minlength=len(case.groups))
    dropped = np.bincount(case.declared[doubtful], minlength=len(case.groups))
    doubtful &= (dropped <= MAX_SUSPECT_SHARE * size)[case.declared]
    return frozenset(table["parcel_id"].to_numpy()[case.rows[doubtful]])


def _prepare(
    parcels: pd.DataFrame,
    predictions: Scores,
    legend: Legend,
    min_pixels: float,
    min_observations: int,
    min_class_parcels: int,
) -> tuple[pd.DataFrame, _Case, NDArray[np.object_]]:
    table = parcels[parcels["crop_code"].notna()].reset_index(drop=True)
    table["crop"] = pd.Series([legend.crop_of(code) for code in table["crop_code"]], index=table.index, dtype=object)
    row = pd.Index(predictions.parcel_ids).get_indexer(pd.Index(table["parcel_id"]))
    crops = list(predictions.crops)
    unseen = np.full((1, len(crops)), np.nan)  # row -1: parcels that were never scored
    logits = np.concatenate([np.asarray(predictions.logits, dtype=float).reshape(-1, len(crops)), unseen])[row]
    scored = np.isfinite(logits).all(axis=1)
    trained = bool(scored.any())  # a season with too few parcels of every crop has no model, and says so by its gate
    table["n_observations"] = np.where(scored | (not trained), np.append(predictions.n_observations, 0)[row], 0)
    gate = first_gate(
        table,
        modelled=crops if trained else [],
        min_pixels=min_pixels,
        min_observations=max(min_observations, 1),
        min_class_parcels=min_class_parcels,
    )
    best = np.where(scored, logits.argmax(axis=1), -1)
    table["predicted_crop"] = pd.Series(np.array([*crops, None], dtype=object)[best], dtype=object)
    rows = np.flatnonzero(gate == OPEN)
    groups, member = np.unique([legend.group_of(crop) for crop in crops], return_inverse=True)
    index = pd.Index(crops).get_indexer(pd.Index(table["crop"].to_numpy()[rows]))
    between = _between_groups(logits[rows], member, len(groups))
    return table, _Case(rows, tuple(str(group) for group in groups), between, member[index]), gate


def _between_groups(logits: Floats, member: NDArray[np.intp], groups: int) -> Floats:
    """[N, G]: log of the summed probabilities of each group's crops."""
    return np.column_stack([logsumexp(logits[:, member == group], axis=1) for group in range(groups)])


def _fit(case: _Case, *, seed: int) -> _Fit:
    parcels, classes = case.logits.shape
    if classes < 2 or parcels == 0:
        evidence = Evidence(np.ones((parcels, classes)), case.declared, np.ones(parcels))
        reason = "no assessable parcel" if parcels == 0 else "a model with one class compares nothing"
        return _Fit(case, seed, None, evidence, 0.0, (reason,))
    channel = fit_channel(case.logits, case.declared, seed=seed)
    clean = channel.clean(case.logits)
    evidence = Evidence(clean, case.declared, channel.right_probability(clean, case.declared))
    skilled = guards.skill(channel, clean, case.declared)
    refusals = guards.population_refusals(parcels=parcels, skilled=skilled)
    return _Fit(case, seed, channel, evidence, skilled, tuple(refusals))


def _judge(case: _Case, fit: _Fit, *, target: float) -> _Judgement:
    parcels, classes = case.logits.shape
    nothing = np.zeros(parcels, dtype=bool)
    channel, evidence, refusals = fit.channel, fit.evidence, list(fit.refusals)
    if channel is None:
        return _Judgement(fit, nothing, nothing, np.zeros(classes, dtype=bool), None, refusals)
    first = largest_list(evidence.right, target=target, candidates=~nothing)
    refused = guards.refused_classes(_tail(channel, evidence, first))
    kept = ~refused[case.declared]
    flagged = largest_list(evidence.right, target=target, candidates=kept)
    counts = _tail(channel, evidence, flagged, without=refused)
    if guards.tail_refused(counts):
        refusals.append(f"observed / expected is {counts.ratio:.2f}, above {guards.MAX_OBSERVED_EXPECTED}")
    return _Judgement(fit, flagged, first & ~kept, refused, counts, refusals)


def _tail(
    channel: Channel, evidence: Evidence, flagged: NDArray[np.bool_], *, without: NDArray[np.bool_] | None = None
) -> guards.TailCounts:
    threshold = float(evidence.right[flagged].max(initial=0.0))
    return guards.tail_counts(channel, evidence.clean, evidence.declared, threshold=threshold, without=without)


def _write_evidence(table: pd.DataFrame, case: _Case, judgement: _Judgement) -> None:
    table["declared_code"], table["declared_crop"] = table["crop_code"], table["crop"]
    right = np.where(judgement.unreliable, np.nan, judgement.evidence.right)
    table["declared_probability"] = _spread(judgement.evidence.declared_probability, case.rows, len(table))
    table["right_probability"] = _spread(right, case.rows, len(table))
    table["priority"] = (1 - table["right_probability"]) * table["area_ha"].astype(float)


def _spread(values: Floats, rows: NDArray[np.intp], length: int) -> Floats:
    column = np.full(length, np.nan)
    column[rows] = values
    return column


def _write_verdicts(table: pd.DataFrame, case: _Case, judgement: _Judgement, gate: NDArray[np.object_]) -> None:
    verdict = np.full(len(table), str(Verdict.NOT_ASSESSABLE), dtype=object)
    reason = gate.copy()
    if judgement.fit.channel is None:
        verdict[case.rows], reason[case.rows] = str(Verdict.INCONCLUSIVE), str(Reason.NO_RELIABLE_EVIDENCE)
    else:
        verdict[case.rows], reason[case.rows] = verdicts(
            judgement.evidence,
            judgement.fit.channel,
            judgement.flagged | judgement.withdrawn,
            unreliable=judgement.unreliable,
            useless=judgement.fit.skill < guards.MIN_SKILL,
        )
    table["verdict"], table["reason"] = verdict, reason


def _report(table: pd.DataFrame, case: _Case, judgement: _Judgement, *, target: float) -> dict[str, Any]:
    refused = bool(judgement.refusals)
    flags = 0 if refused else int(judgement.flagged.sum())
    return {
        "target": target,
        "flags": flags,
        "estimated_rate": float(judgement.evidence.right[judgement.flagged].mean()) if flags else None,
        "assumption": ASSUMPTION.format(tail=TAIL),
        "sensitivity": [] if refused else _sensitivity(judgement, target=target),
        "reliability": guards.reliability(parcels=len(case.rows), flags=flags, refusals=judgement.refusals),
        "guards": _guards(case, judgement),
        "verdicts": table["verdict"].value_counts().sort_index().to_dict(),
        "reasons": table["reason"].value_counts().sort_index().to_dict(),
        "pairs_not_assessed": _look_alikes(case, judgement),
    }


def _sensitivity(judgement: _Judgement, *, target: float) -> list[dict[str, Any]]:
    """The published list's estimated rate, and how long the list would be, under other assumptions on η."""
    band = []
    if judgement.fit.channel is None:
        return []
    for tail, right in judgement.fit.right_by_tail.items():
        list_size = int(largest_list(right, target=target, candidates=~judgement.unreliable).sum())
        rate = float(right[judgement.flagged].mean()) if judgement.flagged.any() else None
        band.append({"tail": tail, "estimated_rate": rate, "list_size": list_size})
    return band


def _guards(case: _Case, judgement: _Judgement) -> dict[str, Any]:
    counts = judgement.counts
    ratio = counts.ratio if counts is not None and counts.expected.sum() > 0 else None
    return {
        "assessable_parcels": len(case.rows),
        "skill": judgement.fit.skill,
        "observed": float(counts.observed.sum()) if counts is not None else 0.0,
        "expected": float(counts.expected.sum()) if counts is not None else 0.0,
        "observed_expected": ratio,
        "warning": ratio is not None and ratio > guards.WARN_OBSERVED_EXPECTED,
        "refused": list(judgement.refusals),
        "classes_refused": [case.groups[index] for index in np.flatnonzero(judgement.refused_classes)],
    }


def _look_alikes(case: _Case, judgement: _Judgement) -> list[dict[str, str]]:
    if judgement.fit.channel is None:
        return []
    other, declared = np.nonzero(~judgement.fit.channel.identifiable & (judgement.fit.channel.shares > 0)[None, :])
    return [{"declared": case.groups[k], "looks_like": case.groups[c]} for c, k in zip(other, declared, strict=True)]
