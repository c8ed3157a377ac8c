"""Parcels of several parts that a file holds as one row per part: put together before anything is held against them.

In: rows with identifier, crop and holding, their outlines and claims. Out: which row stands for which, its whole
outline and its whole claim. Rows of one identifier whose crops or holdings differ, or that lie on the same ground, are
no parts: they stay what they are, repeated identifiers. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyproj
import shapely

from cropmap.schemas import EPSG_EQUAL_AREA
from cropmap.sources import outlines
from cropmap.sources.outlines import Areas, Flags, Shapes

MAX_APART_M: Final = 5_000.0
"""parts lie near each other: rows farther from the first are another holding's parcel of the same number, unless the
claim says that they belong together"""
SAME_GROUND: Final = 0.01
"""of the smaller: rows that share more are the same land twice, and no parts"""
OWN_CLAIM: Final = 0.1
"""relative to what a row draws: rows whose claims differ are parts where each claims what it draws, otherwise two
parcels of one identifier"""
OWN_CLAIM_HA: Final = 0.05
SAME_CLAIM: Final = 0.005
"""relative: claims this near are one figure, written on every row"""

Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, eq=False)
class Parts:
    first: Positions
    """for every row the position of the row that stands for its parcel; its own where it is whole"""
    shape: dict[int, shapely.Geometry]
    """position of the first row -> the parcel's whole outline"""
    declared_ha: dict[int, float]
    """position of the first row -> what is claimed for the whole; NaN where nothing is"""


def find_parts(
    keys: pd.DataFrame, usable: Flags, shapes: Callable[[Positions], Shapes], declared_ha: Areas, crs: pyproj.CRS
) -> Parts:
    """Rows with equal `keys` (first the identifier, then crop and holding) among the `usable` ones, whose outlines
    (`shapes` of their positions) are valid polygons. Only those of repeated keys are held.

    A claim that stands on every row is the whole parcel's where that agrees better with the whole outline than the sum
    of the rows' claims. Where claims differ, every row claims its own part, or is none.
    """
    first = np.arange(len(keys))
    shape: dict[int, shapely.Geometry] = {}
    declared: dict[int, float] = {}
    rows = np.flatnonzero(usable)
    some = rows[keys.iloc[rows, 0].duplicated(keep=False).to_numpy()]  # few, and whole keys of all take as much again
    repeated = some[keys.iloc[some].duplicated(keep=False).to_numpy()]
    if not len(repeated):
        return Parts(first, shape, declared)
    drawn = shapes(repeated)
    flat = dict(zip(repeated.tolist(), outlines.transform(drawn, crs, EPSG_EQUAL_AREA), strict=True))
    named = keys.iloc[repeated].astype("string").fillna("")
    parcel = named.groupby(list(named), sort=False).ngroup().to_numpy()
    for _, group in pd.Series(repeated).groupby(parcel):
        together, claim = _parcel(group.to_numpy(), flat, declared_ha)
        if len(together) > 1:
            first[together] = together[0]
            shape[int(together[0])] = shapely.union_all(drawn[np.searchsorted(repeated, together)])
            declared[int(together[0])] = claim
    return Parts(first, shape, declared)


def _parcel(rows: Positions, flat: dict[int, Any], declared_ha: Areas) -> tuple[Positions, float]:
    """The rows that are parts of one parcel, the first among them, and the claim for the whole."""
    apart = _on_ground_of_their_own(rows, flat)
    if not _claimed_whole(declared_ha[apart], _drawn_ha(apart, flat)):
        near = [row for row in apart.tolist() if shapely.distance(flat[apart[0]], flat[row]) <= MAX_APART_M]
        apart = _claiming_their_own(np.array(near, dtype=np.intp), flat, declared_ha)
    return apart, _claim(declared_ha[apart], _drawn_ha(apart, flat))


def _drawn_ha(rows: Positions, flat: dict[int, Any]) -> float:
    return float(sum(shapely.area(flat[row]) for row in rows.tolist())) / 10_000


def _claimed_whole(claims: Areas, drawn_ha: float) -> bool:
    """Whether all rows claim what they have together: then they are one parcel, however far apart."""
    if not _one_figure(claims) or _claim(claims, drawn_ha) != claims[0]:
        return False
    return not outlines.area_contradicts(claims[:1], np.array([drawn_ha]))[0]


def _on_ground_of_their_own(rows: Positions, flat: dict[int, Any]) -> Positions:
    """Without the rows that lie on the ground of an earlier one."""
    kept: list[int] = []
    for row in rows.tolist():
        near = [flat[other] for other in kept if shapely.intersects(flat[other], flat[row])]
        common = sum(shapely.area(shapely.intersection(other, flat[row])) for other in near)
        smaller = min((shapely.area(shape) for shape in (*near, flat[row])), default=0.0)
        if common <= SAME_GROUND * smaller:
            kept.append(row)
    return np.array(kept, dtype=np.intp)


def _claiming_their_own(rows: Positions, flat: dict[int, Any], declared_ha: Areas) -> Positions:
    """Without the rows whose claim is another than what they draw, where claims differ; all where one row claims."""
    claims = declared_ha[rows]
    if _one_figure(claims) or np.isfinite(claims).sum() < 2:
        return rows
    drawn = shapely.area([flat[row] for row in rows.tolist()]) / 10_000
    own = ~(np.abs(claims - drawn) > np.maximum(OWN_CLAIM * drawn, OWN_CLAIM_HA))
    return rows[own] if own[0] else rows[:1]


def _one_figure(claims: Areas) -> bool:
    """Whether every row claims the same."""
    known = bool(np.isfinite(claims).all())
    return known and bool(np.ptp(claims) <= SAME_CLAIM * claims.max())


def _claim(claims: Areas, drawn_ha: float) -> float:
    if not np.isfinite(claims).any():
        return float("nan")
    added = float(np.nansum(claims))
    whole = float(claims[0]) if _one_figure(claims) else added
    return min(whole, added, key=lambda claim: abs(claim - drawn_ha))
