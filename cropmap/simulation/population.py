"""Who grows what, and what they declare: holdings, true crops with regional shares, and planted wrong declarations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropmap.simulation.crops import CLASS_COUNTS, CROPS, PLAUSIBLE_ERRORS, REGION_FACTORS, VARIETIES
from cropmap.simulation.landscape import REGIONS
from cropmap.simulation.randomness import stream

_CROP_OF_VARIETY = np.array([CROPS.index(v.crop) for v in VARIETIES])


@dataclass(frozen=True)
class Population:
    """Arrays over N parcels."""

    holding: npt.NDArray[np.int32]
    """number of the holding, counted from 0; a holding lies in one region"""
    variety: npt.NDArray[np.int16]
    """what truly grows: index into crops.VARIETIES"""
    declared: npt.NDArray[np.int16]
    """what is declared: index into crops.VARIETIES"""
    wrong: npt.NDArray[np.bool_]
    """declared class differs from the true one"""


def settle(region: npt.NDArray[np.int16], *, seed: int, wrong_share: float) -> Population:
    """Draws holdings along the spatial order of the parcels, their crops, and their declarations."""
    holding = _holdings(region, stream(seed, "holdings"))
    rng = stream(seed, "crops")
    crop = _crops(region, holding, rng)
    variety = _varieties(crop, rng)
    declared_crop, wrong = _declare(crop, wrong_share, stream(seed, "declarations"))
    other = _varieties(declared_crop, stream(seed, "wrong codes"))
    return Population(holding, variety, np.where(wrong, other, variety).astype(np.int16), wrong)


def region_shares(region: str) -> npt.NDArray[np.float64]:
    """Expected share of every class of CROPS in a region; sums to 1."""
    factors = REGION_FACTORS[region]
    weights = np.array([count * factors.get(crop, 1.0) for crop, count in CLASS_COUNTS.items()])
    return np.asarray(weights / weights.sum())


def _holdings(region: npt.NDArray[np.int16], rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Runs of 2 to 15 neighbouring parcels."""
    begins = np.zeros(len(region), bool)
    for first, count in zip(*_runs(region), strict=True):
        ends = np.cumsum(rng.integers(2, 15, count // 2 + 1))
        starts = np.concatenate([[0], ends[ends <= count - 2]])
        begins[first + starts] = True
    return np.asarray(np.cumsum(begins) - 1, np.int32)


def _runs(values: npt.NDArray[np.int16]) -> tuple[list[int], list[int]]:
    firsts = np.flatnonzero(np.diff(values, prepend=-1))
    return firsts.tolist(), np.diff(np.append(firsts, len(values))).tolist()


def _crops(
    region: npt.NDArray[np.int16], holding: npt.NDArray[np.int32], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Classes by holdings' preferences, balanced so that a region's expected shares are the table's."""
    crop = np.empty(len(region), np.int64)
    for first, count in zip(*_runs(region), strict=True):
        part = slice(first, first + count)
        shares = region_shares(REGIONS[region[first]])
        _, member = np.unique(holding[part], return_inverse=True)
        preference = rng.lognormal(0.0, 0.8, (member.max() + 1, len(CROPS)))[member] * shares
        for _ in range(40):
            preference /= preference.sum(axis=1, keepdims=True)
            preference *= shares / preference.mean(axis=0)
        crop[part] = _choose(preference / preference.sum(axis=1, keepdims=True), rng)
    return crop


def _choose(probability: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One column per row, by the row's probabilities."""
    below = rng.random((len(probability), 1)) > probability.cumsum(axis=1)
    return np.asarray(np.minimum(below.sum(axis=1), probability.shape[1] - 1))


def _varieties(crop: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int16]:
    weights = np.zeros((len(CROPS), len(VARIETIES)))
    for index, variety in enumerate(VARIETIES):
        weights[CROPS.index(variety.crop), index] = variety.weight
    bounds = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    last = np.array([np.flatnonzero(row).max() for row in weights])
    drawn = (rng.random(len(crop))[:, None] > bounds[crop]).sum(axis=1)
    return np.asarray(np.minimum(drawn, last[crop]), np.int16)


def _declare(
    crop: npt.NDArray[np.int64], wrong_share: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Half the wrong declarations name any other class, half follow PLAUSIBLE_ERRORS as far as such parcels exist."""
    declared = crop.copy()
    flows = {CROPS.index(true): CROPS.index(declared_crop) for true, declared_crop in PLAUSIBLE_ERRORS}
    order = rng.permutation(len(crop))
    total = round(wrong_share * len(crop))
    prone = order[np.isin(crop[order], list(flows))][: total // 2]
    rest = order[~np.isin(order, prone)][: total - len(prone)]
    declared[prone] = [flows[int(c)] for c in crop[prone]]
    step = rng.integers(1, len(CROPS), len(rest))
    declared[rest] = (crop[rest] + step) % len(CROPS)
    return declared, declared != crop


def crop_of(variety: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Index into crops.CROPS of every parcel's variety."""
    return np.asarray(_CROP_OF_VARIETY[variety])
