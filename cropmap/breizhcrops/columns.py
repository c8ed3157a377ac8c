"""Which column of a BreizhCrops array is what. Arrays carry no names, and releases differ; what cannot be decided is
refused, because a network trains happily on bands in the wrong places.

In: a sample of a region's rows (M, columns) and the processing level. Out: the position of every band, of the cloud
column and of the date, or ObservationFileError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from cropmap.errors import ObservationFileError

Level = Literal["L1C", "L2A"]

NATURAL: Final = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
ALPHABETICAL: Final = ("B01", "B10", "B11", "B12", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09")
L2A_BANDS: Final = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
BANDS_OF: Final[dict[Level, tuple[str, ...]]] = {"L1C": NATURAL, "L2A": L2A_BANDS}
"""Bands of a level in the order in which they are stored."""

L1C_QUALITY: Final = ("QA10", "QA20", "QA60")
L2A_QUALITY: Final = ("CLD", "EDG", "SAT")
CLOUD_COLUMN: Final[dict[Level, str]] = {"L1C": "QA60", "L2A": "CLD"}

DATE_NS: Final = (1.48e18, 1.55e18)
"""Nanoseconds since 1970 of November 2016 to February 2019: both years, and nothing that a reflectance can be."""
NS_PER_UNIT: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
"""Nanoseconds as published; a file compiled again with a newer pandas counts coarser."""

CIRRUS_MAX: Final = 500.0
"""Median of B10 x 10 000 over a region's rows: water vapour swallows what the ground reflects."""
CIRRUS_SHARE: Final = 0.5
"""The cirrus column is at most this share of the one that it is distinguished from (B02 or B08)."""
MIN_MEDIAN: Final = 2.0
"""Reflectance is stored x 10 000: a smaller median over all bands means another scale."""


@dataclass(frozen=True)
class Columns:
    """Positions in an array of one region."""

    count: int
    """columns of the array"""
    bands: tuple[int, ...]
    """one position per band of BANDS_OF[level]"""
    cloud: int
    """QA60 (mean of a bit field) or CLD (per cent)"""
    date: int | None
    """None in the first L2A release, which has no dates"""
    ns_per_unit: int
    """nanoseconds in one unit of the date"""
    order: str
    """what was detected, for the report"""


def detect_columns(sample: NDArray[np.float64], level: Level, *, where: str) -> Columns:
    """Columns of a region from a sample of its rows. Raises ObservationFileError where they cannot be decided."""
    quality = L1C_QUALITY if level == "L1C" else L2A_QUALITY
    count = sample.shape[1] if sample.ndim == 2 else 0
    values = len(BANDS_OF[level]) + len(quality)
    date, unit = _date_column(sample) if count == values + 1 else (None, "ns")
    if count not in (values, values + 1) or (count == values + 1 and date is None):
        raise ObservationFileError(
            f"{count} columns" + (", none of which is a date" if count == values + 1 else ""),
            where=where,
            mend=f"{level} arrays have {values + 1} columns, one of them the date in nanoseconds; check --level",
        )
    rest = [column for column in range(count) if column != date]
    names = _band_order(sample[:, rest], level, where=where) + quality
    position = dict(zip(names, rest, strict=True))
    bands = tuple(position[band] for band in BANDS_OF[level])
    if np.nanmedian(sample[:, bands]) < MIN_MEDIAN:
        raise ObservationFileError(
            f"median of all bands is {np.nanmedian(sample[:, bands]):.2g}",
            where=where,
            mend="Reflectance is stored x 10 000 here",
        )
    order = "alphabetical" if names[1] == ALPHABETICAL[1] else "natural"
    return Columns(count, bands, position[CLOUD_COLUMN[level]], date, NS_PER_UNIT[unit], order)


def clear_fraction(cloud: NDArray[np.float32], level: Level) -> NDArray[np.float32]:
    """Share of the parcel without cloud, as small as the figure permits.

    QA60 is the mean of 1024 where cloud is opaque and 2048 where it is cirrus: a mean of 512 is half a parcel of
    opaque cloud, or a quarter of cirrus. Doubt counts as cloud. CLD is a cloud probability in per cent.
    """
    full = 1024.0 if level == "L1C" else 100.0
    return np.clip(1 - np.where(np.isnan(cloud), full, cloud) / full, 0, 1).astype(np.float32)


def _date_column(sample: NDArray[np.float64]) -> tuple[int | None, str]:
    """The column whose median is a date of the two years, by magnitude, and its unit."""
    median = np.nanmedian(sample, axis=0)
    for unit, ns in NS_PER_UNIT.items():
        dates = np.flatnonzero((median >= DATE_NS[0] / ns) & (median <= DATE_NS[1] / ns))
        if len(dates) == 1:
            return int(dates[0]), unit
    return None, "ns"


def _band_order(values: NDArray[np.float64], level: Level, *, where: str) -> tuple[str, ...]:
    """Names of the band columns. In alphabetical order column 1 is B10 and column 10 is B08, in natural order
    column 1 is B02 and column 10 is B10; L2A has no B10 and was only ever written in natural order."""
    if level == "L2A":
        return L2A_BANDS
    first, tenth = (float(np.nanmedian(values[:, column])) for column in (1, 10))
    if first <= CIRRUS_MAX and first <= CIRRUS_SHARE * tenth:
        return ALPHABETICAL
    if tenth <= CIRRUS_MAX and tenth <= CIRRUS_SHARE * first:
        return NATURAL
    raise ObservationFileError(
        f"the order of the bands cannot be told: medians of columns 1 and 10 are {first:.0f} and {tenth:.0f}",
        where=where,
        mend="One of them is the cirrus band B10 and near zero in L1C data; check the file and --level",
    )
