"""What to set where no parcel lies in the agency's regions because its coordinates stand the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import geopandas as gpd

from cropmap.errors import InputError
from cropmap.schemas import EPSG_WGS84
from cropmap.sources import outlines
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import profiled_rows
from cropmap.sources.files.gml import AxisOrder
from cropmap.sources.regions import Regions, assign_regions


def axis_hints(path: Path, profile: Profile, regions: Regions) -> tuple[str, ...]:
    """A note for the axis order with which parcels of the file would lie in the regions; none where some do already,
    for then the rows are rejected for another reason.

    Reads the file again, which is worth its time only where nothing could be accepted.
    """
    if _inside(path, profile, regions)[0]:
        return ()
    by_order = {order: _inside(path, profile, regions, order) for order in get_args(AxisOrder)}
    return tuple(
        f"no parcel lies in the regions; with declarations.axis_order: {order}, {inside} of {rows} do"
        for order, (inside, rows) in by_order.items()
        if inside
    )


def _inside(path: Path, profile: Profile, regions: Regions, order: AxisOrder | None = None) -> tuple[int, int]:
    """(rows in a region, rows) where coordinates stand in this order instead of the profile's."""
    changed = profile.model_copy(update={"axis_order": order}) if order else profile
    try:
        raw = profiled_rows(path, profile.named_columns()[:1], changed)
    except InputError:
        return 0, 0
    shapes = outlines.transform(outlines.repair(raw.geometry)[0], raw.crs, EPSG_WGS84)
    placed = assign_regions(gpd.GeoDataFrame(geometry=shapes, crs=EPSG_WGS84), regions)
    return int(placed.notna().sum()), len(shapes)
