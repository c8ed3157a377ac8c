"""Acquisitions that are set aside, why, and how they come back."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from cropmap.cli import run
from cropmap.database import acquisitions as ledger
from cropmap.errors import CatalogError, PartialFailureError
from cropmap.observations import extract
from cropmap.observations.grids import Grid, Window
from cropmap.observations.raster import read_window
from cropmap.results.acquisitions import list_acquisitions, retry_acquisitions
from cropmap.settings import Settings
from cropmap.simulation.season import simulate_season
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import NOON, YEAR, observe_everything, open_context

Item = dict[str, Any]
DATES = 16


@pytest.fixture(scope="session")
def many_dates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dates") / "inputs"
    simulate_season(folder, parcels=60, seed=4, season=YEAR, dates=DATES)
    return folder


@pytest.fixture
def inputs(tiny_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_inputs, tmp_path / "inputs"))


def items_of(inputs: Path) -> list[Path]:
    return sorted((inputs / "scenes").glob("*/S2*/*.json"))


def change(file: Path, edit: Callable[[Item], None]) -> None:
    item = json.loads(file.read_text())
    edit(item)
    file.write_text(json.dumps(item))


def offset_of(item: Item) -> float:
    return float(item["assets"]["blue"]["raster:bands"][0]["offset"])


def twice(item: Item) -> None:
    """The pixels have no offset, and the item says that one is to be applied."""
    for asset in item["assets"].values():
        for band in asset["raster:bands"]:
            if "offset" in band:
                band["offset"] = -0.1


def never(item: Item) -> None:
    """The pixels have one, and the item says that it was applied."""
    item["properties"]["earthsearch:boa_offset_applied"] = True


def entries(context: SeasonContext) -> dict[str, ledger.LedgerEntry]:
    with context.connect() as connection:
        return {entry.item_id: entry for entry in ledger.read_acquisitions(connection, **context.key)}


def observe_and_judge(context: SeasonContext) -> None:
    observe_everything(context)
    judge_offsets(OpenSeason(context))


def standing(context: SeasonContext) -> dict[str, tuple[str, str | None, str | None, str | None]]:
    return {item: (e.status, e.reason, e.warning, e.detail) for item, e in entries(context).items()}


def plant(inputs: Path) -> tuple[set[str], set[str]]:
    """Wrong flags on every third item, in both directions; those planted, and those that are right."""
    planted, right = set(), set()
    for number, file in enumerate(items_of(inputs)):
        if number % 3 == 1:
            change(file, twice if offset_of(json.loads(file.read_text())) == 0 else never)
            planted.add(file.stem)
        else:
            right.add(file.stem)
    return planted, right


def test_planted_errors_are_found_whatever_the_order(environment: None, many_dates: Path, tmp_path: Path) -> None:
    inputs = Path(shutil.copytree(many_dates, tmp_path / "inputs"))
    planted, right = plant(inputs)
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    ingest.load_declarations(context, loaded_at=NOON)
    season = OpenSeason(context)
    ingest.search_catalog(season)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    pending = ingest.pending_acquisitions(season, sets)
    for number, item in enumerate(sorted(pending, reverse=True)):
        ingest.observe_acquisition(season, item, sets[pending[item]])
        if number % 5 == 4:
            judge_offsets(season)  # a run that ended early
    judge_offsets(season)
    first = standing(context)
    found = {item for item, (_, reason, warning, _) in first.items() if "OFFSET" in f"{reason}{warning}"}
    assert not found & right
    seen = {item for item in planted if item in pending}
    assert len(found & seen) >= 0.5 * len(seen)  # of the others no parcel was seen, or too little of it
    observe_and_judge(context)
    assert standing(context) == first
    with context.connect() as connection:
        connection.execute("DELETE FROM acquisition")
    observe_and_judge(context)
    assert standing(context) == first
    assert Counter(reason for _, reason, _, _ in first.values())["OFFSET_CONTRADICTED"] > 0


def test_a_condemned_file_comes_back_when_its_item_is_mended(
    environment: None, many_dates: Path, tmp_path: Path
) -> None:
    inputs = Path(shutil.copytree(many_dates, tmp_path / "inputs"))
    originals = {file: file.read_text() for file in items_of(inputs)}
    plant(inputs)
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    observe_and_judge(context)
    assert "quarantined: OFFSET_CONTRADICTED" in ingest.acquisition_counts(context)
    for file, text in originals.items():
        file.write_text(text)
    observe_and_judge(context)
    assert not [why for why in ingest.acquisition_counts(context) if "OFFSET" in why]


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("bright-soil", ("quarantined", "OFFSET_CONTRADICTED", None)),
        ("vegetation", ("observed", "OFFSET_CORRECTED", 0.1)),
    ],
)
def test_the_flag_that_is_wrong_over_soil_and_over_vegetation(
    environment: None, shared_data: Path, tmp_path: Path, kind: str, ends: tuple[str, str, float | None]
) -> None:
    folder = shared_data / "cases" / "input" / "23-boa-offset-flag-wrong" / kind
    context = SeasonContext.open(Settings.load(), folder / "agency.yaml", season=2024)
    observe_and_judge(context)
    (row,) = list_acquisitions(context)
    assert (row["status"], row["reason"], row["offset_correction"]) == ends


def test_whatever_can_mend_is_tried_again(environment: None, inputs: Path, tmp_path: Path) -> None:
    item = next(file for file in items_of(inputs) if offset_of(json.loads(file.read_text())) == -0.1)
    scene, name = item.parent, item.stem
    raster = scene / "B02.tif"
    whole = {path: path.read_bytes() for path in scene.iterdir()}

    def broken_grid() -> None:
        with rasterio.open(raster) as source:
            profile, values = source.profile, source.read()
        with rasterio.open(raster, "w", **{**profile, "width": values.shape[2] - 2}) as sink:
            sink.write(values[:, :, :-2])

    faults: dict[str, Callable[[], object]] = {
        "UNREADABLE_FILE": lambda: raster.write_bytes(b"<html>504</html>"),
        "MISSING_BAND": raster.unlink,
        "WRONG_GRID": broken_grid,
        "OFFSET_CONTRADICTED": lambda: darken(raster),
        "OFFSET_UNKNOWN": lambda: change(item, forget_offset),
    }
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    observe_and_judge(context)
    clean = standing(context)
    assert clean[name][0] == "observed"
    for reason, break_it in faults.items():
        break_it()
        ledger_forgets(context, name)
        observe_and_judge(context)
        assert entries(context)[name].reason == reason
        observe_and_judge(context)
        assert entries(context)[name].reason == reason
        for path, data in whole.items():
            path.write_bytes(data)
        observe_and_judge(context)
        assert standing(context) == clean


def darken(raster: Path) -> None:
    """By the offset that baselines from 04.00 on have."""
    with rasterio.open(raster) as source:
        profile, values = source.profile, source.read()
    with rasterio.open(raster, "w", **profile) as sink:
        sink.write(np.where(values > 0, np.maximum(values.astype(int) - 1_000, 1), 0).astype(values.dtype))


def forget_offset(item: Item) -> None:
    for asset in item["assets"].values():
        for band in asset["raster:bands"]:
            band.pop("offset", None)


def ledger_forgets(context: SeasonContext, name: str) -> None:
    with context.connect() as connection:
        connection.execute("UPDATE acquisition SET status = 'found', object_name = NULL WHERE item_id = %s", (name,))
    for one in context.store.names("observations"):
        if Path(one).stem == name:
            context.store.remove(one)


def test_a_condemned_acquisition_is_not_read_at_every_run(
    environment: None, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in items_of(inputs):
        change(item, twice)
        darken(item.parent / "B02.tif")
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    observe_and_judge(context)
    condemned = {item for item, e in entries(context).items() if e.reason == "OFFSET_CONTRADICTED"}
    assert condemned
    read: list[str] = []

    def noted(href: str, grid: Grid, window: Window) -> object:
        read.append(href)
        return read_window(href, grid, window)

    monkeypatch.setattr(extract, "read_window", noted)
    observe_and_judge(context)
    assert read == []
    one = min(condemned)
    assert retry_acquisitions(context, items=[one])["due_again"] == [one]
    observe_and_judge(context)
    assert {Path(href).parent.name for href in read} == {one}
    read.clear()
    assert set(retry_acquisitions(context)["due_again"]) == condemned
    file = next(file for file in items_of(inputs) if file.stem == one)
    os.utime(file.parent / "B02.tif")
    observe_and_judge(context)
    assert {Path(href).parent.name for href in read} == condemned


def test_the_commands_list_and_retry(
    environment: None, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = items_of(inputs)[0].parent
    (broken / "B05.tif").write_bytes(b"nothing")
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    observe_and_judge(context)
    arguments = [str(next(tmp_path.glob("*.yaml"))), "--season", str(YEAR), "--data", str(inputs)]

    def answer(*command: str) -> tuple[int, str, str]:
        code = run(["acquisitions", *command])
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, _ = answer("list", *arguments, "--reason", "UNREADABLE_FILE", "--json")
    (row,) = json.loads(out)["acquisitions"]
    assert (code, row["item_id"], row["status"]) == (0, broken.name, "quarantined")
    assert "B05.tif" in row["detail"]
    code, out, _ = answer("list", *arguments)
    assert code == 0
    assert len(out.splitlines()) == 1 + len(list_acquisitions(context))
    assert f"{broken.name} " in out
    code, out, _ = answer("list", *arguments, "--reason", "NONSENSE")
    assert code == 2
    code, _, err = answer("retry", *arguments)
    assert code == 2
    code, _, err = answer("retry", arguments[0], "S2X_nothing", *arguments[1:])
    assert code == 2
    assert "S2X_nothing not quarantined" in err
    code, out, _ = answer("retry", *arguments, "--reason", "UNREADABLE_FILE", "--json")
    assert json.loads(out)["due_again"] == [broken.name]
    assert entries(context)[broken.name].status == "found"
    superseded = [item for item, e in entries(context).items() if e.reason == "SUPERSEDED"]
    code, out, _ = answer("retry", *arguments, "--all", "--json")
    assert json.loads(out) == {"due_again": [], "left_to_the_catalogue": superseded}


def test_the_command_reports_passes(
    environment: None, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = items_of(inputs)[0].parent
    (broken / "B05.tif").write_bytes(b"nothing")
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    arguments = ["acquisitions", "report", str(next(tmp_path.glob("*.yaml"))), "--season", str(YEAR)]
    arguments += ["--data", str(inputs)]
    assert run(arguments) == 2
    assert "has no item of a catalogue" in capsys.readouterr().err
    observe_and_judge(context)
    assert run([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    known = [e for e in entries(context).values() if e.reason not in ("SUPERSEDED", "DUPLICATE")]
    for row in answer["orbits"]:
        own = [e for e in known if e.tile == row["tile"] and e.acquisition.relative_orbit == row["orbit"]]
        assert row["catalogue"] == len(own) == row["used"] + row["quarantined"] + row["waiting"]
        assert row["used"] == sum(e.status == "observed" for e in own)
        assert len(row["missing_dates"]) == row["missing"]
    assert sum(row["catalogue"] for row in answer["orbits"]) == len(known)
    assert sum(row["reasons"].get("UNREADABLE_FILE", 0) for row in answer["orbits"]) == 1
    assert (answer["start"], answer["end"]) == (f"{YEAR}-01-01", f"{YEAR}-12-31")
    assert run([*arguments, "--tile", "30UVU"]) == 0
    shown = capsys.readouterr().out
    assert "30UVU R094" in shown.replace("  ", " ")
    assert "30UWU" not in shown
    assert run([*arguments, "--tile", "32UPU"]) == 2
    assert "no item of a catalogue over tile 32UPU" in capsys.readouterr().err


def far_tile(inputs: Path) -> None:
    """Every acquisition has a twin in another tile over the same parcels, whose files cannot be read."""
    collection = items_of(inputs)[0].parent.parent / "collection.json"
    document = json.loads(collection.read_text())
    for file in (file for file in items_of(inputs) if "30UWU" in file.stem):
        name = file.stem.replace("30UWU", "30UXU")
        folder = file.parent.parent / name
        folder.mkdir()
        (folder / f"{name}.json").write_text(file.read_text().replace("30UWU", "30UXU"))
        for band in file.parent.glob("*.tif"):
            (folder / band.name).write_bytes(b"nothing")
        document["links"].append({"rel": "item", "href": f"./{name}/{name}.json", "type": "application/json"})
    collection.write_text(json.dumps(document))


def test_an_unreadable_tile_that_no_parcel_needs_stops_nothing(environment: None, inputs: Path, tmp_path: Path) -> None:
    far_tile(inputs)  # unreadable, but every parcel has its home in the other tile
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    observe_and_judge(context)
    assert ingest.season_tiles(OpenSeason(context)) == ["30UVU", "30UWU"]
    found = ingest.search_catalog(OpenSeason(context))
    ingest.raise_unreadable(found)
    assert ingest.UNREADABLE_TILES not in found


def test_an_unreadable_tile_that_parcels_need_is_named_at_the_end(
    environment: None, inputs: Path, tmp_path: Path
) -> None:
    whole = {path: path.read_bytes() for path in (inputs / "scenes").glob("*/*30UWU*/*.tif")}
    for path in whole:
        path.write_bytes(b"nothing")
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    observe_and_judge(context)
    found = ingest.search_catalog(OpenSeason(context))
    assert ingest.season_tiles(OpenSeason(context)) == ["30UVU"]
    parcels = OpenSeason(context).parcels
    left = parcels["parcel_id"][parcels["home_tile"].isna()]
    assert 0 < len(left) < len(parcels)
    with pytest.raises(PartialFailureError) as caught:
        ingest.raise_unreadable(found)
    text = str(caught.value)
    assert "\n" not in text
    assert f"30UWU: {len(left)} parcels are not observed ({min(left)}" in text
    assert ingest.acquisition_counts(context)["observed"] > 0
    for path, data in whole.items():
        path.write_bytes(data)
    observe_and_judge(context)
    assert ingest.season_tiles(OpenSeason(context)) == ["30UVU", "30UWU"]


def test_no_readable_tile_at_all_is_an_error(environment: None, inputs: Path, tmp_path: Path) -> None:
    for raster in (inputs / "scenes").rglob("*.tif"):
        raster.write_bytes(b"nothing")
    context = open_context(inputs, tmp_path, assessment={"min_class_parcels": 1_000})
    with pytest.raises(CatalogError, match="no acquisition of tile 30UVU can be read"):
        observe_everything(context)
