"""Painting a pass: the surface from parcels' reflectance, unevenness within fields, the sky, the classification.

Rasters cover the whole landscape; a tile's scene is a window of them. Pure functions of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy import ndimage

from cropmap.schemas import BANDS, RESOLUTION_M
from cropmap.simulation import phenology
from cropmap.simulation.landscape import Landscape
from cropmap.simulation.passes import Pass
from cropmap.simulation.phenology import Array, Stand
from cropmap.simulation.randomness import stream
from cropmap.simulation.sky import Sky, sky, through

GRID_M: Final = 20
"""Canvas edges lie on multiples of the coarse pixel, as the tiles' origins do."""

WATER_CLASS: Final = 6
VEGETATION_CLASS: Final = 4
BARE_CLASS: Final = 5
VEGETATION_NDVI: Final = 0.35

WOOD_SUMMER: Final = (0.022, 0.042, 0.022, 0.078, 0.235, 0.300, 0.315, 0.335, 0.155, 0.068)
WOOD_WINTER: Final = (0.030, 0.045, 0.045, 0.070, 0.120, 0.140, 0.150, 0.165, 0.150, 0.090)
BUILT: Final = (0.105, 0.125, 0.140, 0.155, 0.170, 0.180, 0.195, 0.200, 0.215, 0.185)
WATER: Final = (0.042, 0.036, 0.022, 0.018, 0.014, 0.013, 0.012, 0.011, 0.007, 0.005)
BACKGROUND_KINDS: Final = (0.62, 0.30, 0.08)  # woods, villages, water

# Where a field is thinner, the near infrared is darker and everything else brighter.
_UNEVEN = np.array([0.07, 0.06, 0.09, 0.05, -0.03, -0.05, -0.05, -0.05, 0.05, 0.07], np.float32)
_PIXEL_NOISE: Final = 0.022
"""Relative, of one 10 m pixel; a 20 m pixel has half of it."""


@dataclass(frozen=True)
class Canvas:
    """What does not change between passes, on the 10 m grid; height and width are even."""

    transform: Affine
    label: npt.NDArray[np.int32]
    """(H, W) parcel position, then woods, villages, water (parcels + 0, 1, 2)"""
    own: Array
    """(H, W) share of the pixel that its label fills; the rest is hedge"""
    uneven: Array
    """(H, W) thin and thick patches, about N(0, 1)"""

    @property
    def shape(self) -> tuple[int, int]:
        return self.label.shape[0], self.label.shape[1]


@dataclass(frozen=True)
class Painting:
    """One pass over the whole canvas."""

    scl: npt.NDArray[np.uint8]
    """(H/2, W/2)"""
    sky: Sky
    """on the 20 m grid"""
    table: Array
    """(labels, BANDS) surface reflectance of parcels, then background"""


def canvas(land: Landscape, *, seed: int) -> Canvas:
    left, bottom, right, top = land.bounds
    west, north = np.floor(left / GRID_M) * GRID_M, np.ceil(top / GRID_M) * GRID_M
    width, height = (2 * int(np.ceil(length / GRID_M)) for length in (right - west, north - bottom))
    kinds = stream(seed, "background").choice(3, size=len(land.backgrounds), p=BACKGROUND_KINDS)
    n = len(land.fields)
    shapes = [
        *zip(land.backgrounds, (n + 1 + kinds).tolist(), strict=True),
        *zip(land.fields, range(1, n + 1), strict=True),
    ]
    double = rasterize(
        shapes, out_shape=(2 * height, 2 * width), transform=Affine(5, 0, west, 0, -5, north), dtype="int32"
    )
    quarters = double.reshape(height, 2, width, 2).transpose(0, 2, 1, 3).reshape(height, width, 4)
    label = rasterize(shapes, out_shape=(height, width), transform=Affine(10, 0, west, 0, -10, north), dtype="int32")
    own = (quarters == label[..., None]).mean(axis=2, dtype=np.float32)
    rough = stream(seed, "unevenness").standard_normal((height, width), dtype=np.float32)
    uneven = ndimage.gaussian_filter(rough, 3.0)
    return Canvas(
        transform=Affine(10, 0, west, 0, -10, north),
        label=np.where(label == 0, n, label - 1).astype(np.int32),  # land without a parcel is hedge and wood
        own=np.where(label == 0, np.float32(1), own),
        uneven=uneven / uneven.std(),
    )


def survey(ground: Canvas, stand: Stand, overpass: Pass, *, seed: int) -> Painting:
    """Everything of a pass but its bands, which `bands` paints one at a time."""
    table = np.vstack(
        [phenology.reflectance(stand, overpass.day_of_year, wetness=overpass.wetness), _background(overpass)]
    )
    shape = ground.shape[0] // 2, ground.shape[1] // 2
    above = sky(overpass, shape=shape, pixel_m=20.0, seed=seed)
    scl = _ground_class(table[ground.label[::2, ::2]])
    scl[ground.label[::2, ::2] == len(table) - 1] = WATER_CLASS
    return Painting(np.where(above.seen > 0, above.seen, scl).astype(np.uint8), above, table)


def bands(ground: Canvas, painting: Painting, overpass: Pass, *, seed: int) -> Iterator[tuple[str, Array]]:
    """Every band as float32 reflectance of the product, on its own grid, in the order of BANDS."""
    rng = stream(seed, "pixels", overpass.number)
    opacity, shadow = painting.sky.opacity, painting.sky.shadow
    fine = _doubled(opacity), _doubled(shadow)
    for index, band in enumerate(BANDS):
        of_label = painting.table[:, index]
        hedge = of_label[len(of_label) - 3]
        surface = hedge + ground.own * (of_label[ground.label] - hedge)
        surface *= 1 + _UNEVEN[index] * ground.uneven
        if RESOLUTION_M[band] == 20:
            surface = _halved(surface)
        noise = _PIXEL_NOISE if RESOLUTION_M[band] == 10 else _PIXEL_NOISE / 2
        surface *= 1 + np.float32(noise) * rng.standard_normal(surface.shape, dtype=np.float32)
        over = fine if RESOLUTION_M[band] == 10 else (opacity, shadow)
        yield band, through(surface, overpass, *over, band=index)


def _background(overpass: Pass) -> Array:
    leafy = 1 / (1 + np.exp(-(overpass.day_of_year - 112) / 9)) / (1 + np.exp((overpass.day_of_year - 305) / 9))
    wood = leafy * np.array(WOOD_SUMMER) + (1 - leafy) * np.array(WOOD_WINTER)
    return np.array([wood, BUILT, WATER], np.float32)


def _ground_class(spectrum: Array) -> npt.NDArray[np.uint8]:
    red, near = spectrum[..., BANDS.index("B04")], spectrum[..., BANDS.index("B08")]
    return np.where((near - red) / (near + red) > VEGETATION_NDVI, VEGETATION_CLASS, BARE_CLASS).astype(np.uint8)


def _halved(values: Array) -> Array:
    rows, columns = values.shape
    return np.asarray(values.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)), np.float32)


def _doubled(values: Array) -> Array:
    return np.asarray(np.repeat(np.repeat(values, 2, axis=0), 2, axis=1))
