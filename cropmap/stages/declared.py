"""The declarations file of a season as it would be loaded: every row accepted with its region, or rejected."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

import geopandas as gpd
import pandas as pd

from cropmap.agency import Agency
from cropmap.agency.sections import RegionsSection
from cropmap.contracts.tables import NOTICE_COLUMNS, REJECTION_COLUMNS
from cropmap.errors import InputError
from cropmap.processes import return_unused_memory
from cropmap.progress import Counter
from cropmap.schemas import EPSG_WGS84, Notice, RejectReason
from cropmap.sources import outlines
from cropmap.sources.declarations.crop_codes import CodeReport
from cropmap.sources.declarations.doubles import Doubles, Separator, find_doubles, find_separator
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, Erased, profiled_rows, read_declarations
from cropmap.sources.files.gml import AxisOrder
from cropmap.sources.mapped_outlines import Outlines
from cropmap.sources.regions import Regions, assign_regions, nearest_regions, read_regions

log = logging.getLogger(__name__)
STEPS: Final = 3
SHOWN: Final = 4
MOSTLY: Final = 0.5


@dataclass(frozen=True, eq=False)
class DeclaredFile:
    path: Path
    claims: pd.DataFrame
    """accepted: DECLARATION_COLUMNS without the geometry, and nuts_id, sorted by parcel_id; the index says which of the
    `outlines` are theirs"""
    outlines: Outlines
    """EPSG:4326"""
    rejected: pd.DataFrame
    """REJECTION_COLUMNS; accepted, merged and rejected are the rows of the file"""
    merged: int
    """rows that are parts of an accepted parcel, beside its first row"""
    notices: pd.DataFrame
    """NOTICE_COLUMNS, one row per accepted parcel and notice, by row"""
    doubles: Doubles
    separator: Separator | None
    """the column that distinguishes doubles"""
    farthest_m: float
    """of the parcels outside every region that were given the nearest; NaN where there is none"""
    source_hash: str
    row_count: int
    codes: CodeReport
    regions: Regions
    """of the agency, in which the parcels lie"""
    notes: tuple[str, ...] = ()
    """what an operator should know of the file as a whole"""

    @property
    def accepted(self) -> gpd.GeoDataFrame:
        """The claims with all their outlines, decoded anew at each call."""
        return self.outlines.beside(self.claims).reset_index(drop=True)


def declarations_path(agency: Agency, *, season: int) -> Path:
    return Path(agency.resolve(agency.declarations.path, season=season))


def boundaries_path(agency: Agency, *, season: int) -> Path:
    return Path(agency.resolve(agency.regions.boundaries, season=season))


def read_boundaries(agency: Agency, *, season: int) -> Regions:
    """The agency's regions. Raises RegionFileError."""
    path = boundaries_path(agency, season=season)
    return read_regions(path, nuts_version=agency.regions.nuts_version, codes=agency.regions.codes)


def read_declared(
    agency: Agency, *, season: int, folder: Path | None = None, erased: Erased = lambda _: ()
) -> DeclaredFile:
    """Reads the file, assigns NUTS-3 regions and looks for land that is declared twice. Rows of `erased` holdings are
    left out.

    The outlines lie in a file of the process in `folder`, on a disk (None: where temporary files lie). Raises
    InputErrors for a file that cannot be used as a whole.
    """
    path, agency = declarations_path(agency, season=season), agency.of_season(season)
    profile = agency.read_profile()
    with Counter("declarations", total=STEPS, unit="steps") as counter:
        counter.add(0, description=f"read {path.name}")
        read = read_declarations(path, legend=agency.read_legend(), profile=profile, folder=folder, erased=erased)
        return_unused_memory()
        counter.add(1, description="assign regions")
        regions = read_boundaries(agency, season=season)
        claims, rejected, placed, farthest_m = _in_regions(read, regions, agency.regions)
        counter.add(1, description="look for land declared twice")
        read = replace(read, claims=claims, rejected=rejected)
        doubles = find_doubles(read)
        separator = find_separator(doubles, path, profile)
        counter.add()
    here = read.notices[read.notices["row_number"].isin(claims["row_number"])]
    parts = [each for each in (here, placed, doubles.notices) if len(each)]
    notices = (
        pd.concat(parts).sort_values(["row_number", "notice"], ignore_index=True) if parts else read.notices.iloc[:0]
    )
    lost = read.merged_parts[~read.merged_parts["first_row"].isin(claims["row_number"])]
    hints = _axis_hints(path, profile, regions) if claims.empty else ()
    file = DeclaredFile(
        path,
        claims,
        read.outlines,
        rejected,
        read.merged - len(lost),
        notices,
        doubles,
        separator,
        farthest_m,
        read.source_hash,
        read.row_count,
        read.codes,
        regions,
    )
    file = replace(file, notes=(*read.notes, *hints, *_notes(file)))
    for note in file.notes:
        log.warning("%s: %s", path.name, note)
    return file


def _in_regions(
    read: Declarations, regions: Regions, section: RegionsSection
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, float]:
    """(claims with nuts_id, rejected with those outside, notices of those in the nearest region, metres at most)."""
    parts = [assign_regions(part, regions) for part in read.outlines.parts(read.claims)]
    claims = read.claims.assign(nuts_id=pd.concat(parts))
    outside = read.outlines.beside(claims[claims["nuts_id"].isna()])
    nearest, away_m = nearest_regions(outside, regions, tolerance_m=section.tolerance_m)
    claims.loc[nearest.index, "nuts_id"] = nearest
    near = claims.loc[nearest.index[nearest.notna()], ["row_number", "parcel_id", "nuts_id"]]
    detail = [
        f"{metres:.0f} m outside {code}" for code, metres in zip(near["nuts_id"], away_m[near.index], strict=True)
    ]
    placed = near.assign(source_file=read.source_file, notice=str(Notice.NEAREST_REGION), detail=detail)
    inside = claims["nuts_id"].notna()
    beyond = f", and more than {section.tolerance_m:g} m away" if section.tolerance_m else ""
    gone = read.with_parts(claims.loc[~inside, ["row_number", "parcel_id"]]).assign(
        source_file=read.source_file,
        reason=str(RejectReason.OUTSIDE_REGIONS),
        detail=f"outside {', '.join(section.codes)}{beyond}",
    )
    rejected = pd.concat([read.rejected, gone[list(REJECTION_COLUMNS)]], ignore_index=True)
    return claims[inside], rejected, pd.DataFrame(placed[list(NOTICE_COLUMNS)]), float(away_m.max())


def _notes(file: DeclaredFile) -> list[str]:
    """What a person should know of a file that can be loaded, one line each."""
    counts = file.notices["notice"].value_counts()
    lines = []
    if parcels := int(counts.get(Notice.PARTS_MERGED, 0)):
        lines.append(f"{file.merged + parcels} rows are parts of {parcels} parcels and were put together")
    if parcels := int(counts.get(Notice.PLACEHOLDER_HOLDING, 0)):
        details = file.notices.loc[file.notices["notice"] == Notice.PLACEHOLDER_HOLDING, "detail"].value_counts()
        shown = "; ".join(f"{why} ({rows} parcels)" for why, rows in details.head(SHOWN).items())
        lines.append(f"the holding of {parcels} parcels is taken as missing: {shown}")
    if parcels := int(counts.get(Notice.NEAREST_REGION, 0)):
        lines.append(
            f"{parcels} parcels lie outside the boundaries, by up to {file.farthest_m:.0f} m, and count in the nearest "
            "region: boundaries of 1 : 1 million draw coasts and borders better"
        )
    if outside := int((file.rejected["reason"] == RejectReason.OUTSIDE_REGIONS).sum()):
        lines.append(f"{outside} rows lie outside the regions of the agency and are rejected")
    if file.doubles:
        lines.append(file.doubles.words)
        if hint := exclude_hint(file.separator):
            lines.append(hint)
    if erased := int((file.rejected["reason"] == RejectReason.HOLDING_ERASED).sum()):
        lines.append(f"{erased} rows are of holdings that were erased, and are left out")
    meant = file.rejected["reason"].isin([str(RejectReason.NOT_A_CROP), str(RejectReason.HOLDING_ERASED)])
    lost = file.rejected[~meant]
    if len(lost) > MOSTLY * file.row_count:
        why = ", ".join(f"{reason} {rows}" for reason, rows in lost["reason"].value_counts().items())
        lines.append(f"most rows are rejected: {why}")
    return lines


def exclude_hint(separator: Separator | None) -> str:
    """What to write into the agency file; empty where no column distinguishes doubles."""
    if separator is None:
        return ""
    either = "" if separator.certain else ", or the other side of that column"
    return f"{separator.rows} rows would be left out with `declarations.{separator.key}`{either}"


def _axis_hints(path: Path, profile: Profile, regions: Regions) -> tuple[str, ...]:
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
    inside = 0
    for rows in raw.outlines.positions():
        shapes = outlines.transform(outlines.repair(raw.outlines.shapes(rows))[0], raw.crs, EPSG_WGS84)
        inside += int(assign_regions(gpd.GeoDataFrame(geometry=shapes, crs=EPSG_WGS84), regions).notna().sum())
    return inside, len(raw.outlines)
