"""The content of one parcel's page, gathered by `cropmap.results.evidence` and drawn by the other modules here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from cropmap.evidence.bands import Band


@dataclass(frozen=True)
class Shown:
    """The observations of one parcel, M of them in time order."""

    day_of_year: NDArray[np.int64]
    """(M,) as Season counts"""
    ndvi: NDArray[np.float32]
    """(M,) NaN where nothing was clear"""
    clear_fraction: NDArray[np.float32]
    """(M,) 0-1"""
    used: NDArray[np.bool_]
    """(M,) False where it was not"""
    quarantined: tuple[int, ...]
    """days of acquisitions over the parcel that were quarantined"""

    @property
    def curve(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Days and NDVI of the observations that were used and have both bands."""
        kept = self.used & np.isfinite(self.ndvi)
        return self.day_of_year[kept], self.ndvi[kept]


@dataclass(frozen=True)
class Outline:
    """A parcel in the map sketch."""

    rings: tuple[NDArray[np.float64], ...]
    """(n, 2) metres east and north of the sketch's middle; holes run the other way round"""
    crop: str | None
    """declared; None where the legend has no class for it"""
    is_subject: bool
    """the parcel that the page is about"""


@dataclass(frozen=True)
class Sketch:
    outlines: tuple[Outline, ...]
    half_width_m: float
    """the map reaches as far from the middle in every direction"""
    epsg: int
    """the metric CRS it is drawn in"""


@dataclass(frozen=True)
class Judged:
    """The published result of the run for the parcel; None where there is none."""

    verdict: str
    reason: str
    declared_code: str
    declared_name: str
    declared_crop: str | None
    predicted_crop: str | None
    probability: float | None
    """of the predicted crop and those inseparable from it, by the model"""
    declared_probability: float | None
    """the same of the declared crop"""
    right_probability: float | None
    priority_ha: float | None
    """area that is expected to be wrongly declared"""
    scored_by: str
    n_observations: int
    changed_since: bool
    """the declaration has changed since the run"""


@dataclass(frozen=True)
class RunFacts:
    """The run of all pages of a batch."""

    agency: str
    season: int
    simulated: bool
    start: date
    end: date
    """of the season's window"""
    as_of: date
    """last day of the acquisitions used"""
    day_zero: date
    run_id: str
    model: str
    code_version: str
    published_at: datetime
    min_clear_fraction: float
    separation: str
    """in words: what was left out of the training of the model that scored the parcel"""
    flags: int
    target: float | None
    estimated_rate: float | None
    """share of the list that is expected to be rightly declared; None without a list"""
    sensitivity: tuple[float, float] | None
    """the same under the least and the most cautious assumption"""
    reliability: str
    assumption: str
    certification: str
    """what reviews certify about the list, in a sentence"""


@dataclass(frozen=True)
class Sheet:
    facts: RunFacts
    parcel_id: str
    holding_id: str | None
    region: str
    area_ha: float
    judged: Judged
    shown: Shown
    declared_band: Band | None
    predicted_band: Band | None
    """None also where the predicted crop is the declared one"""
    sketch: Sketch
