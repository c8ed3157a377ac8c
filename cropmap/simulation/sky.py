"""Clouds, their shadows, and what a scene classification makes of them: thin clouds missed, bright fields mistaken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cropmap.simulation.passes import Pass
from cropmap.simulation.phenology import Array
from cropmap.simulation.randomness import stream

CLOUD: Final = np.array([0.60, 0.59, 0.60, 0.61, 0.63, 0.64, 0.65, 0.65, 0.44, 0.32], np.float32)
"""Reflectance of an opaque cloud in the order of BANDS."""
SHADOW_DEPTH: Final = 0.6
"""Share of the light that a full shadow takes."""
SHADOW_FALLS_M: Final = (420.0, 260.0)
"""How far north and west of its cloud a shadow lies (sun in the south-east)."""

SHADOW_CLASS: Final = 3
MEDIUM_CLASS: Final = 8
HIGH_CLASS: Final = 9
CIRRUS_CLASS: Final = 10

_BLOBS: Final = ((4000.0, 1.0), (1500.0, 0.6), (600.0, 0.35), (200.0, 0.15))  # wavelength in metres, weight


@dataclass(frozen=True)
class Sky:
    """Rasters of one pass over the whole landscape."""

    opacity: Array
    """0–1"""
    shadow: Array
    """0–1"""
    seen: npt.NDArray[np.uint8]
    """SCL class of clouds and shadows as detected, 0 where the detector saw neither"""


def sky(overpass: Pass, *, shape: tuple[int, int], pixel_m: float, seed: int) -> Sky:
    """The sky of a pass on a grid; the same pass and grid give the same sky."""
    rng = stream(seed, "sky", overpass.number)
    field = _blobs(shape, pixel_m, rng)
    excess = field - np.quantile(field, 1 - min(overpass.cloud_share, 0.995))
    if overpass.cloud_share > 0.97:
        excess = excess + 0.6
    opacity = np.clip(excess / 0.7 + 0.03, 0, 1) * (excess > 0)
    shadow = _cast_shadow(opacity, pixel_m) * (1 - opacity)
    return Sky(opacity.astype(np.float32), shadow.astype(np.float32), _detected(excess, shadow, pixel_m, rng))


def _blobs(shape: tuple[int, int], pixel_m: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Smooth noise of mean 0 and standard deviation 1 with structure from a few kilometres down to a few pixels."""
    total = np.zeros(shape)
    for wavelength, weight in _BLOBS:
        step = max(wavelength / 2 / pixel_m, 2.0)
        coarse = rng.standard_normal([int(n / step) + 4 for n in shape])
        total += weight * ndimage.zoom(coarse, step, order=2)[: shape[0], : shape[1]]
    return np.asarray((total - total.mean()) / (total.std() + 1e-9))


def _cast_shadow(opacity: npt.NDArray[np.float64], pixel_m: float) -> npt.NDArray[np.float64]:
    north, west = (round(metres / pixel_m) for metres in SHADOW_FALLS_M)
    shadow = np.zeros_like(opacity)
    rows, columns = opacity.shape
    if north < rows and west < columns:
        shadow[: rows - north, : columns - west] = opacity[north:, west:]
    return shadow


def _detected(
    excess: npt.NDArray[np.float64], shadow: npt.NDArray[np.float64], pixel_m: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    shape = (excess.shape[0], excess.shape[1])
    wobble = _blobs(shape, pixel_m * 2, rng)
    bias = rng.normal(0.02, 0.07)  # of this scene's detector: below 0 it also takes clear edges for cloud
    sure = excess - 0.07 * wobble - bias
    seen = np.zeros(shape, np.uint8)
    seen[(shadow - 0.12 * wobble) > 0.25] = SHADOW_CLASS
    seen[sure > 0] = CIRRUS_CLASS
    seen[sure > 0.12] = MEDIUM_CLASS
    seen[sure > 0.4] = HIGH_CLASS
    mistaken = _blobs(shape, pixel_m, rng)
    seen[(mistaken > np.quantile(mistaken, 0.996)) & (seen == 0)] = MEDIUM_CLASS
    return seen


def through(surface: Array, overpass: Pass, opacity: Array, shadow: Array, *, band: int | slice) -> Array:
    """Surface reflectance as the satellite's product shows it: calibration, haze, shadow, cloud.

    `opacity` and `shadow` broadcast against `surface`.
    """
    lit = (surface * overpass.gain[band] + overpass.haze[band]) * (1 - SHADOW_DEPTH * shadow)
    return np.asarray(lit * (1 - opacity) + CLOUD[band] * (0.8 + 0.5 * opacity) * opacity, np.float32)
