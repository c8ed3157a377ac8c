"""Where parcels are split at borders, a run depends on the boundaries, and its areas on the overlaps."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from cropmap.errors import RegionFileError
from cropmap.stages import products
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.parcels import counted_parcels
from tests.stages.conftest import NO_MODEL, observe_everything, open_context, publish_without_model


@pytest.fixture
def split(environment: None, tiny_inputs: Path, tmp_path: Path) -> SeasonContext:
    rough = {**NO_MODEL, "statistics": {"border_parcels": "split", "confidentiality": "primary"}}
    context = open_context(tiny_inputs, tmp_path, **rough)
    observe_everything(context)
    return context


def test_parcels_are_counted_by_overlap_and_the_run_knows_the_boundaries(
    split: SeasonContext, tiny_inputs: Path, tmp_path: Path
) -> None:
    data = OpenSeason(split).data
    parcels = data.outlines.beside(data.parcels)
    boundaries = gpd.read_file(tiny_inputs / "nuts.geojson")
    cut = parcels.to_crs(3035).geometry.iloc[0]
    level3 = boundaries["LEVL_CODE"] == 3
    here = parcels["nuts_id"].iloc[0]
    other = next(code for code in boundaries.loc[level3, "NUTS_ID"] if code != here)
    west, south, east, north = cut.bounds
    shapes = boundaries.to_crs(3035).geometry.copy()
    taken = shapely.box(west, south, (west + east) / 2, north)
    shapes[boundaries["NUTS_ID"] == here] = shapes[boundaries["NUTS_ID"] == here].difference(taken)
    shapes[boundaries["NUTS_ID"] == other] = shapes[boundaries["NUTS_ID"] == other].union(taken)
    before = products.plan_run(OpenSeason(split))
    moved = tmp_path / "moved.geojson"
    boundaries.set_geometry(shapes).to_crs(4326).to_file(moved)
    section = {"nuts_version": 2024, "boundaries": str(moved), "codes": ["FRH0"]}
    context = open_context(
        tiny_inputs,
        tmp_path,
        **NO_MODEL,
        regions=section,
        statistics={"border_parcels": "split", "confidentiality": "primary"},
    )
    after = products.plan_run(OpenSeason(context))
    assert after.run_id != before.run_id
    counted = counted_parcels(context, data.parcels, data.outlines).set_index("parcel_id")["area_ha"]
    first = parcels["parcel_id"].iloc[0]
    share = cut.intersection(taken).area / cut.area
    parts = sorted(counted[[first]].tolist())
    whole = parcels["area_ha"].iloc[0]
    assert parts == pytest.approx(sorted([share * whole, (1 - share) * whole]), rel=1e-3)
    assert counted.groupby(level=0).sum().reindex(parcels["parcel_id"]).tolist() == pytest.approx(
        parcels["area_ha"].tolist()
    )
    publish_without_model(context)
    report = json.loads(context.store.read_bytes(after.name("statistics.json")))
    divided = int(counted.index.duplicated().sum())
    assert (report["parcels"], report["parcels_divided_at_borders"]) == (len(parcels), divided)

    moved.unlink()
    with pytest.raises(RegionFileError, match=r"moved\.geojson"):
        products.plan_run(OpenSeason(context))
