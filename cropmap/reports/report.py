"""The content of a report as values, from which page, PDF and quality file are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from cropmap.reports.areas import CropAreas
from cropmap.reports.maps import Outlines
from cropmap.reports.quality import Quality

FULL = "full"
REVISION_COLUMNS = (
    "nuts_id",
    "crop",
    "previous_ha",
    "estimate_ha",
    "change_ha",
    "change_share",
    "outside_interval",
    "state",
)


@dataclass(frozen=True)
class RunFacts:
    agency: str
    season: int
    start: date
    """first day of the acquisitions' window"""
    as_of: date | None
    """last day of acquisitions that counted"""
    published_at: date
    run_id: str
    model_version: str
    code_version: str
    nuts_version: int | None
    n_acquisitions: int | None
    simulated: bool
    confidentiality: str
    """a Confidentiality; empty where the run does not say, which counts as not protected"""
    protection: str
    """the same in words"""
    release: str | None = None
    """number and stage, such as "release 2 (provisional)"; None where the season has no numbered releases"""
    offset_corrected: int = 0
    """acquisitions that were used with a corrected offset"""
    offset_contradicted: int = 0
    """acquisitions that were quarantined because of their offset"""

    @property
    def internal(self) -> bool:
        return self.confidentiality != FULL


@dataclass(frozen=True)
class Revisions:
    table: pd.DataFrame
    """REVISION_COLUMNS; change_share is a share of the previous estimate, outside_interval a bool"""
    caption: str
    """such as "release 2 (provisional) against release 1 (first)" """


@dataclass(frozen=True)
class Report:
    facts: RunFacts
    areas: CropAreas
    outlines: Outlines | None
    """None where there is nothing to tell apart: one region"""
    quality: Quality
    flags: Mapping[str, str]
    """meaning of each flag"""
    revisions: Revisions | None = None
    """None: no earlier release"""

    @property
    def place(self) -> str:
        head = self.areas.head
        return f"{head.name} ({head.nuts_id})" if head.name else head.nuts_id

    @property
    def title(self) -> str:
        return f"Crop areas in {self.place}, season {self.facts.season}"

    @property
    def marks(self) -> tuple[str, ...]:
        """What must stand on every page."""
        simulated = ("SIMULATED: no satellite saw this, nobody declared it",) if self.facts.simulated else ()
        return simulated + (("INTERNAL, not for publication",) if self.facts.internal else ())
