"""A declarations file is read when anything changed that its rows depend on, and only then."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
import yaml

from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.last_load import load_key
from tests.database.seasons import everything
from tests.stages.conftest import NOON, open_context
from tests.stages.test_load_guard import amend, doubled, refused, word

LATER = NOON + timedelta(days=30)
TABLES = ("season", "parcel", "declaration", "rejection", "notice", "region")


@pytest.fixture
def inputs(tiny_inputs: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for item in tiny_inputs.iterdir():
        if item.is_file():
            shutil.copy(item, folder)
    return folder


@pytest.fixture
def season(environment: None, inputs: Path, tmp_path: Path) -> SeasonContext:
    context = open_context(inputs, tmp_path)
    ingest.load_declarations(context, loaded_at=NOON)
    return context


@pytest.fixture
def is_read(caplog: pytest.LogCaptureFixture) -> Callable[[SeasonContext], bool]:
    def load(context: SeasonContext) -> bool:
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="cropmap.stages.ingest"):
            ingest.load_declarations(context, loaded_at=LATER)
        return not any("is loaded already" in line for line in caplog.messages)

    return load


IsRead = Callable[[SeasonContext], bool]


def test_the_same_file_is_not_read_again_and_says_the_same(
    season: SeasonContext, inputs: Path, tmp_path: Path, is_read: IsRead
) -> None:
    by_reading = ingest.load_declarations(open_context(inputs, tmp_path), loaded_at=LATER)
    season.store.remove(f"declarations/{season.agency.agency}/2018.json")
    assert is_read(season)
    with season.connect() as connection:
        before = everything(connection, *TABLES)
    assert not is_read(season)
    assert ingest.load_declarations(season, loaded_at=LATER) == by_reading
    assert (by_reading["accepted"], by_reading["new"], by_reading["unchanged"]) == (60, 0, 60)
    with season.connect() as connection:
        assert everything(connection, *TABLES) == before


def test_a_load_stores_the_regions_that_it_assigned(season: SeasonContext, inputs: Path, is_read: IsRead) -> None:
    stored = "SELECT nuts_id, name, national_name, nuts_version, outline FROM region ORDER BY nuts_id"
    path = inputs / "nuts.geojson"
    table = gpd.read_file(path).sort_values("NUTS_ID")
    with season.connect() as connection:
        found = connection.execute(stored).fetchall()
    assert [row[:4] for row in found] == [
        (code, name, f"{name} (simulation)", 2024)
        for code, name in zip(table["NUTS_ID"], table["NAME_LATN"], strict=True)
    ]
    for row, outline in zip(found, table.geometry, strict=True):
        assert shapely.from_wkb(row[4]).symmetric_difference(outline).area < 1e-5 * outline.area
    path.write_text(path.read_text().replace("(simulation)", "(encore)"))
    assert is_read(season)
    with season.connect() as connection:
        assert all(row[2] == f"{row[1]} (encore)" for row in connection.execute(stored))


def test_another_file_is_read(season: SeasonContext, inputs: Path, is_read: IsRead) -> None:
    os.utime(inputs / "declarations.gpkg")
    assert not is_read(season), "its bytes are the same"
    amend(inputs, lambda table: table.assign(crop_code=["BTH", *table["crop_code"].iloc[1:]]))
    assert is_read(season)
    assert not is_read(season)


def test_a_file_beside_it_counts(season: SeasonContext, inputs: Path, is_read: IsRead) -> None:
    (inputs / "declarations.gpkg-wal").write_bytes(b"")
    assert is_read(season), "a database's journal holds what the file lacks"


@pytest.mark.parametrize(
    "section",
    [
        {"assessment": {"groups": {"cereals": ["barley", "common wheat"]}}},
        {"declarations": {"max_withdrawn_share": 0.2}},
        {"regions": {"tolerance_m": 10}},
        {"statistics": {"min_holdings": 5}},
    ],
    ids=lambda section: next(iter(section)),
)
def test_an_edit_of_the_agency_file_reads_it(
    season: SeasonContext, inputs: Path, tmp_path: Path, is_read: IsRead, section: dict[str, dict[str, object]]
) -> None:
    """Also one that changes no declaration: the database keeps the agency file that its season was loaded with."""
    document = yaml.safe_load((inputs / "agency.yaml").read_text())
    (name,) = section
    changed = {name: {**document.get(name, {}), **section[name]}}
    assert is_read(open_context(inputs, tmp_path, **changed))


def test_other_boundaries_read_it(season: SeasonContext, inputs: Path, is_read: IsRead) -> None:
    path = inputs / season.agency.regions.boundaries
    regions = gpd.read_file(path)
    path.unlink()
    regions.assign(geometry=regions.simplify(1e-3)).to_file(path)
    assert is_read(season)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM rejection",
        "DELETE FROM notice",
        "UPDATE parcel SET nuts_id = (SELECT max(nuts_id) FROM parcel)",
        "UPDATE season SET simulated = NOT simulated",
    ],
)
def test_another_register_than_the_load_left_is_written_anew(
    season: SeasonContext, inputs: Path, is_read: IsRead, statement: str
) -> None:
    amend(inputs, lambda table: table.assign(crop_code=["QQQ", *table["crop_code"].iloc[1:]], holding_id="0"))
    is_read(season)
    with season.connect() as connection:
        assert connection.execute(statement).rowcount
    assert is_read(season)
    assert not is_read(season)


def test_a_pipe_has_no_key_and_is_not_waited_for(season: SeasonContext, inputs: Path) -> None:
    assert load_key(season)
    (inputs / "declarations.gpkg").unlink()
    os.mkfifo(inputs / "declarations.gpkg")
    assert load_key(season) == ""


def test_a_damaged_record_is_none(season: SeasonContext, is_read: IsRead) -> None:
    path = season.store.local_path(f"declarations/{season.agency.agency}/2018.json")
    path.write_bytes(path.read_bytes()[:-40])
    assert is_read(season)
    assert not is_read(season)


def test_a_file_that_passed_by_a_word_is_not_stopped_the_next_night(
    environment: None, inputs: Path, tmp_path: Path, is_read: IsRead
) -> None:
    """A schedule carries no word; the file is the one that a person let pass."""
    context = open_context(inputs, tmp_path)
    amend(inputs, doubled)
    ingest.load_declarations(context, loaded_at=NOON, accept=word(refused(context)))
    assert not is_read(context)
    amend(inputs, lambda table: table.iloc[1:])
    assert "accepted parcels lie on one another" in refused(context), "another file needs its own word"
