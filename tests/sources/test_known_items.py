"""Items that were read before: the same search as without them, whatever changed since, and nothing parsed again."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Bbox
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions
from cropmap.sources.catalogs.known_items import KnownItems, ListedItem
from cropmap.sources.catalogs.places import CatalogAccess
from cropmap.sources.catalogs.providers import built_in
from cropmap.store import Store
from tests.data.hostile_api import Awkward, awkward_api
from tests.data.make_sources_catalog import COLLECTION, make_item
from tests.data.sign_in_services import provider
from tests.fuzzing import inputs
from tests.sources.test_items_fuzz import mutated
from tests.sources.test_plain_items import recorded

WORLD: Final = (-180.0, -90.0, 180.0, 90.0)
YEARS: Final = Season(2018, date(2015, 1, 1), date(2026, 12, 31))
FOLDER: Final = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x"
RECORD: Final = "items/agency/2018.txt"
ROUNDS: Final = max(1, inputs("item dictionaries") // 200)


def item(day: int, **changes: Any) -> dict[str, Any]:
    return make_item(f"S2A_{day}", moment=f"2018-06-{day:02d}T11:06:21Z", folder=FOLDER, **changes)


DAYS: Final = [item(day) for day in (1, 11, 21)]


class Catalogue:
    """A STAC API whose items may change from search to search, and a store that remembers the searches."""

    def __init__(self, address: str, api: Awkward, folder: Path) -> None:
        self.address, self.api, self.store = address, api, Store(folder)

    def find(
        self,
        items: Sequence[Any],
        *,
        bbox: Bbox | Sequence[Bbox] = WORLD,
        season: Season = YEARS,
        access: CatalogAccess | None = None,
        offset_by_baseline: bool = False,
    ) -> CatalogSearch:
        """What a search finds that knows the earlier ones; asserts that it is what a search finds that knows none."""
        self.api.items = items
        known = KnownItems(self.store, RECORD)
        found = [
            find_acquisitions(
                self.address,
                collection=COLLECTION,
                bbox=bbox,
                season=season,
                access=access,
                offset_by_baseline=offset_by_baseline,
                known=each,
            )
            for each in (known, None)
        ]
        assert found[0] == found[1]
        known.keep()
        return found[0]


@pytest.fixture
def catalogue(tmp_path: Path) -> Any:
    api = Awkward(page_size=4)
    with awkward_api(api) as address:
        yield Catalogue(address, api, tmp_path / "store")


def reasons(found: CatalogSearch) -> dict[str, QuarantineReason]:
    return {unusable.item_id: unusable.reason for unusable in found.unusable}


def as_one_collection(documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**document, "collection": COLLECTION} for document in documents]


@pytest.mark.shared_data
def test_real_items_are_found_again_as_they_were(shared_data: Path, catalogue: Catalogue) -> None:
    documents = recorded(shared_data / "stac_items")
    first = catalogue.find(documents)
    assert len(first.acquisitions) > 10
    assert catalogue.find(documents) == first
    assert catalogue.find([*documents[3:], *documents[:3]]).acquisitions == first.acquisitions, "on other pages"


@pytest.mark.shared_data
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_mutated_real_items_are_read_as_without_a_memory(shared_data: Path, catalogue: Catalogue, seed: int) -> None:
    r = random.Random(seed)  # noqa: S311  not for secrets
    documents: list[Any] = recorded(shared_data / "stac_items")
    for _ in range(4):
        catalogue.find(documents)
        at = r.randrange(len(documents))
        if is_sent(changed := mutated(documents[at], r) if isinstance(documents[at], dict) else documents[at]):
            documents[at] = changed


def is_sent(document: Any) -> bool:
    """Whether a server sends it, and a page that holds it is read at all."""
    try:
        text = json.dumps(document, allow_nan=False)
        orjson.loads(text)
    except (ValueError, RecursionError):
        return False
    return len(text) < 200_000


def test_a_product_replaced_in_place_is_read_again(catalogue: Catalogue) -> None:
    catalogue.find(DAYS)
    changed = copy.deepcopy(DAYS)
    changed[1]["properties"]["s2:generation_time"] = "2024-01-01T00:00:00Z"
    found = catalogue.find(changed)
    assert [a.generated_at and a.generated_at.year for a in found.acquisitions].count(2024) == 1


def test_new_lost_and_repeated_items_are_seen(catalogue: Catalogue) -> None:
    catalogue.find(DAYS[:2])
    assert len(catalogue.find(DAYS).acquisitions) == 3
    assert len(catalogue.find(DAYS[1:]).acquisitions) == 2
    assert len(catalogue.find(DAYS).acquisitions) == 3
    twice = catalogue.find([*DAYS, DAYS[0]])
    assert reasons(twice) == {"S2A_1": QuarantineReason.DUPLICATE}
    other = {**DAYS[0], "links": []}
    assert reasons(catalogue.find([other, *DAYS])) == {"S2A_1": QuarantineReason.DUPLICATE}, "under another text first"


def test_an_item_in_two_boxes_counts_once(catalogue: Catalogue) -> None:
    boxes = [(-180.0, -90.0, 0.0, 90.0), WORLD]
    for _ in range(2):
        found = catalogue.find(DAYS, bbox=boxes)
        assert (len(found.acquisitions), found.unusable) == (3, ())


def test_other_boxes_and_another_window_count(catalogue: Catalogue) -> None:
    catalogue.find(DAYS)
    assert not catalogue.find(DAYS, bbox=(100.0, 0.0, 110.0, 10.0)).acquisitions
    assert len(catalogue.find(DAYS, season=Season(2018, date(2018, 6, 5), date(2018, 6, 30))).acquisitions) == 2
    assert len(catalogue.find(DAYS).acquisitions) == 3


def test_a_place_that_is_trusted_no_longer_counts(catalogue: Catalogue) -> None:
    elsewhere = [make_item("S2A_1", folder="https://files.example.org/x")]
    trusting = CatalogAccess(trusted=["files.example.org"])
    for _ in range(2):
        assert len(catalogue.find(elsewhere, access=trusting).acquisitions) == 1
    assert reasons(catalogue.find(elsewhere)) == {"S2A_1": QuarantineReason.FORBIDDEN_ADDRESS}
    assert len(catalogue.find(elsewhere, access=trusting).acquisitions) == 1, "nor a refusal"


def test_another_provider_and_another_rule_for_offsets_count(catalogue: Catalogue) -> None:
    mirrored = [make_item("S2A_1", baseline="04.00", offset=None, folder=FOLDER, moment="2022-06-01T11:00:00Z")]
    for by_baseline in (True, False, True):
        found = catalogue.find(mirrored, offset_by_baseline=by_baseline)
        assert len(found.acquisitions) == by_baseline
    assert [a.assets["B02"].href[-7:] for a in catalogue.find(DAYS).acquisitions] == ["B02.tif"] * 3
    own = provider("own", assets={**built_in("generic").assets, "B02": ["nir"]})
    found = catalogue.find(DAYS, access=CatalogAccess(provider=own))
    assert [a.assets["B02"].href[-7:] for a in found.acquisitions] == ["B08.tif"] * 3


def test_files_of_this_machine_are_looked_at_every_time(catalogue: Catalogue, tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    (scenes / "S2A_1").mkdir(parents=True)
    local = [make_item("S2A_1", folder=str(scenes))]
    access = CatalogAccess(trusted=[str(scenes)], folders=[])
    for asset in local[0]["assets"].values():
        Path(asset["href"]).write_bytes(b"")
    for _ in range(2):
        assert len(catalogue.find(local, access=access).acquisitions) == 1
    blue = next(Path(asset["href"]) for key, asset in local[0]["assets"].items() if key in ("blue", "B02"))
    blue.unlink()
    blue.symlink_to("/etc/hostname")
    assert reasons(catalogue.find(local, access=access)) == {"S2A_1": QuarantineReason.FORBIDDEN_ADDRESS}


def lost(path: Path) -> None:
    path.unlink()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-90])


def of_another_kind(path: Path) -> None:
    path.write_bytes(b'{"items": 3}\n')


@pytest.mark.parametrize("damage", [lost, cut_off, of_another_kind])
def test_the_record_may_be_lost_or_damaged(catalogue: Catalogue, damage: Callable[[Path], None]) -> None:
    catalogue.find(DAYS)
    damage(catalogue.store.local_path(RECORD))
    assert len(catalogue.find(DAYS).acquisitions) == 3
    assert parsed(catalogue, DAYS) == []


class Parses:
    """Parses, and keeps what it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> Any:
        self.texts.append(text)
        return json.loads(text)


def parsed(catalogue: Catalogue, items: Sequence[Any]) -> list[str]:
    """Ids of the items that are parsed of a page, with the record that the catalogue's last search left."""
    known, parse = KnownItems(catalogue.store, RECORD), Parses()
    basis = json.loads(catalogue.store.read_bytes(RECORD).partition(b"\n")[0])["basis"]
    known.begin(basis)
    page = known.page(json.dumps({"type": "FeatureCollection", "features": list(items)}), parse)
    assert all(isinstance(listed, ListedItem) for listed in page["features"])
    return [str(json.loads(text)["id"]) for text in parse.texts[:-1]]


def test_only_what_is_new_is_parsed_and_the_record_is_written_once(catalogue: Catalogue) -> None:
    assert len(catalogue.find(DAYS).acquisitions) == 3
    written = catalogue.store.version(RECORD)
    assert parsed(catalogue, DAYS) == []
    assert parsed(catalogue, [DAYS[2], item(25), DAYS[0]]) == ["S2A_25"]
    assert parsed(catalogue, [{**DAYS[0], "collection": "x"}]) == ["S2A_1"]
    catalogue.find(DAYS)
    assert catalogue.store.version(RECORD) == written


PAGES: Final = [
    '{"features": []}',
    '{"features": null}',
    '{"features": 3, "links": []}',
    '{"links": []}',
    "[]",
    '{"features": [null, 3, "x", "}", [1, {"features": [2]}], {"id": "features"}]}',
    '{ "features"\n:\t[ {"id": 1} ,\r\n {"id": "a]"} ] , "links": [{"rel": "next"}] }',
    '{"context": {"features": [{"id": "inner"}]}, "features": [{"id": "outer"}]}',
    '{"features": [{"id": "first"}], "features": [{"id": "second"}]}',
    r'{"title": "\"features\": [{\"id\": 1}]", "features": [{"id": "\"features\": [", "b": "\\"}]}',
    r'{"title": "x\\", "features": [{"id": "\\\"}, {"}, {"id": "}"}]}',
    '{"features": [{"id": "é", "name": "\U0001f30d"}, {"id": "\\u00e9"}]}',
    '{"features": ["the texts of the items"]}',
    '{"features": [{"id": 12345678901234567890123, "x": 1e300, "y": -0.0}]}',
]


@pytest.mark.parametrize("text", PAGES)
def test_a_page_that_is_split_says_what_it_says(tmp_path: Path, text: str) -> None:
    known = KnownItems(Store(tmp_path), RECORD)
    known.begin("")
    assert plain(known.page(text, json.loads)) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"features": [{"id": 1}',
        '{"features": [{"id": 1}]',
        '{"features": [{"id": 1} {}]}',
        '{"features": [{]}',
    ],
)
def test_a_page_that_is_no_json_is_refused_as_before(tmp_path: Path, text: str) -> None:
    known = KnownItems(Store(tmp_path), RECORD)
    known.begin("")
    with pytest.raises(ValueError, match="line 1 column") as expected:
        json.loads(text)
    with pytest.raises(ValueError, match="line 1 column") as found:
        known.page(text, json.loads)
    assert str(found.value) == str(expected.value)


def plain(page: Any) -> Any:
    if not isinstance(page, dict) or not isinstance(page.get("features"), list):
        return page
    read = [listed.read() if isinstance(listed, ListedItem) else listed for listed in page["features"]]
    return {**page, "features": read}


def test_texts_that_begin_alike_are_told_apart(catalogue: Catalogue) -> None:
    """Of one length, of others, and one within the other."""
    long = {"type": "Feature", "about": "x" * 200, **DAYS[0]}
    alike = [{**long, "id": name, "note": "y" * n} for name, n in (("S2A_1", 3), ("S2A_2", 3), ("S2A_3", 40))]
    catalogue.find(alike)
    assert parsed(catalogue, alike) == []
    assert parsed(catalogue, [{**alike[0], "note": "yyz"}]) == ["S2A_1"]
    catalogue.find([{**alike[2], "note": "z"}, *alike[:2]])
