"""A season whose declarations change after the satellites saw its parcels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pytest
import shapely

from cropmap.database import acquisitions as ledger
from cropmap.observations import extract
from cropmap.observations.attempts import depends_on
from cropmap.observations.files import read_observations
from cropmap.observations.grids import Grid, Window
from cropmap.observations.raster import read_window
from cropmap.schemas import BANDS, AcquisitionStatus, QuarantineReason
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import INTERNAL, NO_MODEL, NOON, observe_everything, open_context, publish_without_model
from tests.stages.test_set_aside import standing

LATER = NOON + timedelta(days=30)
Change = Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]


@pytest.fixture
def inputs(tiny_inputs: Path, tmp_path: Path) -> Path:
    """Inputs whose declarations may be changed; the scenes stay where they are."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    for item in tiny_inputs.iterdir():
        if item.suffix == ".gpkg":
            shutil.copy(item, folder)
        else:
            (folder / item.name).symlink_to(item)
    return folder


@pytest.fixture
def season(environment: None, inputs: Path, tmp_path: Path) -> SeasonContext:
    context = open_context(inputs, tmp_path, **NO_MODEL, **INTERNAL)
    observe_everything(context)
    return context


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """Every window that is read of a scene from now on."""
    seen: list[Window] = []

    def noted(href: str, grid: Grid, window: Window) -> object:
        seen.append(window)
        return read_window(href, grid, window)

    monkeypatch.setattr(extract, "read_window", noted)
    return seen


def amend(inputs: Path, change: Change) -> None:
    path = inputs / "declarations.gpkg"
    table = change(gpd.read_file(path).sort_values("parcel_id", ignore_index=True))
    path.unlink()
    table.to_file(path, layer="declarations")


def observe_again(context: SeasonContext) -> dict[str, str]:
    """What became of each pending acquisition."""
    season = OpenSeason(context)
    ingest.search_catalog(season)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    pending = ingest.pending_acquisitions(season, sets)
    return {item: ingest.observe_acquisition(season, item, sets[tile]) for item, tile in pending.items()}


def observations(context: SeasonContext) -> pa.Table:
    return read_observations(context.store, context.store.names("observations"))


def first_loses_a_strip(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The northern tenth of the first parcel goes."""
    west, south, east, north = table.geometry[0].bounds
    table.loc[0, "geometry"] = table.geometry[0].intersection(
        shapely.box(west, south, east, north - (north - south) / 10)
    )
    return table.assign(area_ha=table["area_ha"].where(table.index != 0, float("nan")))


def without_the_last(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table.iloc[:-1]


def other_crop(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    table.loc[1, "crop_code"] = "ORH" if table.loc[1, "crop_code"] != "ORH" else "BTH"
    return table


def test_another_crop_reads_no_pixel(season: SeasonContext, inputs: Path, windows: list[Window]) -> None:
    amend(inputs, other_crop)
    answer = ingest.load_declarations(season, loaded_at=LATER)
    assert (answer["changed"], answer["changed_crop"], answer["changed_outline"], answer["unchanged"]) == (1, 1, 0, 59)
    assert observe_again(season) == {}
    assert windows == []


def test_a_withdrawn_parcel_leaves_and_reads_no_pixel(
    season: SeasonContext, inputs: Path, windows: list[Window]
) -> None:
    before = observations(season)
    gone = OpenSeason(season).parcels["parcel_id"].iloc[-1]
    amend(inputs, without_the_last)
    assert ingest.load_declarations(season, loaded_at=LATER)["withdrawn"] == 1
    assert set(observe_again(season).values()) == {AcquisitionStatus.OBSERVED}
    assert windows == []
    kept = [parcel != gone for parcel in before["parcel_id"].to_pylist()]
    assert observations(season).to_pylist() == before.filter(pa.array(kept)).to_pylist()
    assert gone not in OpenSeason(season).data.parcels["parcel_id"].tolist()


def test_only_changed_outlines_are_read_and_all_is_as_if_observed_anew(
    season: SeasonContext, inputs: Path, windows: list[Window], environment: None, tmp_path: Path
) -> None:
    opened = OpenSeason(season)
    whole = opened.outlines.beside(opened.parcels)
    amend(inputs, lambda table: without_the_last(first_loses_a_strip(table)))
    answer = ingest.load_declarations(season, loaded_at=LATER)
    assert (answer["changed"], answer["changed_outline"], answer["withdrawn"]) == (1, 1, 1)
    done = observe_again(season)
    assert done
    # one parcel: its bands and the scene classification, once in each acquisition of its tile
    tile = whole["home_tile"].iloc[0]
    of_tile = [item for item in done if tile in item]
    assert 0 < len(windows) <= len(of_tile) * (len(BANDS) + 1)
    assert max(window.size for window in windows) <= whole.geometry.iloc[:1].to_crs(32630).envelope.area.iloc[0] / 100
    amended = observations(season)
    assert observe_again(season) == {}

    for name in season.store.names("observations"):
        season.store.remove(name)
    assert observe_again(season).keys() == set(done)
    assert observations(season).to_pylist() == amended.to_pylist()


def test_a_returned_and_a_new_parcel_enter(season: SeasonContext, inputs: Path, windows: list[Window]) -> None:
    first = observations(season)
    shutil.copy(inputs / "declarations.gpkg", inputs / "first.gpkg")
    amend(inputs, without_the_last)
    ingest.load_declarations(season, loaded_at=LATER)
    observe_again(season)
    shutil.copy(inputs / "first.gpkg", inputs / "declarations.gpkg")
    assert ingest.load_declarations(season, loaded_at=LATER + timedelta(days=1))["came_back"] == 1
    observe_again(season)
    assert observations(season).to_pylist() == first.to_pylist()
    assert windows


def test_products_follow_the_register_and_a_past_day_the_register_of_then(
    season: SeasonContext, inputs: Path, windows: list[Window]
) -> None:
    publish_without_model(season)
    gone = OpenSeason(season).parcels["parcel_id"].iloc[-1]
    then = OpenSeason(season).data
    amend(inputs, lambda table: without_the_last(first_loses_a_strip(table)))
    ingest.load_declarations(season, loaded_at=LATER)
    observe_again(season)
    publish_without_model(season)
    with season.connect() as connection:
        rows = connection.execute("SELECT parcel_id FROM crop_prediction").fetchall()
    assert len(rows) == 59
    assert (gone,) not in rows
    now = OpenSeason(season).data

    day = LATER.date() - timedelta(days=1)
    past = replace(season, as_of=day, season=season.season.until(day))
    assert len(OpenSeason(past).parcels) == 60
    observe_again(past)
    again = OpenSeason(past).data
    assert 0 < again.n_acquisitions < then.n_acquisitions
    assert again.series.hash == then.series.until(day).hash
    assert again.parcels.equals(then.parcels)
    assert list(again.outlines.wkb()) == list(then.outlines.wkb())

    # looking back changed nothing for today
    windows.clear()
    assert observe_again(season) == {}
    assert OpenSeason(season).data.part_hashes == now.part_hashes
    assert windows == []


def test_a_day_before_the_first_load_is_seen_in_hindsight(season: SeasonContext) -> None:
    day = NOON.date() - timedelta(days=1)
    assert len(OpenSeason(replace(season, as_of=day)).parcels) == 60


def test_an_earlier_register_leaves_what_was_said_of_the_season_as_it_stands(
    season: SeasonContext, inputs: Path, tmp_path: Path
) -> None:
    amend(inputs, lambda table: without_the_last(first_loses_a_strip(table)))
    ingest.load_declarations(season, loaded_at=LATER)
    observe_again(season)
    with season.connect() as connection:
        contradicted, lost, *_ = ledger.read_acquisitions(connection, **season.key, status=AcquisitionStatus.OBSERVED)
        ledger.mark_quarantined(
            connection,
            **season.key,
            item_id=contradicted.item_id,
            reason=QuarantineReason.OFFSET_CONTRADICTED,
            detail="by the season",
            tried=depends_on(contradicted.acquisition, contradicted.parcel_set or ""),
        )
    scene = Path(lost.acquisition.assets["SCL"].href)
    aside = scene.rename(tmp_path / "aside.tif")
    before = standing(season)
    day = LATER.date() - timedelta(days=1)
    try:
        became = observe_again(replace(season, as_of=day, season=season.season.until(day)))
    finally:
        aside.rename(scene)
    assert became[lost.item_id] == AcquisitionStatus.QUARANTINED
    assert contradicted.item_id not in became
    assert standing(season) == before
