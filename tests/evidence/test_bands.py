"""Bands of other parcels, on series whose quantiles a reader sees."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from cropmap.dataset.series import Series
from cropmap.evidence.bands import MIN_PARCELS, Population
from cropmap.schemas import BANDS

DAY = 150


def population(ndvi: list[float], *, region: list[str], flagged: list[int] = [], conform: bool = True) -> Population:  # noqa: B006
    """One look per parcel on one day; all declare maize."""
    count = len(ndvi)
    reflectance = np.full((count, len(BANDS)), np.nan, np.float32)
    reflectance[:, BANDS.index("B08")] = 0.2 * (1 + np.array(ndvi))
    reflectance[:, BANDS.index("B04")] = 0.2 * (1 - np.array(ndvi))
    series = Series(
        np.array([f"{n:03d}" for n in range(count)]),
        np.arange(count + 1),
        np.full(count, DAY, np.int16),
        reflectance,
        np.ones(count, np.float32),
        BANDS,
        date(2017, 12, 31),
    )
    marks = np.isin(np.arange(count), flagged)
    return Population(
        series,
        np.full(count, "maize", object),
        np.array(region),
        flagged=marks,
        conform=np.full(count, conform) & ~marks,
        first_day=1,
        last_day=365,
    )


def test_the_band_is_the_quantiles_of_the_others() -> None:
    """0, .01 … .50 and an outlier, which asks: 51 others with median .25, tenths .05 and .45."""
    values = [n / 100 for n in range(51)] + [0.99]
    band = population(values, region=["FRH01"] * 52).band("maize", region="FRH01", without=51)
    assert band is not None
    assert (band.parcels, band.region, band.is_wider, band.is_conform) == (51, "FRH01", False, True)
    at = int(np.flatnonzero(band.day_of_year == 151)[0])
    assert [band.low[at], band.median[at], band.high[at]] == pytest.approx([0.05, 0.25, 0.45], abs=1e-5)
    assert np.isnan(band.median[band.day_of_year < DAY - 24]).all(), "nobody looked then"
    low, high = band.at(np.array([151, 10]))
    assert (low[0], high[0]) == pytest.approx((0.05, 0.45), abs=1e-5)
    assert np.isnan(low[1])


def test_a_flagged_parcel_is_in_no_band() -> None:
    band = population([0.2] * 40 + [0.9], region=["FRH01"] * 41, flagged=[40]).band("maize", region="FRH01", without=0)
    assert band is not None
    assert band.parcels == 39
    assert np.nanmax(band.high) == pytest.approx(0.2, abs=1e-5)


def test_few_parcels_take_the_next_wider_region() -> None:
    few, more = ["FRH01"] * 5, ["FRH02"] * MIN_PARCELS
    band = population([0.2] * len(few + more), region=few + more).band("maize", region="FRH01", without=0)
    assert band is not None
    assert (band.region, band.is_wider, band.parcels) == ("FRH0", True, 4 + MIN_PARCELS)
    alone = population([0.2] * 12, region=["FRH01"] * 5 + ["DE111"] * 7).band("maize", region="FRH01", without=0)
    assert alone is not None
    assert (alone.region, alone.parcels, alone.is_conform) == ("", 11, False)


def test_a_crop_of_nobody_else_has_no_band() -> None:
    assert population([0.2], region=["FRH01"]).band("maize", region="FRH01", without=0) is None
    assert population([0.2] * 50, region=["FRH01"] * 50).band(None, region="FRH01", without=0) is None
    assert population([0.2] * 50, region=["FRH01"] * 50).band("rye", region="FRH01", without=0) is None
