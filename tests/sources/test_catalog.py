"""Which acquisitions a season has, and why the others are set aside."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyproj
import pytest

from cropmap.errors import CatalogError
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions
from cropmap.sources.catalogs.known_items import KnownItems
from cropmap.sources.catalogs.places import CatalogAccess
from cropmap.store import Store
from tests.data.make_sources_catalog import (
    COLLECTION,
    COPERNICUS,
    PLANETARY,
    file_server,
    make_item,
    stac_api,
    write_catalog,
)

SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))
BRITTANY = (-5.2, 47.2, -1.0, 48.9)


def search(folder: Path, *items: dict[str, Any] | str, **changes: Any) -> CatalogSearch:
    catalog = write_catalog(folder, items)
    wanted: dict[str, Any] = {"collection": COLLECTION, "bbox": BRITTANY, "season": SEASON}
    return find_acquisitions(str(catalog), **wanted | changes)


def reasons(found: CatalogSearch) -> dict[str, QuarantineReason]:
    return {item.item_id: item.reason for item in found.unusable}


def test_an_item_becomes_an_acquisition(tmp_path: Path) -> None:
    found = search(tmp_path, make_item(properties={"sat:relative_orbit": 94}))
    (acquisition,) = found.acquisitions
    assert found.unusable == ()
    assert acquisition.sensed_at == datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)
    assert acquisition.day == date(2018, 6, 7)
    assert (acquisition.tile, acquisition.epsg, acquisition.relative_orbit) == ("30UVU", 32630, 94)
    assert acquisition.bbox == (-3.2, 47.8, -3.0, 48.0)
    assert acquisition.cloud_cover == 12.5
    assert set(acquisition.assets) == {*BANDS, "SCL"}
    swir = acquisition.assets["B12"]
    assert swir.href == str(tmp_path / "S2A_30UVU_20180607_0_L2A" / "B12.tif")
    assert (swir.scale, swir.offset, swir.nodata, swir.resolution_m) == (0.0001, 0.0, 0, 20)
    assert acquisition.assets["B08"].resolution_m == 10
    assert (acquisition.assets["SCL"].scale, acquisition.assets["SCL"].offset) == (1.0, 0.0)


def test_json_round_trip(tmp_path: Path) -> None:
    (acquisition,) = search(tmp_path, make_item()).acquisitions
    assert Acquisition.from_json(json.loads(json.dumps(acquisition.to_json()))) == acquisition


@pytest.mark.parametrize(
    ("changes", "offset"),
    [
        pytest.param({"baseline": "05.00", "offset": -0.1}, -0.1, id="stated by the band"),
        pytest.param({"baseline": "02.06", "offset": None}, 0.0, id="absent, and the baseline has none"),
        pytest.param(
            {"baseline": "05.00", "offset": -0.1, "properties": {"earthsearch:boa_offset_applied": True}},
            0.0,
            id="stated, but the provider has applied it",
        ),
        pytest.param(
            {"baseline": "05.00", "offset": -0.1, "properties": {"earthsearch:boa_offset_applied": False}},
            -0.1,
            id="stated, and not applied",
        ),
        pytest.param(
            {"baseline": "02.06", "moment": "2018-12-31T23:59:59Z", "offset": None}, 0.0, id="the season's last second"
        ),
    ],
)
def test_offset_comes_from_the_item(tmp_path: Path, changes: dict[str, Any], offset: float) -> None:
    (acquisition,) = search(tmp_path, make_item(**changes)).acquisitions
    assert {acquisition.assets[band].offset for band in BANDS} == {offset}
    assert acquisition.assets["SCL"].offset == 0.0


@pytest.mark.parametrize("baseline", ["04.00", "05.11", None])
def test_an_offset_that_nobody_states_is_unknown(tmp_path: Path, baseline: str | None) -> None:
    found = search(tmp_path, make_item(baseline=baseline, offset=None))
    assert found.acquisitions == ()
    assert reasons(found) == {"S2A_30UVU_20180607_0_L2A": QuarantineReason.OFFSET_UNKNOWN}
    assert found.unusable[0].tile == "30UVU"


def test_copernicus_items(tmp_path: Path) -> None:
    """STAC 1.1: raster fields on the asset, proj:code, grid:code, processing:version, no s2: fields."""
    item_id = "S2A_MSIL2A_20180607T110621_N0500_R137_T30UVU_20230806T120000"
    item = make_item(
        item_id,
        provider=COPERNICUS,
        tile="30UVU",
        baseline=None,
        raster={},
        properties={
            "s2:mgrs_tile": None,
            "proj:epsg": None,
            "proj:code": "EPSG:32630",
            "grid:code": "MGRS-30UVU",
            "processing:version": "05.00",
        },
    )
    for key, asset in item["assets"].items():
        del asset["raster:bands"]
        if not key.startswith("SCL"):
            asset |= {"raster:scale": 0.0001, "raster:offset": -0.1, "bands": [{"name": key[:3]}], "nodata": 0}
    (acquisition,) = search(tmp_path, item).acquisitions
    assert (acquisition.tile, acquisition.epsg, acquisition.processing_baseline) == ("30UVU", 32630, "05.00")
    assert (acquisition.relative_orbit, acquisition.datatake) == (137, "S2A_20180607T110621")
    assert (acquisition.assets["B8A"].scale, acquisition.assets["B8A"].offset) == (0.0001, -0.1)


def test_planetary_computer_items(tmp_path: Path) -> None:
    """No raster:bands at all: fine before 04.00, unknown from then on."""
    old, young = (
        make_item(
            f"S2A_MSIL2A_{day}T110621_R137_T30UVU_{day}T150000",
            provider=PLANETARY,
            baseline=baseline,
            raster={},
            moment=f"2018-06-{day[-2:]}T11:06:21Z",
        )
        for day, baseline in (("20180607", "02.12"), ("20180617", "04.00"))
    )
    found = search(tmp_path, old, young)
    assert [acquisition.item_id for acquisition in found.acquisitions] == [old["id"]]
    assert reasons(found) == {young["id"]: QuarantineReason.OFFSET_UNKNOWN}


def test_the_highest_baseline_of_a_sensing_wins(tmp_path: Path) -> None:
    sensing = {"s2:datatake_id": "GS2A_20180607T110621_015450_N02.06"}
    again = {"s2:datatake_id": "GS2A_20180607T110621_015450_N05.00"}
    found = search(
        tmp_path,
        make_item("first", properties=sensing),
        make_item("reprocessed", baseline="05.00", offset=-0.1, properties=again),
        make_item("other tile", tile="30UWU", properties=sensing),
    )
    assert [acquisition.item_id for acquisition in found.acquisitions] == ["other tile", "reprocessed"]
    assert reasons(found) == {"first": QuarantineReason.SUPERSEDED}
    assert found.unusable[0].detail == "reprocessed shows the same sensing under baseline 05.00"


def test_duplicates_are_counted(tmp_path: Path) -> None:
    found = search(tmp_path, make_item("a"), make_item("a"), make_item("b"))
    assert [acquisition.item_id for acquisition in found.acquisitions] == ["b"], "a and b show the same sensing"
    assert Counter(item.reason for item in found.unusable) == {QuarantineReason.DUPLICATE: 2}


def test_two_datastrips_show_different_parts_of_a_tile(tmp_path: Path) -> None:
    north, south = (
        make_item(name, properties={"s2:datastrip_id": f"S2A_OPER_MSI_L2A_DS_MPS__20180607T150000_S{start}_N02.06"})
        for name, start in (("north", "20180607T110621"), ("south", "20180607T110715"))
    )
    assert len(search(tmp_path, north, south).acquisitions) == 2


def test_outside_window_or_box_is_not_listed(tmp_path: Path) -> None:
    found = search(
        tmp_path,
        make_item("early", moment="2017-12-31T23:59:59Z"),
        make_item("late", moment="2019-01-01T00:00:00Z"),
        make_item("east", bbox=(7.0, 48.0, 8.0, 49.0)),
        make_item("in"),
    )
    assert [acquisition.item_id for acquisition in found.acquisitions] == ["in"]
    assert found.unusable == ()


def test_each_defect_has_its_reason(tmp_path: Path) -> None:
    no_nir = make_item("no nir")
    del no_nir["assets"]["nir"]
    no_nir["properties"]["datetime"] = "2018-07-01T11:06:21Z"
    found = search(
        tmp_path,
        no_nir,
        make_item("no tile", properties={"s2:mgrs_tile": None}),
        make_item("crs is text", properties={"proj:epsg": None, "proj:code": "EPSG:banana"}),
        make_item("neighbour zone", properties={"proj:epsg": 32631}),
        make_item("no crs", properties={"proj:epsg": None}),
        make_item("tile is text", properties={"s2:mgrs_tile": "somewhere"}),
        "{ half an item",
    )
    assert found.acquisitions == ()
    *_, broken = sorted(found.unusable, key=lambda item: item.item_id.startswith("/"))
    assert broken.item_id == str(tmp_path / "item6.json")
    assert reasons(found) == {
        "no nir": QuarantineReason.MISSING_BAND,
        "no tile": QuarantineReason.INCOMPLETE_METADATA,
        "crs is text": QuarantineReason.WRONG_CRS,
        "neighbour zone": QuarantineReason.WRONG_CRS,
        "no crs": QuarantineReason.INCOMPLETE_METADATA,
        "tile is text": QuarantineReason.INCOMPLETE_METADATA,
        broken.item_id: QuarantineReason.INCOMPLETE_METADATA,
    }
    assert "no asset for band B08 (looked for nir, B08_10m, B08)" in [item.detail for item in found.unusable]


@pytest.mark.parametrize("cloud_cover", ["n/a", "", [], {}, True, -1, 250, float("nan"), float("inf"), "nan", 10**400])
def test_a_cloud_cover_that_is_none_is_unknown(tmp_path: Path, cloud_cover: object) -> None:
    item = make_item(properties={"eo:cloud_cover": cloud_cover})
    (acquisition,) = search(tmp_path, item).acquisitions
    assert acquisition.cloud_cover is None


@pytest.mark.parametrize(("written", "percent"), [("12.5", 12.5), (0, 0.0), (100, 100.0)])
def test_a_cloud_cover_is_read(tmp_path: Path, written: object, percent: float) -> None:
    (acquisition,) = search(tmp_path, make_item(properties={"eo:cloud_cover": written})).acquisitions
    assert acquisition.cloud_cover == percent


@pytest.mark.parametrize("orbit", ["descending", [], {}, True, -1, 144, 12.5, float("nan"), 10**400])
def test_an_orbit_that_is_none_is_that_of_the_name_or_unknown(tmp_path: Path, orbit: object) -> None:
    name = "S2A_MSIL2A_20180607T110621_N0206_R137_T30UVU_20180607T150000.SAFE"
    wrong = {"sat:relative_orbit": orbit}
    found = search(tmp_path, make_item(properties=wrong))
    assert [acquisition.relative_orbit for acquisition in found.acquisitions] == [None]
    found = search(tmp_path / "named", make_item(properties=wrong | {"s2:product_uri": name}))
    assert [acquisition.relative_orbit for acquisition in found.acquisitions] == [137]


def test_a_platform_that_is_no_text_is_unknown(tmp_path: Path) -> None:
    (acquisition,) = search(tmp_path, make_item(properties={"platform": ["sentinel-2a"]})).acquisitions
    assert acquisition.platform is None


def test_facts_that_cannot_be_read_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = {"sat:relative_orbit": 137}
    items = [
        make_item("one", moment="2018-06-07T11:06:21Z", properties=whole),
        make_item("two", moment="2018-06-17T11:06:21Z", properties=whole | {"eo:cloud_cover": "n/a"}),
        make_item("three", moment="2018-06-27T11:06:21Z", properties={"sat:relative_orbit": "none"}),
    ]
    with caplog.at_level("INFO"):
        assert len(search(tmp_path, *items).acquisitions) == 3
    assert "of 3 acquisitions 1 say no cloud cover and 1 say no relative orbit that can be read" in caplog.text


LEVEL_1C: list[dict[str, Any]] = [
    {"properties": {"s2:product_uri": "S2A_MSIL1C_20180607T110621_N0206_R137_T30UVU_20180607T150000.SAFE"}},
    {"item_id": "scene", "properties": {"s2:product_type": "S2MSI1C"}},
    {"properties": {"s2:product_type": "S2MSI1C"}},
    {"item_id": "scene", "properties": {"title": "S2A_MSIL1C_20180607T110621_N0206_R137_T30UVU_20180607T150000"}},
    {"item_id": "scene", "properties": {"product:type": "S2MSI1C"}},
    {"item_id": "S2A_30UVU_20180607_0_L1C"},
    {"item_id": "S2A_OPER_MSI_L1C_TL_SGS__20180607T203637_A018414_T30UVU"},
    {"item_id": "S2A_T30UVU_20180607T110621_L1C"},
]


@pytest.mark.parametrize("changes", LEVEL_1C)
def test_an_item_of_level_1c_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """It may have every asset: a scene classification is made of Level-1C by others too."""
    found = search(tmp_path, make_item(**changes))
    assert found.acquisitions == ()
    assert [(item.reason, "Level-1C" in item.detail) for item in found.unusable] == [
        (QuarantineReason.UNSUPPORTED_FORMAT, True)
    ]


@pytest.mark.parametrize("product_type", ["S2MSI2A", "S2MSI2Ap"])
def test_an_item_of_level_2a_may_say_so(tmp_path: Path, product_type: str) -> None:
    name = "S2A_MSIL2A_20180607T110621_N0206_R137_T30UVU_20180607T150000.SAFE"
    item = make_item(properties={"s2:product_uri": name, "s2:product_type": product_type})
    assert len(search(tmp_path, item).acquisitions) == 1


def test_an_item_may_name_the_product_it_was_made_of(tmp_path: Path) -> None:
    name = "S2A_MSIL1C_20180607T110621_N0206_R137_T30UVU_20180607T150000"
    assert len(search(tmp_path, make_item(properties={"title": name})).acquisitions) == 1


@pytest.mark.parametrize("kept", [False, True])
def test_items_of_other_collections_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: bool) -> None:
    """The API of this test gives all it has, whatever it is asked for."""
    elsewhere: dict[str, Any] = {"folder": "https://example.org", "properties": {"sat:relative_orbit": 137}}
    own = [make_item(f"own{day}", moment=f"2018-06-{day}T11:06:21Z", **elsewhere) for day in (17, 27)]
    others = [make_item("own17", **elsewhere) | {"collection": "sentinel-2-l1c"}]
    others += [make_item(f"other{n}", **elsewhere) | {"collection": "sentinel-2-l3a"} for n in range(3)]
    unnamed = make_item("unnamed", moment="2018-06-10T11:06:21Z", **elsewhere)
    del unnamed["collection"]
    known = KnownItems(Store(tmp_path), "known") if kept else None
    with stac_api([*others, *own, unnamed], page_size=2, busy_answers=0) as (url, _):
        for _ in range(2 if kept else 1):
            found = find_acquisitions(
                url,
                collection=COLLECTION,
                bbox=BRITTANY,
                season=SEASON,
                access=CatalogAccess(trusted=["example.org"]),
                known=known,
            )
            assert [acquisition.item_id for acquisition in found.acquisitions] == ["unnamed", "own17", "own27"]
            assert found.unusable == ()
            if known:
                known.keep()
    assert (
        "other collections than sentinel-2-l2a, which are left out: sentinel-2-l3a 3, sentinel-2-l1c 1" in caplog.text
    )


def test_a_link_that_leads_to_itself_is_counted(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = search(tmp_path, make_item("loop", folder=str(tmp_path / "loop")), make_item("own"))
    assert [acquisition.item_id for acquisition in found.acquisitions] == ["own"]
    assert reasons(found) == {"loop": QuarantineReason.FORBIDDEN_ADDRESS}


@pytest.mark.parametrize(("host", "kept"), [("sentinel2l2a01.blob.core.windows.net", False), ("example.org", True)])
def test_a_signature_that_an_item_was_saved_with_is_not_kept(tmp_path: Path, host: str, kept: bool) -> None:
    """It ends within hours, and files of Planetary Computer are signed when they are opened, those of others not."""
    item = make_item(provider=PLANETARY, folder=f"https://{host}/sentinel2-l2")
    for asset in item["assets"].values():
        asset["href"] += "?st=2026-01-01T00%3A00%3A00Z&sp=rl&sig=q1w2e3%3D"
    (acquisition,) = search(tmp_path, item, access=CatalogAccess(trusted=["example.org"])).acquisitions
    assert {asset.href.endswith("sig=q1w2e3%3D") for asset in acquisition.assets.values()} == {kept}
    assert kept or all(asset.href.endswith(".tif") for asset in acquisition.assets.values())


@pytest.mark.parametrize("written", [{}, {"bbox": None}, {"bbox": []}])
def test_an_item_without_a_box_has_that_of_its_geometry(tmp_path: Path, written: dict[str, Any]) -> None:
    item = make_item()
    del item["bbox"]
    (acquisition,) = search(tmp_path, item | written).acquisitions
    assert acquisition.bbox == (-3.2, 47.8, -3.0, 48.0)
    assert search(tmp_path / "elsewhere", item | written, bbox=(7.0, 48.0, 8.0, 49.0)) == CatalogSearch((), ())


def test_a_box_of_six_numbers_has_heights(tmp_path: Path) -> None:
    item = make_item() | {"bbox": [-3.2, 47.8, 0.0, -3.0, 48.0, 120.0]}
    (acquisition,) = search(tmp_path, item).acquisitions
    assert acquisition.bbox == (-3.2, 47.8, -3.0, 48.0)


def test_bands_may_be_positions_in_a_list_of_the_item(tmp_path: Path) -> None:
    item = make_item(properties={"eo:bands": [{"name": "B02"}]})
    for asset in item["assets"].values():
        asset["eo:bands"] = [0]
    assert len(search(tmp_path, item).acquisitions) == 1


def test_an_api_is_searched_page_by_page_and_a_busy_one_asked_again() -> None:
    items = [
        make_item(
            f"S2A_30UVU_201806{day:02d}_0_L2A", moment=f"2018-06-{day:02d}T11:06:21Z", folder="https://example.org"
        )
        for day in (27, 7, 17)
    ]
    with stac_api(items, page_size=2, busy_answers=1) as (url, searches):
        found = find_acquisitions(
            url, collection=COLLECTION, bbox=BRITTANY, season=SEASON, access=CatalogAccess(trusted=["example.org"])
        )
    assert [acquisition.day.day for acquisition in found.acquisitions] == [7, 17, 27]
    assert found.acquisitions[0].assets["B02"].href == "https://example.org/S2A_30UVU_20180607_0_L2A/B02.tif"
    assert len(searches) == 3, "one refused, two pages"
    assert searches[0]["collections"] == [COLLECTION]
    assert searches[0]["bbox"] == list(BRITTANY)
    assert searches[0]["datetime"].startswith("2018-01-01T00:00:00Z/2018-12-31T23:59:59")


def test_an_api_without_the_collection_says_what_it_has() -> None:
    with stac_api([], page_size=2, busy_answers=0) as (url, _), pytest.raises(CatalogError, match="It has: sentinel-2"):
        find_acquisitions(url, collection="landsat", bbox=BRITTANY, season=SEASON)


@pytest.mark.slow
def test_an_unreachable_api_is_one_line() -> None:
    with pytest.raises(CatalogError, match="cannot be reached") as caught:
        find_acquisitions("http://127.0.0.1:9/", collection=COLLECTION, bbox=BRITTANY, season=SEASON)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("not json", "this is no STAC catalogue"),
        ("[]", "this is no STAC catalogue"),
        ('{"type": "FeatureCollection", "features": []}', "this is no STAC catalogue"),
        (json.dumps(make_item()), "this is no STAC catalogue"),
    ],
)
def test_a_file_that_is_no_catalogue(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "catalog.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CatalogError, match=message) as caught:
        find_acquisitions(str(path), collection=COLLECTION, bbox=BRITTANY, season=SEASON)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_url_and_a_folder_open_the_same_catalogue(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "with space", [make_item()])
    by_path, by_url, by_folder = (
        find_acquisitions(reference, collection=COLLECTION, bbox=BRITTANY, season=SEASON)
        for reference in (str(catalog), catalog.as_uri(), str(catalog.parent))
    )
    assert by_path == by_url == by_folder
    assert len(by_path.acquisitions) == 1


def test_a_static_catalogue_behind_a_web_server(tmp_path: Path) -> None:
    write_catalog(tmp_path, [make_item("a"), make_item("b", moment="2018-06-17T11:06:21Z")])
    with file_server(tmp_path) as url:
        found = find_acquisitions(f"{url}catalog.json", collection=COLLECTION, bbox=BRITTANY, season=SEASON)
        assert [acquisition.item_id for acquisition in found.acquisitions] == ["a", "b"]
        assert found.acquisitions[1].assets["B02"].href == f"{url}b/B02.tif"


@pytest.mark.slow
@pytest.mark.shared_data
def test_bavaria(shared_data: Path) -> None:
    found = find_acquisitions(
        str(shared_data / "bavaria/scenes/catalog.json"),
        collection=COLLECTION,
        bbox=(11.6, 48.36, 11.67, 48.4),
        season=SEASON,
    )
    assert found.unusable == ()
    assert len(found.acquisitions) == 142
    assert Counter(acquisition.assets["B11"].offset for acquisition in found.acquisitions) == {0.0: 69, -0.1: 73}
    assert {(acquisition.tile, acquisition.epsg) for acquisition in found.acquisitions} == {("32UPU", 32632)}


@pytest.mark.slow
@pytest.mark.shared_data
def test_flanders(shared_data: Path) -> None:
    season = Season(2018, date(2017, 8, 1), date(2018, 12, 31))
    found = find_acquisitions(
        str(shared_data / "flanders/scenes/catalog.json"),
        collection=COLLECTION,
        bbox=(3.0, 50.8, 3.1, 50.9),
        season=season,
    )
    assert found.unusable == ()
    assert len(found.acquisitions) == 118
    assert [acquisition.day.isoformat() for acquisition in found.acquisitions][:: len(found.acquisitions) - 1] == [
        "2017-08-04",
        "2018-11-27",
    ]


@pytest.mark.parametrize("raster", [{"scale": 1, "offset": 0}, {"scale": 0.0001, "offset": -1000}, {"scale": 10_000}])
def test_scales_and_offsets_that_are_none_of_reflectance(tmp_path: Path, raster: dict[str, float]) -> None:
    """A scale of 1 is what some tools write where they know none: every value would be cut at the largest stored."""
    found = search(tmp_path, make_item(raster=raster))
    assert reasons(found) == {"S2A_30UVU_20180607_0_L2A": QuarantineReason.INCOMPLETE_METADATA}


@pytest.mark.parametrize(
    ("written", "baseline"),
    [
        ("04.00", "04.00"),
        ("4.0", "04.00"),
        ("N0400", "04.00"),
        ("0400", "04.00"),
        (4.0, "04.00"),
        (4, "04.00"),
        ("N05.09", "05.09"),
        (5.09, "05.09"),
        (5.1, "05.10"),
        (2.12, "02.12"),
        ("99.99", "99.99"),
        ("unknown", None),
    ],
)
def test_however_a_baseline_is_written(tmp_path: Path, written: Any, baseline: str | None) -> None:
    (acquisition,) = search(tmp_path, make_item(baseline=written, offset=-0.1)).acquisitions
    assert acquisition.processing_baseline == baseline


@pytest.mark.parametrize(
    "code",
    [
        "epsg:32630",
        " EPSG:32630",
        "urn:ogc:def:crs:EPSG::32630",
        "http://www.opengis.net/def/crs/EPSG/0/32630",
        "https://www.opengis.net/def/crs/EPSG/9.9.1/32630",
        32630,
        32630.0,
        "32630",
    ],
)
def test_however_the_crs_is_written(tmp_path: Path, code: Any) -> None:
    (acquisition,) = search(tmp_path, make_item(properties={"proj:epsg": None, "proj:code": code})).acquisitions
    assert acquisition.epsg == 32630


def test_a_crs_that_is_spelt_out(tmp_path: Path) -> None:
    own, other = pyproj.CRS.from_epsg(32630), pyproj.CRS.from_epsg(32631)
    found = search(
        tmp_path,
        make_item("wkt", properties={"proj:epsg": None, "proj:wkt2": own.to_wkt()}),
        make_item(
            "json", moment="2018-06-17T11:06:21Z", properties={"proj:epsg": None, "proj:projjson": own.to_json_dict()}
        ),
        make_item("other", moment="2018-06-27T11:06:21Z", properties={"proj:epsg": None, "proj:wkt2": other.to_wkt()}),
    )
    assert [(a.item_id, a.epsg) for a in found.acquisitions] == [("wkt", 32630), ("json", 32630)]
    assert reasons(found) == {"other": QuarantineReason.WRONG_CRS}


def with_fields(**fields: Any) -> dict[str, Any]:
    item = make_item(baseline="05.00", offset=None)
    for key, asset in item["assets"].items():
        if key != "scl":
            asset |= {name.replace("_", ":", 1): value for name, value in fields.items()}
    return item


@pytest.mark.parametrize(
    "item",
    [
        with_fields(raster_bands=[{"offset": -0.1}], raster_offset=-0.1),
        with_fields(raster_bands=[], bands=[{"name": "x", "raster:offset": -0.1}], raster_offset=0.0),
        with_fields(raster_bands=[], eo_bands=[{"name": "x", "offset": -0.1}]),
        make_item(baseline="05.00", offset=None, properties={"raster:offset": -0.1}),
        make_item(baseline="05.00", offset=-0.1, properties={"raster:offset": 0.0}),
    ],
    ids=["twice the same", "the band before its asset", "eo:bands", "properties", "the asset before the properties"],
)
def test_wherever_an_offset_is_written(tmp_path: Path, item: dict[str, Any]) -> None:
    (acquisition,) = search(tmp_path, item).acquisitions
    assert {acquisition.assets[band].offset for band in BANDS} == {-0.1}


@pytest.mark.parametrize(
    "item",
    [
        with_fields(raster_bands=[{"offset": -0.1}], bands=[{"name": "x", "raster:offset": 0}]),
        with_fields(raster_bands=[{"offset": 0.0}], raster_offset=-0.1),
        with_fields(raster_bands=[{"offset": 0.0}], eo_bands=[{"name": "x", "offset": -0.1}]),
    ],
    ids=["bands", "asset", "eo:bands"],
)
def test_an_offset_that_is_said_in_two_ways_is_unknown(tmp_path: Path, item: dict[str, Any]) -> None:
    found = search(tmp_path, item)
    assert reasons(found) == {"S2A_30UVU_20180607_0_L2A": QuarantineReason.OFFSET_UNKNOWN}
    assert "says that its offset is" in found.unusable[0].detail


def test_times_in_small_letters(tmp_path: Path) -> None:
    said = {"start_datetime": "2018-06-07t11:06:21z", "end_datetime": "2018-06-07t11:06:41z"}
    item = make_item(properties=said)
    item["properties"]["datetime"] = None
    (acquisition,) = search(tmp_path, item).acquisitions
    assert acquisition.sensed_at == datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)


def test_an_asset_that_names_another_band_is_not_taken(tmp_path: Path) -> None:
    wrong, right = make_item("wrong"), make_item("right", moment="2018-06-17T11:06:21Z")
    for item in (wrong, right):
        item["assets"]["nir"]["eo:bands"] = [{"name": "B8A"}]
    right["assets"]["B08"] = {**right["assets"]["nir08"], "eo:bands": [{"name": "B08"}], "href": "./own/B08.tif"}
    found = search(tmp_path, wrong, right)
    assert [a.assets["B08"].href for a in found.acquisitions] == [str(tmp_path / "own" / "B08.tif")]
    assert reasons(found) == {"wrong": QuarantineReason.MISSING_BAND}
    assert "nir is B8A by its own word" in found.unusable[0].detail
