"""Quality of a season's areas, as far as it may be published.

Shares over all crops are given in steps as soon as one cell is hidden. An exact share of all land links the declared,
the mapped and the estimated total, so that the area of a single hidden crop could be derived from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from cropmap.assessments.report import AssessmentReport
from cropmap.reports.accuracy import Accuracy
from cropmap.reports.areas import CropAreas
from cropmap.reports.numbers import THIN, percent
from cropmap.statistics.report import StatisticsReport

STEP: Final = 0.05
"""width of the intervals in which shares over all crops are given"""
CV_LIMITS: Final = (0.05, 0.15, 0.25)
"""above the last an area is flagged u (low reliability)"""
UNDECIDED: Final = ("inconclusive", "not_assessable")


@dataclass(frozen=True)
class Share:
    """A share over all crops as it may be published: exact to 0.1 %, or an interval."""

    low: float
    high: float

    @property
    def words(self) -> str:
        if self.low == self.high:
            return percent(self.low)
        if self.high >= 1:
            return f"{percent(self.low, decimals=0)} or more"
        if self.low <= 0:
            return f"less than {percent(self.high, decimals=0)}"
        return f"{100 * self.low:.0f} to {percent(self.high, decimals=0)}"


@dataclass(frozen=True)
class CvSummary:
    """Coefficients of variation of the cells that are shown and larger than zero."""

    median: float | None
    counts: tuple[int, ...]
    """cells up to each of CV_LIMITS, and above the last"""

    @property
    def classes(self) -> list[tuple[str, int]]:
        limits = [f"{100 * limit:.0f}" for limit in CV_LIMITS]
        words = [f"up to {limits[0]}{THIN}%"]
        words += [f"{low} to {high}{THIN}%" for low, high in pairwise(limits)]
        return list(zip([*words, f"above {limits[-1]}{THIN}%"], self.counts, strict=True))


@dataclass(frozen=True)
class Quality:
    accuracy: Accuracy | None
    """of the whole season; None where there were no declarations to compare with"""
    judged_by: str
    """what was left out of the training of the model that scores a parcel"""
    declared_land: Share | None
    """of the area of all parcels, the share that is declared; None where the run does not say"""
    seen_land: Share | None
    """of the area of all parcels, the share with a prediction"""
    undecided: Share | None
    """of the declarations, the share whose verdict is inconclusive or not assessable"""
    cv: CvSummary
    cells: int
    hidden: int
    reviews: int
    """parcels whose crop a person found, and that the estimate took in"""
    worse_than_stated: float | None
    """the largest φ: by how much reviewed parcels were worse than their probability says; None without reviews"""
    contradicted: float | None
    """the largest multiple of the expected variance that reviewed corrections asked for: 1 where reviews and estimate
    agree; None without reviews"""

    @property
    def in_steps(self) -> bool:
        return any(
            interval is not None and interval.low < interval.high for interval in (self.declared_land, self.seen_land)
        )


def season_quality(
    assessments: AssessmentReport,
    statistics: StatisticsReport,
    areas: CropAreas,
    *,
    accuracy: Accuracy | None,
    judged_by: str,
    any_hidden: bool,
) -> Quality:
    """`assessments`, `statistics`: what the run said of them. `any_hidden`: a cell of the season is hidden, here or in
    another region."""
    verdicts = assessments.verdicts
    undeclared, unseen = statistics.area_share_by_verdict.get("undeclared"), statistics.area_share_without_prediction
    declarations = sum(verdicts.values())
    undecided = sum(verdicts.get(name, 0) for name in UNDECIDED) / declarations if declarations else None
    reviews = statistics.reviews
    return Quality(
        accuracy=accuracy,
        judged_by=judged_by,
        declared_land=shown_share(None if undeclared is None else 1 - undeclared, in_steps=any_hidden),
        seen_land=shown_share(None if unseen is None else 1 - unseen, in_steps=any_hidden),
        undecided=shown_share(undecided, in_steps=any_hidden),
        cv=cv_summary(areas),
        cells=len(areas.cells),
        hidden=len(areas.hidden),
        reviews=reviews,
        worse_than_stated=max(statistics.overconfidence.values(), default=None) if reviews else None,
        contradicted=max(statistics.contradiction.values(), default=None) if reviews else None,
    )


def shown_share(share: float | None, *, in_steps: bool) -> Share | None:
    if share is None or not math.isfinite(share):
        return None
    if not in_steps:
        return Share(round(share, 3), round(share, 3))
    last = round(1 / STEP) - 1
    place = min(max(math.floor(share / STEP + 1e-9), 0), last)
    return Share(round(place * STEP, 2), round((place + 1) * STEP, 2))


def cv_summary(areas: CropAreas) -> CvSummary:
    cvs = [cell.figures.cv for cell in areas.cells.values() if cell.figures and cell.figures.cv is not None]
    place = np.searchsorted(CV_LIMITS, cvs, side="left") if cvs else np.empty(0, dtype=int)
    counts = np.bincount(place, minlength=len(CV_LIMITS) + 1)
    return CvSummary(float(np.median(cvs)) if cvs else None, tuple(int(n) for n in counts))
