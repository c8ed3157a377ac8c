"""A small population whose truth is known: crops as normal clouds, a classifier that knows them, planted mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.legends import Legend, LegendEntry

CROPS = ("barley", "corn", "meadow", "pasture", "rape", "wheat")
SHARES = np.array([0.12, 0.25, 0.22, 0.18, 0.05, 0.18])
CENTRES = np.array(
    [
        [2.6, 0.0, 0.0, 0.0],
        [0.0, 4.2, 0.0, 0.0],
        [0.0, 0.0, 4.0, 0.0],
        [0.0, 0.0, 4.0, 1.4],
        [-4.0, -2.0, 0.0, 2.0],
        [3.4, 0.0, -1.6, 2.4],
    ]
)
"""meadow and pasture overlap: nobody can tell a wrong declaration between them"""


@dataclass(frozen=True)
class Scores:
    parcel_ids: NDArray[np.object_]
    crops: tuple[str, ...]
    logits: NDArray[np.float32]
    n_observations: NDArray[np.int32]


def legend(groups: dict[str, str] | None = None) -> Legend:
    entries = [LegendEntry(crop.upper(), crop, crop, None, (groups or {}).get(crop, crop)) for crop in CROPS] + [
        LegendEntry("BEE", "beehives", None, None, "")
    ]
    return Legend("test", tuple(entries), "hash")


def simulate(
    *, parcels: int, wrong: float, seed: int, noise: float = 1.0, sharpness: float = 1.6
) -> tuple[pd.DataFrame, Scores, dict[str, str]]:
    """Declarations, overconfident scores (true log posteriors x `sharpness`) and the truth.

    `noise` blurs what the classifier sees: at 50 it knows nothing.
    """
    rng = np.random.default_rng(seed)
    true = rng.choice(len(CROPS), size=parcels, p=SHARES)
    signal = CENTRES[true] + rng.normal(size=(parcels, 4)) * noise
    distance = ((signal[:, None, :] - CENTRES[None]) ** 2).sum(axis=2) / noise**2
    logits = (np.log(SHARES) - distance / 2) * sharpness
    declared = true.copy()
    mistaken = rng.random(parcels) < wrong
    declared[mistaken] = (true[mistaken] + rng.integers(1, len(CROPS), size=mistaken.sum())) % len(CROPS)
    ids = np.array([f"{number:06d}" for number in range(parcels)], dtype=object)
    frame = pd.DataFrame(
        {
            "parcel_id": ids,
            "crop_code": [CROPS[k].upper() for k in declared],
            "area_ha": rng.lognormal(0.5, 0.8, size=parcels),
            "pixels": 50.0,
            "has_geometry": True,
        }
    )
    scores = Scores(ids, CROPS, logits.astype(np.float32), np.full(parcels, 20, dtype=np.int32))
    return frame, scores, {parcel: CROPS[k] for parcel, k in zip(ids, true, strict=True)}
