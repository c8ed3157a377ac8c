"""What can be assessed, and what follows from the declarations and scores before a target is set.

In: the season's declared parcels and out-of-fold scores. Out: a `Case` between groups of inseparable crops, its `Fit`:
a channel to the scores as they came, the scores adapted to their regions through it, a channel to those.
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

from cropmap.assessments import adaptation, guards
from cropmap.assessments.channel import NEAR_STEPS, TAIL, Channel, Floats, fit_channel, row_parts
from cropmap.assessments.gates import OPEN, Limits, first_gate
from cropmap.assessments.verdict import Evidence, evidence_of
from cropmap.legends import Legend

SENSITIVITY_TAILS: Final = (0.0, 0.001, 0.005)
"""η of the sensitivity band"""


OPTIONAL: Final[dict[str, Any]] = {"confirmed": False, "nuts_id": "", "not_learnt": False}
"""columns that parcels may come without"""


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
class Case:
    """The assessable declarations, scored between groups of inseparable crops."""

    rows: NDArray[np.intp]
    """positions in the table"""
    groups: tuple[str, ...]
    logits: Floats
    declared: NDArray[np.intp]
    region: NDArray[np.intp]
    """[N] counted from 0; where a parcel lies, as far as the declarations say"""
    confirmed: NDArray[np.bool_]
    """declarations that a review found right: never on the list"""


@dataclass(frozen=True)
class Fit:
    """What follows from the declarations and scores before a target is set."""

    case: Case
    seed: int
    channel: Channel | None
    """fitted to `logits`; None where there is nothing to compare"""
    evidence: Evidence
    logits: Floats
    """[N, K] the case's, adapted to the regions they judge"""
    as_scored: tuple[Channel, Evidence] | None
    """the same without adaptation, which can explain away what a classifier that learnt too little leaves behind: what
    the guards look at"""
    skill: float
    """of the scores as they came"""
    refusals: tuple[str, ...]
    """reasons why no list can be made at all"""

    @cached_property
    def right_by_tail(self) -> dict[float, Floats]:
        """P(right) [N] under each η of the sensitivity band."""
        assert self.channel is not None
        others = {
            tail: fit_channel(
                self.logits,
                self.case.declared,
                seed=self.seed,
                tail=tail,
                steps=NEAR_STEPS,
                sample=adaptation.SAMPLE,
                start=self.channel,
            )
            for tail in SENSITIVITY_TAILS
            if tail != TAIL
        }
        channels = {**others, TAIL: self.channel}
        return {tail: evidence_of(channels[tail], self.logits, self.case.declared).right for tail in SENSITIVITY_TAILS}


def prepare(
    parcels: pd.DataFrame, predictions: Scores, legend: Legend, limits: Limits
) -> tuple[pd.DataFrame, Case, NDArray[np.object_]]:
    """Declarations with crop, n_observations and predicted_crop; the case; the reason of the gate that fired [N]."""
    table = parcels[parcels["crop_code"].notna()].reset_index(drop=True)
    table["crop"] = pd.Series([legend.crop_of(code) for code in table["crop_code"]], index=table.index, dtype=object)
    for name, missing in OPTIONAL.items():
        table[name] = table.get(name, missing)
    row = pd.Index(predictions.parcel_ids).get_indexer(pd.Index(table["parcel_id"]))
    crops = list(predictions.crops)
    logits = np.reshape(predictions.logits, (-1, len(crops)))
    scored, best = _scored(logits, row)
    trained = bool(scored.any())  # a season with too few parcels of every crop has no model, and says so by its gate
    table["n_observations"] = np.where(scored | (not trained), np.append(predictions.n_observations, 0)[row], 0)
    gate = first_gate(table, modelled=crops if trained else [], limits=limits)
    table["predicted_crop"] = pd.Series(np.array([*crops, None], dtype=object)[best], dtype=object)
    rows = np.flatnonzero(gate == OPEN)
    groups, member = np.unique([legend.group_of(crop) for crop in crops], return_inverse=True)
    index = pd.Index(crops).get_indexer(pd.Index(table["crop"].to_numpy()[rows]))
    between = _between_groups(logits, row[rows], member, len(groups))
    region = np.unique(table["nuts_id"].fillna("").to_numpy(str)[rows], return_inverse=True)[1]
    confirmed = table["confirmed"].to_numpy(bool)[rows]
    return table, Case(rows, tuple(str(group) for group in groups), between, member[index], region, confirmed), gate


def _scored(logits: NDArray[Any], row: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Whether the parcels at these rows, -1 for none, have scores [N], and their best class, -1 for none [N]."""
    scored, best = np.zeros(len(row), bool), np.full(len(row), -1)
    for part in row_parts(len(row)):
        known = np.flatnonzero(row[part] >= 0) + part.start
        scored[known] = np.isfinite(logits[row[known]]).all(axis=1)
        known = known[scored[known]]
        best[known] = logits[row[known]].argmax(axis=1)
    return scored, best


def _between_groups(logits: NDArray[Any], row: NDArray[np.intp], member: NDArray[np.intp], groups: int) -> Floats:
    """[N, G]: log of the summed probabilities of each group's crops, of the parcels at these rows."""
    between = np.empty((len(row), groups))
    for part in row_parts(len(row)):
        scores = logits[row[part]].astype(float)
        for group in range(groups):
            between[part, group] = logsumexp(scores[:, member == group], axis=1)
    return between


def fit_case(case: Case, *, seed: int) -> Fit:
    parcels, classes = case.logits.shape
    if classes < 2 or parcels == 0:
        evidence = Evidence(None, case.logits, case.declared, np.ones(parcels), np.ones(parcels))
        reason = "no assessable parcel" if parcels == 0 else "a model with one class compares nothing"
        return Fit(case, seed, None, evidence, case.logits, None, 0.0, (reason,))
    first = fit_channel(case.logits, case.declared, seed=seed)
    logits = adaptation.adapted(case.logits, case.declared, case.region, first, seed=seed)
    channel = fit_channel(
        logits, case.declared, seed=seed, steps=NEAR_STEPS, sample=adaptation.SAMPLE, start=first.of_calibrated()
    )
    as_scored = evidence_of(first, case.logits, case.declared)
    skilled = guards.skill(first, as_scored.likelihood)
    refusals = guards.population_refusals(parcels=parcels, skilled=skilled)
    evidence = evidence_of(channel, logits, case.declared)
    return Fit(case, seed, channel, evidence, logits, (first, as_scored), skilled, tuple(refusals))
