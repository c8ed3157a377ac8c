"""A load that takes much away, or declares much land twice, stops before it writes anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from cropmap.cli import run
from cropmap.database import declarations as register
from cropmap.errors import DeclarationFileError
from cropmap.settings import Settings
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.forecast import carry_forward
from flows.request import SeasonRequest
from tests.database.seasons import everything
from tests.stages.conftest import NOON, YEAR, open_context

LATER = NOON + timedelta(days=30)
TABLES = ("season", "parcel", "declaration", "rejection", "notice")
Change = Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]


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


def amend(inputs: Path, change: Change) -> None:
    path = inputs / "declarations.gpkg"
    table = change(gpd.read_file(path).sort_values("parcel_id", ignore_index=True))
    path.unlink()
    table.to_file(path, layer="declarations")


def stored(context: SeasonContext) -> object:
    with context.connect() as connection:
        return everything(connection, *TABLES)


def refused(context: SeasonContext, *, accept: str | None = None) -> str:
    """The message of a load that wrote nothing."""
    before = stored(context)
    with pytest.raises(DeclarationFileError) as caught:
        ingest.load_declarations(context, loaded_at=LATER, accept=accept)
    assert stored(context) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def word(message: str) -> str:
    found = re.search(r"`--accept (\w+)`, which holds for this file alone", message)
    assert found is not None
    return found[1]


def one_page(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table.iloc[:10]


def renumbered(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table.assign(parcel_id=[f"N{i}" for i in range(len(table))])


def shifted_by_one(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Row numbers as identifiers after one row was added in front."""
    return table.assign(parcel_id=table["parcel_id"].iloc[[*range(1, len(table)), 0]].to_numpy())


def unknown_codes(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table.assign(crop_code=table["crop_code"].where(table.index < 10, "QQQ"))


def other_crops(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table.assign(crop_code=["ORH" if code != "ORH" else "BTH" for code in table["crop_code"]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one_page, r"withdraw (\d+) of \d+ declarations \(8\d%, the limit is 5%\): \d+ are not in the file"),
        (renumbered, "have the same outline under another identifier: were they numbered anew"),
        (shifted_by_one, "identifiers stand on other ground: were they numbered anew"),
        (unknown_codes, "of them are, but their rows are rejected"),
        (other_crops, "change the crop of .* is it another season's file, or another code list"),
    ],
)
def test_what_takes_much_away_stops(season: SeasonContext, inputs: Path, change: Change, said: str) -> None:
    amend(inputs, change)
    assert re.search(said, refused(season))


def test_the_word_holds_for_one_file(season: SeasonContext, inputs: Path) -> None:
    amend(inputs, one_page)
    passing = word(refused(season))
    refused(season, accept="something")
    amend(inputs, lambda table: table.iloc[:5])
    assert f"`--accept {passing}` is not the word for this file" in refused(season, accept=passing)
    answer = ingest.load_declarations(season, loaded_at=LATER, accept=word(refused(season)))
    assert answer["accepted"] == 5
    again = ingest.load_declarations(season, loaded_at=LATER + timedelta(days=1))
    assert (again["withdrawn"], again["unchanged"]) == (0, 5)


def test_the_limit_is_the_agencys(season: SeasonContext, inputs: Path, tmp_path: Path) -> None:
    amend(inputs, lambda table: table.iloc[:-6])
    refused(season)
    lax = open_context(
        inputs,
        tmp_path,
        declarations={
            **season.agency.declarations.model_dump(exclude_none=True, exclude_defaults=True),
            "max_withdrawn_share": 0.2,
        },
    )
    assert ingest.load_declarations(lax, loaded_at=LATER)["withdrawn"] == 6
    assert lax.agency.decisions_hash() == season.agency.decisions_hash(), "what stops a load changes no result"


def doubled(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    beside = table.assign(parcel_id=table["parcel_id"] + "-2", crop_code="ORH", use="catch crop")
    beside = beside.set_geometry(table.geometry.to_crs(3035).translate(0.01, 0).to_crs(table.crs))
    return gpd.GeoDataFrame(pd.concat([beside, table.assign(use="main crop")]), crs=table.crs)


def test_land_declared_twice_stops_and_names_the_column(environment: None, inputs: Path, tmp_path: Path) -> None:
    context = open_context(inputs, tmp_path)
    amend(inputs, doubled)
    message = refused(context)
    assert "accepted parcels lie on one another" in message
    assert "`declarations.exclude: {use: [catch crop]}`" in message
    answer = ingest.load_declarations(context, loaded_at=NOON, accept=word(message))
    assert isinstance(answer["notices"], dict)
    assert answer["notices"]["OVERLAP"] == answer["accepted"]
    with context.connect() as connection:
        row = connection.execute("SELECT count(*) FROM declaration_notice WHERE notice = 'OVERLAP'").fetchone()
    assert row == (answer["accepted"],)


def test_both_objections_are_said_at_once(season: SeasonContext, inputs: Path) -> None:
    amend(inputs, lambda table: doubled(table.iloc[::4]))
    message = refused(season)
    assert "would withdraw" in message
    assert "lie on one another" in message


def test_a_first_load_and_carried_parcels_lose_nothing(season: SeasonContext, inputs: Path, tmp_path: Path) -> None:
    following = SeasonContext.open(Settings.load(), season.agency.file, season=YEAR + 1, data=inputs)
    carry_forward(following, from_season=YEAR, loaded_at=NOON)
    amend(inputs, lambda table: renumbered(table.iloc[:20]))
    assert ingest.load_declarations(following, loaded_at=LATER)["accepted"] == 20
    with following.connect() as connection:
        assert len(register.read_declarations(connection, **following.key)) == 20


def test_the_command_stops_with_one_line(
    season: SeasonContext, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    amend(inputs, one_page)
    command = ["declarations", "load", str(season.agency.file), "--season", str(YEAR), "--data", str(inputs)]
    assert run(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    line = next(line for line in err.splitlines() if line.startswith("error: "))
    assert run([*command, "--accept", word(line), "--json"]) == 0


def test_a_season_stops_too_and_goes_on_with_the_word(season: SeasonContext, inputs: Path) -> None:
    """`observe` is what a schedule runs; the word travels with the request of one run."""
    amend(inputs, one_page)
    request = SeasonRequest(agency_file=season.agency.file, season=YEAR, data=inputs)
    assert request.accept is None, "nothing scheduled carries a word"
    passing = word(refused(season))
    carrying = SeasonRequest.model_validate({**request.model_dump(mode="json"), "accept": passing})
    answer = ingest.load_declarations(carrying.open(), loaded_at=LATER, accept=carrying.accept)
    assert answer["accepted"] == 10
