"""A small season as values: three square regions, six crops, every kind of cell, and figures that nobody may see."""

from __future__ import annotations

from datetime import date
from typing import Any

import geopandas as gpd
import pandas as pd
from shapely import box

from cropmap.assessments.report import AssessmentReport
from cropmap.reports.accuracy import AGREEMENT_COLUMNS, accuracy
from cropmap.reports.areas import CropAreas, crop_areas
from cropmap.reports.maps import outlines
from cropmap.reports.quality import season_quality
from cropmap.reports.report import REVISION_COLUMNS, Report, Revisions, RunFacts
from cropmap.schemas import Confidentiality
from cropmap.statistics.report import Disclosure, StatisticsReport
from tests.dissemination.published import SECRET, hidden, row

ITEMS = {"C1110": "Common wheat & spelt", "C1500": "Grain maize", "G3000": "Green maize"}
NAMES = {"FRH0": "Bretagne", "FRH01": "Côtes-d'Armor", "FRH02": "Finistère", "FRH03": "Ille-et-Vilaine"}
SUMS = {"C1500+G3000": ["C1500", "G3000"]}
SECRETS = ("777.77", "777,77", "777\u202f77", "778", "888.88", "889", "666.66", "667")
"""the hidden figures of `published()` and `revised()`, exact and as they would be rounded"""
ASSESSMENTS = AssessmentReport(verdicts={"conform": 80, "mismatch": 3, "inconclusive": 12, "not_assessable": 5})
STATISTICS = StatisticsReport(
    area_share_by_verdict={"confirmed": 0.9, "undeclared": 0.082},
    area_share_without_prediction=0.0234,
    reviews=0,
    overconfidence={"confirmed": 1.0},
    confidentiality="primary and secondary suppression",
    disclosure=Disclosure(mode=Confidentiality.FULL),
)


def published() -> pd.DataFrame:
    rows = [
        row("FRH0", "C1110", 3_000.0, ci95_low_ha=2_900.0, ci95_high_ha=3_100.0, cv=0.02),
        row("FRH0", "C1500", 1_200.0, ci95_low_ha=1_100.0, ci95_high_ha=1_300.0, cv=0.05),
        row("FRH0", "G3000", 800.0, ci95_low_ha=700.0, ci95_high_ha=900.0, cv=0.06),
        row("FRH0", "C1500+G3000", 2_000.0, ci95_low_ha=1_950.0, ci95_high_ha=2_050.0, cv=0.01),
        row("FRH0", "local:other_uses", 0.0, ci95_low_ha=0.0, ci95_high_ha=0.0, cv=None, obs_flag=None),
        hidden("FRH0", "R1000"),
        row("FRH01", "C1110", 1_234.56, obs_flag="u", cv=0.31, ci95_low_ha=1_000.0, ci95_high_ha=1_500.0),
        row("FRH02", "C1110", 500.0, ci95_low_ha=450.0, ci95_high_ha=550.0, cv=0.15),
        hidden("FRH03", "C1110"),
        row("FRH01", "C1500", 12.345, ci95_low_ha=11.0, ci95_high_ha=13.0, cv=0.2),
        hidden("FRH02", "C1500"),
        hidden("FRH03", "R1000"),
    ]
    return pd.DataFrame(rows)


def squares() -> gpd.GeoDataFrame:
    """Three squares of 10 km side by side: 100 km², 10,000 ha each."""
    shapes = [box(4e6 + 1e4 * place, 3e6, 4e6 + 1e4 * (place + 1), 3.01e6) for place in range(3)]
    codes = ["FRH01", "FRH02", "FRH03"]
    return gpd.GeoDataFrame({"nuts_id": codes, "name": [NAMES[code] for code in codes]}, geometry=shapes, crs=3035)


def areas() -> CropAreas:
    return crop_areas(published(), head="FRH0", names=NAMES, items=ITEMS, sums=SUMS)


def agreement() -> pd.DataFrame:
    """Twelve holdings with four parcels of wheat each, of which one is taken for maize by every third."""
    rows = []
    for holding in range(12):
        wrong = 1 if holding % 3 == 0 else 0
        rows.append((f"{holding}", "wheat", "wheat", 4 - wrong))
        rows += [(f"{holding}", "wheat", "maize", wrong)] if wrong else []
        rows.append((f"{holding}", "maize", "maize", 2))
    return pd.DataFrame(rows, columns=list(AGREEMENT_COLUMNS))


def revised() -> Revisions:
    rows = [
        ("FRH0", "C1110", 2_500.0, 3_000.0, 500.0, 0.2, True, "revised"),
        ("FRH0", "C1500", 1_250.0, 1_200.0, -50.0, -0.04, False, "revised"),
        ("FRH0", "R1000", 666.66, 888.88, 222.22, 0.3333, True, "confidential"),
        ("FRH02", "C1110", 500.0, 500.0, 0.0, 0.0, None, "unchanged"),
        ("FRH01", "C1500", None, 12.345, None, None, False, "new"),
        ("FRK2", "C1500", 1.0, 2.0, 1.0, 1.0, True, "revised"),
    ]
    return Revisions(pd.DataFrame(rows, columns=list(REVISION_COLUMNS)), "release 2 against release 1 (first)")


def report(*, revisions: Revisions | None = None, **facts: Any) -> Report:
    about: dict[str, Any] = {
        "agency": "bretagne",
        "season": 2018,
        "start": date(2018, 1, 1),
        "as_of": date(2018, 10, 31),
        "published_at": date(2018, 11, 5),
        "run_id": "run-1",
        "model_version": "lstm-1",
        "code_version": "0.1.0+abc",
        "nuts_version": 2024,
        "n_acquisitions": 70,
        "simulated": False,
        "confidentiality": "full",
        "protection": "primary and secondary suppression",
    }
    found = areas()
    compared = accuracy(agreement(), hidden=())
    quality = season_quality(
        ASSESSMENTS,
        STATISTICS,
        found,
        accuracy=compared,
        judged_by="a model that was trained without it",
        any_hidden=True,
    )
    return Report(
        RunFacts(**about | facts),
        found,
        outlines(squares()),
        quality,
        flags={"e": "estimated", "u": "low reliability"},
        revisions=revisions,
    )


assert str(SECRET) == SECRETS[0]
