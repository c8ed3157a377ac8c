"""Wrong offsets planted in simulated seasons, in both directions: what is corrected, quarantined, missed, and spoilt.

A season is simulated parcel by parcel as `simulation.direct` does it. Every acquisition from baseline 05.00 has an
offset in its pixels or not, and its item says so, or for the planted ones the opposite. What is counted is what
`observations.offset_choice` makes of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cropmap.observations.offset_choice import Judgement, OffsetEvidence, judge_season, season_evidence
from cropmap.observations.offsets import SHIFT, AcquisitionMeans, looks_of, step_between
from cropmap.schemas import BANDS
from cropmap.simulation import phenology
from cropmap.simulation.landscape import Landscape, lay_out
from cropmap.simulation.passes import NEW_BASELINE, OLD_BASELINE, TILES, Pass, passes
from cropmap.simulation.phenology import Array, Stand
from cropmap.simulation.population import settle
from cropmap.simulation.randomness import stream
from cropmap.simulation.sky import CLOUD, sky, through

YEAR: Final = 2024
DATES: Final = 60
SNOW: Final = np.array([0.78, 0.78, 0.77, 0.77, 0.76, 0.75, 0.75, 0.74, 0.14, 0.12], np.float32)
SNOW_DAYS: Final = 60
"""days of the year before which snow may lie"""
SKY_M: Final = 60.0
REAL_PIXELS: Final = 20.0
REAL_SEEN: Final = 0.1
OLD_SHARE: Final = 0.2
"""of the acquisitions, from before 04.00: no offset in their pixels, and none stated"""
KEPT_SHARE: Final = 0.5
"""of the others, with the offset still in their pixels"""

Draw = np.random.Generator
Planting = Callable[[npt.NDArray[np.float64], Draw], npt.NDArray[np.bool_]]


def scattered(share: float) -> Planting:
    return lambda days, draw: draw.random(len(days)) < share


def for_weeks(days: npt.NDArray[np.float64], draw: Draw) -> npt.NDArray[np.bool_]:
    """Everything of six to ten weeks is wrong: of early 2025, or of any other time."""
    length = draw.uniform(42, 70)
    first = draw.uniform(days.min(), max(days.max() - length, days.min() + 1))
    return np.asarray((days >= first) & (days <= first + length))


def from_the_start(days: npt.NDArray[np.float64], _: Draw) -> npt.NDArray[np.bool_]:
    return np.asarray(days <= days.min() + 42)


ONE_IN_TEN: Final = scattered(0.1)


@dataclass(frozen=True)
class Setting:
    name: str
    parcels: int = 300
    planted: Planting = ONE_IN_TEN
    clouds: float = 1.0
    """factor of the cloud shares; above 1 what is left clear is divided by it"""
    soil: float = 1.0
    """factor of the brightness of soils"""
    cover: float = 1.0
    """factor of what grows"""
    snow: bool = False
    veils: float = 0.0
    """share of the passes under a thin cloud that the scene classification missed"""
    until: int = 366
    """day of the year"""


BARE: Final = {"soil": 1.9, "cover": 0.3}
SETTINGS: Final = (
    Setting("one in ten wrong"),
    Setting("nothing wrong", planted=scattered(0)),
    Setting("weeks wrong", planted=for_weeks),
    Setting("the first six weeks wrong", planted=from_the_start),
    Setting("four of five wrong", planted=scattered(0.8)),
    Setting("all wrong", planted=scattered(1)),
    Setting("clear year", clouds=0.3),
    Setting("cloudy year", clouds=3.0),
    Setting("cloudy year, weeks wrong", clouds=3.0, planted=for_weeks),
    Setting("bright soil, hardly anything grows", **BARE),  # type: ignore[arg-type]
    Setting("the same, weeks wrong", planted=for_weeks, **BARE),  # type: ignore[arg-type]
    Setting("the same, four of five wrong", planted=scattered(0.8), **BARE),  # type: ignore[arg-type]
    Setting("snow", snow=True),
    Setting("snow, the first six weeks wrong", snow=True, planted=from_the_start),
    Setting("missed veils on a quarter of the days", veils=0.25),
    Setting("the same, nothing wrong", veils=0.25, planted=scattered(0)),
    Setting("until mid-March", until=75),
    Setting("until mid-March, the first six weeks wrong", until=75, planted=from_the_start),
    Setting("20 parcels", parcels=20),
    Setting("20 parcels, weeks wrong", parcels=20, planted=for_weeks),
    Setting("20 parcels, bright soil", parcels=20, **BARE),  # type: ignore[arg-type]
    Setting("1,000 parcels", parcels=1_000),
)


@dataclass(frozen=True)
class PlantedSeason:
    acquisitions: dict[str, AcquisitionMeans]
    correction: dict[str, float]
    """what is to be added to make it right, by item"""


def simulate(setting: Setting, *, seed: int) -> PlantedSeason:
    """One season of the western tile, with its errors."""
    draw = stream(seed, "offsets", setting.name)
    plan = [p for p in passes(season=YEAR, dates=DATES, seed=seed) if TILES[0] in p.tiles]
    plan = [_under(p, setting) for p in plan if p.day_of_year <= setting.until]
    land = lay_out(parcels=setting.parcels, seed=seed, irregular=False)
    population = settle(land.region, seed=seed, wrong_share=0.0)
    stand = _grown(phenology.draw(population.variety, land.region, population.holding, stream(seed, "stand")), setting)
    pixels = (shapely.area(shapely.buffer(land.fields, -10.0, join_style="mitre")) / 100).astype(np.float32)
    wrong = setting.planted(np.array([p.day_of_year for p in plan], float), draw)
    acquisitions, correction = {}, {}
    for overpass, is_wrong in zip(plan, wrong, strict=True):
        item = f"{overpass.number:03d}"
        old = draw.random() < OLD_SHARE
        right = -SHIFT if not old and draw.random() < KEPT_SHARE else 0.0
        stated = right if old or not is_wrong else -SHIFT - right
        values, clear = _shown(stand, land, pixels, overpass, seed=seed)
        values = _covered(values, overpass, setting, draw) + (stated - right)
        correction[item] = right - stated
        acquisitions[item] = AcquisitionMeans(
            overpass.day, stated, np.round(values, 4), clear, OLD_BASELINE if old else NEW_BASELINE
        )
    return PlantedSeason(acquisitions, correction)


def _shown(stand: Stand, land: Landscape, pixels: Array, overpass: Pass, *, seed: int) -> tuple[Array, Array]:
    """Reflectance of every parcel, NaN where none is clear, and its clear pixels, as `simulation.direct` gives them."""
    left, bottom, right, top = land.bounds
    shape = int((top - bottom) / SKY_M) + 2, int((right - left) / SKY_M) + 2
    above, rng = sky(overpass, shape=shape, pixel_m=SKY_M, seed=seed), stream(seed, "look", overpass.number)
    cells = ((top - land.xy[:, 1]) / SKY_M).astype(int), ((land.xy[:, 0] - left) / SKY_M).astype(int)
    surface = phenology.reflectance(stand, overpass.day_of_year, wetness=overpass.wetness)
    spread = 0.004 + 0.012 / np.sqrt(np.maximum(pixels, 1))
    surface += rng.standard_normal(surface.shape, dtype=np.float32) * spread[:, None].astype(np.float32)
    opacity, shadow = above.opacity[cells][:, None], above.shadow[cells][:, None]
    values = through(surface, overpass, opacity, shadow, band=slice(None))
    clear = np.where(above.seen[cells] > 0, 0, pixels).astype(np.float32)
    values[clear <= 0] = np.nan
    return values, clear


def _under(overpass: Pass, setting: Setting) -> Pass:
    share = overpass.cloud_share
    share = share * setting.clouds if setting.clouds <= 1 else 1 - (1 - share) / setting.clouds
    return replace(overpass, cloud_share=share)


def _grown(stand: Stand, setting: Setting) -> Stand:
    factor = setting.cover
    return replace(
        stand,
        soil=stand.soil * np.float32(setting.soil),
        cover=stand.cover * np.float32(factor),
        sward_winter=stand.sward_winter * np.float32(factor),
        sward_summer=stand.sward_summer * np.float32(factor),
    )


def _covered(shown: Array, overpass: Pass, setting: Setting, draw: Draw) -> Array:
    """Under snow or a veil that the scene classification missed."""
    values = shown.astype(np.float64)
    if setting.snow and overpass.day_of_year <= SNOW_DAYS and draw.random() < 0.4:
        snow = draw.beta(2, 1, (len(values), 1)) * draw.uniform(0.3, 1)
        values = values * (1 - snow) + SNOW * snow
    if draw.random() < setting.veils:
        veil = np.clip(draw.uniform(0.03, 0.3) + draw.normal(0, 0.02, (len(values), 1)), 0, 1)
        values = values * (1 - veil) + CLOUD * veil
    return np.asarray(values, np.float32)


def judge(acquisitions: dict[str, AcquisitionMeans]) -> dict[str, Judgement]:
    looks = {item: looks_of(means) for item, means in acquisitions.items()}
    return judge_season(season_evidence(looks, lambda a, b: step_between(acquisitions[a], acquisitions[b])))


def count(season: PlantedSeason) -> Counter[str]:
    """Acquisitions of which a parcel was seen, by what they are and what is made of them."""
    counts: Counter[str] = Counter()
    for item, judgement in judge(season.acquisitions).items():
        means = season.acquisitions[item]
        if not (np.isfinite(means.reflectance).all(axis=1) & (means.pixels > 0)).any():
            counts["unseen"] += 1
            continue
        is_wrong = season.correction[item] != 0
        kind = "wrong" if is_wrong else "right"
        counts[kind] += 1
        if judgement.correction:
            well = is_wrong and np.isclose(judgement.correction, season.correction[item])
            counts[f"{kind} corrected" if well else "spoilt"] += 1
        elif judgement.evidence in (OffsetEvidence.CONTRADICTED, OffsetEvidence.DOUBTFUL):
            counts[f"{kind} {judgement.evidence}"] += 1
    return counts


def measure(*, seeds: Iterable[int], settings: Iterable[Setting] = SETTINGS) -> list[dict[str, Any]]:
    """One row per setting, and one for all together; shares are of the acquisitions that show a parcel."""
    rows, total = [], Counter[str]()
    for setting in settings:
        counts = sum((count(simulate(setting, seed=seed)) for seed in seeds), Counter[str]())
        total += counts
        rows.append(_row(setting.name, counts))
    return [*rows, _row("all", total)]


def measure_real(file: Path, *, draws: int = 5) -> list[dict[str, Any]]:
    """The same on real parcels without offsets: a table of date, parcel_id, band, reflectance, cloud_fraction."""
    days = real_means(file)
    rows = []
    for offset in (-SHIFT, 0.0):
        for share in (0.0, 0.3, 1.0):
            counts: Counter[str] = Counter()
            for seed in range(draws):
                draw = stream(seed, "real offsets")
                wrong = {day: bool(draw.random() < share) for day in days}
                moved = {False: 0.0, True: SHIFT if offset == 0 else -SHIFT}
                season = PlantedSeason(
                    {
                        d: replace(m, offset=offset, reflectance=m.reflectance + moved[wrong[d]])
                        for d, m in days.items()
                    },
                    {day: -moved[is_wrong] for day, is_wrong in wrong.items()},
                )
                counts += count(season)
            rows.append(_row(f"{'applied twice' if offset else 'not applied'}, {share:.0%}", counts))
    return rows


def real_means(file: Path) -> dict[str, AcquisitionMeans]:
    """The days on which a tenth of the parcels was seen, with an offset of 0; every parcel counts 20 clear pixels."""
    table = pd.read_parquet(file).query("cloud_fraction < 0.5")
    wide = table.pivot_table(index=["date", "parcel_id"], columns="band", values="reflectance")[list(BANDS)]
    ids = sorted(table["parcel_id"].unique())
    days = {}
    for day, rows in wide.groupby(level="date"):
        values = rows.droplevel("date").reindex(ids).to_numpy()
        pixels = np.where(np.isfinite(values[:, 0]), REAL_PIXELS, 0.0)
        days[str(day)] = AcquisitionMeans(pd.Timestamp(str(day)).date(), 0.0, values, pixels)
    return {day: means for day, means in days.items() if (means.pixels > 0).mean() > REAL_SEEN}


def _row(name: str, counts: Counter[str]) -> dict[str, Any]:
    wrong, right = counts["wrong"], counts["right"]
    corrected, quarantined = counts["wrong corrected"], counts["wrong contradicted"]

    def share(number: int, of: int) -> str:
        return f"{number / of:.1%}" if of else ""

    return {
        "setting": name,
        "wrong": wrong,
        "corrected": share(corrected, wrong),
        "quarantined": share(quarantined, wrong),
        "marked": share(counts["wrong doubtful"], wrong),
        "missed": share(wrong - corrected - quarantined - counts["wrong doubtful"], wrong),
        "right": right,
        "spoilt": counts["spoilt"],
        "right, quarantined": share(counts["right contradicted"], right),
        "right, marked": share(counts["right doubtful"], right),
    }
