"""The plan of a season: what it counts is what a run does, and planning changes nothing."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import pytest
import yaml

from cropmap.bench.tile import make_acquisitions
from cropmap.cli import run
from cropmap.costs import rates, words
from cropmap.costs.plan import Quota, SeasonPlan, _fetch_s, _quotas, plan_season
from cropmap.costs.reading import TileWindows, reading
from cropmap.database.bytes_read import add_bytes_read
from cropmap.database.connection import connect
from cropmap.observations.grids import Window
from cropmap.observations.raster import stored_in_window
from cropmap.settings import Settings
from cropmap.simulation.season import simulate_season
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.providers import built_in
from cropmap.stages import ingest
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import NO_MODEL, NOON, YEAR, enter, observe_everything, open_context

DATES, PARCELS = 4, 60


@pytest.fixture(scope="session")
def planned_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planned") / "inputs"
    simulate_season(folder, parcels=PARCELS, seed=4, season=YEAR, dates=DATES)
    return folder


@pytest.fixture
def inputs(planned_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planned_inputs, tmp_path / "inputs"))


def plan_of(inputs: Path) -> SeasonPlan:
    return plan_season(Settings.load(), inputs / "agency.yaml", season=YEAR, as_of=None, data=None, at=NOON)


def test_before_anything_is_loaded_and_nothing_is_made(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "nowhere"
    monkeypatch.setenv("CROPMAP_HOME", str(home))
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    before = sorted(inputs.rglob("*"))
    assert run(["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["parcels"] == PARCELS
    assert plan["acquisitions"]["to observe"] == plan["acquisitions"]["over parcels"] == 2 * DATES
    assert not home.exists()
    assert sorted(inputs.rglob("*")) == before


def test_a_person_reads_a_table(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    assert run(["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR)]) == 0
    shown = capsys.readouterr().out
    assert f"{PARCELS} on 2 tiles" in shown
    assert "train transformer" in shown
    assert "measured" in shown


def test_acquisitions_and_units_are_those_of_the_run(
    inputs: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, tmp_path, database_url)
    before = plan_of(inputs)
    context = open_context(inputs, tmp_path, **NO_MODEL)
    ingest.load_declarations(context, loaded_at=NOON)
    loaded = plan_of(inputs)
    assert loaded == before, "the register says what the file says"
    season = OpenSeason(context)
    ingest.search_catalog(season)
    pending = ingest.pending_acquisitions(season, season.parcel_sets)
    assert before["acquisitions"]["to observe"] == len(pending)
    actual = rates.observed_units(season, pending)
    planned = next(stage["units"] for stage in before["stages"] if stage["stage"] == "observe")
    assert planned["acquisitions"] == actual["acquisitions"]
    assert planned["kiloparcels x dates"] == pytest.approx(actual["kiloparcels x dates"])
    assert planned["megapixels"] == pytest.approx(actual["megapixels"], rel=0.15)
    observe_everything(context)
    assert plan_of(inputs)["acquisitions"] == {**before["acquisitions"], "observed already": 2 * DATES, "to observe": 0}


def test_bytes_are_those_of_the_blocks_under_the_parcels(
    inputs: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, tmp_path, database_url)
    planned = plan_of(inputs)["bytes_to_read"]
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    season = OpenSeason(context)
    read = 0.0
    for entry in ingest._usable(season, season.parcel_sets):
        tile = str(entry.tile)
        ingest.cover_tile(season, tile)
        coverage = season.coverages[tile, season.parcel_sets[tile]]
        for band, asset in entry.acquisition.assets.items():
            fine, coarse = coverage.fine.window, coverage.coarse.window
            window = coverage.scene_window if band == "SCL" else fine if asset.resolution_m == 10 else coarse
            read += stored_in_window(asset.href, window).n_bytes
    assert planned == pytest.approx(read, rel=0.15)


def test_a_quota_is_held_against_what_its_provider_gives_over_all_tiles(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not against files of others, or of this machine, whichever comes first; what earlier runs read is used."""
    (here,) = make_acquisitions(tmp_path, size_px=512, dates=1, compress="deflate")
    window = Window(0, 0, 256, 256)
    windows = dict.fromkeys([here.tile, "31TCJ", "30UXV"], TileWindows(window, window, window))
    size, n_bands = 3_000_000_000_000 // 11, len(here.assets)

    def elsewhere(tile: str, folder: str, size: int) -> Acquisition:
        assets = {
            band: replace(asset, href=f"{folder}/{tile}/{band}.jp2", size=size) for band, asset in here.assets.items()
        }
        return replace(here, item_id=f"{tile} of {folder}", tile=tile, assets=assets)

    of_cdse = [elsewhere(tile, "s3://eodata/Sentinel-2", size) for tile in ("31TCJ", "30UXV", "30UXV")]
    of_others = elsewhere("31TCJ", "s3://sentinel-s2-l2a/tiles", size)
    read = reading([here, of_others, *of_cdse], windows)
    enter(monkeypatch, tmp_path, database_url)
    with connect(database_url) as connection:
        add_bytes_read(connection, "cdse", day=NOON.date() - timedelta(days=29), n_bytes=5e12)
        add_bytes_read(connection, "cdse", day=NOON.date() - timedelta(days=30), n_bytes=1e12)
    settings, day = Settings.load(), NOON.date()
    needed = 3 * n_bands * size
    assert _quotas(settings, read, day) == {
        "cdse": {"provider": "cdse", "bytes": 12e12, "days": 30, "used": 5e12, "left": 7e12, "needed": needed}
    }
    assert _quotas(settings, reading([here, of_others], windows), day) == {}
    assert {provider and provider.name: n for provider, n in read.remote.items()} == {
        "cdse": needed,
        "aws": n_bands * size,
    }
    assert words._quota(_quotas(settings, read, day)["cdse"]) == (
        "9.0 TB are needed; of the 12.0 TB that cdse allows in 30 days, 5.0 TB are used and 7.0 TB left"
    )


def test_what_lies_beyond_a_quota_is_read_as_slowly_as_it_allows_then() -> None:
    cdse = built_in("cdse")

    def of(left: float) -> dict[str, Quota]:
        rest: Quota = {
            "provider": "cdse", "bytes": 12e12, "days": 30, "used": 12e12 - left, "left": left, "needed": 0.0
        }  # fmt: skip
        return {"cdse": rest}

    assert _fetch_s(cdse, 8e12, of(12e12)) == pytest.approx(8e12 / 80e6)
    assert _fetch_s(cdse, 13e12, of(12e12)) == pytest.approx(12e12 / 80e6 + 1e12 / 1e6)
    assert _fetch_s(cdse, 3e12, of(2e12)) == pytest.approx(2e12 / 80e6 + 1e12 / 1e6)
    assert _fetch_s(None, 8e9, {}) == pytest.approx(100)


@pytest.mark.slow
def test_a_machine_without_a_season_is_measured_for_its_plan(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is kept, and what only a season shows stays as stated."""
    home = tmp_path / "nowhere"
    monkeypatch.setenv("CROPMAP_HOME", str(home))
    monkeypatch.setenv("CROPMAP_THREADS", "1")
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    document = yaml.safe_load((inputs / "agency.yaml").read_text())
    document["model"] = {"networks": ["lstm"], "architecture": "lstm"}
    (inputs / "agency.yaml").write_text(yaml.safe_dump(document))
    command = ["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR), "--json"]
    assert run([*command, "--measure"]) == 0
    stages = {stage["stage"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert [name for name, stage in stages.items() if stage["measured"]] == ["observe", "train lstm"]
    assert all(stage["cpu_s"] > 0 for stage in stages.values())
    assert not home.exists()


def test_rates_of_an_earlier_season_are_used(
    inputs: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, tmp_path, database_url)
    store = Settings.load().open_store()
    stated = plan_of(inputs)["stages"][0]
    assert not stated["measured"]
    with rates.measured(store, "observe"):
        pass
    assert rates.remembered(store, "observe") == [], "nothing was done"
    with rates.measured(store, "observe") as done:
        done.update(stated["units"])
        busy = sum(number * number for number in range(3_000_000))
        assert busy
    planned = plan_of(inputs)["stages"][0]
    (known,) = rates.remembered(store, "observe")
    assert planned["measured"]
    assert planned["cpu_s"] == pytest.approx(known.cpu_s, rel=0.05)


def test_an_agency_without_a_catalogue(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    document = yaml.safe_load((inputs / "agency.yaml").read_text())
    del document["acquisitions"]["catalog"]
    (inputs / "agency.yaml").write_text(yaml.safe_dump(document))
    assert run(["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR)]) == 2
    shown = capsys.readouterr().err
    assert "acquisitions.catalog" in shown
    assert "\n" not in shown.strip()


def test_a_database_that_does_not_answer_is_not_taken_for_an_empty_one(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    enter(monkeypatch, tmp_path, f"postgresql://cropmap@127.0.0.1:{port}/cropmap")
    assert run(["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "the database does not answer" in said.err


def test_parcels_that_no_tile_holds(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    east = max(json.loads(item.read_text())["bbox"][2] for item in inputs.glob("scenes/*/S2*/*.json"))
    declared = gpd.read_file(inputs / "declarations.gpkg")
    one = declared.iloc[:1].to_crs("EPSG:4326")
    one.geometry = one.geometry.translate(east - one.geometry.iloc[0].centroid.x)  # half of it sticks out
    one.to_crs(declared.crs).to_file(inputs / "declarations.gpkg")
    assert run(["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR)]) == 2
    assert "no parcel lies within a tile" in capsys.readouterr().err


def test_a_product_that_was_replaced_in_place_is_planned_and_one_that_was_rewritten_is_not(
    inputs: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, tmp_path, database_url)
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    assert plan_of(inputs)["acquisitions"]["to observe"] == 0
    replaced, rewritten, *_ = sorted((inputs / "scenes").glob("*/S2B*/*.json"))
    item = json.loads(replaced.read_text())
    item["properties"]["s2:processing_baseline"] = "05.12"
    replaced.write_text(json.dumps(item))
    item = json.loads(rewritten.read_text())
    item["properties"]["datetime"] = item["properties"]["datetime"].replace("Z", ".000108Z")
    rewritten.write_text(json.dumps(item))
    plan = plan_of(inputs)
    assert plan["acquisitions"]["to observe"] == 1
    assert plan["bytes_to_read"] > 0


def test_a_day_before_the_window_is_said(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    command = ["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR), "--as-of", f"{YEAR - 1}-01-01"]
    assert run(command) == 2
    assert f"--as-of: no acquisition is of {YEAR - 1}-01-01 or earlier" in capsys.readouterr().err


@pytest.mark.parametrize("all_tiles", [False, True])
def test_a_tile_whose_files_cannot_be_read_is_named(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], all_tiles: bool
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("CROPMAP_DATABASE_URL", raising=False)
    tiles = sorted({folder.name.split("_")[1] for folder in inputs.glob("scenes/*/S2*")})
    for tile in tiles if all_tiles else tiles[:1]:
        for file in inputs.glob(f"scenes/*/S2?_{tile}_*/*.tif"):
            file.unlink()
    code = run(["season", "plan", str(inputs / "agency.yaml"), "--season", str(YEAR)])
    said = " ".join(capsys.readouterr().err.split())
    assert code == (2 if all_tiles else 0)
    assert f"acquisitions: no acquisition of tile {tiles[0]} can be read (" in said
    assert "the file does not exist" in said
    assert ("the plan is without this tile" in said) == (not all_tiles)
