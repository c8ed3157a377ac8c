"""What to set where no parcel lies in the agency's regions because its coordinates stand the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import geopandas as gpd

from cropmap.errors import InputError
from cropmap.schemas import EPSG_WGS84
from cropmap.sources import outlines
from cropmap.sources.declarations import profiled_rows
from cropmap.sources.gml import AxisOrder
from cropmap.sources.profiles import Profile
from cropmap.sources.regions import Regions, assign_regions


def axis_hints(path: Path, profile: Profile, regions: Regions) -> tuple[str, ...]:
    """A note for the axis order with which parcels of the file would lie in the regions; none where there is none.

    Reads the file again, which is worth its time only where nothing could be accepted.
    """
    hints = []
    for order in get_args(AxisOrder):
        try:
            raw = profiled_rows(path, profile.named_columns()[:1], profile.model_copy(update={"axis_order": order}))
        except InputError:
            continue
        shapes = outlines.transform(outlines.repair(raw.geometry)[0], raw.crs, EPSG_WGS84)
        inside = int(assign_regions(gpd.GeoDataFrame(geometry=shapes, crs=EPSG_WGS84), regions).notna().sum())
        if inside:
            hints.append(
                f"no parcel lies in the regions; with declarations.axis_order: {order}, {inside} of {len(shapes)} do"
            )
    return tuple(hints)
