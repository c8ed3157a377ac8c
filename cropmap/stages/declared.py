"""The declarations file of a season as it would be loaded: every row accepted with its region, or rejected."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import geopandas as gpd
import pandas as pd

from cropmap.agency import Agency
from cropmap.progress import Counter
from cropmap.schemas import REJECTION_COLUMNS, RejectReason
from cropmap.sources.crop_codes import CodeReport
from cropmap.sources.declarations import read_declarations
from cropmap.sources.regions import Regions, assign_regions, read_regions
from cropmap.stages.axis_hints import axis_hints

log = logging.getLogger(__name__)
STEPS: Final = 2


@dataclass(frozen=True, eq=False)
class DeclaredFile:
    path: Path
    accepted: gpd.GeoDataFrame
    """DECLARATION_COLUMNS and nuts_id, EPSG:4326, sorted by parcel_id"""
    rejected: pd.DataFrame
    """REJECTION_COLUMNS; accepted and rejected are the rows of the file"""
    source_hash: str
    row_count: int
    codes: CodeReport
    notes: tuple[str, ...] = ()
    """what an operator should know of the file as a whole"""


def declarations_path(agency: Agency, *, season: int) -> Path:
    return Path(agency.resolve(agency.declarations.path, season=season))


def boundaries_path(agency: Agency, *, season: int) -> Path:
    return Path(agency.resolve(agency.regions.boundaries, season=season))


def read_boundaries(agency: Agency, *, season: int) -> Regions:
    """The agency's regions. Raises RegionFileError."""
    path = boundaries_path(agency, season=season)
    return read_regions(path, nuts_version=agency.regions.nuts_version, codes=agency.regions.codes)


def read_declared(agency: Agency, *, season: int) -> DeclaredFile:
    """Reads the file and assigns NUTS-3 regions. Raises InputErrors for a file that cannot be used as a whole."""
    path, agency = declarations_path(agency, season=season), agency.of_season(season)
    with Counter("declarations", total=STEPS, unit="steps") as counter:
        counter.add(0, description=f"read {path.name}")
        read = read_declarations(path, legend=agency.read_legend(), profile=agency.read_profile())
        counter.add(1, description="assign regions")
        regions = read_boundaries(agency, season=season)
        accepted = read.accepted.assign(nuts_id=assign_regions(read.accepted, regions))
        counter.add()
    inside = accepted["nuts_id"].notna()
    notes = (*read.notes, *axis_hints(path, agency.read_profile(), regions)) if not inside.any() else read.notes
    for note in notes:
        log.warning("%s: %s", path.name, note)
    outside = accepted.loc[~inside, ["row_number", "parcel_id"]].assign(
        source_file=path.name,
        reason=str(RejectReason.OUTSIDE_REGIONS),
        detail=f"outside {', '.join(agency.regions.codes)}",
    )
    rejected = pd.concat([read.rejected, outside[list(REJECTION_COLUMNS)]], ignore_index=True)
    return DeclaredFile(path, accepted[inside], rejected, read.source_hash, read.row_count, read.codes, notes)
