"""Crop declarations: a file of an agency in, accepted declarations and counted rejections out.

A row is accepted, or it is rejected with one reason code; the two always add up to the rows of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.legends import Legend
from cropmap.schemas import DECLARATION_COLUMNS, EPSG_WGS84, REJECTION_COLUMNS, RejectReason
from cropmap.sources import outlines
from cropmap.sources.vector_files import RawRows, read_rows, source_hash

REQUIRED_COLUMNS: Final = ("parcel_id", "crop_code")
OPTIONAL_COLUMNS: Final = ("holding_id", "area")
JOIN: Final = "+"
"""`blockid+skiftesbet`: two columns that identify a parcel together, joined by a hyphen."""
HECTARES_PER_UNIT: Final = {"ha": 1.0, "m2": 1e-4}


@dataclass(frozen=True)
class Declarations:
    accepted: gpd.GeoDataFrame
    """DECLARATION_COLUMNS, EPSG:4326, 2-D, sorted by parcel_id; parcel_id is unique"""
    rejected: pd.DataFrame
    """REJECTION_COLUMNS, sorted by row_number"""
    source_hash: str
    row_count: int
    """accepted + rejected"""


def read_declarations(
    path: Path,
    *,
    columns: Mapping[str, str],
    legend: Legend,
    layer: str | None = None,
    crs: str | None = None,
    area_unit: Literal["ha", "m2"] = "ha",
    wkt_column: str | None = None,
) -> Declarations:
    """Reads any vector file of GDAL, GeoParquet, or CSV with a WKT column.

    `columns` names the file's columns for parcel_id and crop_code, and if it has them holding_id and area (declared);
    `a+b` joins two columns. Row numbers count from 1 in the order of the file.

    Raises DeclarationFileError when the file as a whole cannot be used.
    """
    parts = _column_parts(columns, where=str(path))
    names = [name for group in parts.values() for name in group]
    raw = read_rows(path, names, layer=layer, crs=crs, wkt_column=wkt_column)
    rows = _rows(raw, parts, HECTARES_PER_UNIT[area_unit])
    _check(rows, raw, legend)
    accepted = rows["reason"].isna()
    return Declarations(
        accepted=_accepted(rows[accepted], raw.crs),
        rejected=_rejected(rows[~accepted], path.name),
        source_hash=source_hash(path),
        row_count=len(rows),
    )


def _column_parts(columns: Mapping[str, str], *, where: str) -> dict[str, list[str]]:
    missing = [name for name in REQUIRED_COLUMNS if not columns.get(name)]
    unknown = sorted(set(columns) - {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS})
    if missing or unknown:
        what = f"declarations.columns lacks {', '.join(missing)}" if missing else f"no such column role: {unknown}"
        raise DeclarationFileError(
            what, where=where, mend=f"Roles: {', '.join((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))}"
        )
    return {role: [part.strip() for part in name.split(JOIN)] for role, name in columns.items() if name}


def _rows(raw: RawRows, parts: Mapping[str, list[str]], hectares_per_unit: float) -> pd.DataFrame:
    """One row per row of the file: DECLARATION_COLUMNS in the file's CRS, and `reason`, `detail` still empty."""
    shapes, repaired, hopeless = outlines.repair(raw.geometry)
    text = {role: _joined(raw.attributes, names) for role, names in parts.items()}
    nothing = pd.Series([None] * len(raw.attributes), dtype=object)
    return pd.DataFrame(
        {
            "parcel_id": text["parcel_id"],
            "crop_code": text["crop_code"],
            "holding_id": text.get("holding_id", nothing),
            "declared_area_ha": _number(text.get("area", nothing)) * hectares_per_unit,
            "area_ha": outlines.area_ha(shapes, raw.crs),
            "row_number": np.arange(1, len(nothing) + 1),
            "repaired": repaired,
            "hopeless": hopeless | raw.unreadable_geometry,
            "shape": pd.Series(shapes, dtype=object),
            "reason": nothing,
            "detail": nothing,
        }
    )


def _joined(attributes: pd.DataFrame, names: list[str]) -> pd.Series[Any]:
    """Text of one column, or of several with a hyphen between; None as soon as one part is missing."""
    first, *others = (attributes[name] for name in names)
    joined = first
    for other in others:
        both = joined.notna() & other.notna()
        joined = (joined.where(both, "") + "-" + other.where(both, "")).where(both, None)
    return joined.astype(object)


def _number(text: pd.Series[Any]) -> pd.Series[float]:
    """Decimal point or comma; NaN where there is no number."""
    return pd.to_numeric(text.str.replace(",", ".") if text.notna().any() else text, errors="coerce").astype(float)


def _check(rows: pd.DataFrame, raw: RawRows, legend: Legend) -> None:
    """Fills `reason` and `detail`; the first reason that applies stays.

    Duplicates are looked for last, among rows that are otherwise good: the first of them is kept, so that a broken
    row never pushes out a good one.
    """
    no_shape = pd.Series(shapely.is_missing(raw.geometry) | shapely.is_empty(raw.geometry)) & ~rows["hopeless"]
    _reject(rows, rows["parcel_id"].isna(), RejectReason.MISSING_PARCEL_ID, "")
    _reject(rows, rows["crop_code"].isna(), RejectReason.MISSING_CODE, "")
    unknown = ~rows["crop_code"].isin(legend.by_code.keys())
    _reject(rows, unknown, RejectReason.UNKNOWN_CODE, "code " + rows["crop_code"] + f" is not in legend {legend.name}")
    _reject(rows, no_shape, RejectReason.EMPTY_GEOMETRY, "")
    _reject(rows, rows["hopeless"], RejectReason.INVALID_GEOMETRY, _why_hopeless(rows, raw))
    _reject(rows, rows["area_ha"].isna(), RejectReason.INVALID_GEOMETRY, f"coordinates do not fit CRS {raw.crs.name}")
    contradicts = outlines.area_contradicts(rows["declared_area_ha"].to_numpy(), rows["area_ha"].to_numpy())
    areas = rows["declared_area_ha"].map("declared {:.2f} ha, ".format) + rows["area_ha"].map("drawn {:.2f} ha".format)
    _reject(rows, pd.Series(contradicts), RejectReason.AREA_CONTRADICTS_GEOMETRY, areas)
    _reject_repeated(rows, rows["parcel_id"], RejectReason.DUPLICATE_PARCEL_ID, "row {} has this id")
    keys = pd.Series(outlines.outline_keys(rows["shape"].to_numpy()), dtype=object)
    _reject_repeated(rows, keys, RejectReason.DUPLICATE_GEOMETRY, "row {} has the same outline")


def _why_hopeless(rows: pd.DataFrame, raw: RawRows) -> pd.Series[Any]:
    why = pd.Series("not readable as a geometry", index=rows.index, dtype=object)
    for number in rows.index[rows["hopeless"] & ~raw.unreadable_geometry]:
        shape = raw.geometry[number]
        polygonal = shape.geom_type in ("Polygon", "MultiPolygon", "GeometryCollection")
        why[number] = shapely.is_valid_reason(shape) if polygonal else f"a {shape.geom_type} is no parcel"
    return why


def _reject(rows: pd.DataFrame, where: pd.Series[bool], reason: RejectReason, detail: pd.Series[Any] | str) -> None:
    fresh = where & rows["reason"].isna()
    rows.loc[fresh, "reason"] = reason.value
    rows.loc[fresh, "detail"] = detail if isinstance(detail, str) else detail[fresh]


def _reject_repeated(rows: pd.DataFrame, keys: pd.Series[Any], reason: RejectReason, detail: str) -> None:
    """Keeps the first good row of every key."""
    good = keys[rows["reason"].isna()]
    repeated = good[good.duplicated()]
    first = rows.loc[good[~good.duplicated()].index, "row_number"].set_axis(good[~good.duplicated()].to_numpy())
    text = repeated.map(first).map(detail.format).reindex(rows.index)
    _reject(rows, pd.Series(rows.index.isin(repeated.index), index=rows.index), reason, text)


def _accepted(rows: pd.DataFrame, crs: pyproj.CRS) -> gpd.GeoDataFrame:
    rows = rows.sort_values("parcel_id", kind="stable", ignore_index=True)
    shapes = outlines.transform(rows["shape"].to_numpy(), crs, EPSG_WGS84)
    frame = gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries(shapes, crs=EPSG_WGS84))
    return frame[list(DECLARATION_COLUMNS)]


def _rejected(rows: pd.DataFrame, source_file: str) -> pd.DataFrame:
    return rows.assign(source_file=source_file).reset_index(drop=True)[list(REJECTION_COLUMNS)]
