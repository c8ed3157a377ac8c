"""Which declarations can be assessed at all. In: facts per parcel. Out: a reason code, or "" where none fires.

A parcel that fails a gate is `not_assessable`, with the first reason in the order of `schemas.Reason`; it is never
silently conform.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.schemas import Reason

OPEN = ""
"""no gate fired"""


@dataclass(frozen=True)
class Limits:
    """What a declaration needs so that it is assessed."""

    min_pixels: float = 3
    """effective 10 m pixels inside the buffer, below: TOO_SMALL"""
    min_observations: int = 5
    """clear observations, below: TOO_FEW_OBSERVATIONS. A parcel that was never observed is not assessed, whatever this
    says"""
    min_class_parcels: int = 10
    """declared parcels of a crop, below: CLASS_TOO_RARE"""

    @property
    def observations(self) -> int:
        return max(self.min_observations, 1)


LIMITS: Final = Limits()
"""the defaults"""


def first_gate(parcels: pd.DataFrame, *, modelled: Collection[str], limits: Limits) -> NDArray[np.object_]:
    """Reason of the first gate that fires per row of `parcels`, "" where none does.

    `parcels` has `has_geometry` (bool), `pixels` (effective 10 m pixels after the inner buffer; NaN where unknown),
    `n_observations` (0 where never seen), `crop` (class of the declared code, None where the legend maps it to none).
    A class is too rare with fewer than `limits.min_class_parcels` declared parcels that pass the gates before it, or
    where the model was not trained on it (`modelled`). `not_learnt` (bool, none where the column is missing): the one
    model that judges the parcel was trained without any parcel of its class, which is no evidence for or against it.
    """
    crop = parcels["crop"]
    seen = (
        parcels["has_geometry"].to_numpy(bool)
        & ~(parcels["pixels"].to_numpy(float) < limits.min_pixels)
        & (parcels["n_observations"].to_numpy(int) >= limits.observations)
    )
    counts = crop[seen].value_counts()
    declared = crop.map(counts).fillna(0).to_numpy(float)
    fires = {
        Reason.NO_GEOMETRY: ~parcels["has_geometry"].to_numpy(bool),
        Reason.TOO_SMALL: parcels["pixels"].to_numpy(float) < limits.min_pixels,
        Reason.TOO_FEW_OBSERVATIONS: parcels["n_observations"].to_numpy(int) < limits.observations,
        Reason.CROP_NOT_IN_LEGEND: crop.isna().to_numpy(),
        Reason.CLASS_TOO_RARE: (declared < limits.min_class_parcels) | ~crop.isin(list(modelled)).to_numpy(),
        Reason.CROP_NOT_LEARNT: parcels.get("not_learnt", pd.Series(False, index=parcels.index)).to_numpy(bool),
    }
    reasons = np.array([str(reason) for reason in fires], dtype=object)
    first = np.select(list(fires.values()), list(range(len(reasons))), default=-1)
    return np.where(first >= 0, reasons[first], OPEN)
