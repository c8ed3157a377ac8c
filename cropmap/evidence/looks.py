"""The use of every observation of a parcel: used, or left out for a reason.

Input: stored observations and the season. Output: LOOK_COLUMNS, one row per parcel and observation, in time order. The
rules are those of `dataset.series`, applied row by row.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.observations.tables import floats
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.seasons import Season

RED: Final = "B04"
NEAR_INFRARED: Final = "B08"
LOOK_COLUMNS: Final = ("parcel_id", "sensed_at", "day_of_year", "item_id", "clear_fraction", "ndvi", "fate")
"""day_of_year as Season counts; clear_fraction 0-1; ndvi NaN where a band is missing; fate a Fate"""


class Fate(StrEnum):
    """The first that fits."""

    USED = "used"
    OUTSIDE_SEASON = "outside the season's window, or after the day that the run looks back from"
    CLOUDED = "no clear pixel"
    TOO_CLOUDY = "too little of the parcel is clear"
    NO_BAND = "no band has a value"
    SAME_DAY = "another look at the same day is clearer"


def ndvi(red: NDArray[Any], near_infrared: NDArray[Any]) -> NDArray[np.float32]:
    """(n,) normalised difference vegetation index (Rouse et al. 1974) of reflectances; NaN where either is missing or
    their sum is not positive."""
    red, near_infrared = red.astype(np.float32), near_infrared.astype(np.float32)
    total = red + near_infrared
    index: NDArray[np.float32] = np.full_like(total, np.nan)
    np.divide(near_infrared - red, total, out=index, where=total > 0)
    return index


def looks(observations: pa.Table, *, season: Season, min_clear_fraction: float) -> pd.DataFrame:
    """LOOK_COLUMNS of stored observations (OBSERVATION_TABLE_SCHEMA)."""
    total, clear = floats(observations["total_pixels"]), floats(observations["clear_pixels"])
    fraction = np.clip(np.divide(clear, total, out=np.zeros_like(total), where=total > 0), 0, 1)
    stored = {band: observations[band].to_numpy() for band in BANDS}
    reflectance = {b: np.where(stored[b] == REFLECTANCE_NODATA, np.nan, stored[b]) for b in (RED, NEAR_INFRARED)}
    sensed_at = observations["sensed_at"].to_pandas()
    date = pc.cast(observations["sensed_at"], pa.date32(), safe=False)
    day = pc.cast(date, pa.int32()).to_numpy().astype(int) - np.datetime64(season.day_zero, "D").astype(int)
    table = pd.DataFrame(
        {
            "parcel_id": pc.cast(observations["parcel_id"], pa.string()).to_pandas(),
            "sensed_at": sensed_at,
            "day_of_year": day,
            "item_id": pc.cast(observations["item_id"], pa.string()).to_pandas(),
            "clear_fraction": fraction,
            "ndvi": ndvi(reflectance[RED], reflectance[NEAR_INFRARED]),
        }
    )
    has_band = np.any([values != REFLECTANCE_NODATA for values in stored.values()], axis=0)
    inside = (day >= season.day_of_year(season.start)) & (day <= season.day_of_year(season.end))
    fate = np.select(
        [~inside, fraction <= 0, fraction < min_clear_fraction, ~has_band],
        [Fate.OUTSIDE_SEASON, Fate.CLOUDED, Fate.TOO_CLOUDY, Fate.NO_BAND],
        default=Fate.USED,
    )
    table["fate"] = _one_a_day(table, fate.astype(object))
    return table.sort_values(["parcel_id", "day_of_year", "item_id"], ignore_index=True)[list(LOOK_COLUMNS)]


def _one_a_day(table: pd.DataFrame, fate: NDArray[np.object_]) -> NDArray[np.object_]:
    """The clearest of a day stays; of equally clear ones the first row, as in `dataset.series`."""
    used = table[fate == Fate.USED].assign(cloud=lambda t: -t["clear_fraction"])
    order = used.sort_values(["parcel_id", "day_of_year", "cloud"], kind="stable")
    fate[order.index[order.duplicated(["parcel_id", "day_of_year"])]] = Fate.SAME_DAY
    return fate
