"""NUTS files in GISCO's containers and of the wrong edition, and parcels outside generalised boundaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import yaml

from cropmap.agency import Agency
from cropmap.errors import ConfigurationError, RegionFileError
from cropmap.sources.nuts_codes import editions_of, no_code, of_other_editions
from cropmap.sources.regions import nearest_regions, read_regions
from cropmap.stages.declared import read_boundaries, read_declared
from tests.sources.test_regions import block, make_regions

CODES = ["FRH0"]


def read(path: Path) -> list[str]:
    return list(read_regions(path, nuts_version=2024, codes=CODES).table["nuts_id"])


def own_regions(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(make_regions(path / "own.gpkg"))


def test_a_bundle_whose_first_layer_is_lines(tmp_path: Path) -> None:
    frame, path = own_regions(tmp_path), tmp_path / "bundle.gpkg"
    frame.assign(NUTS_BN_ID=range(len(frame))).drop(columns=["NUTS_ID", "NAME_LATN"]).set_geometry(
        frame.boundary
    ).to_file(path, layer="NUTS_BN_01M")
    frame.set_geometry(frame.representative_point()).to_file(path, layer="NUTS_LB")
    frame[frame["LEVL_CODE"] < 3].to_file(path, layer="NUTS_RG_01M_LEVL_2")
    frame.to_file(path, layer="NUTS_RG_01M")
    assert {"FRH01", "FRH02"} <= set(read(path))


def test_levels_follow_from_codes_where_the_file_has_none(tmp_path: Path) -> None:
    frame = own_regions(tmp_path)
    frame[frame["LEVL_CODE"] == 3].drop(columns="LEVL_CODE").to_file(tmp_path / "three.gpkg")
    assert read(tmp_path / "three.gpkg") == ["FRH01", "FRH02"]


def test_nuts2json_names_its_columns_otherwise(tmp_path: Path) -> None:
    frame = own_regions(tmp_path).to_crs(4326)
    frame[["NUTS_ID", "NAME_LATN", "geometry"]].rename(columns={"NUTS_ID": "id", "NAME_LATN": "na"}).to_file(
        tmp_path / "3.json", driver="GeoJSON"
    )
    assert {"FRH01", "FRH02"} <= set(read(tmp_path / "3.json"))


def geojson(path: Path, frame: gpd.GeoDataFrame) -> Path:
    """Without a word on the system, as GISCO writes them."""
    document = json.loads(frame.to_json(drop_id=True))
    document.pop("crs", None)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_metres_in_a_geojson_are_placed_by_the_name_or_refused(tmp_path: Path) -> None:
    frame = own_regions(tmp_path)
    found = read_regions(geojson(tmp_path / "NUTS_RG_01M_2024_3035.geojson", frame), nuts_version=2024, codes=CODES)
    west = found.assignable.geometry.iloc[0].bounds[0]
    assert west == pytest.approx(frame.loc[frame["NUTS_ID"] == "FRH01"].total_bounds[0], abs=0.01)
    with pytest.raises(RegionFileError, match=r"are no degrees, as its CRS says\. Name the file as GISCO does"):
        read(geojson(tmp_path / "boundaries.geojson", frame))


def test_label_points_are_no_regions(tmp_path: Path) -> None:
    frame = own_regions(tmp_path)
    frame.set_geometry(frame.representative_point()).to_file(tmp_path / "labels.gpkg")
    with pytest.raises(RegionFileError, match="no polygons in labels"):
        read(tmp_path / "labels.gpkg")


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (["NL33C", "NL33"], "NUTS 2024 does not have NL33, NL33C: the file is of NUTS 2016, 2021"),
        (["BE221"], "does not have BE221: the file is of NUTS 2016"),
        (["NL33C", "NL366"], "the codes are of several editions"),
        (["FR521"], "does not have FR521: the codes are of several editions"),
    ],
)
def test_a_file_of_another_edition_is_known_by_its_codes(tmp_path: Path, codes: list[str], said: str) -> None:
    own = own_regions(tmp_path)
    other = own[own["NUTS_ID"] == "FRI11"].loc[lambda f: f.index.repeat(len(codes))]
    other = other.assign(NUTS_ID=codes, LEVL_CODE=[len(code) - 2 for code in codes])
    gpd.GeoDataFrame(np.concatenate([own, other]), columns=own.columns, geometry="geometry", crs=3035).to_file(
        tmp_path / "boundaries.gpkg"
    )
    with pytest.raises(RegionFileError, match=said):
        read(tmp_path / "boundaries.gpkg")


def recoded(path: Path, **codes: str) -> Path:
    frame = own_regions(path.parent)
    frame.assign(NUTS_ID=frame["NUTS_ID"].replace(codes)).to_file(path)
    return path


@pytest.mark.parametrize("written", ["frh01", "FRH01 ", "FR H01", "fr h01\u00a0"])
def test_no_region_is_lost_to_small_letters_or_blanks(tmp_path: Path, written: str) -> None:
    assert {"FRH01", "FRH02"} <= set(read(recoded(tmp_path / "b.gpkg", FRH01=written)))


def test_greece_may_be_written_as_iso_does(tmp_path: Path) -> None:
    path = recoded(tmp_path / "b.gpkg", FR="GR", FRH="GR3", FRH0="GR30", FRH01="GR301", FRH02="GR302", FRI11="GR303")
    found = read_regions(path, nuts_version=2024, codes=["EL30"])
    assert list(found.table["nuts_id"]) == ["EL", "EL3", "EL30", "EL301", "EL302", "EL303"]


def test_the_layer_of_the_edition_is_taken_before_a_finer_one(tmp_path: Path) -> None:
    frame, path = own_regions(tmp_path), tmp_path / "all.gpkg"
    frame.to_file(path, layer="NUTS_RG_01M_2021_3035")
    frame.assign(geometry=frame.buffer(-10)).to_file(path, layer="NUTS_RG_20M_2024_3035")
    west = {
        edition: read_regions(path, nuts_version=edition, codes=CODES).assignable.total_bounds[0]
        for edition in (2021, 2024)
    }
    assert west[2024] == pytest.approx(west[2021] + 10, abs=0.01)


def test_coordinates_the_other_way_round_are_refused(tmp_path: Path) -> None:
    frame = own_regions(tmp_path).to_crs(4326)
    turned = frame.set_geometry(shapely.transform(frame.geometry.array, lambda xy: xy[:, ::-1]), crs=4326)
    turned.to_file(tmp_path / "turned.gpkg")
    with pytest.raises(RegionFileError, match=r"the other way round they lie where .* is used\. Swap them") as caught:
        read(tmp_path / "turned.gpkg")
    assert "axis_order" not in str(caught.value)


@pytest.mark.parametrize(
    ("geo", "said"),
    [
        ({"primary_column": "geom", "columns": {"geometry": {}}}, "names 'geom' as .*there is none of that name"),
        ({"version": "1.1.0"}, "names None as the column"),
        ({"primary_column": "geometry", "columns": {"geometry": None}}, "names 'geometry' as .*does not describe it"),
    ],
)
def test_a_geoparquet_that_names_a_column_it_has_not(tmp_path: Path, geo: dict[str, Any], said: str) -> None:
    path = make_regions(tmp_path / "nuts.parquet")
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"geo": json.dumps(geo).encode()}), path)
    with pytest.raises(RegionFileError, match=said):
        read(path)


def test_editions_of_codes() -> None:
    assert editions_of("NL33C") == (2016, 2021)
    assert editions_of("NL366") == (2024,)
    assert editions_of("DE21B") == (2016, 2021, 2024)
    assert of_other_editions(["DE21B", "PT170", "HR02"], nuts_version=2016) == {"HR02": (2021, 2024)}
    assert no_code("EL30") is None
    assert no_code("GR30") == "'GR30' is no NUTS code. Eurostat writes EL30"


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (["NL33"], "NUTS 2024 does not have NL33 [(]NL33 is of NUTS 2016, 2021[)]"),
        (["GR"], "'GR' is no NUTS code. Eurostat writes EL"),
        (["nl"], "'nl' is no NUTS code"),
        (["FR52"], "FR52 is of an earlier edition"),
    ],
)
def test_the_agency_file_is_held_against_the_edition(tmp_path: Path, codes: list[str], said: str) -> None:
    example = Path(__file__).parents[2] / "infra" / "agencies" / "bavaria.yaml"
    document = yaml.safe_load(example.read_text(encoding="utf-8"))
    document["regions"] = {"nuts_version": 2024, "boundaries": "nuts.gpkg", "codes": codes}
    (tmp_path / "agency.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        Agency.read(tmp_path / "agency.yaml")


def test_the_nearest_region_within_the_tolerance(tmp_path: Path) -> None:
    regions = read_regions(make_regions(tmp_path / "nuts.gpkg"), nuts_version=2024, codes=CODES)
    shapes = [
        block(-0.5, 5, -0.4, 5.1),  # 400 m west of FRH01
        block(31, 5, 31.1, 5.1),  # 1 km east of FRH02
        block(-3.2, 5, -3.1, 5.1),  # 3.1 km west
        block(8, -1.1, 8.2, -1),  # 1 km south of FRH01, 2 km from FRH02
    ]
    parcels = gpd.GeoDataFrame(geometry=shapes, crs=3035, index=[7, 3, 9, 1]).to_crs(4326)
    nearest, metres = nearest_regions(parcels, regions, tolerance_m=3_000)
    assert nearest.to_dict() == {7: "FRH01", 3: "FRH02", 9: None, 1: "FRH01"}
    assert metres.round(0).tolist()[:2] == [400, 1000]
    assert np.isnan(metres[9])
    assert nearest_regions(parcels, regions, tolerance_m=0)[0].isna().all()


def broken_ring() -> dict[str, Any]:
    """A ring that does not end where it began."""
    return {"type": "Polygon", "coordinates": [[[0, 48], [1, 48], [1, 49], [0, 49]]]}


def test_broken_outlines_are_named(tmp_path: Path) -> None:
    frame = own_regions(tmp_path)
    with np.errstate(invalid="ignore"):
        nan = shapely.Polygon([(3.3e6, 2.7e6), (float("nan"), 2.7e6), (3.4e6, 2.8e6)])
    frame.set_geometry(frame.geometry.where(frame["NUTS_ID"] != "FRH02", nan)).to_file(tmp_path / "nan.gpkg")
    with pytest.raises(RegionFileError, match="FRH02 has no outline, or one that cannot be repaired"):
        read(tmp_path / "nan.gpkg")
    lines = frame.set_geometry(frame.geometry.where(frame["NUTS_ID"] != "FRH01", frame.boundary))
    lines.to_file(tmp_path / "lines.gpkg")
    with pytest.raises(RegionFileError, match="FRH01 has no outline"):
        read(tmp_path / "lines.gpkg")
    document = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"NUTS_ID": "FRH01", "LEVL_CODE": 3, "NAME_LATN": "x"},
                "geometry": broken_ring(),
            }
        ],
    }
    (tmp_path / "open.geojson").write_text(json.dumps(document))
    with pytest.raises(RegionFileError) as caught:
        read(tmp_path / "open.geojson")
    assert "\n" not in str(caught.value)


CASES = "cases/input"
READ = (
    "2021-file-without-year",
    "bundle-first-layer-is-lines",
    "geojson-3035-no-crs",
    "level3-only",
    "nuts2json",
    "padded-dbf",
    "shp-zip",
    "topojson-3035",
    "topojson-4326",
)


@pytest.mark.shared_data
@pytest.mark.parametrize("case", READ)
def test_the_containers_of_gisco(shared_data: Path, case: str) -> None:
    agency = Agency.read(shared_data / CASES / "33-nuts-files" / case / "agency.yaml")
    found = read_boundaries(agency, season=2024).assignable
    assert list(found["nuts_id"]) == ["DE21B"]
    assert found.geometry.iloc[0].bounds == pytest.approx((4431515, 2797388, 4470312, 2835152), abs=10)


@pytest.mark.shared_data
def test_a_2021_file_is_not_taken_for_2024(shared_data: Path) -> None:
    agency = Agency.read(shared_data / CASES / "40-nuts-2021-as-2024" / "agency.yaml")
    with pytest.raises(RegionFileError, match=r"NUTS 2024 does not have NL111, .*: the file is of NUTS 2016, 2021"):
        read_boundaries(agency, season=2024)


@pytest.mark.shared_data
@pytest.mark.parametrize(("country", "near"), [("FR", 2), ("LV", 4), ("NL", 5), ("SE", 4), ("own-NL", 5)])
@pytest.mark.slow
def test_parcels_at_coasts_and_borders_keep_their_place(shared_data: Path, country: str, near: int) -> None:
    agency = Agency.read(shared_data / CASES / "38-parcels-at-coast-and-border" / country / "agency.yaml")
    section = agency.declarations.model_copy(update={"allow_partial": True})  # of Latvia there is one page
    found = read_declared(agency.model_copy(update={"declarations": section}), season=2024)
    assert "OUTSIDE_REGIONS" not in set(found.rejected["reason"])
    assert (found.notices["notice"] == "NEAREST_REGION").sum() == near
    assert any("1 : 1 million" in note for note in found.notes)
