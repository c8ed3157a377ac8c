"""Fields, holdings' neighbourhoods and regions: a planar partition near Brittany in UTM 30N, schematic in shape.

Four adjoining regions are cut into fields by random guillotine cuts; a smooth bijective warp then bends all of them at
once, so that edges are irregular and nothing overlaps. Fields are drawn in by a hedge's width on every side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from cropmap.simulation.randomness import stream

Floats = npt.NDArray[np.float64]

EPSG: Final = 32630
CENTRE: Final = (504_860.0, 5_345_000.0)
"""Middle of the overlap of MGRS tiles 30UVU and 30UWU (UTM 30N, metres)."""
FIELD_HA: Final = 2.6
"""Mean area of a field before hedges are taken off."""
BACKGROUND_SHARE: Final = 0.19
"""Woods, villages and water among the fields; hedges and roads come on top."""
HEDGE_M: Final = 2.5
"""Half the width of what lies between two fields."""
ASPECT: Final = 1.6
"""Width over height of the whole landscape: 500,000 fields still fit on two tiles."""
MARGIN_M: Final = 400.0
"""How far the regions reach beyond their outermost fields."""
VERTEX_M: Final = 20.0
"""Distance of vertices along an edge before the warp: keeps neighbours' chords within half a metre."""

REGIONS: Final = ("FRH01", "FRH02", "FRH03", "FRH04")
REGION_NAMES: Final = {
    "FR": "France",
    "FRH": "Bretagne",
    "FRH0": "Bretagne",
    "FRH01": "Côtes-d'Armor",
    "FRH02": "Finistère",
    "FRH03": "Ille-et-Vilaine",
    "FRH04": "Morbihan",
}
REGION_WEIGHTS: Final = (178_613, 140_645, 166_391, 158_522)
"""Parcels per region in BreizhCrops 2017, in the order of REGIONS."""


@dataclass(frozen=True)
class Landscape:
    fields: npt.NDArray[np.object_]
    """(N,) polygons, EPSG:32630, in spatial order within their region"""
    region: npt.NDArray[np.int16]
    """(N,) index into REGIONS"""
    xy: Floats
    """(N, 2) a point in the middle of each field"""
    backgrounds: npt.NDArray[np.object_]
    """(M,) polygons without agriculture"""
    regions: npt.NDArray[np.object_]
    """(4,) polygons in the order of REGIONS, adjoining"""
    bounds: tuple[float, float, float, float]
    """left, bottom, right, top of everything, metres"""


def lay_out(*, parcels: int, seed: int, irregular: bool = True) -> Landscape:
    """Exactly `parcels` fields over four regions; with `irregular` false they stay rectangles (cheap at scale)."""
    boxes = _region_boxes(parcels)
    counts = _shares_to_counts(np.array(REGION_WEIGHTS, float), parcels)
    drawn = [_region_fields(box, int(n), seed, k) for k, (box, n) in enumerate(zip(boxes, counts, strict=True))]
    warp = _Warp.draw(boxes, seed) if irregular else None
    rectangles = np.concatenate([fields for fields, _ in drawn])
    fields = _polygons(rectangles, warp, hedge=HEDGE_M)
    regions = _polygons(_with_margin(boxes), warp, hedge=0.0)
    left, bottom, right, top = (float(v) for v in shapely.total_bounds(regions))
    middle = (rectangles[:, :2] + rectangles[:, 2:]) / 2
    return Landscape(
        fields=fields,
        region=np.repeat(np.arange(len(REGIONS), dtype=np.int16), counts),
        xy=middle if warp is None else warp(middle),
        backgrounds=_polygons(np.concatenate([empty for _, empty in drawn]), warp, hedge=HEDGE_M),
        regions=regions,
        bounds=(left, bottom, right, top),
    )


def _shares_to_counts(weights: Floats, total: int) -> npt.NDArray[np.int64]:
    """Whole numbers with the given sum, by largest remainder."""
    exact = weights / weights.sum() * total
    counts: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _region_boxes(parcels: int) -> Floats:
    """(4, 4) left, bottom, right, top: Finistère west, Côtes-d'Armor over Morbihan, Ille-et-Vilaine east."""
    area = parcels * FIELD_HA * 1e4 / (1 - BACKGROUND_SHARE)
    width, height = np.sqrt(area * ASPECT), np.sqrt(area / ASPECT)
    north, west, east, south = np.array(REGION_WEIGHTS) / sum(REGION_WEIGHTS)
    x0, y0 = CENTRE[0] - width / 2, CENTRE[1] - height / 2
    x1, x2, x3 = x0 + west * width, x0 + (1 - east) * width, x0 + width
    split, y3 = y0 + height * south / (north + south), y0 + height
    return np.array([[x1, split, x2, y3], [x0, y0, x1, y3], [x2, y0, x3, y3], [x1, y0, x2, split]])


def _with_margin(boxes: Floats) -> Floats:
    """Outer sides move outwards, inner borders stay where both neighbours have them."""
    outer = np.array([*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)])
    reach = np.array([-MARGIN_M, -MARGIN_M, MARGIN_M, MARGIN_M])
    return np.where(np.isclose(boxes, outer), boxes + reach, boxes)


def _region_fields(box: Floats, parcels: int, seed: int, region: int) -> tuple[Floats, Floats]:
    """Rectangles (n, 4) of fields in spatial order, and of the land between them."""
    rng = stream(seed, "landscape", region)
    leaves = _guillotine(box, max(parcels, round(parcels / (1 - BACKGROUND_SHARE))), rng)
    narrow = np.minimum(leaves[:, 2] - leaves[:, 0], leaves[:, 3] - leaves[:, 1]) < 30.0
    # woods and villages lie in clusters, and what is too narrow for a field goes to them first
    x, y = (leaves[:, :2] + leaves[:, 2:]).T / 2 / 900.0
    phase = rng.uniform(0, 2 * np.pi, 4)
    cluster = np.sin(x + phase[0]) * np.sin(y + phase[1]) + np.sin(2.3 * x + phase[2]) * np.sin(2.1 * y + phase[3])
    rank = cluster + rng.normal(0, 0.8, len(leaves)) + 100.0 * narrow
    empty = np.zeros(len(leaves), bool)
    empty[np.argsort(rank, kind="stable")[parcels:]] = True
    return leaves[~empty], leaves[empty]


def _guillotine(box: Floats, leaves: int, rng: np.random.Generator) -> Floats:
    """(leaves, 4) rectangles; noisy cuts at every level make areas close to lognormal (sigma 0.5).

    Depth-first order: neighbours in the list are neighbours on the ground, which is what holdings are cut from.
    """
    rectangles = np.empty((leaves, 4))
    stack, position = [(float(box[0]), float(box[1]), float(box[2]), float(box[3]), leaves)], 0
    noise = rng.normal(0.0, 1.0, (leaves, 2))
    cuts = 0
    while stack:
        left, bottom, right, top, n = stack.pop()
        if n == 1:
            rectangles[position] = left, bottom, right, top
            position += 1
            continue
        balance, skew = noise[cuts]
        cuts += 1
        first = min(max(round(n * (0.5 + 0.08 * balance)), 1), n - 1)
        odds = first / (n - first) * np.exp(0.33 * skew)
        share = min(max(odds / (1 + odds), 0.12), 0.88)
        if right - left > top - bottom:
            cut = left + share * (right - left)
            stack += [(cut, bottom, right, top, n - first), (left, bottom, cut, top, first)]
        else:
            cut = bottom + share * (top - bottom)
            stack += [(left, cut, right, top, n - first), (left, bottom, right, cut, first)]
    return rectangles


@dataclass(frozen=True)
class _Warp:
    """Swirls (a rotation whose angle fades with distance: bijective, keeps areas) and a small ripple of edges."""

    swirls: Floats
    """(S, 4) centre x, y, radius, angle"""
    ripples: Floats
    """(R, 5) wave vector x, y (1/m), phase, displacement x, y (m); the sum of slopes stays below 0.4"""

    @classmethod
    def draw(cls, boxes: Floats, seed: int) -> _Warp:
        rng = stream(seed, "warp")
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        radius = rng.uniform(0.10, 0.22, 14) * (high - low).max()
        swirls = np.column_stack([rng.uniform(low, high, (14, 2)), radius, rng.uniform(-0.6, 0.6, 14)])
        angle, length = rng.uniform(0, 2 * np.pi, 6), rng.uniform(130.0, 420.0, 6)
        wave = 2 * np.pi / length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        push = rng.normal(0, 0.012, (6, 2)) * length[:, None] / 2
        return cls(swirls, np.column_stack([wave, rng.uniform(0, 2 * np.pi, 6), push]))

    def __call__(self, xy: Floats) -> Floats:
        for cx, cy, radius, angle in self.swirls:
            x, y = xy[:, 0] - cx, xy[:, 1] - cy
            turn = angle * np.exp(-(x**2 + y**2) / (2 * radius**2))
            cos, sin = np.cos(turn), np.sin(turn)
            xy = np.column_stack([cx + cos * x - sin * y, cy + sin * x + cos * y])
        moved = xy.copy()
        for kx, ky, phase, dx, dy in self.ripples:
            moved += np.sin(kx * xy[:, :1] + ky * xy[:, 1:] + phase) * np.array([dx, dy])
        return moved


def _polygons(rectangles: Floats, warp: _Warp | None, *, hedge: float) -> npt.NDArray[np.object_]:
    if warp is None:
        inner = rectangles + hedge * np.array([1.0, 1.0, -1.0, -1.0])
        return np.asarray(shapely.box(*inner.T), object)
    dense = shapely.segmentize(shapely.box(*rectangles.T), VERTEX_M)
    bent = shapely.transform(dense, warp)
    return np.asarray(shapely.buffer(bent, -hedge, join_style="mitre") if hedge else bent, object)
