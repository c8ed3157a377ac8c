"""Parcels that claim the same ground. Pure functions on arrays; outlines in metres of an equal-area grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from cropmap.progress import Counter
from cropmap.sources.outlines import Areas, Shapes

MIN_OVERLAP_HA: Final = 0.01
"""one 10 m pixel: nothing less can be seen"""
MIN_OVERLAP_SHARE: Final = 0.01
"""of the smaller parcel: below, one hedge was drawn twice"""
CHUNK: Final = 50_000
"""pairs intersected at a time"""

Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of parcels, each pair once, by position; first < second."""

    first: Positions
    second: Positions
    area_ha: Areas
    share: Areas
    """of the smaller of the two, 0-1"""
    shapes: Shapes
    """the common ground, in the coordinates of the outlines"""

    def __len__(self) -> int:
        return len(self.first)


def find_overlaps(shapes: Shapes) -> Overlaps:
    """Pairs whose common ground is at least MIN_OVERLAP_HA and MIN_OVERLAP_SHARE of the smaller; valid polygons in."""
    first, second = _near(shapes)
    own = shapely.area(shapes) / 10_000
    found = []
    with Counter("overlaps", total=len(first), unit="pairs") as counter:
        for start in range(0, max(len(first), 1), CHUNK):
            one, other = first[start : start + CHUNK], second[start : start + CHUNK]
            common = shapely.intersection(shapes[one], shapes[other])
            area = shapely.area(common) / 10_000
            share = area / np.minimum(own[one], own[other])
            kept = (area >= MIN_OVERLAP_HA) & (share >= MIN_OVERLAP_SHARE)
            found.append((one[kept], other[kept], area[kept], share[kept], common[kept]))
            counter.add(len(one))
    return Overlaps(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _near(shapes: Shapes) -> tuple[Positions, Positions]:
    """Pairs whose bounding boxes share MIN_OVERLAP_HA: neighbours that only touch fall out here, cheaply."""
    first, second = shapely.STRtree(shapes).query(shapes)
    once = first < second
    first, second = first[once], second[once]
    west, south, east, north = shapely.bounds(shapes).T
    width = np.minimum(east[first], east[second]) - np.maximum(west[first], west[second])
    height = np.minimum(north[first], north[second]) - np.maximum(south[first], south[second])
    enough = (width > 0) & (height > 0) & (width * height >= MIN_OVERLAP_HA * 10_000)
    order = np.lexsort((second[enough], first[enough]))
    return first[enough][order], second[enough][order]
