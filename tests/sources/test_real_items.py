"""Every STAC item and recorded answer of the real catalogues: what is expected of it, and what came out.

A row: tile, baseline, offset of B02, datastrip start (seconds of the day), or the reason for which it is set aside.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.sources.catalogs.access import CatalogAccess
from cropmap.sources.catalogs.footprints import boxes_of
from cropmap.sources.catalogs.item_identity import datastrip_start_of
from cropmap.sources.catalogs.items import acquisition_from_item
from cropmap.sources.catalogs.places import Places
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
