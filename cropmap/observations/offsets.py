"""What the parcels of an acquisition say of its offset: by themselves, and beside another acquisition.

Items name the offset wrongly in both directions: one that is applied already is applied again, and everything is 0.1
too dark; one that is not applied counts as applied, and everything is 0.1 too bright. Both move all bands alike, which
no crop, haze, snow or shadow does, and bright and dark land alike, which no rain does. Two things show it. Green
vegetation is dark in blue and red and not below zero, and that it is green is seen in a difference of bands, which no
offset moves. And some parcels look like themselves some days before and after. `offset_choice` weighs both for a whole
season. Pure functions of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.observations.corrections import correction_of
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.sources.catalogs.acquisition import Acquisition

Array = NDArray[np.floating[Any]]

SHIFT: Final = 0.1
"""reflectance, of every baseline from 04.00 on"""
FIRST_SHIFTED: Final = "04.00"
"""processing baseline; pixels of an earlier one carry no offset"""
MIN_PIXELS: Final = 50.0
"""clear pixels that must be seen before an acquisition says anything by itself"""

DARK_REFLECTANCE: Final = -0.02
DARK_SHARE: Final = 0.10
"""of the clear pixels. Over clear farmland blue and red lie between 0.003 and 0.2 (Bavaria 2018, 15,859 parcel dates:
0.1 % quantile 0.009, none negative; over-corrected haze reaches about -0.01). Applied twice, an offset of -0.1 brings
most of it below -0.02."""
GREEN: Final = 0.25
"""B8A - B04 of dense green vegetation. Over 62 acquisitions of 301 real parcels the median B04 of such parcels lies
between 0.03 and 0.09, up to 0.13 under snow that was missed (then B12 is 0.09); never below 0.03."""
GREEN_PIXELS: Final = 50.0
TOO_DARK_RED: Final = 0.0
SOUND_RED: Final = 0.07
"""of green vegetation: where a corrected acquisition shows at most this, it was at most -0.03 before"""
FINE_RED: Final = 0.1
FINE_B12: Final = 0.04
"""vegetation under snow that was missed has less, and shows nothing"""
FINE_BLUE_TO_RED: Final = 0.06
"""how far B02 and B04 of vegetation may lie apart; one of them alone is damaged where it is more"""
TOO_BRIGHT: Final = {"B02": 0.10, "B04": 0.11, "B12": 0.15}
"""All three at once; haze and snow are bright in blue and dark in B12. A thin veil of cloud can look so on one day (one
of 63 real ones, 2018-07-13): other days must say it too."""
HAZY: Final = 0.02
"""B02 - B04 above which the air is seen, not the land"""
BLUE_TO_RED: Final = 0.25
DOUBTFUL_BLUE_TO_RED: Final = 0.35
"""Land reflects half as much blue as red, or more: over the 62 acquisitions the lowest median is 0.53, and 5 % of the
parcels of one lie below 0.30. 0.1 too dark, a bright soil falls far below."""
RED_ENOUGH: Final = 0.05
ODD_SHARE: Final = 0.5
"""of the clear pixels"""

LAND: Final = 0.04
"""B8A - B03 above which a parcel is land: water, flooded fields, snow and cloud are not compared"""
ALIKE: Final = 0.04
"""reflectance that each of the ten bands of a parcel may be off a step by. Of 301 real parcels 13 % are alike so on two
days (median of 467 pairs of days), and at most 4 look alike after a step of 0.1 or 0.2 that nobody made."""
EVEN: Final = 0.045
"""reflectance that the bands may lie apart in the median of these parcels: 95 % of 327 pairs of days of the real
parcels. A veil of cloud that the scene classification missed is whiter than the land, and lifts B12 least."""
PROPORTIONAL: Final = 0.1
"""by how much, at most, the difference of two days may grow with the reflectance. Rain makes bright soil that is even
in colour (chalk, gypsum, salt) a quarter darker: 0.1 in all bands, but more where it is brighter. An offset is the same
everywhere."""
LEAST_ALIKE: Final = 2
LEAST_ALIKE_SHARE: Final = 0.05
"""of the parcels that both days show"""
OTHERWISE: Final = 0.25
"""parcels that show other steps, at most, per parcel that shows the step"""
STEPS: Final = (-2, -1, 0, 1, 2)

B02, B03, B04, B8A, B12 = (BANDS.index(band) for band in ("B02", "B03", "B04", "B8A", "B12"))


class Look(StrEnum):
    """What reflectances look like under one offset."""

    SOUND = "sound"
    """green vegetation as it should be, and not so under the other offset"""
    FINE = "fine"
    SILENT = "silent"
    """too little land was seen, or nothing on it is evidence"""
    BRIGHT = "bright"
    """green vegetation is brighter than it can be through clean air"""
    ODD = "odd"
    """much too red"""
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, eq=False)
class AcquisitionMeans:
    """The parcels of one acquisition, with the offset that its item states."""

    day: date
    offset: float
    """reflectance that was added to every band"""
    reflectance: Array
    """(n, BANDS), NaN where nothing clear was seen"""
    pixels: Array
    """(n,) clear pixels"""
    baseline: str | None = None
    """processing baseline, as 05.00"""

    @property
    def other(self) -> float:
        """What is to be added where the item is wrong; 0 where it cannot be wrong by the offset of SHIFT."""
        if self.offset <= -SHIFT / 2:
            return SHIFT
        before = self.baseline is not None and self.baseline < FIRST_SHIFTED
        return 0.0 if before or self.offset >= SHIFT / 2 else -SHIFT


@dataclass(frozen=True)
class Looks:
    """What one acquisition says by itself, under the offset that is stated and under the other."""

    day: date
    offset: float
    other: float
    """`AcquisitionMeans.other`"""
    seen: bool
    """whether any parcel was"""
    stated: Look
    corrected: Look
    detail: str
    """one line: what is wrong as stated"""


@dataclass(frozen=True)
class Step:
    """How far the parcels of an acquisition lie above those of another, in SHIFT; None where none decides it."""

    shifts: int | None
    parcels: int
    """that show it"""
    of: int
    """parcels that both show as land"""


def offset_of(acquisition: Acquisition) -> float:
    """The offset of the bands; the middle one, where they differ."""
    return float(np.median([acquisition.assets[band].offset for band in BANDS]))


def means_of(table: pa.Table, *, day: date, offset: float, baseline: str | None = None) -> AcquisitionMeans:
    """The rows of an observation file (OBSERVATION_SCHEMA with its metadata), without what was corrected."""
    stored = np.column_stack([table[band].to_numpy() for band in BANDS])
    missing = stored == REFLECTANCE_NODATA
    moved = round(correction_of(table.schema) * REFLECTANCE_SCALE)  # in whole numbers: the same to the last bit
    return AcquisitionMeans(
        day=day,
        offset=offset,
        reflectance=np.where(missing, np.nan, (stored.astype(np.int32) - moved) / REFLECTANCE_SCALE),
        pixels=table["clear_pixels"].to_numpy(),
        baseline=baseline,
    )


def looks_of(means: AcquisitionMeans) -> Looks:
    """What the acquisition says by itself."""
    seen = np.isfinite(means.reflectance).all(axis=1) & (means.pixels > 0)
    values, pixels = means.reflectance[seen], means.pixels[seen]
    if pixels.sum() < MIN_PIXELS:
        return Looks(means.day, means.offset, means.other, bool(seen.any()), Look.SILENT, Look.SILENT, "")
    stated, detail = _look(values, pixels)
    corrected = _look(values + means.other, pixels)[0] if means.other else Look.SILENT
    if corrected == Look.SOUND and stated != Look.IMPOSSIBLE:
        corrected = Look.FINE
    return Looks(means.day, means.offset, means.other, True, stated, corrected, detail)


def _look(values: Array, pixels: Array) -> tuple[Look, str]:
    green = values[:, B8A] - values[:, B04] > GREEN
    vegetation = np.median(values[green], axis=0) if pixels[green].sum() >= GREEN_PIXELS else None
    if (detail := _too_dark(values, pixels, vegetation)) is not None:
        return Look.IMPOSSIBLE, detail
    if vegetation is not None and vegetation[B02] - vegetation[B04] < -1.5 * FINE_BLUE_TO_RED:
        return Look.IMPOSSIBLE, f"green vegetation {vegetation[B02]:.3f} in B02 beside {vegetation[B04]:.3f} in B04"
    if (detail := _too_red(values, pixels, DOUBTFUL_BLUE_TO_RED)) is not None:
        return Look.ODD, detail
    if vegetation is None:
        return Look.SILENT, ""
    hazy = vegetation[B02] - vegetation[B04] >= HAZY
    if not hazy and all(vegetation[BANDS.index(band)] > limit for band, limit in TOO_BRIGHT.items()):
        return Look.BRIGHT, f"green vegetation {vegetation[B04]:.3f} in B04 and {vegetation[B12]:.3f} in B12"
    even = abs(vegetation[B02] - vegetation[B04]) < FINE_BLUE_TO_RED
    if not (even and TOO_DARK_RED <= vegetation[B04] <= FINE_RED and vegetation[B12] >= FINE_B12):
        return Look.SILENT, ""
    return (Look.SOUND if vegetation[B04] <= SOUND_RED else Look.FINE), ""


def _too_dark(values: Array, pixels: Array, vegetation: Array | None) -> str | None:
    below = (values[:, [B02, B04]] < DARK_REFLECTANCE).any(axis=1)
    if pixels[below].sum() >= DARK_SHARE * pixels.sum():
        return f"{pixels[below].sum() / pixels.sum():.0%} of the land negative in B02 or B04"
    if vegetation is not None and vegetation[B04] < TOO_DARK_RED:
        return f"green vegetation {vegetation[B04]:.3f} in B04"
    return _too_red(values, pixels, BLUE_TO_RED)


def _too_red(values: Array, pixels: Array, limit: float) -> str | None:
    odd = (values[:, B02] < limit * values[:, B04]) & (values[:, B04] > RED_ENOUGH)
    if pixels[odd].sum() < ODD_SHARE * pixels.sum():
        return None
    blue, red = np.median(values[odd][:, [B02, B04]], axis=0)
    return f"soil {blue:.3f} in B02 beside {red:.3f} in B04"


def step_between(means: AcquisitionMeans, other: AcquisitionMeans) -> Step:
    """How far the parcels of `means` lie above those of another acquisition; both have one row for the same parcels.

    A parcel shows a step where all of its bands moved by it, and by nothing else. Parcels that grew, were harvested or
    lie under haze show none.
    """
    both = _land(means) & _land(other)
    difference = means.reflectance[both] - other.reflectance[both]
    if not len(difference):
        return Step(None, 0, 0)
    highest, lowest = difference.max(axis=1), difference.min(axis=1)
    shows = [(highest < k * SHIFT + ALIKE) & (lowest > k * SHIFT - ALIKE) for k in STEPS]
    counts = [int(parcels.sum()) for parcels in shows]
    best = int(np.argmax(counts))
    enough = counts[best] >= max(LEAST_ALIKE, LEAST_ALIKE_SHARE * len(difference))
    even = bool(enough) and np.ptp(np.median(difference[shows[best]], axis=0)) <= EVEN
    if even and STEPS[best]:
        reflectance = (means.reflectance[both] + other.reflectance[both])[shows[best]] / 2
        even = np.sign(STEPS[best]) * _slope(difference[shows[best]], reflectance) <= PROPORTIONAL
    if not even or sum(counts) - counts[best] > OTHERWISE * counts[best]:
        return Step(None, counts[best], len(difference))
    return Step(STEPS[best], counts[best], len(difference))


def _slope(difference: Array, reflectance: Array) -> float:
    """By how much the difference grows with the reflectance, over all parcels and bands; both (n, BANDS)."""
    centred = reflectance - reflectance.mean()
    spread = (centred**2).sum()
    return float((centred * difference).sum() / spread) if spread else 0.0


def _land(means: AcquisitionMeans) -> NDArray[np.bool_]:
    values = means.reflectance
    land = np.isfinite(values).all(axis=1) & (means.pixels > 0)
    return np.asarray(land & (np.nan_to_num(values[:, B8A] - values[:, B03]) > LAND))
