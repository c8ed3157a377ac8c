"""Parts of a tile, processings and stations: what counts, what is superseded, what is a duplicate."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely

from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.catalog import find_acquisitions
from cropmap.sources.catalogs.item_identity import PRODUCT_NAME, datastrip_start_of
from cropmap.sources.catalogs.items import acquisition_from_item
from cropmap.sources.catalogs.sensings import Candidate, best_of, replaced
from tests.data.make_sources_catalog import COPERNICUS, make_item
from tests.data.make_tile_parts import candidate, part

D, S = QuarantineReason.DUPLICATE, QuarantineReason.SUPERSEDED
NORTH, SOUTH = part(0.45, 1.0), part(0.0, 0.6)
"""overlap of 15 % of the tile, as of real pairs (17 to 18 %)"""
OPEN_NORTH, OPEN_SOUTH = {"footprint": NORTH}, {"footprint": SOUTH}

TABLE: dict[str, tuple[list[Candidate], dict[str, QuarantineReason]]] = {
    "two datastrips minutes apart, footprints of the parts": (
        [candidate("north", NORTH, strip_s=370), candidate("south", SOUTH, strip_s=0)],
        {},
    ),
    "two datastrips minutes apart, both footprints those of the whole tile": (
        [candidate("north", strip_s=370), candidate("south", strip_s=0)],
        {},
    ),
    "the same under s2:": (
        [candidate("north", strip_s=370, key="s2:datastrip_id"), candidate("south", strip_s=0, key="s2:datastrip_id")],
        {},
    ),
    "no datastrip is named, footprints of the parts": ([candidate("north", NORTH), candidate("south", SOUTH)], {}),
    "no datastrip is named, one footprint": ([candidate("a"), candidate("b")], {"a": D}),
    "one of the two names its datastrip, footprints of the parts": (
        [candidate("north", NORTH, strip_s=370), candidate("south", SOUTH)],
        {},
    ),
    "parts whose sensing starts lie seconds apart": (
        [candidate("north", NORTH, strip_s=0), candidate("south", SOUTH, strip_s=7)],
        {},
    ),
    "a small part, nearly half of it overlap": (
        [candidate("large", part(0.0, 0.95), strip_s=0), candidate("small", part(0.75, 1.0), strip_s=40)],
        {},
    ),
    "two stations, the same start": (
        [candidate("sgs", strip_s=0, station="SGS_"), candidate("epae", strip_s=0, station="EPAE")],
        {"epae": D},
    ),
    "two stations, starts five seconds apart": (
        [candidate("sgs", strip_s=0, station="SGS_"), candidate("mps", strip_s=5, station="MPS_")],
        {"mps": D},
    ),
    "two stations, starts and datatakes seconds apart": (
        [
            candidate("sgs", strip_s=0),
            candidate(
                "mps", strip_s=5, sensed_s=5, properties={"s2:datatake_id": "GS2A_20240601T101604_012345_N05.10"}
            ),
        ],
        {"mps": D},
    ),
    "two stations, one of which saw a part only": (
        [candidate("whole", strip_s=0), candidate("z part", NORTH, strip_s=4)],
        {"z part": D},
    ),
    "one part processed twice under one baseline": (
        [candidate("a 120000", NORTH, strip_s=0), candidate("a 143000", NORTH, strip_s=0)],
        {"a 120000": D},
    ),
    "one processed again under one baseline: the later one, whatever the ids": (
        [
            candidate("z", strip_s=0, properties={"s2:generation_time": "2024-06-01T12:00:00Z"}),
            candidate("a", strip_s=0, properties={"s2:generation_time": "2024-06-02T12:00:00Z"}),
        ],
        {"z": D},
    ),
    "the tenth processing comes after the ninth": (
        [candidate("S2A_32TPT_20240601_9_L2A"), candidate("S2A_32TPT_20240601_10_L2A")],
        {"S2A_32TPT_20240601_9_L2A": D},
    ),
    "a baseline that a table of numbers made shorter": (
        [candidate("old", baseline="03.01"), candidate("new", properties={"s2:processing_baseline": 5.1})],
        {"old": S},
    ),
    "three datastrips, the middle one reprocessed": (
        [
            candidate("north", strip_s=700),
            candidate("middle", strip_s=350),
            candidate("south", strip_s=0),
            candidate("again", strip_s=353, baseline="05.11"),
        ],
        {"middle": S},
    ),
    "a whole tile reprocessed": (
        [candidate("old", strip_s=0), candidate("new", strip_s=0, baseline="05.11")],
        {"old": S},
    ),
    "one part reprocessed: the other part stays": (
        [
            candidate("north", NORTH, strip_s=370),
            candidate("south", SOUTH, strip_s=0),
            candidate("north again", NORTH, strip_s=370, baseline="05.11"),
        ],
        {"north": S},
    ),
    "the same with footprints of the whole tile": (
        [
            candidate("north", strip_s=370),
            candidate("south", strip_s=0),
            candidate("north again", strip_s=370, baseline="05.11"),
        ],
        {"north": S},
    ),
    "the same where no datastrip is named": (
        [candidate("north", NORTH), candidate("south", SOUTH), candidate("south again", SOUTH, baseline="05.11")],
        {"south": S},
    ),
    "both parts reprocessed": (
        [
            candidate("north", NORTH, strip_s=370),
            candidate("south", SOUTH, strip_s=0),
            candidate("north again", NORTH, strip_s=370, baseline="05.11"),
            candidate("south again", SOUTH, strip_s=0, baseline="05.11"),
        ],
        {"north": S, "south": S},
    ),
    "both parts reprocessed as one": (
        [
            candidate("north", NORTH, strip_s=370),
            candidate("south", SOUTH, strip_s=0),
            candidate("whole", strip_s=0, baseline="05.11"),
        ],
        {"north": S, "south": S},
    ),
    "a whole tile reprocessed in two parts": (
        [
            candidate("whole", strip_s=0),
            candidate("north", NORTH, strip_s=20, baseline="05.11"),
            candidate("south", SOUTH, strip_s=0, baseline="05.11"),
        ],
        {"whole": S},
    ),
    "half of a whole tile reprocessed: the rest is not lost": (
        [candidate("whole", strip_s=0), candidate("north", NORTH, strip_s=0, baseline="05.11")],
        {},
    ),
    "another satellite thirty seconds behind": (
        [
            candidate("a"),
            candidate("c", sensed_s=30, properties={"s2:datatake_id": "GS2C_20240601T101629_000001_N05.10"}),
        ],
        {},
    ),
    "two satellites and an item that names none: it is of the nearer in time": (
        [
            candidate("a"),
            candidate("c", sensed_s=30, properties={"s2:datatake_id": "GS2C_20240601T101629_000001_N05.10"}),
            candidate("b", sensed_s=28, properties={"platform": None, "s2:datatake_id": None}),
        ],
        {"b": D},
    ),
    "two parts of one datatake, one of which names no satellite": (
        [
            candidate("north", NORTH, strip_s=370, properties={"platform": None, "s2:datatake_id": None}),
            candidate("south", SOUTH, strip_s=0),
        ],
        {},
    ),
    "two items that name no satellite": (
        [
            candidate("a", properties={"platform": None, "s2:datatake_id": None}),
            candidate("b", properties={"platform": None, "s2:datatake_id": None}),
        ],
        {"a": D},
    ),
    "an item that names no satellite, reprocessed": (
        [candidate("a", properties={"platform": None, "s2:datatake_id": None}), candidate("b", baseline="05.11")],
        {"a": S},
    ),
    "an item that names no satellite, 100 minutes later": (
        [candidate("a"), candidate("b", sensed_s=6000, properties={"platform": None, "s2:datatake_id": None})],
        {},
    ),
    "another tile": (
        [
            candidate("a"),
            candidate("b", properties={"platform": None, "s2:datatake_id": None, "s2:mgrs_tile": "32TQT"}),
        ],
        {},
    ),
    "the next orbit, 100 minutes later": (
        [
            candidate("a"),
            candidate("b", sensed_s=6000, properties={"s2:datatake_id": "GS2A_20240601T115559_012346_N05.10"}),
        ],
        {},
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_truth_table(case: str) -> None:
    candidates, expected = TABLE[case]
    for order in (candidates, candidates[::-1]):
        kept, redundant = best_of(order)
        assert {item.item_id: item.reason for item in redundant} == expected
        assert {a.item_id for a in kept} == {c.acquisition.item_id for c in candidates} - set(expected)


SAID: dict[str, dict[str, Any]] = {
    "sentinel-2a": {"platform": "sentinel-2a"},
    "Sentinel-2A": {"platform": "Sentinel-2A"},
    "S2A": {"platform": "S2A"},
    "SENTINEL-2 A": {"platform": "SENTINEL-2 A"},
    "sentinel2a": {"platform": "sentinel2a"},
    "Sentinel 2A": {"platform": "Sentinel 2A"},
    "any of them": {"platform": "sentinel-2"},
    "nothing": {"platform": None},
    "an empty text": {"platform": ""},
    "the constellation": {"platform": None, "constellation": "sentinel-2"},
    "the platform of an old version": {"platform": None, "eo:platform": "sentinel-2a"},
    "the product's name": {
        "platform": None,
        "s2:product_uri": "S2A_MSIL2A_20240601T101559_N0510_R065_T32TPT_20240601T160000.SAFE",
    },
    "the product's name alone": {
        "platform": None,
        "s2:mgrs_tile": None,
        "s2:product_uri": "S2A_MSIL2A_20240601T101559_N0510_R065_T32TPT_20240601T160000.SAFE",
    },
    "the tile's id alone": {
        "platform": None,
        "s2:mgrs_tile": None,
        "s2:tile_id": "S2A_OPER_MSI_L2A_TL_2APS_20240601T160000_A046700_T32TPT_N05.10",
    },
    "mgrs:tile": {"s2:mgrs_tile": None, "mgrs:tile": "32TPT"},
    "mgrs:tile with a T": {"s2:mgrs_tile": None, "mgrs:tile": "T32TPT"},
    "grid:code": {"s2:mgrs_tile": None, "grid:code": "MGRS-32TPT"},
    "mgrs: in parts": {"s2:mgrs_tile": None, "mgrs:utm_zone": 32, "mgrs:latitude_band": "T", "mgrs:grid_square": "PT"},
    "sentinel: in parts": {
        "s2:mgrs_tile": None,
        "sentinel:utm_zone": 32,
        "sentinel:latitude_band": "T",
        "sentinel:grid_square": "PT",
    },
}


@pytest.mark.parametrize("sensed_s", [0.0, 620.0])
@pytest.mark.parametrize("said", SAID)
def test_a_scene_counts_once_whatever_names_its_satellite_and_tile(said: str, sensed_s: float) -> None:
    """`datetime` is the datatake's start in some catalogues and the tile's own in others, ten minutes later here."""
    other = candidate("a", sensed_s=sensed_s, properties={"s2:datatake_id": None, **SAID[said]})
    for order in ([candidate("b"), other], [other, candidate("b")]):
        kept, redundant = best_of(order)
        assert [one.item_id for one in kept] == ["b"]
        assert [(one.item_id, one.reason) for one in redundant] == [("a", D)]


@pytest.mark.parametrize("platform", ["sentinel-2b", "S2B", "Sentinel-2 B", "landsat-8"])
def test_another_platform_is_another_pass(platform: str) -> None:
    other = candidate("b", sensed_s=30, properties={"platform": platform, "s2:datatake_id": None})
    assert best_of([candidate("a"), other])[1] == []


@pytest.mark.parametrize(
    "name", ["S2B_32TPT_20240601_0_L2A", "S2B_OPER_MSI_L2A_TL_2BPS_20240601T160000_A046700_T32TPT"]
)
def test_an_id_names_the_satellite(name: str) -> None:
    other = candidate(name, sensed_s=30, properties={"platform": None, "s2:datatake_id": None})
    assert best_of([candidate("a"), other])[1] == []


@pytest.mark.parametrize("cut", [0.25 + 0.05 * step for step in range(13)])
def test_wherever_a_tile_is_cut_nothing_of_it_is_lost(cut: float) -> None:
    """Thirteen cuts from a quarter to nearly all of the tile, overlapping by 17 %, without any datastrip."""
    below, above = part(0.0, min(cut + 0.085, 0.97)), part(max(cut - 0.085, 0.03), 1.0)
    kept, redundant = best_of([candidate("below", below), candidate("above", above)])
    shown = shapely.union_all([shapely.from_wkt(a.footprint_wkt) for a in kept])
    both = shapely.union_all([shapely.geometry.shape(below), shapely.geometry.shape(above)])
    assert shown.area == pytest.approx(both.area)
    assert redundant == []


def test_a_granule_folder_names_the_datastrip() -> None:
    item = make_item()
    for asset in item["assets"].values():
        asset["href"] = "s3://eodata/x.SAFE/GRANULE/L2A_T32TMT_A017394_20200705T101917/IMG_DATA/R10m/B02_10m.jp2"
    start = datastrip_start_of(item)
    assert start is not None
    assert start.isoformat() == "2020-07-05T10:19:17+00:00"


CASES = {"21-cdse-split-tile": (2, Counter()), "32-same-scene-from-two-stations": (1, Counter({D: 1}))}


@pytest.mark.shared_data
@pytest.mark.parametrize("case", CASES)
def test_catalogues_with_parts_and_stations(shared_data: Path, case: str) -> None:
    kept, reasons = CASES[case]
    found = find_acquisitions(
        str(shared_data / "cases/input" / case / "catalog.json"),
        collection="sentinel-2-l2a",
        bbox=(11.6, 48.3, 11.8, 48.5),
        season=Season.from_window(2024, ("2024-01-01", "2024-12-31")),
    )
    assert len(found.acquisitions) == kept
    assert Counter(item.reason for item in found.unusable) == reasons


REAL: dict[tuple[str, str], dict[str, QuarantineReason]] = {
    (
        "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230512T234921_A032288_T01VCG.json",
        "roda_stactools/S2B_OPER_MSI_L2A_TL_2BPS_20230513T005426_A032288_T01VCG.json",
    ): {},
    ("earth_search_l2a/S2A_32TMT_20200305_0_L2A.json", "earth_search_l2a/S2A_32TMT_20200305_1_L2A.json"): {
        "S2A_32TMT_20200305_0_L2A": S
    },
    (
        "stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022157.json",
        "stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022158.json",
    ): {"S2A_T01WCP_20230625T234624_L2A": D},
    (
        "earth_search_c1/S2A_T19TDJ_20260823T153829_L2A.downgrade-v2026.09.18.json",
        "earth_search_c1/S2A_T19TDJ_20260823T153829_L2A.upgrade-v2026.09.03.json",
    ): {"S2A_T19TDJ_20260823T153829_L2A": D},
    (
        "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912.json",
        "planetary_computer/S2B_MSIL2A_20200705T101559_R065_T32TMT_20200825T083452.json",
    ): {"S2B_MSIL2A_20200705T101559_R065_T32TMT_20200825T083452": S},
    (
        "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912.json",
        "cdse/S2B_MSIL2A_20200705T101559_N0500_R065_T32TNT_20230530T175912.json",
    ): {},
}


@pytest.mark.shared_data
@pytest.mark.parametrize("pair", REAL, ids=lambda pair: Path(pair[0]).stem)
def test_real_pairs(shared_data: Path, pair: tuple[str, str]) -> None:
    items = [json.loads((shared_data / "stac_items" / name).read_text()) for name in pair]
    _, redundant = best_of(Candidate(acquisition_from_item(item)) for item in items)
    assert {item.item_id: item.reason for item in redundant} == REAL[pair]


@pytest.mark.shared_data
@pytest.mark.parametrize("folder", ["cdse", "earth_search_c1", "earth_search_l2a", "planetary_computer"])
def test_real_items_beside_themselves_without_a_satellite(shared_data: Path, folder: str) -> None:
    files = sorted((shared_data / "stac_items" / folder).glob("*.json"))
    assert files
    for file in files:
        item = json.loads(file.read_text())
        naming = (
            "platform",
            "s2:datatake_id",
            "eopf:datatake_id",
            "s2:product_uri",
            "s2:tile_id",
            "s2:granule_id",
            "s2:datastrip_id",
            "eopf:datastrip_id",
        )
        properties = {key: value for key, value in item["properties"].items() if key not in naming}
        bare = item | {"id": "0", "properties": properties}
        found = [acquisition_from_item(each) for each in (item, bare)]
        assert found[1].datatake.startswith("S2_")
        kept, redundant = best_of(Candidate(each) for each in found)
        assert ([one.item_id for one in kept], [one.item_id for one in redundant]) == ([item["id"]], ["0"])


@pytest.mark.shared_data
def test_pairs_of_one_baseline_are_mostly_parts(shared_data: Path) -> None:
    """14 pairs of Copernicus' OpenSearch, which names products and footprints alone: 13 are two parts."""
    file = shared_data / "stac_items/cdse_not_stac/split_pairs_opensearch.json"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    pairs: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, geometry in _products(json.loads(file.read_text())):
        match = PRODUCT_NAME.match(name)
        assert match is not None
        pairs[f"{match['tile']} {match['datatake']} {match['baseline']}"][name] = geometry
    kept = {}
    for key, pair in pairs.items():
        candidates = []
        for name, geometry in pair.items():
            match = PRODUCT_NAME.match(name)
            assert match is not None
            moment = f"{match['datatake'][:4]}-{match['datatake'][4:6]}-{match['datatake'][6:8]}T10:00:00Z"
            baseline = f"{match['baseline'][:2]}.{match['baseline'][2:]}"
            item = make_item(name, provider=COPERNICUS, tile=match["tile"], moment=moment, baseline=baseline)
            item["geometry"] = geometry
            candidates.append(Candidate(acquisition_from_item(item)))
        kept[key] = len(best_of(candidates)[0])
    assert Counter(kept.values()) == {2: 13, 1: 1}
    assert next(key for key, n in kept.items() if n == 1).split()[1].startswith("20190508")


def _products(document: Any) -> Iterator[tuple[str, Any]]:
    """(product name, GeoJSON geometry) of everything in the document that has both."""
    if isinstance(document, list):
        for one in document:
            yield from _products(one)
    elif isinstance(document, dict):
        if isinstance(document.get("geometry"), dict):
            text = json.dumps({key: value for key, value in document.items() if key != "geometry"})
            names = re.findall(r"S2[A-D]_MSIL2A_\d{8}T\d{6}_N\d{4}_R\d{3}_T\w{5}_\d{8}T\d{6}", text)
            if names:
                yield names[0], document["geometry"]
                return
        for one in document.values():
            yield from _products(one)


GONE: dict[str, tuple[Candidate, list[Candidate], dict[str, QuarantineReason]]] = {
    "processed again under another id": (
        candidate("old", baseline="05.00", strip_s=0),
        [candidate("new", baseline="05.10", strip_s=0)],
        {"old": S},
    ),
    "listed under another id": (candidate("old", strip_s=0), [candidate("new", strip_s=0)], {"old": D}),
    "only a part of it was processed again": (
        candidate("whole", baseline="05.00"),
        [candidate("north", NORTH, baseline="05.10")],
        {},
    ),
    "both parts of it were": (
        candidate("whole", baseline="05.00"),
        [candidate("north", NORTH, baseline="05.10"), candidate("south", SOUTH, baseline="05.10")],
        {"whole": S},
    ),
    "a part, where the other part is listed": (
        candidate("south", SOUTH, baseline="05.00", strip_s=0),
        [candidate("north", NORTH, baseline="05.10", strip_s=370)],
        {},
    ),
    "a part, where the other part is listed, both with footprints of the whole tile": (
        candidate("south", strip_s=0),
        [candidate("north", strip_s=370)],
        {},
    ),
    "another pass": (candidate("old"), [candidate("new", sensed_s=6_040)], {}),
    "another satellite": (
        candidate("old"),
        [candidate("new", properties={"s2:datatake_id": "GS2B_20240601T101559_012345_N05.10"})],
        {},
    ),
    "nothing else is listed": (candidate("old"), [], {}),
}


@pytest.mark.parametrize("case", GONE)
def test_what_a_catalogue_lists_no_longer(case: str) -> None:
    gone, listed, reasons = GONE[case]
    found = replaced([gone.acquisition], [other.acquisition for other in listed])
    assert {item.item_id: item.reason for item in found} == reasons
