"""Declarations to leave out of training, because they look wrong to models that never saw them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from cropmap.assessments import guards
from cropmap.assessments.case import Scores, prepare
from cropmap.assessments.channel import CLEANING_STEPS, fit_channel, one_thread
from cropmap.assessments.gates import LIMITS, Limits
from cropmap.assessments.verdict import evidence_of
from cropmap.legends import Legend

SUSPECT_RIGHT: Final = 0.5
MAX_SUSPECT_SHARE: Final = 0.2
"""a class of which more would be dropped from training is left whole: it was not learnt, it is not wrong"""


@one_thread()
def suspects(
    parcels: pd.DataFrame, predictions: Scores, legend: Legend, *, seed: int, limits: Limits = LIMITS
) -> frozenset[str]:
    """Parcels to leave out of *training* (P(right) < 0.5); they are still scored out of fold.

    Retraining three times without them is worth most of the recall: a network trained on wrong labels learns a noise
    floor under P(declared). Empty where the classifier or the population is too weak to say anything, and never more
    than a fifth of a class.
    """
    table, case, _ = prepare(parcels, predictions, legend, limits)
    if len(case.groups) < 2 or len(case.rows) < guards.MIN_PARCELS:
        return frozenset()
    channel = fit_channel(case.logits, case.declared, seed=seed, steps=CLEANING_STEPS)
    evidence = evidence_of(channel, case.logits, case.declared)
    if guards.skill(channel, evidence.likelihood) < guards.MIN_SKILL:
        return frozenset()
    doubtful = evidence.right < SUSPECT_RIGHT
    size = np.bincount(case.declared, minlength=len(case.groups))
    dropped = np.bincount(case.declared[doubtful], minlength=len(case.groups))
    doubtful &= (dropped <= MAX_SUSPECT_SHARE * size)[case.declared]
    return frozenset(table["parcel_id"].to_numpy()[case.rows[doubtful]])
