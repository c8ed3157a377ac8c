"""The parcels that a season's steps work on: as they stand, or as they stood on the day of `--as-of`; and as statistics
count them, where one that lies in several NUTS-3 regions may be divided.

A declaration is known from the moment it was loaded (`valid_from`), whatever date the file bears: what an agency had
on its desk but not in the register changed nothing yet. A day ends at midnight UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import pandas as pd

from cropmap.database import declarations as register
from cropmap.database.acquisitions import LedgerEntry
from cropmap.errors import RegionFileError
from cropmap.observations.coverage import parcel_set_name
from cropmap.observations.files import earlier_name, observation_name
from cropmap.provenance import file_hash
from cropmap.sources.mapped_outlines import Outlines
from cropmap.sources.regions import split_at_borders
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import boundaries_path, read_boundaries


def declared_until(context: SeasonContext) -> datetime | None:
    """The last moment of the day of `as_of` where the register stood otherwise then; None: as it stands now.

    A season whose declarations were all loaded later is looked at in hindsight: what could be seen until that day of
    the parcels as they are known now.
    """
    if context.as_of is None:
        return None
    moment = datetime.combine(context.as_of + timedelta(days=1), time(), UTC) - timedelta(microseconds=1)
    with context.connect() as connection:
        return moment if register.amended_since(connection, **context.key, at=moment) else None


@dataclass(frozen=True)
class ObservationObject:
    name: str
    """of the file in the store"""
    parcel_set: str | None
    """whose outlines were observed; None for observations that another system made"""


def observation_objects(
    context: SeasonContext, observed: Sequence[LedgerEntry], earlier_sets: Mapping[str, str]
) -> list[ObservationObject]:
    """The file of each observed acquisition: the ledger's, or where the season works on an earlier register that of its
    `parcel_sets`, once it is made."""
    return [_object(context, entry, earlier_sets.get(entry.tile or "")) for entry in observed]


def _object(context: SeasonContext, entry: LedgerEntry, wanted: str | None) -> ObservationObject:
    assert entry.object_name is not None, f"{entry.item_id} is not observed"
    if wanted and entry.document and entry.parcel_set != wanted:
        own = observation_name(context.agency.agency, context.season.year, entry.tile or "", entry.item_id)
        if context.store.exists(name := earlier_name(own, wanted)):
            return ObservationObject(name, wanted)
    return ObservationObject(entry.object_name, entry.parcel_set)


def parcel_sets(context: SeasonContext, parcels: pd.DataFrame, outlines: Outlines) -> dict[str, str]:
    """Home tile -> what `tile_coverage` calls its parcels."""
    section = context.agency.observations
    return {
        str(tile): parcel_set_name(
            outlines.beside(of_tile),
            inner_buffer_10m_m=section.inner_buffer_10m_m,
            inner_buffer_20m_m=section.inner_buffer_20m_m,
        )
        for tile, of_tile in parcels.dropna(subset=["home_tile"]).groupby("home_tile")
    }


def counted_parcels(context: SeasonContext, parcels: pd.DataFrame, outlines: Outlines) -> pd.DataFrame:
    """parcel_id, nuts_id, area_ha, crop_code, holding_id, as `estimate_areas` takes them. Raises RegionFileError where
    boundaries are needed and cannot be read."""
    counted = parcels[["parcel_id", "nuts_id", "area_ha", "crop_code", "holding_id"]]
    if context.agency.statistics.border_parcels != "split":
        return counted
    regions = read_boundaries(context.agency, season=context.season.year)
    parts = [split_at_borders(part, regions).drop(columns="geometry") for part in outlines.parts(counted)]
    divided = pd.DataFrame(pd.concat(parts, ignore_index=True))
    if len(divided) == len(counted):
        return counted
    return divided.sort_values(["parcel_id", "nuts_id"], kind="stable", ignore_index=True)


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
