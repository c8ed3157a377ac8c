"""How one declaration came to its verdict: every gate with its figures, every number of the channel, the list's end.

In: what `assess` takes. Out: the assessment of all declarations once more, and the path of any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Explained:
    """All declarations assessed once more; the path of each is worked out when it is asked for."""

    assessed: Assessed
    table: pd.DataFrame
    """the declarations as they were prepared"""
    case: Case
    fit: Fit
    gate: NDArray[np.object_]
    """the reason of the gate that fired, by row"""
    modelled: frozenset[str]
    """crops that the model knows"""
    limits: Limits

    @cached_property
    def _row_of(self) -> Mapping[str, int]:
        return {parcel: row for row, parcel in enumerate(self.table["parcel_id"])}

    @cached_property
    def _alike(self) -> Mapping[str, int]:
        """Assessable parcels by crop."""
        large = ~(self.table["pixels"] < self.limits.min_pixels)
        enough = self.table["n_observations"] >= self.limits.observations
        crops = self.table["crop"][self.table["has_geometry"] & large & enough]
        return {str(crop): int(n) for crop, n in crops.value_counts().items()}

    @cached_property
    def _list_end(self) -> float | None:
        listed = self.assessed.order[(self.assessed.table["verdict"] == Verdict.MISMATCH).to_numpy()]
        return float(listed.max()) if len(listed) else None

    def path(self, parcel_id: str) -> Path:
        """To be asked for within `one_thread`. The parcel is one of those that were explained."""
        row = self._row_of[parcel_id]
        crop = self.table["crop"].iloc[row]
        gates = _gates(self.table, row, self.gate, crop in self.modelled, self._alike.get(crop, 0), self.limits)
        at = int(np.searchsorted(self.case.rows, row))
        in_case = self.fit.channel is not None and at < len(self.case.rows) and self.case.rows[at] == row
        return Path(gates, _channel(self.case, self.fit, at, self._list_end) if in_case else None)


@one_thread()
def explain_declarations(
    parcels: pd.DataFrame, predictions: Scores, legend: Legend, *, false_alarm_rate: float, seed: int, limits: Limits
) -> Explained:
    """`assess` with these arguments, and how each declaration got there."""
    table, case, gate = prepare(parcels, predictions, legend, limits)
    fit = fit_case(case, seed=seed)
    assessed = assessed_at(table.copy(), case, fit, gate, target=false_alarm_rate)
    return Explained(assessed, table, case, fit, gate, frozenset(predictions.crops), limits)


def _gates(
    table: pd.DataFrame, row: int, gate: NDArray[np.object_], is_modelled: bool, alike: int, limits: Limits
) -> tuple[Gate, ...]:
    parcel, crop = table.iloc[row], table["crop"].iloc[row]
    known = "" if crop is None or is_modelled else ", unknown to the model"
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


def _channel(case: Case, fit: Fit, at: int, list_end: float | None) -> ChannelPath:
    assert fit.channel is not None
    declared = int(case.declared[at])
    q, column = fit.evidence.clean(slice(at, at + 1))[0], fit.channel.matrix[:, declared]
    shares = tuple(
        Share(case.groups[c], float(q[c]), float(column[c]), bool(fit.channel.identifiable[c, declared]))
        for c in np.argsort(-q, kind="stable")
    )
    return ChannelPath(
        case.groups[declared],
        shares,
        float(fit.evidence.right[at]),
        float(fit.evidence.order[at]),
        list_end,
        fit.skill,
        fit.refusals,
    )
