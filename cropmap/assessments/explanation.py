"""How one declaration came to its verdict: every gate with its figures, every number of the channel, the list's end.

In: what `assess` takes, and a parcel. Out: the assessment of all declarations once more, and the path of this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments.assess import Assessed, assessed_at
from cropmap.assessments.case import Case, Fit, Scores, fit_case, prepare
from cropmap.assessments.channel import one_thread
from cropmap.assessments.gates import OPEN, Limits
from cropmap.legends import Legend
from cropmap.schemas import Reason, Verdict


@dataclass(frozen=True)
class Gate:
    reason: str
    """what it says where it fires"""
    value: str
    """of this declaration"""
    needed: str
    fires: bool


@dataclass(frozen=True)
class Share:
    """What one possible true crop c adds to P(declared | x) = Σ_c q_c T_ck."""

    crop: str
    """a group of inseparable crops"""
    q: float
    """clean posterior of c, before the declaration is looked at"""
    t: float
    """T_ck: how often c is declared as the declared k"""
    identifiable: bool
    """False where c and k look alike, so that T_ck is held at the background rate"""


@dataclass(frozen=True)
class ChannelPath:
    declared: str
    """k, a group of inseparable crops"""
    shares: tuple[Share, ...]
    """largest q first"""
    right: float
    """P(right) = q_k T_kk / Σ_c q_c T_ck"""
    order: float
    """the same if every parcel carried its own crop's signal: what the list is ordered by"""
    list_end: float | None
    """largest `order` on the list; None without a list"""
    skill: float
    refusals: tuple[str, ...]


@dataclass(frozen=True)
class Path:
    gates: tuple[Gate, ...]
    """in their order; the first that fires decides"""
    channel: ChannelPath | None
    """None where a gate fired, or there was nothing to compare"""


@one_thread()
def explain_declaration(
    parcels: pd.DataFrame,
    predictions: Scores,
    legend: Legend,
    parcel_id: str,
    *,
    false_alarm_rate: float,
    seed: int,
    limits: Limits,
) -> tuple[Assessed, Path]:
    """`assess` with these arguments, and how the declaration of `parcel_id` got there; it is one of `parcels`."""
    table, case, gate = prepare(parcels, predictions, legend, limits)
    fit = fit_case(case, seed=seed)
    assessed = assessed_at(table.copy(), case, fit, gate, target=false_alarm_rate)
    row = int(np.flatnonzero((table["parcel_id"] == parcel_id).to_numpy())[0])
    gates = _gates(table, row, gate, list(predictions.crops), limits)
    at = np.flatnonzero(case.rows == row)
    channel = _channel(case, fit, int(at[0]), assessed) if len(at) and fit.channel is not None else None
    return assessed, Path(gates, channel)


def _gates(
    table: pd.DataFrame, row: int, gate: NDArray[np.object_], modelled: list[str], limits: Limits
) -> tuple[Gate, ...]:
    parcel, crop = table.iloc[row], table["crop"].iloc[row]
    large = ~(table["pixels"] < limits.min_pixels)
    passing = table["has_geometry"] & large & (table["n_observations"] >= limits.observations)
    alike = int((passing & (table["crop"] == crop)).sum()) if crop else 0
    known = "" if crop is None or crop in modelled else ", unknown to the model"
    enough = f"{limits.min_class_parcels}, known to the model"
    gates = (
        (Reason.NO_GEOMETRY, "an outline" if parcel["has_geometry"] else "none", "an outline"),
        (Reason.TOO_SMALL, f"{parcel['pixels']:.1f} pixels", f"{limits.min_pixels:g}"),
        (Reason.TOO_FEW_OBSERVATIONS, f"{parcel['n_observations']} clear dates", f"{limits.observations}"),
        (Reason.CROP_NOT_IN_LEGEND, crop or "no class", "a class"),
        (Reason.CLASS_TOO_RARE, f"{alike} assessable parcels{known}", enough),
        (Reason.CROP_NOT_LEARNT, "none" if parcel["not_learnt"] else "some", "parcels of the crop in another fold"),
    )
    fired = str(gate[row]) if gate[row] != OPEN else ""
    return tuple(Gate(str(reason), value, needed, str(reason) == fired) for reason, value, needed in gates)


def _channel(case: Case, fit: Fit, at: int, assessed: Assessed) -> ChannelPath:
    assert fit.channel is not None
    declared = int(case.declared[at])
    q, column = fit.evidence.clean(slice(at, at + 1))[0], fit.channel.matrix[:, declared]
    shares = tuple(
        Share(case.groups[c], float(q[c]), float(column[c]), bool(fit.channel.identifiable[c, declared]))
        for c in np.argsort(-q, kind="stable")
    )
    listed = assessed.order[(assessed.table["verdict"] == Verdict.MISMATCH).to_numpy()]
    return ChannelPath(
        case.groups[declared],
        shares,
        float(fit.evidence.right[at]),
        float(fit.evidence.order[at]),
        float(listed.max()) if len(listed) else None,
        fit.skill,
        fit.refusals,
    )
