"""Small populations of parcels with known areas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.legends import Legend, LegendEntry


@dataclass(frozen=True)
class Predicted:
    parcel_ids: NDArray[np.object_]
    crops: tuple[str, ...]
    probabilities: NDArray[np.float32]


def legend() -> Legend:
    """corn has two Eurostat items, misc none; hops is known and not mapped, beehives is no crop at all."""
    rows = [
        ("MIE", "corn", "G3000"),
        ("MIS", "corn", "C1500"),
        ("BTH", "wheat", "C1110"),
        ("PPH", "meadow", "J0000"),
        ("DIV", "misc", None),
        ("HBL", None, "I4000"),
        ("BEE", None, None),
    ]
    entries = (LegendEntry(code, code, crop, item, crop or "") for code, crop, item in rows)
    return Legend("test", tuple(entries), "hash")


CROPS = ("corn", "meadow", "misc", "wheat")
CODES = {"corn": ("MIE", "MIS"), "meadow": ("PPH",), "misc": ("DIV",), "wheat": ("BTH",)}
REGIONS = ("FRH01", "FRH02", "FRI11", "DE21B")


def simulate(
    *, parcels: int, seed: int, wrong: float = 0.03, undeclared: float = 0.1, regions: tuple[str, ...] = REGIONS
) -> tuple[pd.DataFrame, Predicted, pd.DataFrame]:
    """(parcels, predictions, truth with columns parcel_id, code). Two in three corn parcels are green maize."""
    rng = np.random.default_rng(seed)
    true = rng.choice(4, size=parcels, p=[0.4, 0.3, 0.05, 0.25])
    green = rng.random(parcels) < 2 / 3
    centres = 2.0 * np.eye(4)
    signal = centres[true] + rng.normal(size=(parcels, 4))
    weight = np.exp(1.3 * (np.log([0.4, 0.3, 0.05, 0.25]) - ((signal[:, None] - centres) ** 2).sum(axis=2) / 2))
    declared = np.where(rng.random(parcels) < wrong, rng.integers(0, 4, size=parcels), true)
    ids = np.array([f"p{number:05d}" for number in range(parcels)], dtype=object)
    codes = np.array([_code(k, is_green) for k, is_green in zip(declared, green, strict=True)], dtype=object)
    codes[rng.random(parcels) < undeclared] = None
    frame = pd.DataFrame(
        {
            "parcel_id": ids,
            "nuts_id": rng.choice(regions, size=parcels),
            "area_ha": rng.lognormal(0.5, 0.9, size=parcels),
            "crop_code": pd.Series(codes, dtype=object),
            "holding_id": [f"h{number}" for number in rng.integers(0, max(parcels // 6, 1), size=parcels)],
        }
    )
    truth = pd.DataFrame({"parcel_id": ids, "code": [_code(k, g) for k, g in zip(true, green, strict=True)]})
    probabilities = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return frame, Predicted(ids, CROPS, probabilities), truth


def _code(crop: int, green: bool) -> str:
    codes = CODES[CROPS[crop]]
    return codes[0] if green or len(codes) == 1 else codes[1]


def review(frame: pd.DataFrame, truth: pd.DataFrame, *, rate: float, seed: int) -> pd.DataFrame:
    """Parcels drawn with probability proportional to area, at most 1."""
    rng = np.random.default_rng(seed)
    area = frame["area_ha"].to_numpy()
    inclusion = np.minimum(1.0, rate * len(area) * area / area.sum())
    drawn = rng.random(len(area)) < inclusion
    return pd.DataFrame(
        {
            "parcel_id": frame["parcel_id"][drawn],
            "found_code": truth["code"][drawn],
            "inclusion_probability": inclusion[drawn],
        }
    )
