"""Catalogues that people met, from the agency file to the ledger and the observations: expected, got."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cropmap.database import acquisitions as ledger
from cropmap.errors import CatalogError
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.seasons import Season
from cropmap.settings import Settings
from cropmap.sources.catalogs.catalog import find_acquisitions
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from tests.data.hostile_api import Awkward, awkward_api
from tests.data.make_sources_catalog import collection

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
BROKEN = {**collection([]), "id": "unrelated"}


def open_case(case: Path, tmp_path: Path, **acquisitions: Any) -> SeasonContext:
    document = yaml.safe_load((case / "agency.yaml").read_text())
    document["acquisitions"] = {**document["acquisitions"], **acquisitions}
    document["regions"]["boundaries"] = str((case / document["regions"]["boundaries"]).resolve())
    path = tmp_path / "agency.yaml"
    path.write_text(yaml.safe_dump(document))
    return SeasonContext.open(Settings.load(), path, season=2024, data=case)


def entries(context: SeasonContext) -> list[ledger.LedgerEntry]:
    with context.connect() as connection:
        return ledger.read_acquisitions(connection, **context.key)


def ledger_of(context: SeasonContext) -> Counter[str]:
    """Takes the case in as `cropmap observe` does; status, or reason, of every item."""
    ingest.load_declarations(context, loaded_at=NOON)
    season = OpenSeason(context)
    ingest.search_catalog(season)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    for item, tile in ingest.pending_acquisitions(season, sets).items():
        ingest.observe_acquisition(season, item, sets[tile])
    return Counter(entry.reason or entry.status for entry in entries(context))


INVALID: dict[str, dict[str, object]] = {
    "26-api-with-one-invalid-collection": {"extent": {"temporal": {"interval": [[None, None]]}}},
    "26-api-with-one-invalid-collection/links-null": {"links": None},
    "26-api-with-one-invalid-collection/open-interval-dots": {
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-06-27", ".."]]}}
    },
}


@pytest.mark.shared_data
def test_both_parts_of_a_split_tile_are_observed(environment: None, shared_data: Path, tmp_path: Path) -> None:
    context = open_case(shared_data / "cases/input/21-cdse-split-tile", tmp_path)
    assert ledger_of(context) == {"observed": 2}
    north, south = (context.store.read_table(entry.object_name or "") for entry in entries(context))
    seen = north["clear_pixels"].to_numpy() + south["clear_pixels"].to_numpy()
    assert (seen >= north["total_pixels"].to_numpy() - 0.01).all(), "every parcel is whole in both together"


@pytest.mark.shared_data
def test_an_unknown_offset_is_said_and_kept(environment: None, shared_data: Path, tmp_path: Path) -> None:
    context = open_case(shared_data / "cases/input/24-planetary-computer/baseline-0509", tmp_path)
    with pytest.raises(CatalogError, match=r"none of 1 items.*OFFSET_UNKNOWN 1.*acquisitions.offset"):
        ledger_of(context)
    assert [entry.reason for entry in entries(context)] == [QuarantineReason.OFFSET_UNKNOWN]


def serve(case: Path, **how: Any) -> Awkward:
    items = json.loads((case / "search_answer.json").read_text().replace("@HERE@", str(case)))["features"]
    return Awkward(items, **how)


@pytest.mark.shared_data
@pytest.mark.parametrize("case", INVALID)
def test_invalid_collections(environment: None, shared_data: Path, tmp_path: Path, case: str) -> None:
    folder = shared_data / "cases/input" / case
    with awkward_api(serve(folder, collections=[collection([]), {**BROKEN, **INVALID[case]}])) as url:
        assert ledger_of(open_case(folder, tmp_path, catalog=url)) == {"observed": 1}


@pytest.mark.shared_data
def test_a_token(
    environment: None,
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = shared_data / "cases/input/27-api-that-wants-a-token"
    with awkward_api(serve(folder, header=("Authorization", "Bearer abc-secret"))) as url:
        with pytest.raises(CatalogError, match="CROPMAP_CATALOG_HEADERS"):
            ledger_of(open_case(folder, tmp_path, catalog=url))
        monkeypatch.setenv("CROPMAP_CATALOG_HEADERS", "Authorization: Bearer abc-secret")
        context = open_case(folder, tmp_path, catalog=url)
        assert ledger_of(context) == {"observed": 1}
    kept = [str(entry) for entry in entries(context)]
    assert "abc-secret" not in repr(context) + caplog.text + str(Settings.load().shown()) + str(kept)


@pytest.mark.shared_data
def test_an_api_without_post(environment: None, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cases/input/41-api-without-post"
    with awkward_api(serve(folder, methods=["GET"])) as url:
        assert ledger_of(open_case(folder, tmp_path, catalog=url)) == {"observed": 1}


@pytest.mark.shared_data
def test_overseas_is_searched_where_the_parcels_are(environment: None, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cases/input/37-metropole-and-overseas"
    api = Awkward()
    with awkward_api(api) as url:
        context = open_case(folder, tmp_path, catalog=url)
        ingest.load_declarations(context, loaded_at=NOON)
        with pytest.raises(CatalogError, match="the catalogue lists no item"):
            ingest.search_catalog(OpenSeason(context))
    boxes = [search["bbox"] for search in api.searches]
    assert len(boxes) > 1
    assert all(east - west < 2 and north - south < 2 for west, south, east, north in boxes)


@pytest.mark.shared_data
def test_an_item_across_the_antimeridian_is_listed(shared_data: Path) -> None:
    folder = shared_data / "cases/input/42-antimeridian"
    season = Season.from_window(2024, ("2024-01-01", "2024-12-31"))
    for box, n in (
        ((178.5, -39.5, 179.0, -39.0), 1),
        ((-179.5, -39.5, -179.2, -39.0), 1),
        ((-170.0, -39.5, 170.0, -39.0), 0),
    ):
        found = find_acquisitions(str(folder / "catalog.json"), collection="sentinel-2-l2a", bbox=box, season=season)
        assert len(found.acquisitions) + len(found.unusable) == n, box


def test_an_item_that_is_a_path_stays_in_the_ledger(environment: None, tiny_inputs: Path, tmp_path: Path) -> None:
    """A simulated season with hostile items beside the good ones: those are counted, the others are observed."""
    from tests.stages.conftest import open_context

    context = open_context(tiny_inputs, tmp_path)
    folder = Path(context.agency.resolve("scenes", season=2018))
    item_file = sorted(folder.rglob("S2*_L2A.json"))[0]
    item = json.loads(item_file.read_text())
    for asset in item["assets"].values():
        asset["href"] = str((item_file.parent / asset["href"]).resolve())
    bands = [key for key in item["assets"] if key != "scl"]
    assert len(bands) >= len(BANDS)
    hostile: dict[str, list[dict[str, object]]] = {
        "INVALID_ID": [
            {"id": "../../../../../../tmp/evil"},
            {"id": "a/../../x"},
            {"id": "nul\x00"},
            {"id": "x" * 300},
            {"id": [1]},
        ],
        "INCOMPLETE_METADATA": [
            {"id": "g", "geometry": "x"},
            {"id": "b", "bbox": [1]},
            {"id": "n", "properties": None},
            {"id": "y", "properties": {**item["properties"], "datetime": "0001-01-01T00:00:00Z"}},
        ],
        "FORBIDDEN_ADDRESS": [
            {"id": f"h{n}", "assets": {**item["assets"], bands[0]: {**item["assets"][bands[0]], "href": href}}}
            for n, href in enumerate(
                [
                    "file:///etc/passwd",
                    "/vsicurl/http://127.0.0.1:9/a.tif",
                    "http://127.0.0.1:9/b.tif",
                    "http://169.254.169.254/c.tif",
                    "/dev/zero",
                    "WMS:http://127.0.0.1:9/",
                ]
            )
        ],
        "UNSUPPORTED_FORMAT": [
            {"id": f"vrt{n}", "assets": {**item["assets"], bands[0]: {**item["assets"][bands[0]], "href": href}}}
            for n, href in enumerate([str(item_file.parent / "evil.vrt"), "<VRTDataset/>"])
        ],
    }
    (item_file.parent / "evil.vrt").write_text("<VRTDataset/>")
    holder = tmp_path / "hostile"
    holder.mkdir()
    links = []
    for number, change in enumerate(one for several in hostile.values() for one in several):
        (holder / f"{number}.json").write_text(json.dumps({**item, "links": [], **change}))
        links.append({"rel": "item", "href": f"./{number}.json"})
    (holder / f"{len(links)}.json").write_text(json.dumps({**item, "links": []}))
    links += [{"rel": "item", "href": f"./{len(links)}.json"}, {"rel": "child", "href": "./collection.json"}]
    (holder / "collection.json").write_text(json.dumps({**collection([]), "links": links}))
    child = {"rel": "child", "href": "./collection.json"}
    catalog = {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "c", "links": [child, child]}
    (holder / "catalog.json").write_text(json.dumps(catalog))
    context = open_context(
        tiny_inputs,
        tmp_path,
        agency="hostile",
        acquisitions={"catalog": str(holder / "catalog.json"), "window": ["2018-01-01", "2018-12-31"]},
    )
    (tmp_path / "home").mkdir(exist_ok=True)
    kept = {"store", "datasets"}
    before = {path for path in tmp_path.parent.rglob("*") if not kept & {*path.parts}}
    assert ledger_of(context) == {"observed": 1} | {reason: len(several) for reason, several in hostile.items()}
    written = [
        name for name in context.store.names("") if name.endswith(".parquet") and name.startswith("observations")
    ]
    assert len(written) == 1
    assert {path for path in tmp_path.parent.rglob("*") if not kept & {*path.parts}} - before == set()
