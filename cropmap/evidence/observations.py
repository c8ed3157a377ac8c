"""The observations of a parcel for a person: day, NDVI, and whether the series uses them, as `dataset.series` decides.

In: stored observations and the season. Out: OBSERVATION_COLUMNS, one row per parcel and acquisition, in time order.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.dataset.series import clear_fractions, reject_observations
from cropmap.observations.tables import REASONS
from cropmap.schemas import REFLECTANCE_NODATA, RowReject
from cropmap.seasons import Season

RED: Final = "B04"
NEAR_INFRARED: Final = "B08"
OBSERVATION_COLUMNS: Final = ("parcel_id", "sensed_at", "day_of_year", "item_id", "clear_fraction", "ndvi", "reject")
"""day_of_year as Season counts; clear_fraction 0-1; ndvi NaN where a band is missing; reject a RowReject, None where
the observation is used"""
USED: Final = "used"
CLOUDED: Final = "no clear pixel"
NOT_USED: Final = {
    RowReject.OUTSIDE_SEASON: "outside the season's window, or after the day that the run looks back from",
    RowReject.TOO_CLOUDY: "too little of the parcel is clear",
    RowReject.NO_BAND_VALUE: "no band has a value",
    RowReject.DUPLICATE_PARCEL_DATE: "another observation of the same day is clearer",
}


def use_in_words(reject: RowReject | None, clear_fraction: float) -> str:
    """What became of an observation."""
    if reject is None:
        return USED
    if clear_fraction <= 0 and reject != RowReject.OUTSIDE_SEASON:
        return CLOUDED
    return NOT_USED[reject]


def ndvi(red: NDArray[Any], near_infrared: NDArray[Any]) -> NDArray[np.float32]:
    """(n,) normalised difference vegetation index (Rouse et al. 1974) of reflectances; NaN where either is missing or
    their sum is not positive."""
    red, near_infrared = red.astype(np.float32), near_infrared.astype(np.float32)
    total = red + near_infrared
    index: NDArray[np.float32] = np.full_like(total, np.nan)
    np.divide(near_infrared - red, total, out=index, where=total > 0)
    return index


def observation_table(observations: pa.Table, *, season: Season, min_clear_fraction: float) -> pd.DataFrame:
    """OBSERVATION_COLUMNS of stored observations (OBSERVATION_TABLE_SCHEMA)."""
    parcel_id = pc.cast(observations["parcel_id"], pa.string())
    reject = reject_observations(
        observations, parcel_ids=pc.unique(parcel_id).to_pylist(), season=season, min_clear_fraction=min_clear_fraction
    )
    stored = {band: observations[band].to_numpy() for band in (RED, NEAR_INFRARED)}
    reflectance = {b: np.where(stored[b] == REFLECTANCE_NODATA, np.nan, stored[b]) for b in stored}
    date = pc.cast(observations["sensed_at"], pa.date32(), safe=False)
    table = pd.DataFrame(
        {
            "parcel_id": parcel_id.to_pandas(),
            "sensed_at": observations["sensed_at"].to_pandas(),
            "day_of_year": pc.cast(date, pa.int32()).to_numpy().astype(int)
            - np.datetime64(season.day_zero, "D").astype(int),
            "item_id": pc.cast(observations["item_id"], pa.string()).to_pandas(),
            "clear_fraction": clear_fractions(observations),
            "ndvi": ndvi(reflectance[RED], reflectance[NEAR_INFRARED]),
            "reject": pd.Series([REASONS[code] if code >= 0 else None for code in reject], dtype=object),
        }
    )
    return table.sort_values(["parcel_id", "day_of_year", "item_id"], ignore_index=True)[list(OBSERVATION_COLUMNS)]
