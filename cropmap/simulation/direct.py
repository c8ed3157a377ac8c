"""Parcel observations without painted scenes, for scale: the same phenology, passes and sky as the scenes.

Out: observation files in the layout of `observations`, declarations as GeoParquet, and the truth apart. One
acquisition is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from cropmap.schemas import BANDS
from cropmap.simulation import phenology
from cropmap.simulation.landscape import Landscape
from cropmap.simulation.passes import TILES, Pass
from cropmap.simulation.phenology import Array, Stand
from cropmap.simulation.randomness import stream
from cropmap.simulation.sky import sky, through


@dataclass(frozen=True)
class Look:
    """What one pass shows of the parcels of one tile."""

    one: Pass
    tile: str
    parcels: npt.NDArray[np.int64]
    """positions of the parcels, ascending"""
    clear_pixels: Array
    total_pixels: Array
    reflectance: Array
    """(n, BANDS), NaN where no pixel is clear"""


def looks(land: Landscape, stand: Stand, plan: tuple[Pass, ...], *, seed: int) -> Iterator[Look]:
    """Every pass over every tile, in time; a parcel belongs to one home tile, the west or the east one."""
    middle = (land.bounds[0] + land.bounds[2]) / 2
    east = land.xy[:, 0] > middle
    pixels = np.maximum(shapely.area(shapely.buffer(land.fields, -10.0, join_style="mitre")) / 100, 0)
    pixel_m = max(20.0, (land.bounds[2] - land.bounds[0]) / 1500)
    row, column = _cells(land, pixel_m)
    shape = (int((land.bounds[3] - land.bounds[1]) / pixel_m) + 2, int((land.bounds[2] - land.bounds[0]) / pixel_m) + 2)
    for one in plan:
        over = sky(one, shape=shape, pixel_m=pixel_m, seed=seed)
        for tile in one.tiles:
            here = np.flatnonzero(east if tile == TILES[1] else ~east)
            if not len(here):
                continue
            cells = row[here], column[here]
            rng = stream(seed, "look", one.number, tile)
            yield _look(one, tile, here, _subset(stand, here), pixels[here].astype(np.float32),
                        over.opacity[cells], over.shadow[cells], over.seen[cells] > 0, rng)  # fmt: skip


def _cells(land: Landscape, pixel_m: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    left, _, _, top = land.bounds
    return ((top - land.xy[:, 1]) / pixel_m).astype(int), ((land.xy[:, 0] - left) / pixel_m).astype(int)


def _subset(stand: Stand, here: npt.NDArray[np.int64]) -> Stand:
    return Stand(**{name: values[here] for name, values in vars(stand).items()})


def _look(
    one: Pass, tile: str, here: npt.NDArray[np.int64], stand: Stand, pixels: Array,
    opacity: Array, shadow: Array, hidden: npt.NDArray[np.bool_], rng: np.random.Generator,
) -> Look:  # fmt: skip
    surface = phenology.reflectance(stand, one.day_of_year, wetness=one.wetness)
    # the mean of n pixels, and what a field's own unevenness leaves of it
    spread = 0.004 + 0.012 / np.sqrt(np.maximum(pixels, 1))
    surface += rng.standard_normal(surface.shape, dtype=np.float32) * spread[:, None].astype(np.float32)
    shown = through(surface, one, opacity[:, None], shadow[:, None], band=slice(None))
    part = np.where(rng.random(len(here)) < 0.12, rng.random(len(here)), 1.0)  # a cloud's edge crosses some fields
    clear = np.where(hidden, 0.0, pixels * part).astype(np.float32)
    shown[clear <= 0] = np.nan
    assert shown.shape == (len(here), len(BANDS))
    return Look(one, tile, here, clear, pixels, shown)
