"""OGC API Features, read as QGIS reads it: by GDAL's own driver; and what the standard wants of single answers."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import geopandas as gpd
import httpx
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import pytest
import shapely
from jsonschema import Draft202012Validator
from shapely.geometry import box, shape

from cropmap.contracts.columns import Kind
from cropmap.database import keys
from cropmap.database.code_lists import store_regions
from cropmap.database.connection import connect
from cropmap.database.features import FeatureKind
from cropmap.schemas import AccessRole
from cropmap.sources.regions import Regions, read_regions
from serving.ogc.answers import COLUMNS, AssessmentProperties, ParcelProperties, RegionProperties
from serving.ogc.coordinates import Crs
from tests.database.seasons import regions
from tests.serving import gdal_process
from tests.serving.conftest import HURTS, PARCELS, Desk

KINDS: Final = list(FeatureKind)
IDS: Final = sorted(PARCELS["parcel_id"])
OUTLINES: Final = {
    parcel_id: box(-3 + i / 10, 48, -2.95 + i / 10, 48.01 + i / 100) for i, parcel_id in enumerate(PARCELS["parcel_id"])
}
REGIONS: Final = dict(zip(regions().table["nuts_id"], regions().table.geometry, strict=True))
PARCEL_ITEMS: Final = "/ogc/collections/parcels/items"
ASSESSMENT_ITEMS: Final = "/ogc/collections/assessments/items"
REGION_ITEMS: Final = "/ogc/collections/regions/items"
ITEMS: Final = [PARCEL_ITEMS, ASSESSMENT_ITEMS, REGION_ITEMS]


def outlines_of(kind: FeatureKind) -> dict[str, Any]:
    """identifier -> outline, in the order of pages"""
    return REGIONS if kind is FeatureKind.REGIONS else {parcel_id: OUTLINES[parcel_id] for parcel_id in IDS}


def identifier_of(kind: FeatureKind) -> str:
    return "nuts_id" if kind is FeatureKind.REGIONS else "parcel_id"


@dataclass(frozen=True)
class Gdal:
    source: str
    worker: ProcessPoolExecutor

    def read(self, layer: str, **options: object) -> gpd.GeoDataFrame:
        found: gpd.GeoDataFrame = self.worker.submit(
            gdal_process.read, self.source, {"layer": layer, **options}
        ).result(60)
        return found

    def layers(self) -> list[str]:
        return self.worker.submit(gdal_process.layers, self.source).result(60)

    def types(self, layer: str) -> dict[str, str]:
        return self.worker.submit(gdal_process.types, self.source, layer).result(60)


@contextmanager
def gdal_of(desk: Desk, header_file: str) -> Iterator[Gdal]:
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned, initializer=gdal_process.begin, initargs=(header_file,)) as worker:
        yield Gdal(f"OAPIF:{str(desk.client.base_url).rstrip('/')}/ogc", worker)


@pytest.fixture(scope="module")
def gdal(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gdal]:
    """GDAL with the key."""
    headers = tmp_path_factory.mktemp("gdal") / "headers"
    headers.write_text(f"X-API-Key: {desk.key}\n")
    with gdal_of(desk, str(headers)) as opened:
        yield opened


def page_of(api: httpx.Client, path: str, **parameters: object) -> dict[str, Any]:
    answer = api.get(path, params={name: str(value) for name, value in parameters.items()} or None)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(page: dict[str, Any]) -> list[str]:
    return [feature["id"].split(":", 2)[2] for feature in page["features"]]


def kind_of(path: str) -> FeatureKind:
    return FeatureKind(path.split("/")[3])


def link_of(page: dict[str, Any], rel: str) -> str | None:
    return next((link["href"] for link in page["links"] if link["rel"] == rel), None)


# GDAL's driver.


def test_gdal_lists_the_collections(gdal: Gdal) -> None:
    assert set(gdal.layers()) == {"parcels", "assessments", "regions"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 100])
def test_gdal_reads_every_feature_over_pages(gdal: Gdal, kind: FeatureKind, page_size: int) -> None:
    read, expected = gdal.read(kind, PAGE_SIZE=page_size), outlines_of(kind)
    assert sorted(read[identifier_of(kind)]) == sorted(expected)
    for identifier, outline in zip(read[identifier_of(kind)], read.geometry, strict=True):
        assert outline.equals(expected[identifier])
    assert set(read["id"]) == {f"bretagne:2018:{identifier}" for identifier in expected}
    assert read.crs == pyproj.CRS("OGC:CRS84")


@pytest.mark.parametrize("kind", KINDS)
def test_gdal_knows_the_types_of_properties_that_are_empty(gdal: Gdal, kind: FeatureKind) -> None:
    types = gdal.types(kind)
    wanted = {Kind.TEXT: "OFTString", Kind.INTEGER: "OFTInteger", Kind.REAL: "OFTReal", Kind.DATE: "OFTDate"}
    for column in COLUMNS[kind]:
        assert types[column.name] == wanted.get(column.kind, types[column.name]), column.name


@pytest.mark.parametrize("kind", KINDS)
def test_gdal_reads_a_box(gdal: Gdal, kind: FeatureKind) -> None:
    read = gdal.read(kind, bbox=(-2.87, 47, -2.78, 49), PAGE_SIZE=1)
    found = ["FRH0", "FRH02"] if kind is FeatureKind.REGIONS else ["B/2", "C 3"]
    assert sorted(read[identifier_of(kind)]) == found


def test_gdal_leaves_filters_by_property_to_the_server(gdal: Gdal) -> None:
    read = gdal.read("assessments", where="verdict = 'mismatch' AND nuts_id = 'FRH01'")
    assert sorted(read["parcel_id"]) == ["007", "B/2"]
    one = gdal.read("parcels", where="id = 'bretagne:2018:B/2'")
    assert list(one["parcel_id"]) == ["B/2"]
    assert list(gdal.read("regions", where="level = 3 AND country = 'FR'")["nuts_id"]) == ["FRH01", "FRH02"]


@pytest.mark.parametrize("kind", [FeatureKind.PARCELS, FeatureKind.REGIONS])
@pytest.mark.parametrize("crs", list(Crs))
def test_gdal_reads_each_coordinate_system_in_its_axis_order(gdal: Gdal, kind: FeatureKind, crs: Crs) -> None:
    read = gdal.read(kind, CRS=crs, PAGE_SIZE=2)
    expected = gpd.GeoSeries(outlines_of(kind), crs=4326).to_crs(read.crs)
    assert read.crs == pyproj.CRS("EPSG:3035" if crs is Crs.LAEA else "OGC:CRS84")
    for identifier, outline in zip(read[identifier_of(kind)], read.geometry, strict=True):
        assert outline.equals_exact(expected[identifier], 1e-6, normalize=True)


@pytest.mark.parametrize("role", [AccessRole.STATISTICIAN, AccessRole.PUBLIC])
def test_gdal_reads_regions_alone_where_the_key_reads_statistics(desk: Desk, role: AccessRole, tmp_path: Path) -> None:
    with connect(desk.database_url) as connection:
        secret = keys.create_key(connection, f"maps of {role}", role=role, agency="bretagne")
    headers = tmp_path / "headers"
    headers.write_text(f"X-API-Key: {secret}\n")
    with gdal_of(desk, str(headers)) as opened:
        assert opened.layers() == ["regions"]
        assert list(opened.read("regions")["nuts_id"]) == list(REGIONS)


def test_gdal_is_refused_without_a_key(desk: Desk) -> None:
    with gdal_of(desk, "") as keyless, pytest.raises(pyogrio.errors.DataSourceError, match="401"):
        keyless.layers()


@pytest.mark.shared_data
def test_gdal_reads_giscos_regions_whole_and_by_box(own_desk: Desk, shared_data: Path, tmp_path: Path) -> None:
    """Germany's 455 regions and Greece's 70, which have names in two alphabets."""
    file = shared_data / "nuts" / "NUTS_RG_20M_2024_4326.gpkg"
    gisco = read_regions(file, nuts_version=2024, codes=["DE", "EL"])
    expected = gisco.table.to_crs(4326).set_index("nuts_id")
    with connect(own_desk.database_url) as connection:
        store_regions(connection, agency="bretagne", season=2018, regions=gisco)
    headers = tmp_path / "headers"
    headers.write_text(f"X-API-Key: {own_desk.key}\n")
    area = (8.0, 47.0, 12.0, 49.5)
    with gdal_of(own_desk, str(headers)) as opened:
        whole = opened.read("regions", PAGE_SIZE=100).set_index("nuts_id")
        inside = opened.read("regions", bbox=area, PAGE_SIZE=50)
        greek = opened.read("regions", where="country = 'EL' AND level = 1").set_index("nuts_id")
    assert list(whole.index) == list(expected.index)
    assert len(whole) == 525
    assert shapely.equals_exact(whole.geometry.to_numpy(), expected.geometry.to_numpy(), 1e-12, normalize=True).all()
    assert list(inside["nuts_id"]) == list(expected.index[expected.intersects(box(*area))])
    assert greek.loc["EL3", ["name", "national_name"]].tolist() == ["Attiki", "Αττική"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("crs", list(Crs))
def test_flatgeobuf_holds_what_geojson_holds(api: httpx.Client, kind: FeatureKind, crs: Crs) -> None:
    path = f"/ogc/collections/{kind}/items"
    answer = api.get(path, params={"f": "fgb", "crs": crs})
    assert answer.headers["content-type"] == "application/flatgeobuf"
    assert answer.headers["content-crs"] == f"<{crs}>"
    read = pyogrio.read_dataframe(io.BytesIO(answer.content))
    expected = gpd.GeoSeries(outlines_of(kind), crs=4326).to_crs(read.crs)
    page = page_of(api, path)
    assert list(read["id"]) == [feature["id"] for feature in page["features"]]
    assert list(read.columns) == ["id", *(column.name for column in COLUMNS[kind]), "geometry"]
    for row, feature in zip(read.to_dict("records"), page["features"], strict=True):
        assert row["geometry"].equals_exact(expected[row[identifier_of(kind)]], 1e-6, normalize=True)
        for name, value in feature["properties"].items():
            held = row[name]
            assert (value is None and held != held) or held == value or str(held)[:10] == value or held is value, name


def test_a_page_of_flatgeobuf_names_the_next_in_its_header(api: httpx.Client) -> None:
    first = api.get(PARCEL_ITEMS, params={"f": "fgb", "limit": 4})
    second = api.get(first.links["next"]["url"])
    read = [list(pyogrio.read_dataframe(io.BytesIO(page.content))["parcel_id"]) for page in (first, second)]
    assert (len(read[0]), sorted([*read[0], *read[1]]), "next" in second.links) == (4, IDS, False)


# Single answers.


def test_the_pages_lead_to_each_other(api: httpx.Client) -> None:
    landing = page_of(api, "/ogc/")
    assert landing == page_of(api, "/ogc") | {"links": landing["links"]}
    described = api.get(link_of(landing, "service-desc") or "").json()
    assert "/collections/parcels/items" in described["paths"]
    assert described["servers"][0]["url"].endswith("/ogc")
    conforms = api.get(link_of(landing, "conformance") or "").json()["conformsTo"]
    assert {address.rpartition("/")[2] for address in conforms} == {"core", "geojson", "crs"}
    listed = api.get(link_of(landing, "data") or "").json()["collections"]
    assert [one["id"] for one in listed] == KINDS
    for one in listed:
        assert one == api.get(link_of(one, "self") or "").json()
        assert one["extent"]["temporal"]["interval"] == [["2018-01-01T00:00:00Z", "2018-12-31T23:59:59Z"]]
        expected = outlines_of(FeatureKind(one["id"]))
        assert np.allclose(one["extent"]["spatial"]["bbox"], [shapely.total_bounds(list(expected.values()))])
        assert one["crs"] == list(Crs)
        assert len(api.get(link_of(one, "items") or "").json()["features"]) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_features_follow_their_schema(api: httpx.Client, kind: FeatureKind) -> None:
    schema = api.get(f"/ogc/collections/{kind}/schema")
    assert schema.headers["content-type"] == "application/schema+json"
    Draft202012Validator.check_schema(schema.json())
    for feature in page_of(api, f"/ogc/collections/{kind}/items")["features"]:
        feature["properties"] = {name: value for name, value in feature["properties"].items() if value is not None}
        Draft202012Validator(schema.json()).validate(feature)


def test_features_have_the_columns_that_are_described(api: httpx.Client) -> None:
    models = (ParcelProperties, AssessmentProperties, RegionProperties)
    for path, model in zip(ITEMS, models, strict=True):
        for feature in page_of(api, path)["features"]:
            assert list(feature["properties"]) == list(model.model_fields)
            model.model_validate(feature["properties"])
            assert "holding_id" not in feature["properties"]


@pytest.mark.parametrize("path", ITEMS)
@pytest.mark.parametrize("limit", [1, 2, 6, 7, 8])
def test_every_feature_comes_once(api: httpx.Client, path: str, limit: int) -> None:
    seen: list[str] = []
    following: str | None = f"{path}?limit={limit}"
    while following:
        page = page_of(api, following)
        assert page["numberReturned"] == len(page["features"]) <= limit
        seen += ids(page)
        following = link_of(page, "next")
    assert seen == list(outlines_of(kind_of(path)))


def test_a_feature_by_its_id(api: httpx.Client) -> None:
    for path in ITEMS:
        for feature in page_of(api, path)["features"]:
            for whole in ("", "/:"):
                alone = page_of(api, f"{path}/{quote(feature['id'], safe=whole)}")
                assert {name: alone[name] for name in feature} == feature
    assert HURTS in ids(page_of(api, PARCEL_ITEMS))


@pytest.mark.parametrize(
    "name", ["bretagne:2018:nobody", "bretagne:2019:007", "nowhere:2018:007", "007", "bretagne:x:1", "::"]
)
@pytest.mark.parametrize("path", ITEMS)
def test_a_feature_that_is_not_there(api: httpx.Client, path: str, name: str) -> None:
    assert api.get(f"{path}/{name}").status_code == 404


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        (PARCEL_ITEMS, {"bbox": "-2.92,47,-2.78,49"}, ["B/2", "C 3"]),
        (PARCEL_ITEMS, {"bbox": "-2.92,47,0,-2.78,49,100"}, ["B/2", "C 3"]),
        (PARCEL_ITEMS, {"bbox": "47,-2.92,49,-2.78", "bbox-crs": Crs.WGS84}, ["B/2", "C 3"]),
        (PARCEL_ITEMS, {"bbox": "-2.87,48.001,-2.87,48.001"}, ["B/2"]),
        (PARCEL_ITEMS, {"bbox": "-2.94,47,-2.91,49"}, []),
        (PARCEL_ITEMS, {"bbox": "170,47,-2.96,49"}, ["007"]),
        (ASSESSMENT_ITEMS, {"bbox": "-2.92,47,-2.78,49", "nuts_id": "FRH02"}, ["C 3"]),
        (PARCEL_ITEMS, {"datetime": "2018-05-01T00:00:00Z"}, IDS),
        (PARCEL_ITEMS, {"datetime": "2018-05-01"}, IDS),
        (PARCEL_ITEMS, {"datetime": "2017-05-01T00:00:00Z/2018-01-01T00:00:00Z"}, IDS),
        (PARCEL_ITEMS, {"datetime": "../2017-12-31T23:59:59Z"}, []),
        (PARCEL_ITEMS, {"datetime": "2018-12-31T23:30:00-01:00/.."}, []),
        (PARCEL_ITEMS, {"datetime": "/2018-06-01"}, IDS),
        (PARCEL_ITEMS, {"season": "2018", "agency": "bretagne"}, IDS),
        (PARCEL_ITEMS, {"season": "2018", "datetime": "2019-01-01"}, []),
        (PARCEL_ITEMS, {"crop_code": "MIS"}, ["007", "E5", "Ü6"]),
        (PARCEL_ITEMS, {"parcel_id": HURTS}, [HURTS]),
        (PARCEL_ITEMS, {"crop": "corn", "nuts_id": "FRH01"}, ["007", "B/2"]),
        (ASSESSMENT_ITEMS, {"verdict": "mismatch"}, ["007", "B/2", "C 3"]),
        (ASSESSMENT_ITEMS, {"reason": "TOO_SMALL", "declared_crop": "wheat"}, ["Ü6"]),
        (ASSESSMENT_ITEMS, {"declared_code": "056", "predicted_crop": "corn"}, [HURTS]),
        (ASSESSMENT_ITEMS, {"nuts_id": "FRH0"}, []),
        (REGION_ITEMS, {"bbox": "-2.8,47.3,-2.7,47.4"}, ["FRH0", "FRH02"]),
        (REGION_ITEMS, {"bbox": "-1.45,48.1,-1.3,48.4"}, []),  # the parent's hole
        (REGION_ITEMS, {"bbox": "43.01,6.1,43.02,6.2", "bbox-crs": Crs.WGS84}, ["FRH0"]),  # its part elsewhere
        (REGION_ITEMS, {"datetime": "2018-05-01", "level": "3"}, ["FRH01", "FRH02"]),
        (REGION_ITEMS, {"datetime": "2019-05-01/.."}, []),
        (REGION_ITEMS, {"nuts_id": "FRH01", "nuts_version": "2024", "country": "FR"}, ["FRH01"]),
        (REGION_ITEMS, {"nuts_id": "FRH01", "nuts_version": "2021"}, []),
        (REGION_ITEMS, {"name": "Cotes-d'Armor"}, ["FRH01"]),
        (REGION_ITEMS, {"national_name": "Côtes-d’Armor", "agency": "bretagne"}, ["FRH01"]),
        (REGION_ITEMS, {"agency": "bretagne", "season": "2019"}, []),
    ],
)
def test_what_is_asked_for_is_answered(api: httpx.Client, path: str, asked: dict[str, str], found: list[str]) -> None:
    assert ids(page_of(api, path, **asked)) == found


def test_a_box_in_metres_is_that_of_the_ground(api: httpx.Client) -> None:
    west, south, east, north = gpd.GeoSeries([OUTLINES["C 3"]], crs=4326).to_crs(3035).total_bounds
    asked = {"bbox": f"{south},{west},{north},{east}", "bbox-crs": Crs.LAEA}
    assert ids(page_of(api, PARCEL_ITEMS, **asked)) == ["C 3"]


@pytest.mark.parametrize("crs", list(Crs))
def test_coordinates_stand_in_the_order_of_the_axes(api: httpx.Client, crs: Crs) -> None:
    answer = api.get(PARCEL_ITEMS, params={"crs": crs, "parcel_id": "007"})
    assert answer.headers["content-crs"] == f"<{crs}>"
    (feature,) = answer.json()["features"]
    first, second = shape(feature["geometry"]).centroid.coords[0]
    expected = {
        Crs.CRS84: (-2.975, 48.005),
        Crs.WGS84: (48.005, -2.975),
        Crs.LAEA: gpd.GeoSeries([OUTLINES["007"].centroid], crs=4326).to_crs(3035)[0].coords[0][::-1],
    }[crs]
    assert np.allclose((first, second), expected, rtol=1e-6)
    alone = api.get(f"{PARCEL_ITEMS}/bretagne:2018:007", params={"crs": crs})
    assert (alone.headers["content-crs"], alone.json()["geometry"]) == (f"<{crs}>", feature["geometry"])


@pytest.mark.parametrize("path", ITEMS)
def test_outlines_are_wound_as_geojson_wants_it(api: httpx.Client, path: str) -> None:
    for feature in page_of(api, path)["features"]:
        for polygon in shapely.get_parts(shape(feature["geometry"])):
            assert polygon.exterior.is_ccw
            assert not any(ring.is_ccw for ring in polygon.interiors)


@pytest.mark.parametrize(
    "wrong",
    [
        "bbox=1,2,3",
        "bbox=a,b,c,d",
        "bbox=1,2,3,nan",
        "bbox=0,2,1,1",
        "bbox=0,0,1,1&bbox-crs=EPSG:4326",
        "bbox=1e9,1e9,2e9,2e9&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/3035",
        "crs=http://www.opengis.net/def/crs/EPSG/0/2154",
        "datetime=yesterday",
        "datetime=2019-01-01/2018-01-01",
        "datetime=2018-13-01",
        "limit=0",
        "limit=many",
        "f=html",
        "after=x",
        "after=WyJicmV0YWduZSIsIDIwMTgsICJcdTAwMDAiXQ==",
        "verdict=guilty",
        "season=18",
        "colour=green",
        "crop=corn&crop=wheat",
        "offset=10",
    ],
)
def test_what_is_wrong_is_refused(api: httpx.Client, wrong: str) -> None:
    answer = api.get(f"{ASSESSMENT_ITEMS}?{wrong}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"]


def test_a_limit_beyond_the_bound_is_the_bound(api: httpx.Client) -> None:
    assert len(page_of(api, PARCEL_ITEMS, limit=10**12)["features"]) == len(IDS)


def test_a_page_has_a_thousand_regions_at_most(own_desk: Desk) -> None:
    one = regions().table.iloc[[1]]
    many = Regions(pd.concat([one.assign(nuts_id=f"FRH{number:04}") for number in range(1001)]), 2024)
    with connect(own_desk.database_url) as connection:
        store_regions(connection, agency="bretagne", season=2018, regions=many)
    page = page_of(own_desk.client, REGION_ITEMS, limit=5000)
    assert len(page["features"]) == 1000
    last = page_of(own_desk.client, link_of(page, "next") or "")
    assert (ids(last), link_of(last, "next")) == (["FRH1000"], None)


def test_unchanged_regions_cost_no_body(own_desk: Desk) -> None:
    api = own_desk.client
    tag = api.get(REGION_ITEMS).headers["etag"]
    assert api.get(REGION_ITEMS, headers={"If-None-Match": tag}).status_code == 304
    with connect(own_desk.database_url) as connection:
        connection.execute("UPDATE region SET name = 'Armorique' WHERE nuts_id = 'FRH0'")
    answer = api.get(REGION_ITEMS, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["features"][0]["properties"]["name"]) == (200, "Armorique")


def test_a_season_that_was_loaded_before_there_were_regions_has_none(own_desk: Desk) -> None:
    with connect(own_desk.database_url) as connection:
        connection.execute("DELETE FROM region")
    about = page_of(own_desk.client, "/ogc/collections/regions")
    assert "extent" not in about
    assert "after its next run" in about["description"]
    for asked in ({}, {"agency": "bretagne"}, {"bbox": "-3,47,-2,49"}):
        page = page_of(own_desk.client, REGION_ITEMS, **asked)
        assert (page["features"], page["numberReturned"], link_of(page, "next")) == ([], 0, None)
    assert own_desk.client.get(f"{REGION_ITEMS}/bretagne:2018:FRH0").status_code == 404


def test_other_addresses_know_no_parameters_and_no_other_collections(api: httpx.Client) -> None:
    for path in ("/ogc", "/ogc/", "/ogc/conformance", "/ogc/collections", "/ogc/collections/parcels"):
        assert api.get(f"{path}?colour=green").status_code == 400
    for path in ("/ogc/collections/fields", "/ogc/collections/fields/items", "/ogc/collections/fields/schema"):
        assert api.get(path).status_code == 404
    for path in ITEMS:
        assert api.get(f"{path}?agency=nowhere").status_code == 404
