"""Parcels that claim the same ground. Pure functions on arrays; outlines in metres of an equal-area grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
STRIP: Final = 16_384
"""outlines whose neighbours are looked for at a time"""

Positions = np.ndarray[Any, np.dtype[np.intp]]


_NONE: Final = (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0), np.empty(0), np.empty(0, dtype=object))


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
    return find_overlaps_of(len(shapes), lambda rows: shapes[rows])


def find_overlaps_of(count: int, shapes: Callable[[Positions], Shapes]) -> Overlaps:
    """The same of `count` outlines that are asked for by their positions, strip by strip, and never held together."""
    parts = [
        shapely.bounds(shapes(np.arange(start, min(start + STRIP, count)))).reshape(-1, 4)
        for start in range(0, count, STRIP)
    ]
    bounds = np.concatenate([np.empty((0, 4)), *parts])
    found = [_NONE]
    with Counter("overlaps", total=count, unit="parcels") as counter:
        for first, second, begun in _strips(bounds):
            some = [slice(start, start + CHUNK) for start in range(0, len(first), CHUNK)]
            found += [_common(first[part], second[part], shapes) for part in some]
            counter.add(begun)
    columns = [np.concatenate(part) for part in zip(*found, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return Overlaps(*(column[order] for column in columns))


def _common(first: Positions, second: Positions, shapes: Callable[[Positions], Shapes]) -> tuple[Any, ...]:
    """The pairs that share enough, as columns of Overlaps."""
    rows, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    drawn = shapes(rows)
    one, other = drawn[places[: len(first)]], drawn[places[len(first) :]]
    own = shapely.area(drawn) / 10_000
    common = shapely.intersection(one, other)
    area = shapely.area(common) / 10_000
    share = area / np.minimum(own[places[: len(first)]], own[places[len(first) :]])
    kept = (area >= MIN_OVERLAP_HA) & (share >= MIN_OVERLAP_SHARE)
    return first[kept], second[kept], area[kept], share[kept], common[kept]


def _strips(bounds: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[tuple[Positions, Positions, int]]:
    """(first, second, parcels of the strip), from south to north: each pair once whose bounding boxes share
    MIN_OVERLAP_HA. Neighbours that only touch fall out here, cheaply."""
    order = np.argsort(bounds[:, 1], kind="stable")
    west, south, east, north = bounds[order].T
    for start in range(0, len(order), STRIP):
        end = min(start + STRIP, len(order))
        reach = max(int(np.searchsorted(south, north[start:end].max())), end)
        boxes = shapely.box(*(side[start:reach] for side in (west, south, east, north)))
        low, high = (rows + start for rows in shapely.STRtree(boxes).query(boxes[: end - start]))
        low, high = low[low < high], high[low < high]
        width = np.minimum(east[low], east[high]) - np.maximum(west[low], west[high])
        height = np.minimum(north[low], north[high]) - np.maximum(south[low], south[high])
        enough = (width > 0) & (height > 0) & (width * height >= MIN_OVERLAP_HA * 10_000)
        one, other = order[low[enough]], order[high[enough]]
        first, second = np.minimum(one, other), np.maximum(one, other)
        sorted_ = np.lexsort((second, first))
        yield first[sorted_], second[sorted_], end - start
