"""Classical estimators, kept for comparison: good-practice error matrix, parcel ratio, parcel difference.

Measured on rare declaration errors they are worse than no reviews at all and their intervals cover 29-87 %; nothing
that is published uses them. Sources: Olofsson et al. 2014, Remote Sensing of Environment 148 (eqs. 1-11); Cochran,
Sampling Techniques, 1977, chapters 6 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NORMAL_95: Final = 1.96


@dataclass(frozen=True)
class ErrorMatrixEstimate:
    area: Floats
    se_area: Floats
    users_accuracy: Floats
    se_users_accuracy: Floats
    producers_accuracy: Floats
    se_producers_accuracy: Floats
    overall_accuracy: float
    se_overall_accuracy: float


def error_matrix_estimate(counts: Floats, map_share: Floats, *, total_area: float) -> ErrorMatrixEstimate:
    """Areas and accuracies from a sample stratified by map class.

    `counts` [i, j]: reviewed units of map class i (rows) that are class j in truth; `map_share` W_i sums to 1.
    """
    reviewed = counts.sum(axis=1)
    rows = counts / reviewed[:, None]
    shares = map_share[:, None] * rows  # p_ij
    column = shares.sum(axis=0)
    variance = (map_share[:, None] ** 2 * rows * (1 - rows) / (reviewed - 1)[:, None]).sum(axis=0)
    users = np.diag(rows)
    users_variance = users * (1 - users) / (reviewed - 1)
    producers = np.diag(shares) / column
    overall = float(np.diag(shares).sum())
    return ErrorMatrixEstimate(
        area=column * total_area,
        se_area=np.sqrt(variance) * total_area,
        users_accuracy=users,
        se_users_accuracy=np.sqrt(users_variance),
        producers_accuracy=producers,
        se_producers_accuracy=np.sqrt(
            _producers_variance(rows, map_share, reviewed, producers, users_variance, column)
        ),
        overall_accuracy=overall,
        se_overall_accuracy=float(np.sqrt((map_share**2 * users_variance).sum())),
    )


def _producers_variance(
    rows: Floats, map_share: Floats, reviewed: Floats, producers: Floats, users_variance: Floats, column: Floats
) -> Floats:
    """Olofsson et al. 2014, eq. 7."""
    spread = map_share[:, None] ** 2 * rows * (1 - rows) / (reviewed - 1)[:, None]
    others = spread.sum(axis=0) - np.diag(spread)
    own = map_share**2 * (1 - producers) ** 2 * users_variance
    variance: Floats = (own + producers**2 * others) / column**2
    return variance


@dataclass(frozen=True)
class ParcelStratum:
    """One stratum of parcels and a simple random sample of it."""

    parcels: int
    """N_h"""
    total_area: float
    """A_h, ha"""
    mapped_area: float
    """Z_h: area mapped as the crop, ha"""
    area: Floats
    """a [n], ha"""
    truth: Floats
    """y [n]: 1 where the parcel is the crop"""
    mapped: Floats
    """z [n]: 1 where the map says so"""


@dataclass(frozen=True)
class ParcelEstimate:
    area: float
    se: float

    @property
    def ci95(self) -> float:
        """Half width of the normal interval."""
        return NORMAL_95 * self.se


def ratio_estimate(strata: Sequence[ParcelStratum]) -> ParcelEstimate:
    """Separate ratio estimator: Σ_h A_h · Σ a y / Σ a."""
    area, variance = 0.0, 0.0
    for stratum in strata:
        share = float((stratum.area * stratum.truth).sum() / stratum.area.sum())
        spread = _variance_of_mean(stratum.area * (stratum.truth - share), stratum.parcels)
        area += stratum.total_area * share
        variance += spread * stratum.parcels**2  # A_h² · s² / (A_h/N_h)²
    return ParcelEstimate(area, float(np.sqrt(variance)))


def difference_estimate(strata: Sequence[ParcelStratum]) -> ParcelEstimate:
    """Mapped area plus the expanded mean difference between truth and map."""
    area, variance = 0.0, 0.0
    for stratum in strata:
        difference = stratum.area * (stratum.truth - stratum.mapped)
        area += stratum.mapped_area + stratum.parcels * float(difference.mean())
        variance += _variance_of_mean(difference, stratum.parcels) * stratum.parcels**2
    return ParcelEstimate(area, float(np.sqrt(variance)))


def _variance_of_mean(values: Floats, population: int) -> float:
    return float(values.var(ddof=1)) / len(values) * (1 - len(values) / population)
