"""Every STAC item and recorded answer of the real catalogues: what is expected of it, and what came out.

A row: tile, baseline, offset of B02, datastrip start (seconds of the day), or the reason for which it is set aside.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, RESOLUTION_M, QuarantineReason
from cropmap.sources.catalogs.footprints import boxes_of
from cropmap.sources.catalogs.item_identity import datastrip_start_of
from cropmap.sources.catalogs.items import acquisition_from_item, provider_of_item
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.providers import built_in
from cropmap.sources.catalogs.stac_api import search_of
from cropmap.sources.catalogs.stac_documents import UnreadableItem, item_of

pytestmark = pytest.mark.shared_data

Row = tuple[str, str, float, str | None] | QuarantineReason

EXPECTED: dict[str, Row] = {
    "cdse/S2A_MSIL2A_20241107T113311_N0511_R080_T32VKR_20241107T123948": ("32VKR", "05.11", -0.1, "11:33:14"),
    "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912": ("32TMT", "05.00", -0.1, "10:19:17"),
    "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TNT_20230530T175912": ("32TNT", "05.00", -0.1, "10:19:17"),
    "cdse/S2C_MSIL2A_20260527T014651_N0512_R017_T55WFR_20260527T042005": ("55WFR", "05.12", -0.1, "01:46:47"),
    "earth_search_c1/S2A_T13TDE_20240422T174753_L2A": ("13TDE", "05.10", -0.1, "17:47:53"),
    "earth_search_c1/S2A_T19TDJ_20260823T153829_L2A.downgrade-v2026.09.18": ("19TDJ", "05.12", -0.1, "15:38:29"),
    "earth_search_c1/S2A_T19TDJ_20260823T153829_L2A.upgrade-v2026.09.03": ("19TDJ", "05.12", -0.1, "15:38:29"),
    "earth_search_c1/S2B_T24MVV_20250731T130245_L2A": ("24MVV", "05.11", -0.1, "13:02:45"),
    "earth_search_c1/S2B_T38XNF_20250422T091553_L2A": ("38XNF", "05.11", -0.1, "09:15:53"),
    "earth_search_l2a/S2A_13TDE_20231008_0_L2A": ("13TDE", "05.09", 0.0, "17:59:27"),
    "earth_search_l2a/S2A_32TMT_20200305_0_L2A": ("32TMT", "02.14", 0.0, "10:32:10"),
    "earth_search_l2a/S2A_32TMT_20200305_1_L2A": ("32TMT", "05.00", 0.0, "10:32:10"),
    "earth_search_l2a/S2A_33TWN_20161202_0_L2A": ("33TWN", "00.01", 0.0, "10:03:56"),
    "earth_search_l2a/S2B_24MVV_20250731_0_L2A": ("24MVV", "05.11", 0.0, "13:02:45"),
    "earth_search_l2a/S2B_33TWN_20220226_0_L2A": ("33TWN", "04.00", -0.1, "09:51:55"),
    "earth_search_v0/S2A_17SPR_20221106_0_L2A": ("17SPR", "04.00", 0.0, None),
    "eopf_sample_service/S2A_MSIL2A_20250513T104041_N0511_R008_T32TLT_20250513T143716": (
        QuarantineReason.UNSUPPORTED_FORMAT
    ),
    "planetary_computer/S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531": ("06VVN", "02.12", 0.0, "21:25:30"),
    "planetary_computer/S2B_MSIL2A_20200705T101559_R065_T32TMT_20200825T083452": ("32TMT", "02.12", 0.0, "10:19:17"),
    "planetary_computer/S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251": ("24XWR", "04.00", -0.1, "18:29:20"),
    "planetary_computer/S2B_MSIL2A_20240825T173909_R098_T13TDE_20240825T215747": ("13TDE", "05.11", -0.1, "17:48:04"),
    "planetary_computer/S2B_MSIL2A_20250312T014549_R074_T53NKG_20250312T041213": ("53NKG", "05.11", -0.1, "01:45:47"),
    "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230512T234921_A032288_T01VCG": ("01VCG", "05.09", -0.1, None),
    "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230513T005426_A032288_T01VCG": ("01VCG", "05.09", -0.1, None),
    "stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022157": ("01WCP", "05.09", -0.1, "23:46:24"),
    "stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022158": ("01WCP", "05.09", -0.1, "23:46:24"),
}
DETAILS: dict[str, tuple[str, str, int, str, str, int | None]] = {
    "cdse/S2A_MSIL2A_20241107T113311_N0511_R080_T32VKR_20241107T123948": (
        *("cdse", "S2A_20241107T113311", 80, "2024-11-07T12:39:48", "s3://eodata/"),
        76_996_899,
    ),
    "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912": (
        *("cdse", "S2B_20200705T101559", 65, "2023-05-30T17:59:12", "s3://eodata/"),
        98_373_583,
    ),
    "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TNT_20230530T175912": (
        *("cdse", "S2B_20200705T101559", 65, "2023-05-30T17:59:12", "s3://eodata/"),
        118_720_689,
    ),
    "cdse/S2C_MSIL2A_20260527T014651_N0512_R017_T55WFR_20260527T042005": (
        *("cdse", "S2C_20260527T014651", 17, "2026-05-27T04:20:05", "s3://eodata/"),
        133_423_574,
    ),
    "earth_search_c1/S2A_T13TDE_20240422T174753_L2A": (
        *("earth_search_c1", "S2A_20240422T173911", 98, "2024-04-23T00:49:50", "https://e84-earth-search"),
        50_877_103,
    ),
    "earth_search_c1/S2A_T19TDJ_20260823T153829_L2A.downgrade-v2026.09.18": (
        *("earth_search_c1", "S2A_20260823T153711", 111, "2026-08-24T03:05:07", "s3://e84-earth-search"),
        183_827_933,
    ),
    "earth_search_c1/S2A_T19TDJ_20260823T153829_L2A.upgrade-v2026.09.03": (
        *("earth_search_c1", "S2A_20260823T153711", 111, "2026-08-24T03:05:07", "s3://e84-earth-search"),
        183_827_933,
    ),
    "earth_search_c1/S2B_T24MVV_20250731T130245_L2A": (
        *("earth_search_c1", "S2B_20250731T130249", 95, "2025-07-31T13:27:45", "https://e84-earth-search"),
        69_386_773,
    ),
    "earth_search_c1/S2B_T38XNF_20250422T091553_L2A": (
        *("earth_search_c1", "S2B_20250422T091559", 93, "2025-04-22T10:11:10", "https://e84-earth-search"),
        10_191_576,
    ),
    "earth_search_l2a/S2A_13TDE_20231008_0_L2A": (
        *("earth_search", "S2A_20231008T175231", 141, "2023-10-08T23:31:54", "https://sentinel-cogs"),
        None,
    ),
    "earth_search_l2a/S2A_32TMT_20200305_0_L2A": (
        *("earth_search", "S2A_20200305T103021", 108, "2020-03-05T13:21:01", "https://sentinel-cogs"),
        None,
    ),
    "earth_search_l2a/S2A_32TMT_20200305_1_L2A": (
        *("earth_search", "S2A_20200305T103021", 108, "2023-06-30T02:24:13", "https://sentinel-cogs"),
        None,
    ),
    "earth_search_l2a/S2A_33TWN_20161202_0_L2A": (
        *("earth_search", "S2A_20161202T100402", 122, "2019-05-05T20:13:23", "https://sentinel-cogs"),
        None,
    ),
    "earth_search_l2a/S2B_24MVV_20250731_0_L2A": (
        *("earth_search", "S2B_20250731T130249", 95, "2025-07-31T13:27:45", "https://sentinel-cogs"),
        None,
    ),
    "earth_search_l2a/S2B_33TWN_20220226_0_L2A": (
        *("earth_search", "S2B_20220226T095029", 79, "2022-02-26T13:02:13", "https://sentinel-cogs"),
        None,
    ),
    "earth_search_v0/S2A_17SPR_20221106_0_L2A": (
        *("earth_search", "S2A_20221106T155441", 54, "2022-11-06T20:41:55", "https://sentinel-cogs"),
        None,
    ),
    "planetary_computer/S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531": (
        *("planetary_computer", "S2B_20190629T212529", 43, "2020-10-06T08:05:31", "https://sentinel2l2a01"),
        None,
    ),
    "planetary_computer/S2B_MSIL2A_20200705T101559_R065_T32TMT_20200825T083452": (
        *("planetary_computer", "S2B_20200705T101559", 65, "2020-08-25T08:34:52", "https://sentinel2l2a01"),
        None,
    ),
    "planetary_computer/S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251": (
        *("planetary_computer", "S2B_20220612T182919", 27, "2022-06-13T12:32:51", "https://sentinel2l2a01"),
        None,
    ),
    "planetary_computer/S2B_MSIL2A_20240825T173909_R098_T13TDE_20240825T215747": (
        *("planetary_computer", "S2B_20240825T173909", 98, "2024-08-25T21:57:47", "https://sentinel2l2a01"),
        None,
    ),
    "planetary_computer/S2B_MSIL2A_20250312T014549_R074_T53NKG_20250312T041213": (
        *("planetary_computer", "S2B_20250312T014549", 74, "2025-03-12T04:12:13", "https://sentinel2l2a01"),
        None,
    ),
    "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230512T234921_A032288_T01VCG": (
        *("aws", "S2B_20230512T231559", 87, "2023-05-12T23:49:21", "s3://sentinel-s2-l2a/"),
        None,
    ),
    "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230513T005426_A032288_T01VCG": (
        *("aws", "S2B_20230512T231559", 87, "2023-05-13T00:54:26", "s3://sentinel-s2-l2a/"),
        None,
    ),
    "stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022157": (
        *("generic", "S2A_20230625T234621", 73, "2023-06-26T02:21:57", "/"),
        None,
    ),
    "stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022158": (
        *("generic", "S2A_20230625T234621", 73, "2023-06-26T02:21:58", "/"),
        None,
    ),
}
"""provider, datatake, relative orbit, time of processing, how the address of B02 begins, bytes of B02"""
ACROSS_THE_ANTIMERIDIAN = ("stactools/", "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230513T005426")

SEARCHED = {
    "api/cdse/landing.json": ("https://stac.dataspace.copernicus.eu/v1/search", True),
    "api/earth_search_v1/landing.json": ("https://earth-search.aws.element84.com/v1/search", True),
    "api/planetary_computer/landing.json": ("https://planetarycomputer.microsoft.com/api/stac/v1/search", True),
}
WITH_ITEMS = {
    "api/cdse/search_4_items.json": (4, 0),
    "api/cdse/search_empty.json": (0, 0),
    "api/earth_search_v1/search_c1_fields_without_assets.json": (0, 10),
    "api/earth_search_v1/search_l2a_page1.json": (10, 0),
    "api/earth_search_v1/search_l2a_page2.json": (6, 0),
    "api/earth_search_v1/search_l2a_page3_empty.json": (0, 0),
    "api/planetary_computer/items_limit1_with_next.json": (1, 0),
    "api/planetary_computer/rustac_search-page-1.json": (1, 0),
    "api/planetary_computer/rustac_search-page-2.json": (1, 0),
}
"""usable items, and others"""
COLLECTIONS = {
    "api/cdse/collection_sentinel-2-l2a.json",
    "api/earth_search_v1/collections.json",
    "api/planetary_computer/collection_sentinel-2-l2a.json",
}


def seen(document: dict[str, Any], address: str) -> tuple[Row, dict[str, Any] | UnreadableItem]:
    item = item_of(document, address)
    if isinstance(item, UnreadableItem):
        return QuarantineReason.INCOMPLETE_METADATA, item
    try:
        acquisition = acquisition_from_item(item, places=Places(address, CatalogAccess()))
    except SceneError as error:
        return error.reason, item
    assert len({acquisition.assets[band].offset for band in BANDS}) == 1
    start = datastrip_start_of(item)
    offset = acquisition.assets["B02"].offset
    strip = f"{start:%H:%M:%S}" if start else None
    return (acquisition.tile, acquisition.processing_baseline or "", offset, strip), item


def test_every_document_is_in_a_table(shared_data: Path) -> None:
    folder = shared_data / "stac_items"
    there = {str(file.relative_to(folder)) for file in folder.rglob("*.json") if "cdse_not_stac" not in str(file)}
    apart = {"api/errors_quoted.json"}
    assert there - apart == {f"{name}.json" for name in EXPECTED} | set(SEARCHED) | set(WITH_ITEMS) | COLLECTIONS


@pytest.mark.parametrize("name", EXPECTED)
def test_items(shared_data: Path, name: str) -> None:
    file = shared_data / "stac_items" / f"{name}.json"
    got, item = seen(json.loads(file.read_text()), str(file))
    assert got == EXPECTED[name]
    assert isinstance(item, dict)
    assert len(boxes_of(item)) == (2 if name.startswith(ACROSS_THE_ANTIMERIDIAN) else 1)


def test_the_tables_speak_of_the_same_items() -> None:
    assert set(DETAILS) == {name for name, row in EXPECTED.items() if isinstance(row, tuple)}


@pytest.mark.parametrize("name", DETAILS)
def test_details_of_items(shared_data: Path, name: str) -> None:
    file = shared_data / "stac_items" / f"{name}.json"
    item = item_of(json.loads(file.read_text()), str(file))
    assert isinstance(item, dict)
    places = Places(str(file), CatalogAccess())
    acquisition = acquisition_from_item(item, places=places)
    provider, datatake, orbit, generated, href, size = DETAILS[name]
    assert provider_of_item(item, places).name == provider
    assert (acquisition.datatake, acquisition.relative_orbit) == (datatake, orbit)
    assert acquisition.generated_at == datetime.fromisoformat(f"{generated}+00:00")
    blue = acquisition.assets["B02"]
    assert blue.href.startswith(href)
    assert (blue.scale, blue.nodata, blue.size) == (1e-4, 0, size)
    assert (blue.checksum is None) == (size is None)
    assert {b: a.resolution_m for b, a in acquisition.assets.items()} == {b: RESOLUTION_M[b] for b in (*BANDS, "SCL")}
    assert "sig=" not in json.dumps(acquisition.to_json())


@pytest.mark.parametrize("name", DETAILS)
def test_the_agencys_word_on_the_provider_gives_the_same(shared_data: Path, name: str) -> None:
    """As of a mirror whose addresses say nothing: each provider's own file reads its items like the recognised one."""
    file = shared_data / "stac_items" / f"{name}.json"
    item = item_of(json.loads(file.read_text()), str(file))
    assert isinstance(item, dict)
    here = Places(str(file), CatalogAccess())
    named = Places(str(file), CatalogAccess(provider=built_in(DETAILS[name][0])))
    assert acquisition_from_item(item, places=named) == acquisition_from_item(item, places=here)


@pytest.mark.parametrize("name", SEARCHED)
def test_landing_pages(shared_data: Path, name: str) -> None:
    recorded = json.loads((shared_data / "stac_items" / name).read_text())
    assert search_of(recorded["response"]["body"], recorded["request"]["url"]) == SEARCHED[name]


@pytest.mark.parametrize("name", WITH_ITEMS)
def test_search_answers(shared_data: Path, name: str) -> None:
    recorded = json.loads((shared_data / "stac_items" / name).read_text())
    body = recorded["response"]["body"]
    outcomes = [seen(feature, "https://stac.dataspace.copernicus.eu/v1/item")[0] for feature in body["features"]]
    usable = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    assert (len(usable), len(outcomes) - len(usable)) == WITH_ITEMS[name]
