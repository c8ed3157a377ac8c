"""Mutated items and catalogues: whatever a document holds, it is usable or counted with one line, and nothing else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import CatalogError, SceneError
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.catalog import find_acquisitions
from cropmap.sources.catalogs.items import acquisition_from_item
from cropmap.sources.catalogs.sensings import Candidate, best_of
from tests.data.make_sources_catalog import COLLECTION, COPERNICUS, EARTH_SEARCH, PLANETARY, collection, make_item
from tests.fuzzing import inputs

SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))
BRITTANY = (-5.2, 47.2, -1.0, 48.9)
BATCH = 25

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    5,
    1e308,
    -1e308,
    10**400,
    0.1,
    "",
    " ",
    "x",
    "\x00",
    "\ud800",
    "a\nb",
    "../../x",
    "x" * 10_000,
    "S2A",
    "05.00",
    "EPSG:32630",
    "9999-12-31T23:59:59+14:00",
    "0001-01-01T00:00:00Z",
    "2018-06-07T11:06:21Z",
    "/etc/passwd",
    "/dev/zero",
    "/vsicurl/http://127.0.0.1:9/x.tif",
    "http://169.254.169.254/x.tif",
    "file:///etc/passwd",
    "<VRTDataset/>",
    [],
    [None],
    [1],
    [[]],
    [[[]]],
    ["x"],
    [1, 2, 3, 4],
    [1e308] * 4,
    [None] * 4,
    [0, 0, 0, 0, 0, 0],
    [180, 90, -180, -90],
    {},
    {"a": 1},
    {"href": 5},
    {"href": "x.zarr"},
    {"type": "Polygon"},
    {"type": "Polygon", "coordinates": [[[0, 0]]]},
    {"type": "Point", "coordinates": [0, 0]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1e308, 0], [0, 1e308], [0, 0]]]},
    {"type": "Polygon", "coordinates": [[[179, 48], [-179, 48], [-179, 49], [179, 49], [179, 48]]]},
    {"type": "MultiPolygon", "coordinates": []},
    {"type": "GeometryCollection", "geometries": []},
]
TEXTS: list[Callable[[str, random.Random], str]] = [
    lambda text, r: text[: r.randrange(len(text))],
    lambda text, r: text.replace('"', "", r.randrange(1, 9)),
    lambda text, _: text.replace("0", "9" * 5_000, 1),
    lambda text, r: text.replace("0.0001", r.choice(["NaN", "Infinity", "1e999", "-0", "0x1"])),
    lambda text, _: "[" * 50_000 + text,
    lambda text, _: '{"a":' * 20_000 + text + "}" * 20_000,
    lambda text, _: "\ufeff" + text,
    lambda text, _: text + text,
]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of everything in a document."""
    keys: Any = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from places(node[key])


def mutated(item: dict[str, Any], r: random.Random) -> str | dict[str, Any]:
    item = copy.deepcopy(item)
    for _ in range(r.randrange(1, 4)):
        holder, key = r.choice(list(places(item)))
        action = r.randrange(4)
        if action == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif action == 1 and isinstance(holder, dict):
            holder[str(r.choice(VALUES))[:20].encode("utf-8", "replace").decode()] = holder[key]
        else:
            try:
                holder[key] = copy.deepcopy(r.choice(VALUES))
            except (KeyError, IndexError):
                continue
    if r.random() < 0.15:
        return r.choice(TEXTS)(json.dumps(item), r)
    return item


def write(folder: Path, documents: list[str | dict[str, Any]], root: dict[str, Any]) -> Path:
    folder.mkdir()
    for number, document in enumerate(documents):
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / f"{number}.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    links = [{"rel": "item", "href": f"./{number}.json"} for number in range(len(documents))]
    (folder / "collection.json").write_text(json.dumps({**collection([]), "links": links}))
    (folder / "catalog.json").write_text(json.dumps(root))
    return folder / "catalog.json"


ROOT = {
    "type": "Catalog",
    "stac_version": "1.0.0",
    "id": "c",
    "description": "c",
    "links": [{"rel": "child", "href": "./collection.json"}],
}


@pytest.mark.parametrize("seed", range(max(1, inputs("items") // BATCH)))
def test_a_mutated_item_is_usable_or_counted(tmp_path: Path, seed: int) -> None:
    r = random.Random(seed)  # noqa: S311  not for secrets
    providers = (EARTH_SEARCH, COPERNICUS, PLANETARY)
    wholes = [make_item(f"whole {n}", provider=providers[n % 3], moment=f"2018-0{n}-07T11:06:21Z") for n in range(1, 4)]
    documents = [mutated(r.choice(wholes), r) for _ in range(BATCH)]
    catalog = write(tmp_path / "c", [*documents, *wholes], ROOT)
    found = find_acquisitions(str(catalog), collection=COLLECTION, bbox=BRITTANY, season=SEASON)
    shown = {a.item_id for a in found.acquisitions}
    assert shown or found.unusable
    for item in found.unusable:
        assert isinstance(item.reason, QuarantineReason)
        assert "\n" not in item.detail
        assert len(item.detail) <= 300
        assert len(item.item_id.encode()) < 2_000
        assert "\x00" not in item.item_id + item.detail
    for acquisition in found.acquisitions:
        assert json.loads(json.dumps(acquisition.to_json(), allow_nan=False))
    assert all(asset.href.startswith(str(tmp_path)) for a in found.acquisitions for asset in a.assets.values())
    again = find_acquisitions(str(catalog), collection=COLLECTION, bbox=BRITTANY, season=SEASON)
    assert again == found, "the same catalogue gives the same answer"


@pytest.mark.parametrize("seed", range(max(1, inputs("item dictionaries") // BATCH)))
def test_a_mutated_dictionary_is_an_acquisition_or_a_reason(seed: int) -> None:
    """Without STAC's own reader before it, which refuses much."""
    r = random.Random(seed)  # noqa: S311
    for _ in range(BATCH):
        item = mutated(make_item(provider=r.choice((EARTH_SEARCH, COPERNICUS, PLANETARY))), r)
        if isinstance(item, str):
            continue
        try:
            candidate = Candidate(acquisition_from_item(item))
        except SceneError as error:
            line = str(error)
        else:
            assert len(best_of([candidate, candidate])[0]) == 1
            continue
        assert "\n" not in line
        assert len(line) < 600


@pytest.mark.parametrize("seed", range(inputs("catalogues")))
def test_a_mutated_catalogue_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    r = random.Random(seed)  # noqa: S311
    catalog = write(tmp_path / "c", [make_item()], ROOT)
    victim = r.choice([catalog, catalog.with_name("collection.json")])
    document = mutated(json.loads(victim.read_text()), r)
    text = document if isinstance(document, str) else json.dumps(document)
    victim.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        find_acquisitions(str(catalog), collection=COLLECTION, bbox=BRITTANY, season=SEASON)
    except CatalogError as error:
        line = str(error)
    else:
        return
    assert "\n" not in line
    assert len(line) < 1_500
