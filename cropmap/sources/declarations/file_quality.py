"""How good a declarations file is: what is asked of an agency for its land parcel and aid application data.

In: the rows of a file as they were accepted and rejected. Out: every check of the Commission's IACS quality assessment
that one file alone can answer, with its rows, area and examples. A rejected row is not used at all; a row with a
warning is used as it is and should be checked by a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, TypedDict

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cropmap.schemas import EPSG_EQUAL_AREA, Notice, ReasonCode, RejectReason
from cropmap.sources.declarations.identifiers import USUAL_SHARE, malformed
from cropmap.sources.declarations.overlaps import MIN_OVERLAP_HA, MIN_OVERLAP_SHARE, Overlaps, find_overlaps
from cropmap.sources.outlines import MAX_REPAIR_CHANGE, Areas

BUFFER_M: Final = 1.5
MAX_TOLERANCE_HA: Final = 1.0
"""Measurement tolerance of an area: 1.5 m along its perimeter, at most 1 ha (Regulation (EC) 1122/2009, art. 34)."""
TINY_HA: Final = 0.03
"""three 10 m pixels: no series can be made of less"""
SLIVER_WIDTH_M: Final = 3.0
"""mean width (2 x area / perimeter); the narrowest strip of conditionality (GAEC 4) is 3 m wide"""
EXAMPLES: Final = 10


class FileWarning(ReasonCode):
    """Why a row that was accepted should be checked by a person."""

    OVERLAP = (
        "OVERLAP",
        f"another parcel claims {MIN_OVERLAP_HA} ha of it or more, and {MIN_OVERLAP_SHARE:.0%} of the "
        "smaller one; the area counts each pair once",
        Notice.OVERLAP.mend,
    )
    CLAIMED_ABOVE_DRAWN = (
        "CLAIMED_ABOVE_DRAWN",
        f"claimed above the drawn area by more than {BUFFER_M} m along its edge, at most {MAX_TOLERANCE_HA:g} ha "
        "(Regulation (EC) 1122/2009, art. 34)",
        "Compare the claim with the outline; the drawn area is used",
    )
    CLAIMED_AREA_MISSING = (
        "CLAIMED_AREA_MISSING",
        "no area above 0 is claimed",
        "Name the column in `declarations.columns.area` where the file has one; the drawn area is used",
    )
    REPAIRED_GEOMETRY = (
        "REPAIRED_GEOMETRY",
        f"the outline was invalid and was repaired; its area changed by at most {MAX_REPAIR_CHANGE:.0%}",
        "Correct the outline in the source",
    )
    TINY_PARCEL = (
        "TINY_PARCEL",
        f"smaller than {TINY_HA} ha (three 10 m pixels): no satellite series can be made of it",
        "Nothing; the parcel is declared and not assessable",
    )
    SLIVER = (
        "SLIVER",
        f"narrower than {SLIVER_WIDTH_M:g} m on average (2 x area / perimeter)",
        "Look whether the outline was cut by mistake; the parcel is hardly ever assessable",
    )
    MALFORMED_PARCEL_ID = (
        "MALFORMED_PARCEL_ID",
        f"the identifier has blanks inside, scientific notation, a word such as `NULL`, or another form than "
        f"{USUAL_SHARE:.0%} of the file's identifiers (a lost leading zero)",
        "Take the file as its system wrote it, without a spreadsheet in between",
    )
    MISSING_HOLDING_ID = (
        "MISSING_HOLDING_ID",
        "nobody is named as its holding",
        "Name the column in `declarations.columns.holding_id` where the file has one",
    )
    PARTS_MERGED = Notice.PARTS_MERGED.stated
    PLACEHOLDER_HOLDING = Notice.PLACEHOLDER_HOLDING.stated
    NEAREST_REGION = Notice.NEAREST_REGION.stated
    SEVERAL_CROPS = Notice.SEVERAL_CROPS.stated


WARNING_COLUMNS: Final = ("row_number", "parcel_id", "warning", "detail", "area_ha")
"""one row per parcel and warning; area_ha is the parcel's, for OVERLAP the part that others claim too"""


class Example(TypedDict):
    row_number: int
    parcel_id: str | None
    detail: str


@dataclass(frozen=True)
class Check:
    name: str
    """a RejectReason or a FileWarning"""
    rejects: bool
    rows: int
    share: float
    """of the rows of the file, 0-1"""
    area_ha: float
    """drawn, of these rows; for OVERLAP what is claimed twice, each pair once; NaN where no row has an outline"""
    examples: list[Example]
    """the largest EXAMPLES"""


@dataclass(frozen=True)
class FileQuality:
    file: str
    source_hash: str
    rows: int
    accepted: int
    rejected: int
    merged: int
    """parts of an accepted parcel, beside its first row; accepted + rejected + merged = rows"""
    with_warnings: int
    """of the accepted"""
    area_ha: float
    """drawn, of the accepted"""
    checks: list[Check]
    """every check that was made, those without a finding too; rejections first"""


@dataclass(frozen=True, eq=False)
class Warnings:
    table: pd.DataFrame
    """WARNING_COLUMNS, by warning and row"""
    overlaps: gpd.GeoDataFrame
    """one row per pair: first_id, first_row, second_id, second_row, overlap_ha, share; EPSG:3035"""


def find_warnings(
    accepted: gpd.GeoDataFrame,
    *,
    claims_area: bool,
    names_holdings: bool,
    notices: pd.DataFrame | None = None,
    overlaps: Overlaps | None = None,
) -> Warnings:
    """Looks at accepted declarations (DECLARATION_COLUMNS).

    `claims_area`, `names_holdings`: whether the file has such a column at all; where it has none, none is missing.
    `notices` (NOTICE_COLUMNS) are warnings too; `overlaps` are looked for where they are not known yet.
    """
    shapes = np.asarray(accepted.geometry.to_crs(epsg=EPSG_EQUAL_AREA).array, dtype=object)
    overlaps = find_overlaps(shapes) if overlaps is None else overlaps
    noted = _notice_warnings(accepted, notices)
    drawn, perimeter = accepted["area_ha"].to_numpy(), shapely.length(shapes)
    above = claimed_above(accepted["declared_area_ha"].to_numpy(), drawn, perimeter)
    width = 2 * drawn * 10_000 / perimeter
    identifiers = malformed(accepted["parcel_id"])
    claimed = accepted["declared_area_ha"].to_numpy()
    beyond = "claimed {:.4f} ha, drawn {:.4f} ha: {:.4f} ha beyond the tolerance"
    parts = [
        _overlapping(accepted, overlaps),
        _rows(accepted, above > 0, FileWarning.CLAIMED_ABOVE_DRAWN, beyond, claimed, drawn, above),
        _rows(accepted, accepted["repaired"].to_numpy(), FileWarning.REPAIRED_GEOMETRY, "was invalid, area kept"),
        _rows(accepted, drawn < TINY_HA, FileWarning.TINY_PARCEL, "{:.4f} ha", drawn),
        _rows(accepted, width < SLIVER_WIDTH_M, FileWarning.SLIVER, "{:.1f} m wide on average", width),
        _rows(accepted, identifiers.notna(), FileWarning.MALFORMED_PARCEL_ID, "{}", identifiers.to_numpy()),
    ]
    if claims_area:
        parts.append(_rows(accepted, ~(claimed > 0), FileWarning.CLAIMED_AREA_MISSING, "no area above 0 is claimed"))
    if names_holdings:
        replaced = noted.loc[noted["warning"] == FileWarning.PLACEHOLDER_HOLDING, "row_number"]
        empty = accepted["holding_id"].isna() & ~accepted["row_number"].isin(replaced)
        parts.append(_rows(accepted, empty, FileWarning.MISSING_HOLDING_ID, "no holding"))
    parts.append(noted)
    table = pd.concat(parts, ignore_index=True).sort_values(["warning", "row_number"], ignore_index=True)
    return Warnings(table[list(WARNING_COLUMNS)], _pairs(accepted, overlaps))


def _notice_warnings(accepted: gpd.GeoDataFrame, notices: pd.DataFrame | None) -> pd.DataFrame:
    """Notices as warnings, but overlaps, which are found here with both parcels."""
    if notices is None or notices.empty:
        return pd.DataFrame(columns=list(WARNING_COLUMNS)).astype({"area_ha": float})
    other = notices[notices["notice"] != FileWarning.OVERLAP]
    area = other["row_number"].map(accepted.set_index("row_number")["area_ha"])
    return other.rename(columns={"notice": "warning"}).assign(area_ha=area)[list(WARNING_COLUMNS)]


def claimed_above(declared_ha: Areas, drawn_ha: Areas, perimeter_m: Areas) -> Areas:
    """Hectares claimed beyond the drawn area and its measurement tolerance; 0 where none, or nothing is claimed."""
    tolerance = np.minimum(BUFFER_M * perimeter_m / 10_000, MAX_TOLERANCE_HA)
    beyond: Areas = np.nan_to_num(np.maximum(declared_ha - drawn_ha - tolerance, 0.0))
    return beyond


def summarise(
    *, file: str, source_hash: str, accepted: pd.DataFrame, rejected: pd.DataFrame, warnings: Warnings, merged: int = 0
) -> FileQuality:
    """Counts every check. `rejected`: REJECTION_COLUMNS and area_ha (NaN where a row has no outline)."""
    rows = len(accepted) + len(rejected) + merged
    checks = [
        _check(str(reason), rejected[rejected["reason"] == reason], rows, rejects=True) for reason in RejectReason
    ]
    table = warnings.table
    checks += [_check(str(kind), table[table["warning"] == kind], rows, rejects=False) for kind in FileWarning]
    twice = float(warnings.overlaps["overlap_ha"].sum())
    checks = [replace(check, area_ha=twice) if check.name == FileWarning.OVERLAP else check for check in checks]
    return FileQuality(
        file=file,
        source_hash=source_hash,
        rows=rows,
        accepted=len(accepted),
        rejected=len(rejected),
        merged=merged,
        with_warnings=int(table["row_number"].nunique()),
        area_ha=float(accepted["area_ha"].sum()),
        checks=checks,
    )


def _check(name: str, failing: pd.DataFrame, rows: int, *, rejects: bool) -> Check:
    largest = failing.sort_values(["area_ha", "row_number"], ascending=[False, True]).head(EXAMPLES)
    examples = largest[["row_number", "parcel_id", "detail"]]
    return Check(
        name=name,
        rejects=rejects,
        rows=len(failing),
        share=len(failing) / rows if rows else 0.0,
        area_ha=float(failing["area_ha"].sum()) if failing["area_ha"].notna().any() or failing.empty else float("nan"),
        examples=[
            {"row_number": int(row), "parcel_id": None if pd.isna(parcel) else str(parcel), "detail": str(detail)}
            for row, parcel, detail in examples.itertuples(index=False)
        ],
    )


def _rows(accepted: pd.DataFrame, where: Any, warning: FileWarning, text: str, *values: Any) -> pd.DataFrame:
    """The rows found; `text` has a place for the row's value of each of `values`."""
    mask = np.asarray(where, dtype=bool)
    warned = pd.DataFrame(accepted.loc[mask, ["row_number", "parcel_id", "area_ha"]])
    rows = zip(*(column[mask] for column in values), strict=True) if values else [()] * len(warned)
    return warned.assign(warning=str(warning), detail=np.array([text.format(*row) for row in rows], dtype=object))


def _overlapping(accepted: pd.DataFrame, overlaps: Overlaps) -> pd.DataFrame:
    """Each parcel of a pair once, with what it shares with the others in all, and with whom the most."""
    first = np.concatenate([overlaps.first, overlaps.second])
    other = np.concatenate([overlaps.second, overlaps.first])
    area = np.concatenate([overlaps.area_ha, overlaps.area_ha])
    pairs = pd.DataFrame({"first": first, "other": other, "area": area}).sort_values(
        ["first", "area"], ascending=[True, False]
    )
    worst = pairs.drop_duplicates("first")
    ids = accepted["parcel_id"].to_numpy()
    detail = [f"{ha:.4f} ha with {ids[n]}" for ha, n in zip(worst["area"], worst["other"], strict=True)]
    overlapping = pd.DataFrame(accepted.iloc[worst["first"].to_numpy()][["row_number", "parcel_id"]])
    shared = pairs.groupby("first")["area"].sum().to_numpy()
    return overlapping.assign(area_ha=shared, warning=str(FileWarning.OVERLAP), detail=np.array(detail, dtype=object))


def _pairs(accepted: pd.DataFrame, overlaps: Overlaps) -> gpd.GeoDataFrame:
    ids, rows = accepted["parcel_id"].to_numpy(), accepted["row_number"].to_numpy()
    columns = {
        "first_id": ids[overlaps.first],
        "first_row": rows[overlaps.first],
        "second_id": ids[overlaps.second],
        "second_row": rows[overlaps.second],
        "overlap_ha": overlaps.area_ha,
        "share": overlaps.share,
    }
    return gpd.GeoDataFrame(columns, geometry=overlaps.shapes, crs=EPSG_EQUAL_AREA)
