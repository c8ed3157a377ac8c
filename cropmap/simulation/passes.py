"""When satellites pass: three relative orbits with gaps, two satellites, two processing baselines, a year's weather."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from cropmap.errors import ConfigurationError
from cropmap.schemas import BANDS
from cropmap.simulation.phenology import Array
from cropmap.simulation.randomness import stream

TILES: Final = ("30UVU", "30UWU")
"""West and east; both see the middle."""
ORBITS: Final = {94: (TILES, "11:10:31"), 137: (TILES[:1], "11:20:21"), 51: (TILES[1:], "10:59:11")}
"""Relative orbit: the tiles its swath covers and the UTC time it passes."""
SHARED_ORBIT: Final = 94
REPEAT_DAYS: Final = 5
"""Sentinel-2A and -2B take turns on an orbit."""
FIRST_PASS: Final = {94: 3, 137: 1, 51: 0}
"""Days after 1 January of the first pass (schematic)."""
MOST_DATES: Final = 100

OLD_BASELINE: Final = "02.06"
NEW_BASELINE: Final = "05.00"
OFFSET: Final = {OLD_BASELINE: 0.0, NEW_BASELINE: -0.1}
"""Reflectance = DN × 0.0001 + offset; Collection 1 reprocessed old years with the offset, so dates say nothing."""

_WAVELENGTH_NM = np.array([492, 560, 665, 704, 740, 783, 833, 865, 1614, 2202], float)


@dataclass(frozen=True)
class Pass:
    number: int
    """position in time, counted from 0"""
    sensed_at: datetime
    """UTC"""
    day_of_year: int
    platform: str
    relative_orbit: int
    tiles: tuple[str, ...]
    baseline: str
    reprocessed_tile: str | None
    """the tile of which an item under the older baseline exists too; it is superseded"""
    cloud_share: float
    wetness: float
    """of the soil, 0–1"""
    gain: Array
    """(BANDS,) residual of calibration and illumination, about 1"""
    haze: Array
    """(BANDS,) reflectance that residual aerosol adds"""

    @property
    def day(self) -> date:
        return self.sensed_at.date()


def passes(*, season: int, dates: int, seed: int) -> tuple[Pass, ...]:
    """All passes of a year in order of time; every tile is seen on `dates` dates, at irregular intervals.

    Raises ConfigurationError when `dates` is not within 2–100.
    """
    if not 2 <= dates <= MOST_DATES:
        raise ConfigurationError(
            f"{dates} dates per tile are not possible", where="--dates", mend=f"Ask for 2 to {MOST_DATES}"
        )
    rng = stream(seed, "passes")
    shared = round(dates * 0.6)
    days = []
    for orbit in ORBITS:
        chosen = _days(orbit, shared if orbit == SHARED_ORBIT else dates - shared, rng)
        # an orbit's weather is dealt, not drawn, so that no seed gives a year without a clear sky
        luck = (rng.permutation(len(chosen)) + rng.random(len(chosen))) / max(len(chosen), 1)
        days += [(day, orbit, weather) for day, weather in zip(chosen, luck.tolist(), strict=True)]
    days.sort()
    return tuple(_pass(number, season, *day, len(days), seed) for number, day in enumerate(days))


def _days(orbit: int, number: int, rng: np.random.Generator) -> list[int]:
    """Some of an orbit's passes: others were not acquired, or not processed."""
    every = np.arange(FIRST_PASS[orbit], 365, REPEAT_DAYS)
    return sorted(rng.choice(every, size=number, replace=False).tolist())


def _pass(number: int, season: int, day: int, orbit: int, weather: float, of: int, seed: int) -> Pass:
    rng = stream(seed, "pass", number)
    tiles, time = ORBITS[orbit]
    sensed_at = datetime.fromisoformat(f"{season}-01-01T{time}").replace(tzinfo=UTC) + timedelta(days=day)
    turn = (day - FIRST_PASS[orbit]) // REPEAT_DAYS % 2
    new = rng.random() < 0.5 if number not in (0, of - 1) else number == 0
    twice = number == of // 2  # one acquisition of the year exists under both baselines
    return Pass(
        number=number,
        sensed_at=sensed_at,
        day_of_year=day + 1,
        platform=f"sentinel-2{'ab'[turn]}",
        relative_orbit=orbit,
        tiles=tiles,
        baseline=NEW_BASELINE if new or twice else OLD_BASELINE,
        reprocessed_tile=tiles[0] if twice else None,
        cloud_share=_cloud_share(day, weather, rng),
        wetness=float(np.clip(rng.beta(2, 3) + 0.3 * np.cos(2 * np.pi * day / 365), 0, 1)),
        gain=np.exp(rng.normal(0, 0.015) + rng.normal(0, 0.01, len(BANDS))).astype(np.float32),
        haze=(abs(rng.normal(0, 0.007)) * (_WAVELENGTH_NM / 492) ** -1.8).astype(np.float32),
    )


def _cloud_share(day: int, weather: float, rng: np.random.Generator) -> float:
    """Mostly clear or mostly cloudy, cloudier in winter; `weather` 0–1, low is overcast."""
    winter = 0.5 + 0.5 * np.cos(2 * np.pi * (day - 10) / 365)
    if weather < 0.25 + 0.22 * winter:
        return float(rng.uniform(0.9, 1.0))
    return float(rng.beta(0.55, 1.4))
