"""Crop areas per region with their uncertainty, and what must not be published of them."""

from cropmap.statistics.areas import Estimated, estimate_areas

__all__ = ["Estimated", "estimate_areas"]
