"""Parcels as statistics count them: each in one NUTS-3 region, or divided where it lies in several."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd

from cropmap.errors import RegionFileError
from cropmap.provenance import file_hash
from cropmap.sources.regions import split_at_borders
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import boundaries_path, read_boundaries


def counted_parcels(context: SeasonContext, parcels: gpd.GeoDataFrame) -> pd.DataFrame:
    """parcel_id, nuts_id, area_ha, crop_code, holding_id, as `estimate_areas` takes them. Raises RegionFileError where
    boundaries are needed and cannot be read."""
    if context.agency.statistics.border_parcels == "split":
        parcels = split_at_borders(parcels, read_boundaries(context.agency, season=context.season.year))
    return pd.DataFrame(parcels[["parcel_id", "nuts_id", "area_ha", "crop_code", "holding_id"]])


def boundaries_key(context: SeasonContext) -> tuple[str, ...]:
    """What of the boundaries a run's rows depend on, beyond each parcel's own region."""
    if context.agency.statistics.border_parcels != "split":
        return ()
    path = boundaries_path(context.agency, season=context.season.year)
    try:
        return (file_hash(path),)
    except OSError as error:
        raise RegionFileError(
            f"cannot be read ({error.strerror})", where=str(path), mend="Check regions.boundaries"
        ) from error
