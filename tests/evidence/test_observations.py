"""Every observation for a person: what became of it is what the series says."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from cropmap.dataset.series import build_series
from cropmap.evidence.observations import observation_table, use_in_words
from cropmap.observations.files import OBSERVATION_TABLE_SCHEMA
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, RowReject
from cropmap.seasons import Season

SEASON = Season.from_window(2018, ("2018-01-01", "2018-06-30"))


def rows(*given: tuple[str, str, float, int, int]) -> pa.Table:
    """(item, ISO time, clear pixels of 10, B04, B08) of parcel P."""
    columns = {
        "parcel_id": ["P"] * len(given),
        "tile": ["30UVU"] * len(given),
        "total_pixels": [10.0] * len(given),
        "item_id": [g[0] for g in given],
        "clear_pixels": [g[2] for g in given],
        "sensed_at": [datetime.fromisoformat(g[1]).replace(tzinfo=UTC) for g in given],
        **{band: [REFLECTANCE_NODATA] * len(given) for band in BANDS},
        "B04": [g[3] for g in given],
        "B08": [g[4] for g in given],
    }
    return pa.table({name: pa.array(columns[name]) for name in OBSERVATION_TABLE_SCHEMA.names}).cast(
        OBSERVATION_TABLE_SCHEMA
    )


def test_every_observation_is_used_or_left_out_for_one_reason_as_the_series_decides() -> None:
    nothing = REFLECTANCE_NODATA
    table = rows(
        ("fine", "2018-03-01T11:00", 9, 1000, 3000),
        ("half", "2018-03-11T11:00", 5, 1000, 1000),
        ("cloudy", "2018-03-21T11:00", 4.9, 1000, 3000),
        ("clouded", "2018-03-31T11:00", 0, nothing, nothing),
        ("empty", "2018-04-10T11:00", 10, nothing, nothing),
        ("twin, less clear", "2018-04-20T11:00", 7, 1000, 3000),
        ("twin", "2018-04-20T11:10", 8, 1000, 3000),
        ("late", "2018-07-01T11:00", 10, 1000, 3000),
    )
    told = observation_table(table, season=SEASON, min_clear_fraction=0.5).set_index("item_id")

    assert told["reject"].to_dict() == {
        "fine": None,
        "half": None,
        "cloudy": RowReject.TOO_CLOUDY,
        "clouded": RowReject.TOO_CLOUDY,
        "empty": RowReject.NO_BAND_VALUE,
        "twin, less clear": RowReject.DUPLICATE_PARCEL_DATE,
        "twin": None,
        "late": RowReject.OUTSIDE_SEASON,
    }
    words = {
        item: use_in_words(reject, clear)
        for item, reject, clear in zip(told.index, told["reject"], told["clear_fraction"], strict=True)
    }
    assert words == {
        "fine": "used",
        "half": "used",
        "cloudy": "too little of the parcel is clear",
        "clouded": "no clear pixel",
        "empty": "no band has a value",
        "twin, less clear": "another observation of the same day is clearer",
        "twin": "used",
        "late": "outside the season's window, or after the day that the run looks back from",
    }
    assert told.loc["fine", "ndvi"] == pytest.approx(0.5)  # (3 - 1) / (3 + 1)
    assert told.loc["fine", "day_of_year"] == 60
    series = build_series(table, parcel_ids=["P"], season=SEASON, min_clear_fraction=0.5)
    used = told[told["reject"].isna()]
    assert sorted(used["day_of_year"]) == series.day_of_year.tolist()
    assert used.loc["twin", "clear_fraction"] == pytest.approx(0.8)
