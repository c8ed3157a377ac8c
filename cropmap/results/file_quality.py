"""`cropmap declarations quality`: a report on a declarations file before it is loaded. Reads and writes files alone.

Out, in one folder: quality.html (one page, self-contained), quality.json (the same for programs) and rejects.gpkg
(what to look at in a GIS). The same file gives the same report.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypedDict

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from cropmap.agency import Agency
from cropmap.errors import InputError
from cropmap.progress import Counter
from cropmap.results.quality_page import quality_page
from cropmap.schemas import EPSG_WGS84
from cropmap.sources import outlines
from cropmap.sources.declarations.crop_codes import CodesAnswer, codes_answer
from cropmap.sources.declarations.file_quality import FileQuality, Warnings, find_warnings, summarise
from cropmap.sources.declarations.reading import profiled_rows
from cropmap.stages.declared import DeclaredFile, exclude_hint, read_declared
from cropmap.stages.load_guard import against_doubles
from cropmap.store import Store

REJECTS: Final = "rejects.gpkg"


class QualityAnswer(TypedDict, total=False):
    """Counts of rows; `notes` and `stops_load` only where there are any."""

    file: str
    rows: int
    accepted: int
    rejected: int
    merged: int
    with_warnings: int
    area_ha: float
    rejections: dict[str, int]
    """by RejectReason"""
    warnings: dict[str, int]
    """by FileWarning"""
    unmapped_codes: int
    """codes, not rows"""
    notes: list[str]
    report: str
    """path"""
    rejects: str
    """path"""
    stops_load: list[str]
    """why a load of the file would stop"""


def report_quality(agency: Agency, *, season: int, out: Path) -> QualityAnswer:
    """Writes the report into `out` and returns the counts of every check. Raises InputErrors as loading does."""
    agency = agency.of_season(season)
    file = read_declared(agency, season=season)
    accepted, rejected = file.accepted, _with_geometry(file, agency)
    columns = agency.read_profile().columns
    warnings = find_warnings(
        accepted,
        claims_area="area" in columns,
        names_holdings="holding_id" in columns,
        notices=file.notices,
        overlaps=file.doubles.overlaps,
    )
    quality = summarise(
        file=file.path.name,
        source_hash=file.source_hash,
        accepted=accepted,
        rejected=rejected,
        warnings=warnings,
        merged=file.merged,
    )
    codes = codes_answer(file.codes)
    twice = against_doubles(file.doubles, exclude_hint(file.separator), agency.declarations)
    stops = [objection.what for objection in twice]
    document = {
        "agency": agency.agency,
        "season": season,
        **_plain(asdict(quality)),
        "notes": list(file.notes),
        "stops_load": stops,
        **codes,
    }
    if out.exists() and not out.is_dir():
        raise InputError("is a file", where=str(out), mend="Name a folder for --out")
    store = Store(out.absolute())
    with Counter("report", total=3, unit="files") as counter:
        _write_rejects(store.local_path(REJECTS), accepted, rejected, warnings)
        counter.add()
        text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
        store.write_bytes("quality.json", text.encode(), digest=False)
        counter.add()
        page = quality_page(
            quality,
            agency=agency.agency,
            season=season,
            codes=codes,
            accepted=accepted,
            rejected=rejected,
            warnings=warnings,
            notes=file.notes,
        )
        store.write_bytes("quality.html", page.encode(), digest=False)
        counter.add()
    answer = _answer(quality, file.notes, codes, out)
    if stops:
        answer["stops_load"] = stops
    return answer


def _with_geometry(file: DeclaredFile, agency: Agency) -> gpd.GeoDataFrame:
    """The rejected rows with their outlines as the file has them, in EPSG:4326, and area_ha; None where unusable."""
    if file.rejected.empty:
        nothing = file.rejected.assign(area_ha=np.empty(0))
        return gpd.GeoDataFrame(nothing, geometry=gpd.GeoSeries([], crs=EPSG_WGS84), crs=EPSG_WGS84)
    profile = agency.read_profile()
    raw = profiled_rows(file.path, profile.named_columns(), profile)
    shapes = raw.outlines.shapes(file.rejected["row_number"].to_numpy() - 1)
    area = outlines.area_ha(outlines.repair(shapes)[0], raw.crs)
    placed = outlines.transform(shapes, raw.crs, EPSG_WGS84)
    drawable = np.isfinite(shapely.bounds(placed)).all(axis=1)
    placed[~drawable] = None
    geometry = gpd.GeoSeries(placed, index=file.rejected.index, crs=EPSG_WGS84)
    return gpd.GeoDataFrame(file.rejected.assign(area_ha=area), geometry=geometry)


def _write_rejects(path: Path, accepted: gpd.GeoDataFrame, rejected: gpd.GeoDataFrame, warnings: Warnings) -> None:
    """Layers: rejected, rejected_without_outline (a table), warnings (the parcels), overlaps (the common ground)."""
    drawn = rejected.geometry.notna() & ~rejected.geometry.is_empty
    shapes = accepted.set_index("row_number").geometry
    noted = gpd.GeoDataFrame(
        warnings.table, geometry=shapes.reindex(warnings.table["row_number"]).to_numpy(), crs=EPSG_WGS84
    )
    layers = {
        "rejected": rejected[drawn],
        "rejected_without_outline": pd.DataFrame(rejected[~drawn].drop(columns="geometry")),
        "warnings": noted,
        "overlaps": warnings.overlaps.to_crs(epsg=EPSG_WGS84),
    }
    partial = path.with_name(f".writing-{path.name}")
    partial.unlink(missing_ok=True)
    for name, table in layers.items():
        of_any_kind = {"geometry_type": "Unknown"} if isinstance(table, gpd.GeoDataFrame) else {}
        pyogrio.write_dataframe(table, partial, layer=name, driver="GPKG", append=partial.exists(), **of_any_kind)
    partial.replace(path)


def _answer(quality: FileQuality, notes: Sequence[str], codes: CodesAnswer, out: Path) -> QualityAnswer:
    answer: QualityAnswer = {
        "file": quality.file,
        "rows": quality.rows,
        "accepted": quality.accepted,
        "rejected": quality.rejected,
        "merged": quality.merged,
        "with_warnings": quality.with_warnings,
        "area_ha": round(quality.area_ha, 2),
        "rejections": {check.name: check.rows for check in quality.checks if check.rejects and check.rows},
        "warnings": {check.name: check.rows for check in quality.checks if not check.rejects and check.rows},
        "unmapped_codes": len(codes["unmapped_codes"]),
    }
    if notes:
        answer["notes"] = list(notes)
    answer["report"], answer["rejects"] = str(out / "quality.html"), str(out / REJECTS)
    return answer


def _plain(value: Any) -> Any:
    """JSON has no NaN: an area that is not stated is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
