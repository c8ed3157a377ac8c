"""Items that are taken as they come: the same acquisitions, and the same refusals, as by pystac."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any, Final

import pytest

from cropmap.errors import SceneError
from cropmap.sources.catalogs.catalog import _inside
from cropmap.sources.catalogs.item_identity import datastrip_start_of, sensed_at_of, tile_of
from cropmap.sources.catalogs.items import MALFORMED, acquisition_from_item, provider_of_item
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.plain_items import plain_item
from cropmap.sources.catalogs.stac_documents import ItemOrNot, UnreadableItem, item_of, read_by_pystac
from tests.data.make_sources_catalog import COPERNICUS, EARTH_SEARCH, PLANETARY, make_item
from tests.fuzzing import inputs
from tests.sources.test_items_fuzz import BRITTANY, SEASON, mutated

API: Final = "https://stac.example.org/v1/"
PLACES: Final = Places(API, CatalogAccess())
STORAGE: Final = "https://stac-extensions.github.io/storage/v1.0.0/schema.json"
BATCH: Final = 25


def read(item: ItemOrNot) -> Any:
    """All that a search reads of an item, and all that it says of one."""
    if isinstance(item, UnreadableItem):
        return item
    try:
        acquisition: Any = acquisition_from_item(item, places=PLACES)
    except SceneError as error:
        acquisition = error.reason, error.what, error.where
    try:
        strip: Any = datastrip_start_of(item, provider_of_item(item, PLACES).fields)
    except MALFORMED as error:
        strip = type(error)
    return acquisition, strip, tile_of(item), sensed_at_of(item), _inside(item, [BRITTANY], SEASON)


def agree(document: Any) -> bool:
    """Whether the document was taken as it came."""
    plain = plain_item(copy.deepcopy(document))
    assert read(item_of(copy.deepcopy(document))) == read(read_by_pystac(copy.deepcopy(document), None))
    return plain is not None


def recorded(folder: Path) -> list[dict[str, Any]]:
    documents = [json.loads(file.read_text()) for file in sorted(folder.glob("[!a]*/*.json"))]
    return [document for document in documents if document.get("type") == "Feature"]


def remote(provider: int) -> dict[str, Any]:
    return make_item(provider=provider, folder="https://sentinel-cogs.s3.us-west-2.amazonaws.com")


@pytest.mark.shared_data
def test_real_items_are_read_as_pystac_reads_them(shared_data: Path) -> None:
    documents = recorded(shared_data / "stac_items")
    plain = [document["id"] for document in documents if agree(document)]
    assert len(documents) == 26
    assert len(plain) == 23, "most of the items of a search cost nothing"


@pytest.mark.shared_data
@pytest.mark.parametrize("seed", range(max(1, inputs("item dictionaries") // BATCH)))
def test_mutated_real_items_are_read_as_pystac_reads_them(shared_data: Path, seed: int) -> None:
    r = random.Random(seed)  # noqa: S311  not for secrets
    documents = recorded(shared_data / "stac_items")
    for _ in range(BATCH):
        document = mutated(r.choice(documents), r)
        if not isinstance(document, str):
            agree(document)


@pytest.mark.parametrize("seed", range(max(1, inputs("item dictionaries") // BATCH)))
def test_mutated_items_are_read_as_pystac_reads_them(seed: int) -> None:
    r = random.Random(seed)  # noqa: S311
    for _ in range(BATCH):
        document = mutated(remote(r.choice((EARTH_SEARCH, COPERNICUS, PLANETARY))), r)
        if not isinstance(document, str):
            agree(document)


@pytest.mark.parametrize(
    ("changed", "is_plain"),
    [
        ({}, True),
        ({"stac_version": "1.1.0", "stac_extensions": None}, True),
        ({"stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"]}, True),
        ({"links": [{"rel": "self", "href": f"{API}1"}, {"rel": "collection", "href": API}]}, True),
        ({"links": [{"rel": "self", "href": "http://[x"}]}, False),
        ({"links": [{"href": API}]}, False),
        ({"stac_version": "0.9.0"}, False),
        ({"stac_extensions": ["proj"]}, False),
        ({"stac_extensions": [1]}, False),
        ({"type": "Collection"}, False),
        ({"geometry": None}, False),
        ({"bbox": None}, False),
        ({"collection": None}, False),
        ({"properties": {"datetime": "7 June 2018"}}, False),
        ({"properties": {"datetime": None, "start_datetime": "2018-06-07T11:06:21Z"}}, False),
        ({"item_assets": 5}, False),
        ({"stac_extensions": [STORAGE], "properties": {"storage:platform": "AWS", "storage:region": "eu"}}, True),
        ({"stac_extensions": [STORAGE], "properties": {"storage:platform": 5}}, False),
        ({"stac_extensions": [STORAGE], "properties": {"storage:platform": "AWS", "storage:region": 5}}, False),
        ({"stac_extensions": [STORAGE], "properties": {"storage:requester_pays": []}}, False),
        ({"assets": {"thumbnail": {"title": "without an address"}}}, False),
        ({"assets": {"thumbnail": {"href": "preview.jpg"}}}, False),
        ({"assets": {"thumbnail": None}}, False),
    ],
)
def test_what_pystac_mends_or_refuses_is_left_to_it(changed: dict[str, Any], is_plain: bool) -> None:
    document = remote(EARTH_SEARCH)
    for name, value in changed.items():
        document[name] = {**document[name], **value} if isinstance(value, dict) else value
    assert agree(document) == is_plain


def test_a_nest_of_lists_is_left_to_pystac() -> None:
    nest: list[Any] = []
    for _ in range(700):
        nest = [nest]
    document = {**remote(EARTH_SEARCH), "remark": nest}
    assert plain_item(document) is None
    assert isinstance(item_of(document), UnreadableItem)


def test_a_path_is_absolute_unless_the_item_has_an_address() -> None:
    document = make_item(folder="/scenes")
    assert agree(document)
    assert not agree({**document, "links": [{"rel": "self", "href": f"{API}1"}]})


def test_a_document_that_is_left_to_pystac_is_not_changed() -> None:
    document = {**remote(EARTH_SEARCH), "bbox": None, "links": [{"rel": "self", "href": f"{API}1"}]}
    before = copy.deepcopy(document)
    assert plain_item(document) is None
    assert document == before
