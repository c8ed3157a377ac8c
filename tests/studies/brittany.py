"""Simulated Brittany as a dataset in memory: what the painted scenes would give, in seconds, with the truth beside it.

Same fields, holdings, phenology, passes and sky as `cropmap simulate` without scenes; labels are the declarations, of
which some are wrong. Folds leave one NUTS-3 region out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset, label_parcels
from cropmap.dataset.folds import by_region
from cropmap.dataset.series import Series
from cropmap.schemas import BANDS
from cropmap.simulation import phenology
from cropmap.simulation.crops import CROPS
from cropmap.simulation.direct import tile_observations
from cropmap.simulation.landscape import REGIONS, Landscape, lay_out
from cropmap.simulation.passes import passes
from cropmap.simulation.population import Population, crop_of, settle
from cropmap.simulation.randomness import stream

SEASON_YEAR: Final = 2018
DATES: Final = 40
"""per tile, as in the demo"""
NEIGHBOUR_M: Final = 200.0
MIN_CLASS_PARCELS: Final = 10


@dataclass(frozen=True)
class Brittany:
    dataset: Dataset
    """labels are what is declared"""
    truth: NDArray[np.int16]
    """(N,) what grows, as position in the dataset's crops; -1 for a crop that is too rare to be one of them"""


def simulated_brittany(
    *, parcels: int, seed: int, wrong_share: float = 0.03, dates: int = DATES, min_clear_fraction: float = 0.0
) -> Brittany:
    """One season; equal arguments give equal data, and the sky, fields and crops do not depend on `wrong_share`."""
    land = lay_out(parcels=parcels, seed=seed, irregular=False)
    population = settle(land.region, seed=seed, wrong_share=wrong_share)
    parts = _seen(land, population, seed=seed, dates=dates)
    series = _series(parts, len(land.fields), min_clear_fraction)
    labels = label_parcels(_names(population.declared), min_class_parcels=MIN_CLASS_PARCELS)
    folds = by_region(
        [REGIONS[region] for region in land.region],
        labelled=labels.label >= 0,
        holding_id=[str(number) for number in population.holding],
        xy=land.xy,
        neighbour_distance_m=NEIGHBOUR_M,
    )
    return Brittany(Dataset(series, labels.label, labels.crops, folds), _truth(population, labels.crops))


@dataclass(frozen=True)
class _Part:
    day_of_year: int
    parcels: NDArray[np.int64]
    reflectance: NDArray[np.float32]
    clear_fraction: NDArray[np.float32]


def _seen(land: Landscape, population: Population, *, seed: int, dates: int) -> list[_Part]:
    """What is observed of the population; kept for the last one, as a study repeats it with other declarations."""
    key = (len(land.fields), seed, dates, population.variety.tobytes(), population.holding.tobytes())
    if key not in _kept:
        stand = phenology.draw(population.variety, land.region, population.holding, stream(seed, "stand"))
        plan = passes(season=SEASON_YEAR, dates=dates, seed=seed)
        _kept.clear()
        _kept[key] = [
            _Part(
                observed.overpass.day_of_year,
                observed.parcels,
                observed.reflectance,
                observed.clear_pixels / observed.total_pixels,
            )
            for observed in tile_observations(land, stand, plan, seed=seed)
        ]
    return _kept[key]


_kept: dict[tuple[object, ...], list[_Part]] = {}


def _series(parts: list[_Part], count: int, min_clear_fraction: float) -> Series:
    parcel = np.concatenate([part.parcels for part in parts])
    day = np.concatenate([np.full(len(part.parcels), part.day_of_year, np.int16) for part in parts])
    clear = np.concatenate([part.clear_fraction for part in parts]).astype(np.float32)
    reflectance = np.concatenate([part.reflectance for part in parts]).astype(np.float32)
    seen = (clear > 0) & (clear >= min_clear_fraction) & np.isfinite(reflectance).any(axis=1)
    rows = np.flatnonzero(seen)
    rows = rows[np.lexsort((day[rows], parcel[rows]))]
    return Series(
        parcel_ids=np.array([f"{number:07d}" for number in range(1, count + 1)]),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(parcel[rows], minlength=count))]).astype(np.int64),
        day_of_year=day[rows],
        reflectance=reflectance[rows],
        clear_fraction=clear[rows],
        bands=BANDS,
        day_zero=date(SEASON_YEAR - 1, 12, 31),
    )


def _names(variety: NDArray[np.int16]) -> list[str]:
    return [CROPS[crop] for crop in crop_of(variety)]


def _truth(population: Population, crops: tuple[str, ...]) -> NDArray[np.int16]:
    position = {crop: k for k, crop in enumerate(crops)}
    return np.array([position.get(name, -1) for name in _names(population.variety)], np.int16)
