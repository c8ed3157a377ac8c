"""Which parcels to review for areas: strata of region, verdict and crop, drawn with probability proportional to area.

In: the parcels of a season and their probabilities, a budget, a seed. Out: the drawn parcels with their inclusion
probabilities. Large, doubtful parcels are worth most: area-proportional drawing halves the error of a simple random
sample in the strata, and a region gets the square root of what it weighs (Bankier 1988), so that small ones are seen.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from cropmap.errors import InputError
from cropmap.legends import Legend
from cropmap.statistics.crops import columns
from cropmap.statistics.population import Probabilities, declared_codes, population_of
from cropmap.statistics.posterior import Floats, Integers
from cropmap.statistics.totals import VERDICTS, totals

SAMPLE_COLUMNS: Final = ("parcel_id", "stratum", "stratum_size", "inclusion_probability")
LEAST_DOUBT: Final = 0.02
"""Σ q (1 - q) below which a parcel still counts as this uncertain: posteriors can be overconfident"""
REGION_POWER: Final = 0.5
FEWEST_PARCELS: Final = 8
FEWEST_DRAWS: Final = 4
"""smaller strata join the others of their region and verdict"""
MIN_PER_STRATUM: Final = 2
POOLED: Final = "other crops"


def draw_area_sample(
    parcels: pd.DataFrame, predictions: Probabilities, legend: Legend, *, budget: int, seed: int
) -> pd.DataFrame:
    """SAMPLE_COLUMNS of the drawn parcels, by parcel_id; `parcels` and `predictions` as `estimate_areas` takes them.

    About `budget` parcels: every stratum gets at least two, or all that it has. The order of the rows does not matter,
    and the same seed draws the same parcels. Raises InputError.
    """
    cols = columns(legend, predictions.crops, declared_codes(parcels))
    population = population_of(parcels, predictions, legend, cols, regions=())
    if not len(population.area):
        raise InputError("no parcel lies in a region", where="nuts_id", mend="Check the boundaries of the agency file")
    sums = totals(population, np.asarray(predictions.probabilities), cols, reviewed=np.empty(0, dtype=np.intp))
    importance = population.area * np.sqrt(np.maximum(sums.doubt, LEAST_DOUBT))
    stratum, names = _strata(population.region, sums.verdict, sums.assigned, importance, budget=budget)
    draws = _per_stratum(_weights(stratum, importance), _region_of(stratum, population.region), budget=budget)
    sizes = np.bincount(stratum, minlength=len(draws))
    draws = np.clip(draws, np.minimum(MIN_PER_STRATUM, sizes), sizes)
    inclusion = _inclusion(population.area, stratum, draws)
    drawn = _systematic(inclusion, stratum, np.random.default_rng([seed, budget]))
    crops = np.array([*cols.crops, POOLED], dtype=object)
    label = [f"{population.nuts3[region]} / {VERDICTS[verdict]} / {crops[crop]}" for region, verdict, crop in names]
    sample = pd.DataFrame(
        {
            "parcel_id": population.parcel_id[drawn],
            "stratum": np.array(label, dtype=object)[stratum[drawn]],
            "stratum_size": sizes[stratum[drawn]],
            "inclusion_probability": inclusion[drawn],
        }
    )
    return sample.sort_values("parcel_id", ignore_index=True)


def _strata(
    region: Integers, verdict: Integers, crop: Integers, importance: Floats, *, budget: int
) -> tuple[Integers, list[tuple[int, int, int]]]:
    """([N] stratum, its region, verdict and crop; -1 where crops are pooled)."""
    width = int(crop.max(initial=0)) + 2
    cell = (region * len(VERDICTS) + verdict) * width
    fine, stratum = np.unique(cell + crop, return_inverse=True)
    draws = _per_stratum(_weights(stratum, importance), fine // (width * len(VERDICTS)), budget=budget)
    too_small = (np.bincount(stratum) < FEWEST_PARCELS) | (draws < FEWEST_DRAWS)
    merged, stratum = np.unique(np.where(too_small[stratum], cell + width - 1, cell + crop), return_inverse=True)
    parts = (
        (int(code) // width // len(VERDICTS), int(code) // width % len(VERDICTS), int(code) % width) for code in merged
    )
    return stratum, [(place, verdict_, -1 if which == width - 1 else which) for place, verdict_, which in parts]


def _region_of(stratum: Integers, region: Integers) -> Integers:
    """[H]"""
    _, first = np.unique(stratum, return_index=True)
    return np.asarray(region[first])


def _weights(stratum: Integers, importance: Floats) -> Floats:
    """[H] N_h times the root mean square of a √doubt: what Neyman allocation is proportional to."""
    count = np.bincount(stratum)
    weight: Floats = np.sqrt(count * np.bincount(stratum, weights=importance**2))
    return weight


def _per_stratum(weight: Floats, region: Integers, *, budget: int) -> Integers:
    """[H] draws: Neyman inside a region, power allocation between regions; largest remainders round."""
    whole = np.bincount(region, weights=weight)
    share = whole**REGION_POWER
    quota = budget * (share / share.sum())[region] * weight / whole[region]
    draws: Integers = np.floor(quota).astype(np.intp)
    draws[np.argsort(draws - quota, kind="stable")[: budget - int(draws.sum())]] += 1
    return draws


def _inclusion(area: Floats, stratum: Integers, draws: Integers) -> Floats:
    """[N] π proportional to area within the stratum, adding up to its draws; parcels that reach 1 are certain and leave
    the rest of the draws to the others."""
    certain = np.zeros(len(area), dtype=bool)
    while True:
        left = draws - np.bincount(stratum, weights=certain, minlength=len(draws))
        open_area = np.bincount(stratum, weights=np.where(certain, 0, area), minlength=len(draws))
        rate = np.divide(left, open_area, out=np.zeros(len(draws)), where=open_area > 0)
        inclusion = np.where(certain, 1.0, area * rate[stratum])
        reached = ~certain & (inclusion >= 1 - 1e-9)
        if not reached.any():
            return inclusion
        certain |= reached


def _systematic(inclusion: Floats, stratum: Integers, rng: np.random.Generator) -> Integers:
    """Positions drawn: one random start per stratum, parcels in random order (Madow 1949)."""
    order = rng.permutation(len(inclusion))
    order = order[np.argsort(stratum[order], kind="stable")]
    start = rng.random(int(stratum.max(initial=-1)) + 1)
    # every stratum's probabilities add up to a whole number, so one running sum serves them all
    upper = np.cumsum(inclusion[order]) + start[stratum[order]]
    return np.sort(order[np.floor(upper + 1e-9) > np.floor(upper - inclusion[order] + 1e-9)])
