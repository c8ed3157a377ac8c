"""A sheet made by hand: maize is declared, the curve is a meadow's."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from cropmap.evidence.bands import Band
from cropmap.evidence.sheet import Judged, Outline, RunFacts, Sheet, Shown, Sketch

DAYS = np.arange(1, 366, 5, dtype=np.int16)


def band(crop: str, low: float, high: float, **changes: Any) -> Band:
    level: dict[str, Any] = {
        name: np.full(len(DAYS), value, np.float32)
        for name, value in (("low", low), ("median", (low + high) / 2), ("high", high))
    }
    values: dict[str, Any] = {"region": "FRH01", "is_wider": False, "parcels": 40, "is_conform": True}
    return Band(crop, day_of_year=DAYS, **level, **(values | changes))


FACTS = RunFacts(
    agency="bretagne",
    season=2018,
    simulated=True,
    start=date(2018, 1, 1),
    end=date(2018, 12, 31),
    as_of=date(2018, 9, 30),
    day_zero=date(2017, 12, 31),
    run_id="bretagne-2018-abc",
    model="lstm-0123",
    code_version="0.1.0+ffff",
    published_at=datetime(2018, 10, 1, tzinfo=UTC),
    min_clear_fraction=0.5,
    separation="a model that was trained without this parcel",
    flags=32,
    target=0.1,
    estimated_rate=0.091,
    sensitivity=(0.07, 0.21),
    reliability="provisional: fewer than 10,000 parcels",
    assumption="Estimated, not guaranteed.",
    certification="Not certified: nobody has reviewed this list.",
)
SHOWN = Shown(
    day_of_year=np.array([40, 80, 120, 160, 200, 240]),
    ndvi=np.array([0.7, 0.75, 0.3, 0.8, np.nan, 0.2], np.float32),
    clear_fraction=np.array([1.0, 0.9, 0.2, 1.0, 0.0, 0.6], np.float32),
    used=np.array([True, True, False, True, False, True]),
    quarantined=(100,),
)
"""used: .7, .75, .8 and .2; the fifth was clouded, the third too little"""
SQUARE = np.array([[-50, -40], [50, -40], [50, 40], [-50, 40]], float)


def sheet(**changes: Any) -> Sheet:
    judged = Judged(
        verdict="mismatch",
        reason="OTHER_CROP_SUPPORTED",
        declared_code="MIS",
        declared_name="Maïs <grain> & co",
        declared_crop="corn",
        predicted_crop="permanent_meadows",
        probability=0.88,
        declared_probability=0.0004,
        right_probability=0.03,
        priority_ha=1.21,
        scored_by="fold 2",
        n_observations=4,
        changed_since=False,
    )
    neighbour = Outline((np.add(SQUARE, (110, 0)),), "permanent_meadows", is_subject=False)
    values: dict[str, Any] = {
        "facts": FACTS,
        "parcel_id": 'A/7 "x"',
        "holding_id": "H1",
        "region": "FRH01",
        "area_ha": 1.25,
        "judged": judged,
        "shown": SHOWN,
        "declared_band": band("corn", 0.1, 0.5),
        "predicted_band": band("permanent_meadows", 0.6, 0.78, is_wider=True, region="FRH0"),
        "sketch": Sketch((Outline((SQUARE,), "corn", is_subject=True), neighbour), 180.0, 32630),
    }
    return Sheet(**(values | changes))
