"""Every declaration assessed: gates, channel, guards, verdicts, and a report on how reliable the list is.

In: the season's declared parcels and the out-of-fold scores of a classifier that saw neither a parcel nor its holding
nor its neighbours. Out: `Assessed`. It decides nothing about aid and never states recall, per-class or per-region
rates: none of them can be known without reviews.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments import guards
from cropmap.assessments.case import Case, Fit, Scores, fit_case, prepare
from cropmap.assessments.channel import TAIL, Channel, Floats, one_thread
from cropmap.assessments.gates import LIMITS, Limits
from cropmap.assessments.report import AssessmentReport, Guards, LookAlike, Sensitivity
from cropmap.assessments.verdict import Evidence, largest_list, verdicts
from cropmap.contracts.tables import ASSESSMENT_COLUMNS
from cropmap.legends import Legend
from cropmap.schemas import Reason, Verdict

ASSUMPTION: Final = (
    "Estimated, not guaranteed. It assumes that at most {tail:.1%} of the rightly declared parcels carry another "
    "crop's signal (failed, mixed or misplaced parcels); if more do, more of the list is right than stated. "
    "Look-alike crops are not assessed against each other."
)


@dataclass(frozen=True)
class Assessed:
    table: pd.DataFrame
    """ASSESSMENT_COLUMNS, one row per declaration, in the order of the parcels. `declared_probability` and
    `right_probability` are those of the declared crop's inseparable group. `priority` is the area in ha that is
    expected to be wrongly declared. NaN where not assessable; the last two also where a guard refused them."""
    report: AssessmentReport
    order: Floats
    """(rows of the table,) what the list is ordered by, lowest first, whatever the guards refused; NaN where not
    assessable"""


@dataclass(frozen=True)
class _Judgement:
    fit: Fit
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
    limits: Limits = LIMITS,
) -> Assessed:
    """Assesses every declared parcel of `parcels` (columns parcel_id, crop_code, area_ha, pixels, has_geometry; and
    `nuts_id`, the region that scores are adapted to, `confirmed`, where reviews found declarations right, and
    `not_learnt`, where the judging model was trained without the declared crop, if any).

    `mismatch` is the longest list whose mean P(right) is at most `false_alarm_rate`. Rows without a crop_code are no
    declarations and are left out. The same inputs and seed give the same bits.
    """
    return assess_at(parcels, predictions, legend, false_alarm_rates=(false_alarm_rate,), seed=seed, limits=limits)[0]


@one_thread()
def assess_at(
    parcels: pd.DataFrame,
    predictions: Scores,
    legend: Legend,
    *,
    false_alarm_rates: Sequence[float],
    seed: int,
    limits: Limits = LIMITS,
) -> list[Assessed]:
    """`assess` at several targets, fitted once."""
    table, case, gate = prepare(parcels, predictions, legend, limits)
    fit = fit_case(case, seed=seed)
    # a shallow copy shares what is not written
    return [assessed_at(table.copy(deep=False), case, fit, gate, target=target) for target in false_alarm_rates]


def assessed_at(table: pd.DataFrame, case: Case, fit: Fit, gate: NDArray[np.object_], *, target: float) -> Assessed:
    """Verdicts and report of a fitted case at one target; writes into `table`."""
    judgement = _judge(case, fit, target=target)
    _write_evidence(table, case, judgement)
    _write_verdicts(table, case, judgement, gate)
    report = _report(table, case, judgement, target=target)
    return Assessed(table[list(ASSESSMENT_COLUMNS)], report, _spread(fit.evidence.order, case.rows, len(table)))


def _judge(case: Case, fit: Fit, *, target: float) -> _Judgement:
    parcels, classes = case.logits.shape
    nothing = np.zeros(parcels, dtype=bool)
    channel, evidence, refusals = fit.channel, fit.evidence, list(fit.refusals)
    if channel is None:
        return _Judgement(fit, nothing, nothing, np.zeros(classes, dtype=bool), None, refusals)
    first = _listed(evidence, target=target, candidates=~case.confirmed)
    refused = guards.refused_classes(_tail(channel, evidence, first)) | _unexplained_as_scored(fit, target=target)
    if guards.too_many_refused(refused, case.declared):
        refusals.append(f"{int(refused.sum())} of {classes} classes have more mismatches than the model can explain")
    kept = ~refused[case.declared] & ~case.confirmed
    flagged = _listed(evidence, target=target, candidates=kept)
    counts = _tail(channel, evidence, flagged, without=refused)
    if guards.tail_refused(counts):
        refusals.append(f"observed / expected is {counts.ratio:.2f}, above {guards.MAX_OBSERVED_EXPECTED}")
    return _Judgement(fit, flagged, first & ~kept, refused, counts, refusals)


def _unexplained_as_scored(fit: Fit, *, target: float) -> NDArray[np.bool_]:
    """[K]: classes that would be refused without adaptation."""
    assert fit.as_scored is not None
    channel, evidence = fit.as_scored
    listed = _listed(evidence, target=target, candidates=~fit.case.confirmed)
    return guards.refused_classes(_tail(channel, evidence, listed))


def _listed(evidence: Evidence, *, target: float, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return largest_list(evidence.right, target=target, candidates=candidates, order=evidence.order)


def _tail(
    channel: Channel, evidence: Evidence, flagged: NDArray[np.bool_], *, without: NDArray[np.bool_] | None = None
) -> guards.TailCounts:
    threshold = float(evidence.order[flagged].max(initial=0.0))
    return guards.tail_counts(channel, evidence, threshold=threshold, without=without)


def _write_evidence(table: pd.DataFrame, case: Case, judgement: _Judgement) -> None:
    table["declared_code"], table["declared_crop"] = table["crop_code"], table["crop"]
    right = np.where(judgement.unreliable, np.nan, judgement.evidence.right)
    table["declared_probability"] = _spread(judgement.evidence.declared_probability, case.rows, len(table))
    table["right_probability"] = _spread(right, case.rows, len(table))
    table["priority"] = (1 - table["right_probability"]) * table["area_ha"].astype(float)


def _spread(values: Floats, rows: NDArray[np.intp], length: int) -> Floats:
    column = np.full(length, np.nan)
    column[rows] = values
    return column


def _write_verdicts(table: pd.DataFrame, case: Case, judgement: _Judgement, gate: NDArray[np.object_]) -> None:
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
    confirmed = table["confirmed"].to_numpy(bool)
    verdict[confirmed], reason[confirmed] = str(Verdict.CONFORM), str(Reason.CONFIRMED_BY_REVIEW)
    table["verdict"], table["reason"] = verdict, reason
    table.loc[confirmed, "priority"] = 0.0


def _report(table: pd.DataFrame, case: Case, judgement: _Judgement, *, target: float) -> AssessmentReport:
    refused = bool(judgement.refusals)
    flags = 0 if refused else int(judgement.flagged.sum())
    return AssessmentReport(
        target=target,
        flags=flags,
        estimated_rate=float(judgement.evidence.right[judgement.flagged].mean()) if flags else None,
        assumption=ASSUMPTION.format(tail=TAIL),
        sensitivity=() if refused else _sensitivity(judgement, target=target),
        reliability=guards.reliability(parcels=len(case.rows), flags=flags, refusals=judgement.refusals),
        guards=_guards(case, judgement),
        verdicts=table["verdict"].value_counts().sort_index().to_dict(),
        reasons=table["reason"].value_counts().sort_index().to_dict(),
        pairs_not_assessed=_look_alikes(case, judgement),
    )


def _sensitivity(judgement: _Judgement, *, target: float) -> tuple[Sensitivity, ...]:
    """The published list's estimated rate, and how long the list would be, under other assumptions on η."""
    band = []
    if judgement.fit.channel is None:
        return ()
    for tail, right in judgement.fit.right_by_tail.items():
        candidates = ~judgement.unreliable & ~judgement.fit.case.confirmed
        order = judgement.evidence.order
        list_size = int(largest_list(right, target=target, candidates=candidates, order=order).sum())
        rate = float(right[judgement.flagged].mean()) if judgement.flagged.any() else None
        band.append(Sensitivity(tail=tail, estimated_rate=rate, list_size=list_size))
    return tuple(band)


def _guards(case: Case, judgement: _Judgement) -> Guards:
    counts = judgement.counts
    ratio = counts.ratio if counts is not None and counts.expected.sum() > 0 else None
    return Guards(
        assessable_parcels=len(case.rows),
        skill=judgement.fit.skill,
        observed=float(counts.observed.sum()) if counts is not None else 0.0,
        expected=float(counts.expected.sum()) if counts is not None else 0.0,
        observed_expected=ratio,
        warning=ratio is not None and ratio > guards.WARN_OBSERVED_EXPECTED,
        refused=tuple(judgement.refusals),
        classes_refused=tuple(case.groups[index] for index in np.flatnonzero(judgement.refused_classes)),
    )


def _look_alikes(case: Case, judgement: _Judgement) -> tuple[LookAlike, ...]:
    if judgement.fit.channel is None:
        return ()
    other, declared = np.nonzero(~judgement.fit.channel.identifiable & (judgement.fit.channel.shares > 0)[None, :])
    pairs = zip(other, declared, strict=True)
    return tuple(LookAlike(declared=case.groups[k], looks_like=case.groups[c]) for c, k in pairs)
