"""Products that a provider replaced or rewrote under their old names, and objects of the store that went bad."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cropmap.database import acquisitions as ledger
from cropmap.errors import DamagedObjectError
from cropmap.observations import extract
from cropmap.observations.files import read_observations
from cropmap.observations.grids import Grid, Window
from cropmap.observations.raster import read_window
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import NO_MODEL, observe_everything, open_context

Item = dict[str, Any]


@pytest.fixture
def inputs(tiny_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_inputs, tmp_path / "inputs"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file of a scene that is read from now on."""
    seen: list[str] = []

    def noted(href: str, grid: Grid, window: Window) -> object:
        seen.append(Path(href).parent.name)
        return read_window(href, grid, window)

    monkeypatch.setattr(extract, "read_window", noted)
    return seen


def rewrite(inputs: Path, change: Callable[[Item], None], only: str = "") -> list[str]:
    """Changes the items of the catalogue; returns their names."""
    files = sorted(file for file in (inputs / "scenes").glob("*/S2*/*.json") if only in file.name)
    for file in files:
        item = json.loads(file.read_text())
        change(item)
        file.write_text(json.dumps(item))
    return [file.stem for file in files]


def checksums(item: Item, text: str = "ab") -> None:
    for asset in item["assets"].values():
        asset["file:checksum"] = "1220" + text * 32


def untouched(_: Item) -> None:
    pass


def other_time_and_footprint(item: Item) -> None:
    item["properties"]["datetime"] = item["properties"]["datetime"].replace("Z", ".000108Z")
    item["geometry"]["coordinates"][0][0][0] += 1e-9
    item["geometry"]["coordinates"][0][-1][0] += 1e-9


def processed_again(item: Item) -> None:
    product = item["properties"]["s2:product_uri"]
    item["properties"]["s2:product_uri"] = product[:-20] + "20240702T161031.SAFE"


def of_bands(item: Item, **changes: float) -> None:
    for asset in item["assets"].values():
        for band in asset["raster:bands"]:
            if "scale" in band:
                band.update(changes)


CHANGES: dict[str, tuple[Callable[[Item], None], Callable[[Item], None], bool]] = {
    "the same files under another time": (checksums, other_time_and_footprint, False),
    "no checksums and another time": (untouched, other_time_and_footprint, False),
    "other files": (checksums, lambda item: checksums(item, "cd"), True),
    "processed again": (untouched, processed_again, True),
    "the same files, processed again": (checksums, processed_again, False),
    "another baseline": (untouched, lambda item: item["properties"].update({"s2:processing_baseline": "05.12"}), True),
    "another scale": (checksums, lambda item: of_bands(item, scale=2e-4), True),
    "an offset that was forgotten": (checksums, lambda item: of_bands(item, offset=-0.05), True),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_product_is_read_again_where_its_pixels_changed(
    environment: None, inputs: Path, tmp_path: Path, read: list[str], what: str
) -> None:
    before, after, again = CHANGES[what]
    rewrite(inputs, before)
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    first = {entry.item_id: entry for entry in entries(context)}
    state = OpenSeason(context).data.part_hashes
    read.clear()
    changed = set(rewrite(inputs, after, only="20180610_1"))
    observe_everything(context)
    assert set(read) == (changed if again else set())
    for entry in entries(context):
        if entry.reason == "SUPERSEDED":
            continue
        assert entry.status == "observed"
        assert entry.acquisition == first[entry.item_id].acquisition or entry.item_id in changed
        kept = context.store.read_schema(entry.object_name or "").metadata
        assert kept[b"datetime"].decode() == entry.acquisition.sensed_at.isoformat()
    if not again:
        assert OpenSeason(context).data.part_hashes == state
    if what in ("another scale", "an offset that was forgotten"):
        assert OpenSeason(context).data.part_hashes != state
    read.clear()
    observe_everything(context)
    assert read == []


def test_a_store_of_an_earlier_version_is_not_read_again(
    environment: None, inputs: Path, tmp_path: Path, read: list[str]
) -> None:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    table = read_observations(context.store, names := context.store.names("observations"))
    for name in names:  # as it was written before: without a digest, and saying less of itself
        old = context.store.read_table(name)
        metadata = {
            k: v
            for k, v in old.schema.metadata.items()
            if k not in (b"checksum", b"size", b"generated_at", b"places", b"nodata")
        }
        pq.write_table(old.replace_schema_metadata(metadata), context.store.local_path(name), compression="zstd")
    with context.connect() as connection:
        connection.execute("UPDATE acquisition SET document = document - 'generated_at'")
    read.clear()
    observe_everything(context)
    assert read == []
    assert read_observations(context.store, names).equals(table)
    assert b"generated_at" in context.store.read_schema(names[0]).metadata


def test_a_damaged_observation_is_named_and_made_again(
    environment: None, inputs: Path, tmp_path: Path, read: list[str]
) -> None:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    names = context.store.names("observations")
    whole, draw = read_observations(context.store, names), np.random.default_rng(18)
    path = context.store.local_path(names[1])
    data = path.read_bytes()
    for at in draw.integers(8, len(data) - 8, 5):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << int(draw.integers(0, 8)))]) + data[at + 1 :])
        with pytest.raises(DamagedObjectError, match=f"{names[1]}: is damaged .*cropmap observe") as caught:
            read_observations(context.store, names)
        assert "\n" not in str(caught.value)
        read.clear()
        observe_everything(context)
        assert set(read) == {Path(names[1]).stem}
        assert read_observations(context.store, names).equals(whole)


def entries(context: SeasonContext) -> list[ledger.LedgerEntry]:
    with context.connect() as connection:
        return ledger.read_acquisitions(connection, **context.key)


def take_out(inputs: Path, name: str) -> tuple[Path, str]:
    """Takes an item out of the catalogue; returns its collection's file and what was in it."""
    (collection,) = (inputs / "scenes").glob("*/collection.json")
    whole = collection.read_text()
    document = json.loads(whole)
    links = [link for link in document["links"] if f"{name}.json" not in link["href"]]
    assert len(links) < len(document["links"])
    collection.write_text(json.dumps({**document, "links": links}))
    return collection, whole


def contents(context: SeasonContext) -> dict[str, tuple[str, str | None]]:
    return {entry.item_id: (entry.status, entry.reason) for entry in entries(context)}


def test_a_missed_acquisition_that_appears_weeks_later_is_taken_in(
    environment: None, inputs: Path, tmp_path: Path, read: list[str]
) -> None:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    whole, rows = contents(context), read_observations(context.store, context.store.names("observations"))
    late = next(item for item, (status, _) in whole.items() if status == "observed")
    with context.connect() as connection:
        connection.execute("DELETE FROM acquisition")
    for name in context.store.names("observations"):
        context.store.remove(name)
    collection, text = take_out(inputs, late)
    observe_everything(context)
    assert contents(context) == {item: state for item, state in whole.items() if item != late}
    collection.write_text(text)
    read.clear()
    observe_everything(context)
    assert set(read) == {late}
    assert contents(context) == whole
    assert read_observations(context.store, context.store.names("observations")).equals(rows)


def test_a_product_that_is_gone_and_listed_under_another_id_counts_once(
    environment: None, inputs: Path, tmp_path: Path
) -> None:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    before = contents(context)
    old = next(item for item, (status, _) in before.items() if status == "observed")
    (file,) = (inputs / "scenes").glob(f"*/{old}/{old}.json")
    document, new = json.loads(file.read_text()), f"{old}_again"
    document["id"] = new
    document["properties"]["s2:processing_baseline"] = "05.11"
    collection, text = take_out(inputs, old)
    observe_everything(context)
    assert contents(context) == before  # a catalogue may forget an item for a day
    collection.write_text(text.replace(f"{old}.json", f"{new}.json"))
    file.with_name(f"{new}.json").write_text(json.dumps(document))
    observe_everything(context)
    assert contents(context) == {**before, old: ("quarantined", "SUPERSEDED"), new: ("observed", None)}
    observe_everything(context)
    assert contents(context)[old] == ("quarantined", "SUPERSEDED")
    collection.write_text(text)
    observe_everything(context)
    assert contents(context)[old] == ("observed", None)
    assert contents(context)[new] == ("quarantined", "DUPLICATE")


def list_again(inputs: Path, old: str, new: str, change: Callable[[Item], None]) -> Path:
    """Lists the product `old` a second time as `new`, of a later baseline; returns the item's file."""
    (file,) = (inputs / "scenes").glob(f"*/{old}/{old}.json")
    document = json.loads(file.read_text()) | {"id": new}
    document["properties"]["s2:processing_baseline"] = "05.11"
    change(document)
    target = file.with_name(f"{new}.json")
    target.write_text(json.dumps(document))
    (collection,) = (inputs / "scenes").glob("*/collection.json")
    listed = json.loads(collection.read_text())
    link = next(link for link in listed["links"] if f"{old}.json" in link["href"])
    listed["links"].append({**link, "href": link["href"].replace(f"{old}.json", f"{new}.json")})
    collection.write_text(json.dumps(listed))
    return target


def without_its_files(item: Item) -> None:
    for asset in item["assets"].values():
        asset["href"] = asset["href"].replace(".tif", "-is-to-come.tif")


@pytest.mark.parametrize("known", [True, False], ids=["observed before", "new as well"])
def test_where_the_best_product_cannot_be_read_the_one_that_it_replaces_counts(
    environment: None, inputs: Path, tmp_path: Path, read: list[str], known: bool
) -> None:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    old, new = "S2B_30UVU_20180109_0_L2A", "S2B_30UVU_20180109_1_L2A"
    if known:
        observe_everything(context)
    item = list_again(inputs, old, new, without_its_files)
    for _ in range(2):
        observe_everything(context)
        assert contents(context)[old] == ("observed", None)
        assert contents(context)[new] == ("quarantined", "MISSING_BAND")
    read.clear()
    item.write_text(item.read_text().replace("-is-to-come.tif", ".tif"))
    for _ in range(2):
        observe_everything(context)
        assert contents(context)[old] == ("quarantined", "SUPERSEDED")
        assert contents(context)[new] == ("observed", None)
    assert set(read) == {old}, "its folder, from which the new one was read"


def test_a_product_that_is_gone_counts_until_the_one_in_its_place_can_be_read(
    environment: None, inputs: Path, tmp_path: Path
) -> None:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    old, new = "S2B_30UVU_20180109_0_L2A", "S2B_30UVU_20180109_1_L2A"
    observe_everything(context)
    item = list_again(inputs, old, new, without_its_files)
    take_out(inputs, old)
    for _ in range(2):
        observe_everything(context)
        assert contents(context)[old] == ("observed", None)
        assert contents(context)[new] == ("quarantined", "MISSING_BAND")
    item.write_text(item.read_text().replace("-is-to-come.tif", ".tif"))
    observe_everything(context)
    assert contents(context)[old] == ("quarantined", "SUPERSEDED")
    assert contents(context)[new] == ("observed", None)


def test_a_part_of_a_tile_stays_where_the_catalogue_forgets_it_for_a_day(
    environment: None, inputs: Path, tmp_path: Path
) -> None:
    def strip(start: str) -> Callable[[Item], None]:
        name = f"S2B_OPER_MSI_L2A_DS_2APS_20180109T180000_S20180109T{start}_N05.11"
        return lambda item: item["properties"].update({"s2:datastrip_id": name})

    context = open_context(inputs, tmp_path, **NO_MODEL)
    south, north = "S2B_30UVU_20180109_0_L2A", "S2B_30UVU_20180109_1_L2A"
    rewrite(inputs, strip("110000"), only=south)
    list_again(inputs, south, north, strip("110620"))
    observe_everything(context)
    before = contents(context)
    assert {before[south], before[north]} == {("observed", None)}
    take_out(inputs, north)
    observe_everything(context)
    assert contents(context) == before
