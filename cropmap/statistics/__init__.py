"""Crop areas per region with their uncertainty, and what must not be published of them."""

from cropmap.statistics.areas import Estimated, estimate_areas
from cropmap.statistics.hiding import EarlierRelease

__all__ = ["EarlierRelease", "Estimated", "estimate_areas"]
