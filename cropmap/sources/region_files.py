"""Boundary files as GISCO and others hand them out: in, a file; out, one table of codes, levels, names and outlines.

GeoPackage, Shapefile, GeoJSON, TopoJSON, GeoParquet, zipped or not, with one layer or several (boundaries, label
points, levels). The layer taken is one with polygons and NUTS codes. Levels that the file does not say follow from the
codes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from cropmap.errors import DeclarationFileError, RegionFileError
from cropmap.schemas import EPSG_EQUAL_AREA, EPSG_WGS84
from cropmap.sources.coordinate_systems import place
from cropmap.sources.files.containers import opened
from cropmap.sources.files.sidecars import apart
from cropmap.sources.files.vector_formats import Layer, Shapes, list_layers, read_parts, together
from cropmap.sources.nuts_codes import FORMER_COUNTRIES, REGION, words

log = logging.getLogger(__name__)

IDS: Final = ("NUTS_ID", "NUTS_CODE")
NUTS2JSON: Final = ("id", "na")
"""what Eurostat's Nuts2json calls code and name"""
LEVELS: Final = ("LEVL_CODE", "STAT_LEVL_")
NAMES: Final = ("NAME_LATN", "NUTS_NAME", "na")
NATIONAL_NAMES: Final = ("NUTS_NAME", "NAME_LATN", "na")
ASSIGNED_LEVEL: Final = 3
GISCO: Final = "Use a NUTS_RG file of GISCO"
GISCO_SYSTEMS: Final = {"4326": 4326, "4258": 4258, "3035": 3035, "3857": 3857}
"""as their files are named: NUTS_RG_01M_2024_3035"""
SYSTEM: Final = re.compile(r"(?<!\d)(4326|4258|3035|3857)(?!\d)")
YEAR: Final = re.compile(r"(?<!\d)(20\d\d)(?!\d)")
MEMBERS: Final = (None, "*_RG_*_3035.*", "*_RG_*_4326.*", "*_RG_*LEVL_3*", "*_RG_*")
"""which file of an archive of several"""


@dataclass(frozen=True, eq=False)
class RegionFile:
    table: gpd.GeoDataFrame
    """nuts_id, level, name (in Latin letters), national_name (in the country's own), geometry (EPSG:3035), sorted by
    nuts_id"""
    named: str
    """what the file and the layer are called: it may say the edition"""


def read_region_file(path: Path, *, edition: int | None = None) -> RegionFile:
    """Of layers that name a year, those of the edition are taken first.

    Raises RegionFileError, one line, where it holds no polygons with NUTS codes."""
    if not path.exists():
        raise RegionFileError("no such file", where=str(path), mend="Check regions.boundaries")
    first: DeclarationFileError | None = None
    for member in MEMBERS:
        try:
            with opened(path, member) as delivered, apart(delivered) as source:
                return _read(source, path, edition)
        except DeclarationFileError as error:
            first = first or error
            if "vector file" not in error.what:
                break
    assert first is not None, "a try that does not fail returns"
    raise RegionFileError(f"cannot be read ({first.what})", where=str(path), mend="Check regions.boundaries") from first


def _read(source: str, path: Path, edition: int | None) -> RegionFile:
    layers = list_layers(source)
    fitting = sorted(
        (each for each in layers if _is_drawn(each) and _code_column(each)), key=lambda each: _preference(each, edition)
    )
    if not fitting:
        held = words(f"{each.name} ({each.geometry or 'no geometry'}: {words(each.columns)})" for each in layers)
        missing = "no column NUTS_ID, LEVL_CODE" if any(_is_drawn(each) for each in layers) else "no polygons"
        raise RegionFileError(f"{missing} in {held or 'an empty file'}", where=str(path), mend=GISCO)
    tables = []
    for layer in fitting:
        table = _table(source, layer, path)
        if (table["level"] == ASSIGNED_LEVEL).any():
            return RegionFile(table, f"{path.stem} {layer.name}")
        tables.append(table)
    held = words(sorted({str(level) for table in tables for level in table["level"]})) or "none"
    raise RegionFileError(f"no regions of level {ASSIGNED_LEVEL}; it has level {held}", where=str(path), mend=GISCO)


def _is_drawn(layer: Layer) -> bool:
    """Polygons, or a kind of geometry that the format does not state."""
    kind = (layer.geometry or "").lower().removesuffix(" z")
    return "polygon" in kind or kind in ("unknown", "geometry", "geometrycollection") or kind.startswith("wkt")


def _preference(layer: Layer, edition: int | None) -> tuple[bool, bool, bool, int]:
    """Regions before anything else, those of no other edition, one level after all of them, the finest scale first."""
    name = layer.name.upper()
    scale = re.search(r"(?<!\d)(\d\d)M", name)
    years = YEAR.findall(name)
    other = edition is not None and bool(years) and str(edition) not in years
    return "_RG" not in name, other, "LEVL" in name and "LEVL_3" not in name, int(scale[1]) if scale else 0


def _code_column(layer: Layer) -> str | None:
    return _column(layer, IDS) or (NUTS2JSON[0] if set(NUTS2JSON) <= set(layer.columns) else None)


def _column(layer: Layer, names: Sequence[str]) -> str | None:
    own = {column.casefold(): column for column in layer.columns}
    return next((own[name.casefold()] for name in names if name.casefold() in own), None)


def _table(source: str, layer: Layer, path: Path) -> gpd.GeoDataFrame:
    """The rows that have a code; a level that the file states as what it states."""
    ids, levels = _code_column(layer), _column(layer, LEVELS)
    names, national = _column(layer, NAMES), _column(layer, NATIONAL_NAMES)
    assert ids is not None, "only layers with codes are read"
    read = together(read_parts(source, layer, list(dict.fromkeys(filter(None, (ids, levels, names, national))))))
    code = _as_written_by_eurostat(read.attributes[ids])
    if not (known := code.dropna().str.fullmatch(REGION.pattern).astype(bool)).any():
        raise RegionFileError(
            f"column {ids} of {layer.name} holds no NUTS codes ({words(code.dropna()[~known].unique())})",
            where=str(path),
            mend=GISCO,
        )
    stated = read.attributes[levels] if levels else (code.str.len() - 2).astype("string")
    level = pd.to_numeric(stated, errors="coerce")
    frame = pd.DataFrame(
        {
            "nuts_id": code,
            "stated": stated,
            "level": level,
            "name": read.attributes[names].fillna("") if names else code,
            "national_name": read.attributes[national].fillna("") if national else code,
        }
    )
    drawn = gpd.GeoDataFrame(frame, geometry=_placed(read.geometry, read.crs, f"{path.name} {layer.name}", path))
    drawn = drawn[code.notna()]
    odd = ~drawn["level"].isin(range(ASSIGNED_LEVEL + 1))
    if odd.any():
        raise RegionFileError(
            f"LEVL_CODE {drawn.loc[odd, 'stated'].iloc[0]!r} is no NUTS level", where=str(path), mend=GISCO
        )
    return drawn.drop(columns="stated").astype({"level": int}).sort_values("nuts_id", ignore_index=True)


def _as_written_by_eurostat(codes: pd.Series[Any]) -> pd.Series[Any]:
    """Codes in capitals, without blanks, and with Eurostat's letters for Greece and the United Kingdom."""
    plain = codes.str.replace(r"\s+", "", regex=True).str.upper()
    former = plain.str[:2].map(FORMER_COUNTRIES)
    return plain.where(former.isna(), former + plain.str[2:])


def _placed(shapes: Shapes, stated: object, named: str, path: Path) -> gpd.GeoSeries:
    """The outlines in EPSG:3035."""
    system = _system(shapes, stated, named, path)
    placement = place(system, shapes)
    if placement.refused:
        raise RegionFileError(placement.refused, where=str(path), mend=GISCO)
    if turned := next((note for note in placement.notes if "axis_order" in note), None):
        raise RegionFileError(
            turned.partition(": set ")[0], where=str(path), mend=f"Swap them (longitude comes first). {GISCO}"
        )
    for note in placement.notes:
        log.warning("%s: %s", path.name, note)
    try:
        return gpd.GeoSeries(shapes, crs=system).to_crs(epsg=EPSG_EQUAL_AREA)
    except (pyproj.exceptions.ProjError, shapely.errors.GEOSException, ValueError) as error:
        raise RegionFileError(
            f"the outlines cannot be brought to EPSG:{EPSG_EQUAL_AREA} ({' '.join(str(error).split())[:120]})",
            where=str(path),
            mend=GISCO,
        ) from error


def _system(shapes: Shapes, stated: object, named: str, path: Path) -> pyproj.CRS:
    """The file's own, unless its coordinates cannot be of it: GeoJSON counts as degrees whatever it holds, and TopoJSON
    states nothing. GISCO's names say it then."""
    try:
        own = None if stated is None else pyproj.CRS.from_user_input(stated)
    except pyproj.exceptions.CRSError as error:
        raise RegionFileError(f"{stated!r} is no CRS", where=str(path), mend=GISCO) from error
    west, south, east, north = shapely.total_bounds(shapes)
    degrees = bool(np.all(np.abs([west, east]) <= 180.001) and np.all(np.abs([south, north]) <= 90.001))
    if own is not None and not (own.is_geographic and not degrees):
        return own
    systems = SYSTEM.findall(named)
    if systems and (GISCO_SYSTEMS[systems[-1]] in (4326, 4258)) == degrees:
        return pyproj.CRS.from_epsg(GISCO_SYSTEMS[systems[-1]])
    if degrees:
        return pyproj.CRS.from_epsg(EPSG_WGS84)
    raise RegionFileError(
        "its coordinates are no degrees, and nothing says which system they are in"
        if own is None
        else f"its coordinates ({west:.0f} {south:.0f} to {east:.0f} {north:.0f}) are no degrees, as its CRS says",
        where=str(path),
        mend="Name the file as GISCO does (NUTS_RG_01M_2024_3035), or take another format",
    )
