"""NUTS regions: a GISCO boundary file in, the regions of an agency and the region of each parcel out."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cropmap.errors import RegionFileError
from cropmap.schemas import EPSG_EQUAL_AREA
from cropmap.sources.nuts_codes import common_editions, of_other_editions, words
from cropmap.sources.outlines import repair
from cropmap.sources.region_files import ASSIGNED_LEVEL, YEAR, read_region_file

log = logging.getLogger(__name__)

GISCO_EDITIONS: Final = (2003, 2006, 2010, 2013, 2016, 2021, 2024)
CHUNK: Final = 50_000
"""parcels that are moved to the regions' CRS at a time: half a million take a gigabyte there"""
SLIVER_HA: Final = 0.01
"""what parcels are declared to"""
M2_PER_HA: Final = 10_000.0


@dataclass(frozen=True)
class Regions:
    table: gpd.GeoDataFrame
    """nuts_id, level (0 to 3), name, national_name, geometry (EPSG:3035), sorted by nuts_id: the level 3 regions below
    the codes asked for, and those of their parents that the file has"""
    nuts_version: int

    @property
    def assignable(self) -> gpd.GeoDataFrame:
        """The level 3 regions."""
        return self.table[self.table["level"] == ASSIGNED_LEVEL]


def read_regions(path: Path, *, nuts_version: int, codes: Sequence[str]) -> Regions:
    """Reads NUTS boundaries in any container that `region_files` opens.

    Raises RegionFileError: unreadable, another edition by its name or its codes, or without one of `codes`.
    """
    file = read_region_file(path, edition=nuts_version)
    table = file.table
    _check_version(file.named, nuts_version, where=str(path))
    _check_levels(table[table["nuts_id"].str.startswith(tuple(codes))], where=str(path))
    _check_edition(table["nuts_id"], nuts_version, where=str(path))
    chosen = {code: [n for n in _level_3(table) if n.startswith(code)] for code in codes}
    for code in (code for code, inside in chosen.items() if not inside):
        near = difflib.get_close_matches(code, table["nuts_id"].tolist(), n=5, cutoff=0.5)
        raise RegionFileError(
            f"no level 3 region in {code!r}", where=str(path), mend=f"Near codes: {', '.join(near) or 'none'}"
        )
    wanted = {n[:length] for inside in chosen.values() for n in inside for length in range(2, len(n) + 1)}
    kept = table[table["nuts_id"].isin(wanted)].reset_index(drop=True)
    return Regions(_sound(kept, where=str(path)), nuts_version)


def nearest_regions(
    declarations: gpd.GeoDataFrame, regions: Regions, *, tolerance_m: float
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """(NUTS 3 code, metres to it) of the nearest region of parcels that touch none; None and NaN beyond `tolerance_m`.

    Boundaries that are generalised for maps leave out strips of coast and border: 1 : 20 million by up to three
    kilometres. `declarations` may be in any CRS; the results have its index.
    """
    nearest = pd.Series([None] * len(declarations), index=declarations.index, dtype=object)
    away_m = pd.Series(np.nan, index=declarations.index, dtype=float)
    if declarations.empty or tolerance_m <= 0:
        return nearest, away_m
    shapes = np.asarray(declarations.geometry.to_crs(EPSG_EQUAL_AREA).array, dtype=object)
    tree = shapely.STRtree(regions.assignable.geometry.to_numpy())
    (own, region), metres = tree.query_nearest(shapes, max_distance=tolerance_m, return_distance=True, all_matches=True)
    order = np.lexsort((region, own))  # ties: the first code
    once = order[~pd.Series(own[order]).duplicated().to_numpy()]
    nearest.iloc[own[once]] = regions.assignable["nuts_id"].to_numpy()[region[once]]
    away_m.iloc[own[once]] = metres[once]
    return nearest, away_m


def assign_regions(declarations: gpd.GeoDataFrame, regions: Regions) -> pd.Series[Any]:
    """NUTS 3 code per parcel by largest overlap (ties: the first code); None where a parcel touches no region.

    `declarations` may be in any CRS; the result has its index.
    """
    assigned = np.full(len(declarations), None, dtype=object)
    for region in regions.assignable.geometry:
        shapely.prepare(region)
    for start in range(0, len(declarations), CHUNK):
        part = slice(start, start + CHUNK)
        assigned[part] = _assign(declarations.geometry.iloc[part].to_crs(EPSG_EQUAL_AREA).to_numpy(), regions)
    return pd.Series(assigned, index=declarations.index, name="nuts_id", dtype=object)


def split_at_borders(parcels: gpd.GeoDataFrame, regions: Regions) -> gpd.GeoDataFrame:
    """The parcels (nuts_id, area_ha), those that lie in several level 3 regions as one row for each, `area_ha` divided
    as the overlaps are; by parcel_id and nuts_id.

    What lies in no region goes with the rest of its parcel. Parts below SLIVER_HA are left to the others: a boundary
    drawn for a map is no more precise. A parcel that is divided nowhere keeps its row.
    """
    shapes = parcels.geometry.to_crs(EPSG_EQUAL_AREA).to_numpy()
    tree, rows, codes, areas = shapely.STRtree(shapes), [], [], []
    for code, region in zip(regions.assignable["nuts_id"], regions.assignable.geometry, strict=True):
        shapely.prepare(region)
        near = np.sort(tree.query(region, predicate="intersects"))
        near = near[~shapely.contains_properly(region, shapes[near])]
        rows.append(near)
        codes.append(np.full(len(near), code, dtype=object))
        areas.append(shapely.area(shapely.intersection(shapes[near], region)))
    parts = pd.DataFrame(
        {
            "row": np.concatenate(rows) if rows else [],
            "nuts_id": np.concatenate(codes) if codes else [],
            "overlap": np.concatenate(areas) if areas else [],
        }
    )
    parts = parts[parts["overlap"] >= SLIVER_HA * M2_PER_HA]
    parts = parts[parts.groupby("row")["overlap"].transform("size") > 1]
    if parts.empty:
        return parcels
    share = parts["overlap"] / parts.groupby("row")["overlap"].transform("sum")
    cut = parcels.iloc[parts["row"].to_numpy(int)].assign(nuts_id=parts["nuts_id"].to_numpy())
    cut["area_ha"] = cut["area_ha"].to_numpy(float) * share.to_numpy()
    whole = parcels[~np.isin(np.arange(len(parcels)), parts["row"])]
    return pd.concat([whole, cut]).sort_values(["parcel_id", "nuts_id"], kind="stable", ignore_index=True)


def _assign(shapes: np.ndarray[Any, Any], regions: Regions) -> np.ndarray[Any, Any]:
    """The code of each shape, in the regions' own CRS."""
    assigned = np.full(len(shapes), None, dtype=object)
    shared = np.zeros(len(shapes))
    tree = shapely.STRtree(shapes)
    for code, region in zip(regions.assignable["nuts_id"], regions.assignable.geometry, strict=True):
        near = np.sort(tree.query(region, predicate="intersects"))
        inside = shapely.contains_properly(region, shapes[near])
        assigned[near[inside]], shared[near[inside]] = code, np.inf
        edge = near[~inside]
        overlap = shapely.area(shapely.intersection(shapes[edge], region))
        larger = overlap > shared[edge]
        assigned[edge[larger]], shared[edge[larger]] = code, overlap[larger]
    return assigned


def _check_version(names: str, nuts_version: int, *, where: str) -> None:
    years = {int(year) for year in YEAR.findall(names)} & set(GISCO_EDITIONS)
    if years and nuts_version not in years:
        raise RegionFileError(
            f"the file is named after NUTS {max(years)}, not {nuts_version}",
            where=where,
            mend="Set regions.nuts_version",
        )


def _check_edition(codes: pd.Series[Any], nuts_version: int, *, where: str) -> None:
    """A file without a year in its name is known by its codes."""
    foreign = of_other_editions(codes, nuts_version=nuts_version)
    if foreign:
        fitting = common_editions(codes)
        edition = f"the file is of NUTS {words(fitting)}" if fitting else "the codes are of several editions"
        raise RegionFileError(
            f"NUTS {nuts_version} does not have {words(foreign)}: {edition}",
            where=where,
            mend=f"Take the boundaries of NUTS {nuts_version}, or set regions.nuts_version",
        )


def _check_levels(table: gpd.GeoDataFrame, *, where: str) -> None:
    level = table["nuts_id"].str.len() - 2
    odd = table[level != table["level"]]
    if len(odd):
        raise RegionFileError(
            f"LEVL_CODE of {_named(odd['nuts_id'])} is {odd['level'].iloc[0]}: a code of so many letters is level "
            f"{level[odd.index[0]]}",
            where=where,
            mend="Use a NUTS_RG file of GISCO",
        )


def _sound(table: gpd.GeoDataFrame, *, where: str) -> gpd.GeoDataFrame:
    """The chosen regions with valid outlines. Raises RegionFileError for one that is there twice, or has no outline
    that could be repaired."""
    twice = table.loc[table["nuts_id"].duplicated(), "nuts_id"]
    if len(twice):
        raise RegionFileError(
            f"{_named(twice)} is there more than once", where=where, mend="One row per region: dissolve its parts"
        )
    shapes = table.geometry.to_numpy().copy()
    coordinates, region = shapely.get_coordinates(shapes, return_index=True)
    shapes[np.unique(region[~np.isfinite(coordinates).all(axis=1)])] = None  # nothing that GEOS would mend
    shapes, repaired, hopeless = repair(shapes)
    bad = hopeless | shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if bad.any():
        raise RegionFileError(
            f"{_named(table.loc[bad, 'nuts_id'])} has no outline, or one that cannot be repaired",
            where=where,
            mend="Use a NUTS_RG file of GISCO, or mend the rings",
        )
    deciding = repaired & (table["level"] == ASSIGNED_LEVEL).to_numpy()  # parents are drawn, and decide nothing
    if deciding.any():
        log.warning("%s: outlines repaired: %s", where, _named(table.loc[deciding, "nuts_id"]))
    return table.set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=table.crs))


def _named(codes: pd.Series[Any]) -> str:
    return words(sorted(set(codes)))


def _level_3(table: gpd.GeoDataFrame) -> list[str]:
    return list(table.loc[table["level"] == ASSIGNED_LEVEL, "nuts_id"])
