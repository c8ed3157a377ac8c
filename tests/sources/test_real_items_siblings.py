"""What other items of the same catalogues may look like: each real item written otherwise says the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.items import acquisition_from_item
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.stac_documents import item_of
from tests.sources.test_real_items import DETAILS

pytestmark = pytest.mark.shared_data
Item = dict[str, Any]
RASTER = ("scale", "offset", "nodata", "spatial_resolution")


def read(item: Item) -> Acquisition:
    parsed = item_of(item, "/scenes/item.json")
    assert isinstance(parsed, dict)
    return acquisition_from_item(parsed, places=Places("/scenes/item.json", CatalogAccess()))


def numbers_of(asset: Item) -> Item:
    """The raster fields of an asset without their prefixes, wherever its version of STAC has them."""
    holders = [asset, *(asset.get("bands") or [])[:1], *(asset.get("raster:bands") or [])[:1]]
    found = {}
    for holder in holders:
        for name in RASTER:
            for key in (name, f"raster:{name}"):
                if holder.get(key) is not None:
                    found[name] = holder[key]
    return found


def without_numbers(asset: Item) -> Item:
    kept = {key: value for key, value in asset.items() if key.removeprefix("raster:") not in (*RASTER, "bands")}
    return {key: value for key, value in kept.items() if key not in ("eo:bands", "raster:bands", "bands")}


def on_the_asset(item: Item) -> None:
    """STAC 1.1 with everything on the asset and no band."""
    for key, asset in item["assets"].items():
        prefixed = {name if name == "nodata" else f"raster:{name}": v for name, v in numbers_of(asset).items()}
        item["assets"][key] = without_numbers(asset) | prefixed
    item["stac_version"] = "1.1.0"


def in_bands(item: Item) -> None:
    """STAC 1.1 with a list of one band."""
    for key, asset in item["assets"].items():
        prefixed = {name if name == "nodata" else f"raster:{name}": v for name, v in numbers_of(asset).items()}
        item["assets"][key] = without_numbers(asset) | {"bands": [prefixed]}
    item["stac_version"] = "1.1.0"


def in_raster_bands(item: Item) -> None:
    """STAC 1.0."""
    for key, asset in item["assets"].items():
        item["assets"][key] = without_numbers(asset) | {"raster:bands": [numbers_of(asset)]}
    item["stac_version"] = "1.0.0"


def in_capitals(item: Item) -> None:
    platform = item["properties"].get("platform", "")
    item["properties"]["platform"] = platform.upper() if platform.islower() else platform.lower()


def in_another_zone(item: Item) -> None:
    for key in ("datetime", "start_datetime", "end_datetime"):
        if (text := item["properties"].get(key)) and text.endswith("Z"):
            item["properties"][key] = f"{text[:-1]}+00:00"


def with_the_other_address(item: Item) -> None:
    """The address that an alternate has, and the reverse."""
    for asset in item["assets"].values():
        others = asset.get("alternate") or {}
        for name, other in others.items():
            if str(other.get("href", "")).startswith("http") and asset["href"].startswith("s3://"):
                asset["href"], asset["alternate"] = other["href"], {**others, name: {**other, "href": asset["href"]}}
                break


def with_later_keys(item: Item) -> None:
    """What a new version of a catalogue may add."""
    item["properties"] |= {"new:key": {"a": [1]}, "eo:snow_cover": 3, "statistics": None}
    item["assets"]["extra"] = {"href": "s3://elsewhere/x.zarr", "type": "application/vnd+zarr"}


SAME: dict[str, Callable[[Item], None]] = {
    "on the asset": on_the_asset,
    "bands": in_bands,
    "raster:bands": in_raster_bands,
    "capitals": in_capitals,
    "zone": in_another_zone,
    "alternate": with_the_other_address,
    "later keys": with_later_keys,
}


def original(shared_data: Path, name: str) -> Item:
    return dict(json.loads((shared_data / "stac_items" / f"{name}.json").read_text()))


@pytest.mark.parametrize("change", SAME)
@pytest.mark.parametrize("name", DETAILS)
def test_an_item_that_is_written_otherwise_says_the_same(shared_data: Path, name: str, change: str) -> None:
    item = original(shared_data, name)
    changed = copy.deepcopy(item)
    SAME[change](changed)
    expected, got = read(item), read(changed)
    assert replace(got, platform=None) == replace(expected, platform=None)


@pytest.mark.parametrize("name", DETAILS)
def test_an_item_without_a_geometry_is_counted(shared_data: Path, name: str) -> None:
    with pytest.raises(SceneError) as caught:
        read({**original(shared_data, name), "geometry": None})
    assert caught.value.reason is QuarantineReason.INCOMPLETE_METADATA


@pytest.mark.parametrize("name", [name for name in DETAILS if name.startswith(("planetary", "cdse", "earth_search"))])
@pytest.mark.parametrize(
    ("baseline", "without", "with_one"), [("02.14", 0.0, 0.0), ("03.01", 0.0, 0.0), ("04.00", -0.1, None)]
)
def test_an_item_without_an_offset_has_that_of_its_baseline_or_none(
    shared_data: Path, name: str, baseline: str, without: float, with_one: float | None
) -> None:
    """Another year of the same catalogue: only Planetary Computer documents the offset outside its items."""
    item = original(shared_data, name)
    in_raster_bands(item)
    for asset in item["assets"].values():
        asset["raster:bands"][0].pop("offset", None)
    properties = item["properties"]
    for key in ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline"):
        if key in properties:
            properties[key] = baseline
    for flag in ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied"):
        properties.pop(flag, None)
    if with_one is None and not name.startswith("planetary"):
        with pytest.raises(SceneError) as caught:
            read(item)
        assert caught.value.reason is QuarantineReason.OFFSET_UNKNOWN
    else:
        assert read(item).assets["B02"].offset == without
