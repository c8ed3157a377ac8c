"""Whether the offset of an acquisition fits what its parcels look like.

Items name the offset wrongly in both directions: one that is applied already is applied again, and everything is 0.1
too dark; one that is not applied counts as applied, and everything is 0.1 too bright. Both move all bands alike, which
no crop, haze, snow or shadow does. Two things show it. Green vegetation is dark in blue and red and not below zero, and
that it is green is seen in a difference of bands, which no offset moves. And a parcel looks like itself some days
before and after. What is said of an acquisition depends on the observations of the season, in whatever order they were
made. Pure functions of arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.observations.zonal import DARK_REFLECTANCE, DARK_SHARE
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.sources.catalogs.acquisition import Acquisition

Array = NDArray[np.floating[Any]]

SHIFT: Final = 0.1
"""reflectance, of every baseline from 04.00 on"""
MIN_PIXELS: Final = 50.0
"""clear pixels that must be seen before anything is said"""

GREEN: Final = 0.25
"""B8A - B04 of dense green vegetation. Over 62 acquisitions of 301 real parcels the median B04 of such parcels lies
between 0.03 and 0.09, up to 0.13 under snow that was missed (then B12 is 0.09); never below 0.03."""
GREEN_PIXELS: Final = 50.0
TOO_DARK_RED: Final = 0.0
FINE_RED: Final = 0.1
FINE_B12: Final = 0.04
"""vegetation under snow that was missed has less, and shows nothing"""
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

NEAR_DAYS: Final = 45
NEIGHBOURS: Final = 4
"""acquisitions before and as many after that one is compared with"""
ALIKE: Final = 2
COMMON: Final = 5
"""parcels that both must have seen"""
STEP: Final = (0.07, 0.13)
"""what a wrong offset moves the median band by"""
NO_STEP: Final = 0.035
EVEN: Final = 0.045
"""and how far the bands may lie apart then"""

B02, B04, B8A, B12 = (BANDS.index(band) for band in ("B02", "B04", "B8A", "B12"))


class OffsetEvidence(StrEnum):
    FINE = "fine"
    UNKNOWN = "unknown"
    """too little land was seen, or nothing on it is evidence"""
    DOUBTFUL = "doubtful"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Judgement:
    evidence: OffsetEvidence
    detail: str = ""
    """one line, where it is doubtful or contradicted"""
    bright: bool = False
    """green vegetation is brighter than it can be through clean air"""


@dataclass(frozen=True, eq=False)
class AcquisitionMeans:
    """The parcels of one acquisition."""

    day: date
    offset: float
    """reflectance that was added to every band"""
    reflectance: Array
    """(n, BANDS), NaN where nothing clear was seen"""
    pixels: Array
    """(n,) clear pixels"""


def offset_of(acquisition: Acquisition) -> float:
    """The offset of the bands; the middle one, where they differ."""
    return float(np.median([acquisition.assets[band].offset for band in BANDS]))


def means_of(table: pa.Table, *, day: date, offset: float) -> AcquisitionMeans:
    """The rows of an observation file (OBSERVATION_SCHEMA)."""
    stored = np.column_stack([table[band].to_numpy() for band in BANDS])
    missing = stored == REFLECTANCE_NODATA
    return AcquisitionMeans(
        day=day,
        offset=offset,
        reflectance=np.where(missing, np.nan, stored / REFLECTANCE_SCALE),
        pixels=table["clear_pixels"].to_numpy(),
    )


def judge_acquisition(means: AcquisitionMeans) -> Judgement:
    """What the acquisition says by itself."""
    seen = np.isfinite(means.reflectance).all(axis=1) & (means.pixels > 0)
    values, pixels = means.reflectance[seen], means.pixels[seen]
    if pixels.sum() < MIN_PIXELS:
        return Judgement(OffsetEvidence.UNKNOWN)
    green = values[:, B8A] - values[:, B04] > GREEN
    vegetation = np.median(values[green], axis=0) if pixels[green].sum() >= GREEN_PIXELS else None
    if may_be_too_dark(means.offset) and (detail := _too_dark(values, pixels, vegetation)) is not None:
        return Judgement(
            OffsetEvidence.CONTRADICTED, f"offset {means.offset:g} would make {detail}: it is applied already"
        )
    if may_be_too_dark(means.offset) and (detail := _too_red(values, pixels, DOUBTFUL_BLUE_TO_RED)) is not None:
        return Judgement(OffsetEvidence.DOUBTFUL, f"offset {means.offset:g} makes {detail}")
    if vegetation is None:
        return Judgement(OffsetEvidence.UNKNOWN)
    hazy = vegetation[B02] - vegetation[B04] >= HAZY
    if may_be_too_bright(means.offset) and not hazy and _above(vegetation, TOO_BRIGHT):
        shown = f"green vegetation is {vegetation[B04]:.3f} in B04 and {vegetation[B12]:.3f} in B12"
        return Judgement(OffsetEvidence.DOUBTFUL, f"{shown}, as if an offset of -{SHIFT:g} were missing", bright=True)
    fine = TOO_DARK_RED <= vegetation[B04] <= FINE_RED and vegetation[B12] >= FINE_B12
    return Judgement(OffsetEvidence.FINE if fine else OffsetEvidence.UNKNOWN)


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


def judge_season(acquisitions: Mapping[str, AcquisitionMeans]) -> dict[str, Judgement]:
    """By item, for the acquisitions of one tile whose rows stand for the same parcels.

    Where an acquisition alone is no evidence, the nearest that are fine decide: most of them must agree, two or
    more where its vegetation is not bright besides. Where none are near, three that are bright alike are no veil of one
    day. Two without evidence that contradict each other are both doubtful.
    """
    alone = {item: judge_acquisition(means) for item, means in acquisitions.items()}
    fine = {item for item, judgement in alone.items() if judgement.evidence == OffsetEvidence.FINE}
    bright = {item for item, judgement in alone.items() if judgement.bright}
    settled = fine | {item for item, judgement in alone.items() if judgement.evidence == OffsetEvidence.CONTRADICTED}
    open_ = acquisitions.keys() - settled
    judged = dict(alone)
    for item in open_:
        judged[item] = (
            _beside(item, acquisitions, alone[item], fine)
            or _alike(item, acquisitions, alone[item], bright)
            or alone[item]
        )
    for item in sorted(item for item in open_ if judged[item] == Judgement(OffsetEvidence.UNKNOWN)):
        judged[item] = _contradicting(item, acquisitions, open_) or judged[item]
    return judged


def _beside(
    item: str, acquisitions: Mapping[str, AcquisitionMeans], alone: Judgement, fine: set[str]
) -> Judgement | None:
    """What the nearest acquisitions that are fine say; None where they cannot be compared with."""
    steps = _steps(item, acquisitions, fine)
    wrong = [step for step in steps if _possible(step, acquisitions[item].offset)]
    if not steps:
        return None
    apart = f"every band lies {np.median(wrong):+.3f} beside" if wrong else ""
    if len(wrong) > len(steps) / 2 and (alone.bright or len(wrong) >= 2):
        shown = f"{apart} what {len(wrong)} of {len(steps)} days within {NEAR_DAYS} show of the parcels"
        return Judgement(OffsetEvidence.CONTRADICTED, shown)
    if wrong:
        return Judgement(OffsetEvidence.DOUBTFUL, f"{apart} what another day shows of the parcels", alone.bright)
    return alone if alone.bright or any(steps) else Judgement(OffsetEvidence.FINE)


def _alike(
    item: str, acquisitions: Mapping[str, AcquisitionMeans], alone: Judgement, bright: set[str]
) -> Judgement | None:
    if not alone.bright or _steps(item, acquisitions, bright).count(0.0) < ALIKE:
        return None
    return Judgement(OffsetEvidence.CONTRADICTED, f"{alone.detail}, and so it is on other days")


def _contradicting(item: str, acquisitions: Mapping[str, AcquisitionMeans], among: Set[str]) -> Judgement | None:
    for near in _nearest(item, acquisitions, among):
        step = _step(acquisitions[item], acquisitions[near])
        if step and (_possible(step, acquisitions[item].offset) or _possible(-step, acquisitions[near].offset)):
            return Judgement(
                OffsetEvidence.DOUBTFUL,
                f"every band lies {step:+.3f} beside {acquisitions[near].day}: one of them is wrong",
            )
    return None


def _steps(item: str, acquisitions: Mapping[str, AcquisitionMeans], among: Set[str]) -> list[float]:
    steps = (_step(acquisitions[item], acquisitions[near]) for near in _nearest(item, acquisitions, among))
    return [step for step in steps if step is not None]


def may_be_too_dark(offset: float) -> bool:
    return offset <= -SHIFT / 2


def may_be_too_bright(offset: float) -> bool:
    return abs(offset) < SHIFT / 2


def _possible(step: float, offset: float) -> bool:
    return (step < 0 and may_be_too_dark(offset)) or (step > 0 and may_be_too_bright(offset))


def _above(values: Array, limits: Mapping[str, float]) -> bool:
    return all(values[BANDS.index(band)] > limit for band, limit in limits.items())


def _nearest(item: str, acquisitions: Mapping[str, AcquisitionMeans], among: Set[str]) -> list[str]:
    """The nearest in time, on either side; of one day, by name."""
    day = acquisitions[item].day
    apart = sorted((abs((acquisitions[other].day - day).days), other) for other in among if other != item)
    near = [other for days, other in apart if days <= NEAR_DAYS]
    before = [other for other in near if acquisitions[other].day <= day]
    after = [other for other in near if acquisitions[other].day > day]
    return [*before[:NEIGHBOURS], *after[:NEIGHBOURS]]


def _step(means: AcquisitionMeans, other: AcquisitionMeans) -> float | None:
    """How far all bands lie above another day's, 0.0 for no such step; None where the days cannot be compared: too
    little was seen of both, or the land changed so that the bands moved apart."""
    both = np.isfinite(means.reflectance).all(axis=1) & np.isfinite(other.reflectance).all(axis=1)
    both &= (means.pixels > 0) & (other.pixels > 0)
    if both.sum() < COMMON or np.minimum(means.pixels, other.pixels)[both].sum() < MIN_PIXELS:
        return None
    difference = np.median(means.reflectance[both] - other.reflectance[both], axis=0)
    middle = float(np.median(difference))
    if np.ptp(difference) > EVEN or STEP[0] > abs(middle) > NO_STEP or abs(middle) > STEP[1]:
        return None
    return middle if abs(middle) >= STEP[0] else 0.0
