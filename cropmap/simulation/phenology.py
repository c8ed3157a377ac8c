"""Reflectance of parcels on a day: soil, green and dry canopy mixed by their cover.

Cover follows double-logistic cycles and, for swards, a growing season with cuts. A region shifts dates, soil and
practice, so that a model has to travel from one region to another. The parameters of all parcels are drawn once
(`draw`); `reflectance` is then a pure function of the day, vectorised over parcels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from cropmap.schemas import BANDS
from cropmap.simulation.crops import VARIETIES, Variety

Array = npt.NDArray[np.float32]

SOIL: Final = np.array([0.062, 0.086, 0.108, 0.138, 0.162, 0.176, 0.192, 0.204, 0.252, 0.212], np.float32)
DRY: Final = np.array([0.060, 0.096, 0.132, 0.168, 0.222, 0.250, 0.262, 0.284, 0.312, 0.240], np.float32)
FLOWER: Final = np.array([-0.002, 0.075, 0.060, 0.070, 0.040, 0.030, 0.030, 0.030, 0.010, 0.005], np.float32)
"""What yellow flowers add at full bloom."""
CANOPIES: Final = {
    "wheat": (0.024, 0.047, 0.025, 0.080, 0.290, 0.392, 0.405, 0.424, 0.165, 0.078),
    "cereal": (0.027, 0.056, 0.030, 0.097, 0.306, 0.392, 0.406, 0.425, 0.160, 0.076),
    "triticale": (0.032, 0.058, 0.033, 0.102, 0.312, 0.392, 0.404, 0.422, 0.186, 0.094),
    "oats": (0.027, 0.055, 0.030, 0.096, 0.304, 0.388, 0.402, 0.420, 0.174, 0.084),
    "corn": (0.024, 0.048, 0.028, 0.074, 0.278, 0.408, 0.420, 0.440, 0.166, 0.078),
    "rapeseed": (0.036, 0.068, 0.036, 0.120, 0.390, 0.480, 0.490, 0.505, 0.152, 0.076),
    "clover": (0.029, 0.061, 0.032, 0.107, 0.344, 0.432, 0.446, 0.464, 0.188, 0.094),
    "legume": (0.028, 0.060, 0.030, 0.104, 0.350, 0.440, 0.452, 0.470, 0.176, 0.086),
    "buckwheat": (0.034, 0.068, 0.040, 0.112, 0.330, 0.410, 0.425, 0.440, 0.180, 0.090),
    "vegetable": (0.030, 0.062, 0.034, 0.104, 0.340, 0.425, 0.440, 0.455, 0.172, 0.084),
    "meadow": (0.032, 0.065, 0.038, 0.115, 0.318, 0.398, 0.414, 0.432, 0.212, 0.112),
    "pasture": (0.032, 0.064, 0.040, 0.114, 0.311, 0.387, 0.403, 0.421, 0.216, 0.116),
    "ryegrass": (0.031, 0.064, 0.036, 0.113, 0.325, 0.408, 0.424, 0.442, 0.206, 0.107),
    "rough": (0.035, 0.064, 0.046, 0.112, 0.276, 0.340, 0.356, 0.376, 0.224, 0.128),
    "strip": (0.031, 0.058, 0.040, 0.104, 0.276, 0.342, 0.358, 0.378, 0.206, 0.112),
    "shrub": (0.030, 0.054, 0.036, 0.096, 0.268, 0.338, 0.352, 0.372, 0.196, 0.104),
}
"""Reflectance of a closed green canopy in the order of BANDS."""

REGION_SHIFT_DAYS: Final = (0.0, 5.0, -6.0, -2.0)
"""Finistère is late, Ille-et-Vilaine early; order of landscape.REGIONS."""
REGION_SOIL: Final = (1.0, 0.90, 1.12, 1.03)
REGION_CUTS: Final = (0.0, 0.3, -0.2, -0.1)
"""Cuts of a sward more or fewer than the table says."""
REGION_CATCH: Final = (1.0, 1.15, 0.8, 1.0)
"""How much likelier a catch crop is."""

HARVEST_DAYS: Final = 2.5
SENESCENCE_DAYS: Final = 8.0
CYCLES: Final = 4
CUTS: Final = 5

# Low-rank variation of a canopy between parcels: chlorophyll darkens the visible and the red edge, structure
# brightens the near infrared, water darkens the short-wave infrared.
_MODES = np.array(
    [
        [-0.8, -1.0, -1.0, -0.9, -0.25, 0.05, 0.05, 0.05, -0.1, -0.2],
        [0.1, 0.1, 0.0, 0.2, 0.8, 1.0, 1.0, 1.0, 0.4, 0.2],
        [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.2],
    ],
    np.float32,
)
_MODE_SPREAD = np.array([0.09, 0.07, 0.07], np.float32)


@dataclass(frozen=True)
class Stand:
    """The drawn parameters of N parcels; days are days of the season's year."""

    green_up: Array  # (N, CYCLES)
    senescence: Array  # (N, CYCLES)
    harvest: Array  # (N, CYCLES)
    cover: Array  # (N, CYCLES), 0 where there is no such cycle
    pace: Array  # (N, CYCLES)
    sward_winter: Array  # (N,)
    sward_summer: Array  # (N,)
    sward_start: Array  # (N,) day of the spring growth
    drought: Array  # (N,)
    cut: Array  # (N, CUTS) day, inf where there is none
    cut_depth: Array  # (N,)
    regrowth: Array  # (N,) days
    flowering: Array  # (N,) day, inf where there is none
    green: Array  # (N, BANDS)
    dry: Array  # (N, BANDS)
    soil: Array  # (N, BANDS)


def draw(
    variety: npt.NDArray[np.int16],
    region: npt.NDArray[np.int16],
    holding: npt.NDArray[np.int32],
    rng: np.random.Generator,
) -> Stand:
    """Parameters of parcels that grow VARIETIES[variety]; a holding's fields are early or late together."""
    n = len(variety)
    table = _table()
    together = rng.normal(0, 3.5, int(holding.max(initial=0)) + 1)[holding]
    shift = np.take(REGION_SHIFT_DAYS, region) + together + rng.normal(0, 1, n) * table["date_spread"][variety]
    vigour = 1 + rng.normal(0, 1, n) * table["cover_spread"][variety]
    cycles = {name: table[name][variety] for name in ("green_up", "senescence", "harvest", "cover", "pace")}
    for name in ("green_up", "senescence", "harvest"):
        cycles[name] = cycles[name] + shift[:, None] + rng.normal(0, 4.0, (n, CYCLES))
    cycles["cover"] = np.clip(cycles["cover"] * vigour[:, None], 0, 0.98)
    _add_catch_crops(cycles, table, variety, np.take(REGION_CATCH, region), rng)
    return Stand(
        **{name: values.astype(np.float32) for name, values in cycles.items()},
        **_draw_sward(table, variety, region, shift, vigour, rng),
        flowering=(table["flowering"][variety] + shift).astype(np.float32),
        **_draw_spectra(table["canopy"][variety], region, rng),
    )


def _table() -> dict[str, npt.NDArray[np.float64]]:
    """VARIETIES as arrays, one row per variety."""

    def cycles(name: str, missing: float) -> npt.NDArray[np.float64]:
        rows = [[getattr(c, name) for c in v.cycles] + [missing] * (CYCLES - len(v.cycles)) for v in VARIETIES]
        return np.array(rows)

    def sward(v: Variety, name: str) -> float:
        return float(getattr(v.sward, name)) if v.sward else 0.0

    return {
        "green_up": cycles("green_up", 0.0),
        "senescence": cycles("senescence", 1.0),
        "harvest": cycles("harvest", 2.0),
        "cover": cycles("cover", 0.0),
        "pace": cycles("pace", 11.0),
        **{
            name: np.array([sward(v, name) for v in VARIETIES])
            for name in ("winter", "summer", "cuts", "depth", "first_cut", "drought")
        },
        **{
            name: np.array([getattr(v, name) for v in VARIETIES], float)
            for name in ("catch_before", "catch_after", "date_spread", "cover_spread")
        },
        "flowering": np.array([np.inf if v.flowering is None else v.flowering for v in VARIETIES]),
        "canopy": np.array([CANOPIES[v.canopy] for v in VARIETIES]),
    }


def _add_catch_crops(
    cycles: dict[str, npt.NDArray[np.float64]],
    table: dict[str, npt.NDArray[np.float64]],
    variety: npt.NDArray[np.int16],
    likelier: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """The last two cycles: green in the winter before until it is ploughed in, and volunteers or mustard after."""
    n = len(variety)
    last = cycles["harvest"][:, 0]
    for column, name in ((CYCLES - 2, "catch_before"), (CYCLES - 1, "catch_after")):
        free = cycles["cover"][:, column] == 0
        grown = free & (rng.random(n) < table[name][variety] * likelier)
        before = name == "catch_before"
        begin = rng.normal(-70, 15, n) if before else last + rng.normal(42, 12, n)
        end = np.minimum(rng.normal(88, 18, n), cycles["green_up"][:, 0] - 32) if before else np.full(n, 400.0)
        cycles["green_up"][:, column] = np.where(grown, begin, cycles["green_up"][:, column])
        cycles["senescence"][:, column] = np.where(grown, end + 15, cycles["senescence"][:, column])
        cycles["harvest"][:, column] = np.where(grown, end, cycles["harvest"][:, column])
        cycles["cover"][:, column] = np.where(grown, rng.uniform(0.15, 0.85, n), cycles["cover"][:, column])


def _draw_sward(
    table: dict[str, npt.NDArray[np.float64]],
    variety: npt.NDArray[np.int16],
    region: npt.NDArray[np.int16],
    shift: npt.NDArray[np.float64],
    vigour: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> dict[str, Array]:
    n = len(variety)
    mean_cuts = table["cuts"][variety]
    number = np.where(mean_cuts > 0, rng.poisson(np.maximum(mean_cuts + np.take(REGION_CUTS, region), 0.1)), 0)
    gaps = rng.normal(44, 10, (n, CUTS)).clip(18)
    gaps[:, 0] = table["first_cut"][variety] + shift + rng.normal(0, 8, n)
    cut = np.where(np.arange(CUTS) < number[:, None], gaps.cumsum(axis=1), np.inf)
    values = {
        "sward_winter": np.clip(table["winter"][variety] * (vigour + rng.normal(0, 0.10, n)), 0, 0.97),
        "sward_summer": np.clip(table["summer"][variety] * (0.5 + 0.5 * vigour), 0, 0.97),
        "sward_start": 84 + shift,
        "drought": np.clip(table["drought"][variety] * rng.uniform(0.3, 1.7, n), 0, 0.8),
        "cut": cut,
        "cut_depth": np.clip(table["depth"][variety] + rng.normal(0, 0.10, n), 0.05, 0.9),
        "regrowth": rng.uniform(12, 26, n),
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def _draw_spectra(
    canopy: npt.NDArray[np.float64], region: npt.NDArray[np.int16], rng: np.random.Generator
) -> dict[str, Array]:
    n = len(canopy)
    weights = rng.standard_normal((n, 3), dtype=np.float32) * _MODE_SPREAD
    brightness = np.take(REGION_SOIL, region) * np.exp(rng.normal(0, 0.12, n))
    hue = np.exp(rng.normal(0, 0.05, (n, 1)) * np.linspace(-1, 1, len(BANDS)))
    return {
        "green": (canopy * np.exp(weights @ _MODES)).astype(np.float32),
        "dry": (DRY * np.exp(rng.normal(0, 0.10, (n, 1)))).astype(np.float32),
        "soil": (SOIL * brightness[:, None] * hue).astype(np.float32),
    }


def covers(stand: Stand, day: float) -> tuple[Array, Array]:
    """Green and dry cover on a day of the year, each (N,) in 0–1 and together at most 0.98."""
    grown = stand.cover * expit((day - stand.green_up) / stand.pace)
    turned = expit((day - stand.senescence) / SENESCENCE_DAYS)
    taken = expit((day - stand.harvest) / HARVEST_DAYS)
    stubble = 0.35 * stand.cover * taken * np.exp(-np.maximum(day - stand.harvest, 0) / 30)
    green = (grown * (1 - turned) * (1 - taken)).max(axis=1)
    dry = (0.9 * grown * turned * (1 - taken) + stubble).max(axis=1)
    sward, withered = _sward_cover(stand, day)
    green, dry = np.maximum(green, sward), np.maximum(dry, withered)
    crowding = np.maximum((green + dry) / 0.98, 1)
    return green / crowding, dry / crowding


def _sward_cover(stand: Stand, day: float) -> tuple[Array, Array]:
    growing = expit((day - stand.sward_start) / 14) * expit((318 - day) / 16)
    height = stand.sward_winter + (stand.sward_summer - stand.sward_winter) * growing
    since = day - stand.cut
    bitten = np.where(since >= 0, np.exp(-np.maximum(since, 0) / stand.regrowth[:, None]), 0)
    height = height * (1 - stand.cut_depth[:, None] * bitten).prod(axis=1)
    withered = height * stand.drought * np.exp(-(((day - 212) / 38) ** 2))
    return height - withered, withered


def reflectance(stand: Stand, day: float, *, wetness: float = 0.0) -> Array:
    """(N, BANDS) surface reflectance 0–1 without noise; `wetness` 0–1 darkens the soil."""
    green, dry = covers(stand, day)
    bare = ((1 - green - dry) * (1 - 0.3 * wetness)).astype(np.float32)
    bloom = (green * np.exp(-(((day - stand.flowering) / 11) ** 2))).astype(np.float32)
    mixed = bare[:, None] * stand.soil + green[:, None] * stand.green + dry[:, None] * stand.dry
    return np.asarray(mixed + bloom[:, None] * FLOWER, np.float32)
