"""Units of work to seconds: each stage is a sum of its units, at rates that earlier seasons of this machine have shown.

    seconds = sum over units u of amount_u * rate_u,   rate_u >= 0

Rates are those of least squares of the relative error over what was measured; `PRIOR` weighs the stated rates, so that
one measurement scales them all, and several of different sizes tell them apart. Without any the stated rates count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import nnls

from cropmap.costs.rates import Measured
from cropmap.schemas import Architecture

PRIOR: Final = 0.05
"""weight of a stated rate's relative error, beside 1 for a measurement's"""
LEAST_S: Final = 0.05
OFF_MOST: Final = 50.0
"""a measurement further from the stated rates, either way, says nothing of work: it waited, or found work done"""

STATED: Final[Mapping[str, Mapping[str, float]]] = {
    "observe": {"acquisitions": 0.06, "megapixels": 0.012, "kiloparcels x dates": 0.001},
    f"train {Architecture.LSTM}": {"trainings": 5.0, "kilosteps": 9.0, "megaobservations": 22.0},
    f"train {Architecture.TRANSFORMER}": {"trainings": 3.0, "kilosteps": 10.0, "megaobservations": 30.0},
    "predict": {"runs": 0.2, "kiloparcels": 0.02, "megaobservations": 5.0},
    "assess": {"runs": 0.1, "kiloparcels": 0.1},
    "aggregate": {"runs": 5.0, "kiloparcels": 0.1},  # the search of what to hide
    "publish": {"runs": 0.1, "kiloparcels": 0.05},
}
"""processor seconds of one unit on two cores of 2024; what a stage takes whatever its size has a unit of its own"""
SERIAL: Final = frozenset({"assess", "aggregate", "publish"})
"""stages that use one processor"""
STATED_BYTES: Final[Mapping[str, Mapping[str, float]]] = {
    "observe": {"runs": 0.45e9, "kiloparcels": 0.2e6, "pixels": 8.0},
    "train": {"runs": 1.0e9, "kiloparcels": 3.0e6},
    "predict": {"runs": 1.0e9, "kiloparcels": 3.0e6, "megaobservations": 120e6},
}
"""of one process, the largest; after a training in the same command torch stays"""


@dataclass(frozen=True)
class Estimate:
    cpu_s: float
    wall_s: float
    measured: bool
    """whether the rates were measured on this machine"""


def estimate(stage: str, units: Mapping[str, float], known: Sequence[Measured], *, processors: int) -> Estimate:
    """What a stage takes. `known` are its measurements on this machine; one that lacks a unit, because it was not
    counted then, says nothing."""
    stated = STATED[stage]
    known = [each for each in known if stated.keys() <= each.units.keys()]
    at_once = 1 if stage in SERIAL else processors
    cpu = [(each.units, each.cpu_s) for each in known if each.cpu_s > 0]
    wall = [(each.units, each.wall_s) for each in known if each.wall_s > 0]
    walls = {unit: rate / at_once for unit, rate in stated.items()}
    rates, by_wall = fitted(stated, cpu), fitted(walls, wall)
    return Estimate(seconds(rates, units), seconds(by_wall, units), bool(cpu))


def peak_bytes(stage: str, amounts: Mapping[str, float], known: Sequence[Measured]) -> float:
    """Memory of the largest process of a stage."""
    stated = STATED_BYTES.get(stage.partition(" ")[0], STATED_BYTES["predict"])
    seen = [({**each.units, "runs": 1.0}, each.peak_bytes) for each in known if each.peak_bytes > 0]
    return seconds(fitted(stated, seen), {**amounts, "runs": 1.0})


def seconds(rates: Mapping[str, float], units: Mapping[str, float]) -> float:
    return sum(rate * units.get(unit, 0.0) for unit, rate in rates.items())


def fitted(stated: Mapping[str, float], known: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Rates by unit, in the unknowns rate / stated rate, so that all have one scale."""
    names = list(stated)
    rows, amounts = [], []
    for units, took in known:
        row = np.array([stated[name] * units.get(name, 0.0) for name in names])
        if took >= LEAST_S and row.sum() / OFF_MOST <= took <= row.sum() * OFF_MOST:
            rows.append(row / took)
            amounts.append(1.0)
    scale = _common_scale(rows)
    for n in range(len(names)):
        rows.append(np.eye(len(names))[n] * PRIOR)
        amounts.append(PRIOR * scale)
    factors, _ = nnls(np.array(rows), np.array(amounts))
    return {name: stated[name] * float(factor) for name, factor in zip(names, factors, strict=True)}


def _common_scale(rows: Sequence[np.ndarray]) -> float:
    """How this machine compares with the stated rates as a whole: 1 where nothing was measured."""
    return float(np.exp(np.mean([-np.log(row.sum()) for row in rows]))) if rows else 1.0
