"""Candidates of one tile whose footprints are parts of it, as a cut in the downlink makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import geopandas as gpd
from shapely.geometry import Polygon, mapping

from cropmap.sources.catalogs.items import acquisition_from_item
from cropmap.sources.catalogs.sensings import Candidate
from tests.data.make_sources_catalog import COPERNICUS, make_item

EPSG, WEST, SOUTH, SIDE = 32632, 600_000.0, 5_300_040.0, 109_800.0
DATATAKE = "S2A_20240601T101559"
STRIP = datetime(2024, 6, 1, 10, 16, 20, tzinfo=UTC)


def part(south: float = 0.0, north: float = 1.0, *, slant: float = 0.05, crs: int = EPSG) -> dict[str, Any]:
    """GeoJSON of the tile between two shares of its height; the cut slants as scan lines do."""
    low = [SOUTH + SIDE * share for share in (south, south + (slant if south else 0))]
    high = [SOUTH + SIDE * share for share in (north, north + (slant if north < 1 else 0))]
    corners = [(WEST, low[0]), (WEST + SIDE, low[1]), (WEST + SIDE, high[1]), (WEST, high[0])]
    outline = gpd.GeoSeries([Polygon(corners)], crs=crs).to_crs(4326)[0]
    return dict(json.loads(json.dumps(mapping(outline))))


def candidate(
    name: str,
    footprint: dict[str, Any] | None = None,
    *,
    strip_s: float | None = None,
    baseline: str = "05.10",
    sensed_s: float = 0.0,
    station: str = "2APS",
    key: str = "eopf:datastrip_id",
    properties: Mapping[str, Any] | None = None,
) -> Candidate:
    """An item of the datatake; `strip_s` are the seconds from STRIP to its datastrip's start, None: nothing says."""
    start = None if strip_s is None else f"{STRIP + timedelta(seconds=strip_s):%Y%m%dT%H%M%S}"
    moment = datetime(2024, 6, 1, 10, 15, 59, tzinfo=UTC) + timedelta(seconds=sensed_s)
    strip = {} if start is None else {key: f"S2A_OPER_MSI_L2A_DS_{station}_20240601T120000_S{start}_N{baseline}"}
    item = make_item(
        name,
        provider=COPERNICUS,
        tile="32TPT",
        moment=moment.isoformat(),
        baseline=baseline,
        offset=-0.1,
        bbox=(10.3, 47.8, 11.9, 48.8),
        properties={"s2:datatake_id": f"G{DATATAKE}_012345_N{baseline}", **strip, **(properties or {})},
    )
    item["geometry"] = footprint or part()
    return Candidate(acquisition_from_item(item))
