"""How long and how much memory the area estimate of a large country takes: 500,000 parcels, 60 crops, 1,500 regions.

The population is made up in the process that estimates, whose peak is read; nothing is hidden, because secondary
suppression has a bench of its own (`python -m tests.studies disclosure`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.bench import Row
from cropmap.bench.memory import peak_bytes
from cropmap.legends import Legend, LegendEntry
from cropmap.schemas import Confidentiality
from cropmap.statistics.areas import estimate_areas

PARCELS, CROPS, REGIONS, REVIEWS = 500_000, 60, 1_500, 1_500
QUICK: Final = (5_000, 8, 20, 100)
SIGNAL: Final = 4.0
"""logit of the crop that grows; noise has a standard deviation of 1"""
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SECONDS: Final = 30
GIB: Final = 4


@dataclass(frozen=True)
class Scores:
    parcel_ids: NDArray[np.object_]
    crops: tuple[str, ...]
    probabilities: NDArray[np.float32]


def measure(*, quick: bool = False) -> list[Row]:
    """One row: seconds, peak memory, and how much of it the inputs are."""
    size = QUICK if quick else (PARCELS, CROPS, REGIONS, REVIEWS)
    command = [sys.executable, "-m", __name__, *map(str, size)]
    measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return [
        {
            "what": "estimate_areas",
            "seconds": round(measured["seconds"], 1),
            "target": f"<= {SECONDS} s, {GIB} GiB",
            "peak resident": f"{measured['peak'] / 2**30:.2f} GiB",
            "inputs alone": f"{measured['inputs'] / 2**30:.2f} GiB",
            "rows": measured["rows"],
            "how": "{:,} parcels, {} crops, {:,} NUTS-3 regions, {:,} reviews; one run".format(*size),
        }
    ]


def estimate(parcels: int, crops: int, regions: int, reviews: int) -> dict[str, float]:
    """Makes a population, estimates its areas and says what that took; meant for a process of its own."""
    frame, scores, sample = country(parcels, crops, regions, reviews)
    inputs, started = peak_bytes(), time.perf_counter()
    estimated = estimate_areas(
        frame, scores, plain_legend(scores.crops), reviews=sample, confidentiality=Confidentiality.OFF
    )
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak": float(peak_bytes()), "inputs": float(inputs), "rows": len(estimated.table)}


def country(parcels: int, crops: int, regions: int, reviews: int) -> tuple[pd.DataFrame, Scores, pd.DataFrame]:
    """(parcels, out-of-fold scores, reviews) as `estimate_areas` takes them: 92 % declared, 3 % of them wrong."""
    rng = np.random.default_rng(0)
    names = np.array([f"crop{number:02d}" for number in range(crops)], dtype=object)
    share = rng.dirichlet(np.full(crops, 0.5))
    true = rng.choice(crops, parcels, p=share)
    probabilities = np.empty((parcels, crops), np.float32)
    for part in np.array_split(np.arange(parcels), max(parcels // 50_000, 1)):
        logits = rng.standard_normal((len(part), crops), np.float32) + np.log(share + 1e-4).astype(np.float32)
        logits[np.arange(len(part)), true[part]] += SIGNAL
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities[part] = weight / weight.sum(axis=1, keepdims=True)
    declared = np.where(rng.random(parcels) < 0.03, rng.choice(crops, parcels, p=share), true)
    ids = np.array([f"{number:08d}" for number in range(parcels)], dtype=object)
    area = rng.lognormal(0.0, 1.1, parcels)
    codes = np.array([nuts3(number) for number in range(regions)], dtype=object)
    frame = pd.DataFrame(
        {
            "parcel_id": ids,
            "nuts_id": codes[rng.integers(0, regions, parcels)],
            "area_ha": area,
            "crop_code": pd.Series(names[declared]).where(rng.random(parcels) < 0.92, None),
            "holding_id": rng.integers(0, max(parcels // 20, 1), parcels).astype(str),
        }
    )
    drawn = rng.choice(parcels, reviews, replace=False, p=area / area.sum())
    inclusion = np.minimum(reviews * area[drawn] / area.sum(), 1.0)
    sample = pd.DataFrame(
        {"parcel_id": ids[drawn], "found_code": names[true[drawn]], "inclusion_probability": inclusion}
    )
    return frame, Scores(ids, tuple(names), probabilities), sample


def nuts3(number: int) -> str:
    """A code of its own: eight regions to a parent on every level, then another country."""
    country, rest = divmod(number, 8**3)
    digits = [rest // 64, rest // 8 % 8, rest % 8]
    return ["FR", "DE", "PL", "ES", "IT", "RO"][country] + "".join(DIGITS[digit] for digit in digits)


if __name__ == "__main__":
    print(json.dumps(estimate(*map(int, sys.argv[1:]))))


def plain_legend(crops: Sequence[str]) -> Legend:
    """Every crop under its own name as code."""
    return Legend("plain", tuple(LegendEntry(crop, crop, crop, None, crop) for crop in crops), "")
