import json
import shutil
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
from rasterio.features import geometry_mask

from cropmap.agency import Agency
from cropmap.errors import ConfigurationError
from cropmap.legends import Legend
from cropmap.schemas import BANDS, RESOLUTION_M, SCL_CLEAR, QuarantineReason
from cropmap.seasons import Season
from cropmap.simulation import phenology
from cropmap.simulation.landscape import lay_out
from cropmap.simulation.passes import passes
from cropmap.simulation.population import settle
from cropmap.simulation.randomness import stream
from cropmap.simulation.season import SimulationSummary, simulate_season
from cropmap.sources.catalogs.catalog import find_acquisitions

ARGUMENTS: Final[dict[str, Any]] = {"parcels": 40, "seed": 11, "dates": 5}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """The same simulation, made from the remains of a killed one."""
    out = tmp_path_factory.mktemp("again") / "season"
    shutil.copytree(folder, out)
    marker = json.loads((out / "simulation.json").read_text())
    (out / "simulation.json").write_text(json.dumps({**marker, "figures": None}))
    items = sorted((out / "scenes" / "sentinel-2-l2a").glob("S2*"))
    for item in items[1:]:
        shutil.rmtree(item)
    (out / ".writing-agency.yaml").write_text("half")
    (out / "truth" / "truth.parquet").unlink()
    simulate_season(out, **ARGUMENTS)
    return out


@pytest.mark.slow
def test_summary_counts_what_is_there(season: SimulationSummary, folder: Path) -> None:
    truth = pd.read_parquet(season.truth)
    assert (season.parcels, season.wrong_declarations) == (40, 1)
    assert season.holdings == truth["holding_id"].nunique()
    assert season.scenes == len(list(folder.glob("scenes/sentinel-2-l2a/*/*.json"))) == 11  # 2 tiles × 5, one twice


@pytest.mark.slow
def test_a_killed_simulation_goes_on_to_the_same_bytes(folder: Path, again: Path) -> None:
    assert files(again) == files(folder)


def test_a_finished_one_is_left_alone_and_another_is_refused(season: SimulationSummary, folder: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert simulate_season(folder, **ARGUMENTS) == season
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    with pytest.raises(ConfigurationError, match="another simulation"):
        simulate_season(folder, **{**ARGUMENTS, "seed": 12})


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        simulate_season(tmp_path, **ARGUMENTS)
    with pytest.raises(ConfigurationError, match="--parcels"):
        simulate_season(tmp_path / "x", parcels=2, seed=1)


def test_the_agency_file_is_read_and_knows_nothing_of_the_truth(season: SimulationSummary, folder: Path) -> None:
    agency = Agency.read(Path(season.agency_file))
    assert agency.simulated
    assert agency.regions.codes == ["FRH0"]
    assert "truth" not in Path(season.agency_file).read_text()
    assert "simulation" in (folder / "README.txt").read_text()


def test_declarations_hold_text_and_agree_with_the_truth(season: SimulationSummary, folder: Path) -> None:
    declared = gpd.read_file(folder / "declarations.gpkg")
    truth = pd.read_parquet(season.truth)
    assert declared.crs.to_epsg() == 4326
    assert declared["parcel_id"].iloc[0] == "0000001"
    assert not {"true_code", "true_crop", "wrong"} & set(declared.columns)
    assert declared["crop_code"].tolist() == truth["declared_code"].tolist()
    legend = Legend.read("fr_breizhcrops13")
    assert truth["true_crop"].tolist() == [legend.crop_of(code) for code in truth["true_code"]]
    assert (truth["wrong"] == (truth["true_crop"] != truth["declared_crop"])).all()
    area = declared.to_crs(3035).area.to_numpy() / 1e4
    np.testing.assert_allclose(truth["area_ha"], area, rtol=1e-5)
    np.testing.assert_allclose(declared["area_ha"], area, rtol=0.05, atol=0.006)


def test_regions_have_their_names_and_parents(folder: Path) -> None:
    table = gpd.read_file(folder / "nuts.geojson").set_index("NUTS_ID")
    assert table["LEVL_CODE"].to_dict() == {
        "FR": 0,
        "FRH": 1,
        "FRH0": 2,
        "FRH01": 3,
        "FRH02": 3,
        "FRH03": 3,
        "FRH04": 3,
    }
    assert table.loc["FRH02", "NAME_LATN"] == "Finistère"
    assert table["NUTS_NAME"].str.contains("simulation").all()
    parts = table.loc[["FRH01", "FRH02", "FRH03", "FRH04"]].to_crs(3035).area.sum()
    assert table.to_crs(3035).loc["FRH0", "geometry"].area == pytest.approx(parts, rel=1e-4)


def test_the_catalogue_opens_with_pystac(folder: Path) -> None:
    catalog = pystac.Catalog.from_file(str(folder / "scenes" / "catalog.json"))
    items = list(catalog.get_items(recursive=True))
    assert len(items) == 11
    for item in items:
        assert item.properties["cropmap:simulation"] is True
        assert "Simulation" in item.properties["title"]
        assert all(Path(asset.get_absolute_href() or "").is_file() for asset in item.assets.values())


def test_both_versions_of_the_projection_extension_are_there(folder: Path) -> None:
    items = [json.loads(p.read_text())["properties"] for p in folder.glob("scenes/sentinel-2-l2a/*/*.json")]
    versions = {(item["s2:processing_baseline"], item.get("proj:code"), item.get("proj:epsg")) for item in items}
    assert versions == {("05.00", "EPSG:32630", None), ("02.06", None, 32630)}


def test_the_season_finds_its_acquisitions(folder: Path) -> None:
    year = Season.from_window(2018, ("{season}-01-01", "{season}-12-31"))
    found = find_acquisitions(
        str(folder / "scenes" / "catalog.json"), collection="sentinel-2-l2a", bbox=(-5, 47, -1, 50), season=year
    )
    assert len(found.acquisitions) == 10
    assert [item.reason for item in found.unusable] == [QuarantineReason.SUPERSEDED]
    assert {a.assets["B08"].offset for a in found.acquisitions} == {0.0, -0.1}
    assert {a.tile for a in found.acquisitions} == {"30UVU", "30UWU"}
    assert {a.epsg for a in found.acquisitions} == {32630}


def test_grids_lie_on_the_tiles_grid_and_overlap(folder: Path) -> None:
    spans: dict[str, set[tuple[float, ...]]] = {}
    for tile in ("30UVU", "30UWU"):
        item = next((folder / "scenes" / "sentinel-2-l2a").glob(f"*{tile}*"))
        for band in (*BANDS, "SCL"):
            with rasterio.open(item / f"{band}.tif") as source:
                assert source.res == (RESOLUTION_M[band],) * 2
                assert (source.bounds.left - 399_960) % 20 == (5_400_000 - source.bounds.top) % 20 == 0
                assert source.nodata == 0
                assert source.dtypes == (("uint8",) if band == "SCL" else ("uint16",))
                assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                spans.setdefault(tile, set()).add(tuple(source.bounds))
    (west,), (east,) = spans["30UVU"], spans["30UWU"]
    assert west[0] < east[0] < west[2] < east[2]
    assert west[2] - east[0] >= 700


def test_pixels_decode_to_the_model_curve_under_both_baselines(folder: Path) -> None:
    """Clear parcel means, by each asset's own offset, against the noiseless phenology of the day."""
    land = lay_out(parcels=40, seed=11)
    people = settle(land.region, seed=11, wrong_share=0.03)
    stand = phenology.draw(people.variety, land.region, people.holding, stream(11, "stand"))
    plan = {f"{one.day:%Y%m%d}_{one.platform[-1].upper()}": one for one in passes(season=2018, dates=5, seed=11)}
    differences: dict[float, list[float]] = {0.0: [], -0.1: []}
    for path in (folder / "scenes" / "sentinel-2-l2a").glob("*/*.json"):
        item = pystac.Item.from_file(str(path))
        one = plan[f"{item.datetime:%Y%m%d}_{item.properties['platform'][-1].upper()}"]
        expected = phenology.reflectance(stand, one.day_of_year, wetness=one.wetness)
        raster = item.assets["swir16"].extra_fields["raster:bands"][0]
        with rasterio.open(path.parent / "B11.tif") as band, rasterio.open(path.parent / "SCL.tif") as scl:
            clear, values = np.isin(scl.read(1), SCL_CLEAR), band.read(1) * raster["scale"] + raster["offset"]
            for parcel, field in enumerate(land.fields):
                if field.buffer(-20).is_empty:
                    continue
                mask = ~geometry_mask([field.buffer(-20)], values.shape, band.transform) & clear
                if mask.sum() >= 8:
                    differences[raster["offset"]].append(
                        float(values[mask].mean() - expected[parcel, BANDS.index("B11")])
                    )
    for values in differences.values():
        assert len(values) > 20
        assert abs(np.median(values)) < 0.012
        assert np.mean(np.abs(values) < 0.03) > 0.8
