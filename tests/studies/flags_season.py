"""Simulated Brittany as calendar features, for studies that need many populations: what grows, where, and what is seen.

Same fields, holdings, phenology, passes and sky as `brittany`. One season is one landscape under one sky; populations
of a season differ in what their holdings grow and how it stands. Declarations are not drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.folds import Folds, by_region
from cropmap.schemas import BANDS
from cropmap.simulation import phenology
from cropmap.simulation.direct import tile_observations
from cropmap.simulation.landscape import REGIONS, lay_out
from cropmap.simulation.passes import passes
from cropmap.simulation.population import crop_of, settle
from cropmap.simulation.randomness import stream
from tests.studies.brittany import DATES, NEIGHBOUR_M, SEASON_YEAR

Features = NDArray[np.float32]

SLOTS: Final = np.arange(32, 334, 15)
"""days of the year: 1 February to the end of November"""


@dataclass(frozen=True)
class Grown:
    """N parcels."""

    features: Features
    """(N, slots * BANDS) reflectance, linearly interpolated to SLOTS; 0 where a parcel was never seen"""
    observations: NDArray[np.int64]
    """(N,) clear observations"""
    crop: NDArray[np.int64]
    """(N,) what grows: position in crops.CROPS"""
    region: NDArray[np.int16]
    """(N,) position in landscape.REGIONS"""
    folds: Folds
    """one region left out in turn, nobody judged by who saw its holding or its neighbours"""


def grow(*, parcels: int, season: int, seed: int) -> Grown:
    """One population; equal arguments give equal data."""
    plan = passes(season=SEASON_YEAR, dates=DATES, seed=season)
    land = lay_out(parcels=parcels, seed=season, irregular=False)
    population = settle(land.region, seed=seed, wrong_share=0.0)
    stand = phenology.draw(population.variety, land.region, population.holding, stream(seed, "stand"))
    series = np.full((parcels, len(plan), len(BANDS)), np.nan, np.float32)
    for observed in tile_observations(land, stand, plan, seed=season):
        series[observed.parcels, observed.overpass.number] = observed.reflectance
    folds = by_region(
        [REGIONS[region] for region in land.region],
        labelled=np.ones(parcels, bool),
        holding_id=[str(number) for number in population.holding],
        xy=land.xy,
        neighbour_distance_m=NEIGHBOUR_M,
    )
    seen = np.isfinite(series[:, :, 0])
    days = np.array([one.day_of_year for one in plan])
    return Grown(at_slots(series, seen, days), seen.sum(axis=1), crop_of(population.variety), land.region, folds)


def at_slots(series: Features, seen: NDArray[np.bool_], days: NDArray[np.int64]) -> Features:
    """(N, slots * C) from (N, D, C) looks on ascending `days` (D,), of which `seen` (N, D) count."""
    count = len(days)
    last = np.maximum.accumulate(np.where(seen, np.arange(count), -1), axis=1)
    following = np.minimum.accumulate(np.where(seen, np.arange(count), count)[:, ::-1], axis=1)[:, ::-1]
    rows = np.arange(len(series))
    slots = []
    for slot in SLOTS:
        position = int(np.searchsorted(days, slot, side="right"))
        before = last[:, position - 1] if position > 0 else np.full(len(series), -1)
        after = following[:, position] if position < count else np.full(len(series), count)
        before, after = np.where(before < 0, after, before), np.where(after == count, before, after)
        before, after = np.minimum(before, count - 1), np.maximum(after, 0)  # where nothing was ever seen
        gap = np.maximum(days[after] - days[before], 1)
        share = np.clip((slot - days[before]) / gap, 0, 1).astype(np.float32)[:, None]
        slots.append(series[rows, before] * (1 - share) + series[rows, after] * share)
    return np.asarray(np.nan_to_num(np.concatenate(slots, axis=1)))
