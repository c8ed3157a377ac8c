"""Assessments held against the truth. Truth exists in simulation only; nothing that is published depends on this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cropmap.legends import Legend
from cropmap.schemas import Verdict


@dataclass(frozen=True)
class TruthCheck:
    n: int
    """declarations whose truth is known"""
    wrong: int
    """of these, declared in another group of crops than the true one"""
    flags: int
    precision: float
    """share of the flags that are wrong declarations; NaN without a flag"""
    recall: float
    """share of all wrong declarations, not assessable ones included, that are flagged; NaN where none is wrong"""
    recall_assessable: float
    """the same among declarations that passed the gates"""


def against_truth(table: pd.DataFrame, truth: Mapping[str, str], legend: Legend) -> TruthCheck:
    """Precision and recall of `mismatch`. `truth` gives the true crop class by parcel_id.

    A declaration inside the true crop's inseparable group counts as right: the two are never held against each other.
    """
    known = table[table["parcel_id"].isin(list(truth)) & table["declared_crop"].notna()]
    declared = [legend.group_of(crop) for crop in known["declared_crop"]]
    true = [legend.group_of(truth[parcel]) for parcel in known["parcel_id"]]
    wrong = pd.Series(declared, index=known.index, dtype=object) != pd.Series(true, index=known.index, dtype=object)
    flagged = known["verdict"] == Verdict.MISMATCH
    assessable = known["verdict"] != Verdict.NOT_ASSESSABLE
    return TruthCheck(
        n=len(known),
        wrong=int(wrong.sum()),
        flags=int(flagged.sum()),
        precision=_ratio(int((wrong & flagged).sum()), int(flagged.sum())),
        recall=_ratio(int((wrong & flagged).sum()), int(wrong.sum())),
        recall_assessable=_ratio(int((wrong & flagged).sum()), int((wrong & assessable).sum())),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
