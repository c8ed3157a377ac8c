"""A season run that finds nothing to do says what the flow would say, and sees everything that is to be done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cropmap.database import runs
from cropmap.errors import ConfigurationError
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.finished import finished_season
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.work import claimed
from tests.database.seasons import everything
from tests.stages.conftest import INTERNAL, NO_MODEL, NOON, observe_everything, open_context, publish_without_model

LATER = NOON + timedelta(days=1)
PRODUCTS = ("parcel", "declaration", "acquisition", "prediction", "assessment", "statistic", "published", "region")


@pytest.fixture
def inputs(tiny_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_inputs, tmp_path / "inputs"))


@pytest.fixture
def season(environment: None, inputs: Path, tmp_path: Path) -> SeasonContext:
    context = open_context(inputs, tmp_path, **NO_MODEL, **INTERNAL)
    observe_everything(context)
    judge_offsets(OpenSeason(context))
    publish_without_model(context)
    return context


def again(context: SeasonContext) -> dict[str, object] | None:
    with claimed(context, "season run", clock=lambda: LATER):
        return finished_season(OpenSeason(context), clock=lambda: LATER)


def test_nothing_is_written_but_the_attempt(season: SeasonContext) -> None:
    with season.connect() as connection:
        before = everything(connection, *PRODUCTS)
    objects = {name: season.store.local_path(name).stat().st_mtime_ns for name in season.store.names("")}
    answer = again(season)
    assert answer is not None
    ingested = answer["ingest"]
    assert isinstance(ingested, dict)
    assert (ingested["declarations"]["accepted"], ingested["declarations"]["new"]) == (60, 0)
    assert ingested["acquisitions"]["observed"] == ingested["acquisitions"]["found"] == 8
    assert str(answer["no model"]).startswith("no model is trained")
    with season.connect() as connection:
        assert everything(connection, *PRODUCTS) == before
        run = runs.read_run(connection, str(answer["run_id"]))
    assert {name: season.store.local_path(name).stat().st_mtime_ns for name in season.store.names("")} == objects
    assert run is not None
    assert (run.attempts, run.started_at, run.status) == (2, LATER, "published")


def test_a_season_of_a_version_without_regions_gets_them(season: SeasonContext) -> None:
    query = "SELECT * FROM region ORDER BY nuts_id"
    with season.connect() as connection:
        before = connection.execute(query).fetchall()
        connection.execute("DELETE FROM region")
    assert len(before) == 7
    assert again(season) is not None
    with season.connect() as connection:
        assert connection.execute(query).fetchall() == before


def test_names_are_published_whenever_the_season_runs(season: SeasonContext, inputs: Path, tmp_path: Path) -> None:
    """They are no part of a run: it keeps its id, and nothing else is written."""
    with season.connect() as connection:
        before = everything(connection, *PRODUCTS)
    (inputs / "names.csv").write_text("list,code,language,name\ncrops,C1110,fr,Blé tendre\n")
    named = {"languages": ["fr"], "names": "names.csv"}
    context = open_context(inputs, tmp_path, **NO_MODEL, **INTERNAL, **named)
    assert context.agency.decisions_hash() == season.agency.decisions_hash()
    assert again(context) is None, "the agency file is another one: declarations are loaded"
    ingest.load_declarations(context, loaded_at=LATER)
    answer = again(context)
    assert answer is not None
    with season.connect() as connection:
        assert connection.execute("SELECT * FROM code_name").fetchall() == [
            ("simulated-bretagne", "crops", "C1110", "fr", "Blé tendre")
        ]
        assert connection.execute("SELECT DISTINCT language FROM region").fetchall() == [("fr",)]
        after = everything(connection, *PRODUCTS)
        assert {table: rows for table, rows in after.items() if rows != before[table]}.keys() == {"region"}
    (inputs / "names.csv").write_text("list,code,language,name\ncrops,C1110,fr,Froment\n")
    assert again(context) is not None
    with season.connect() as connection:
        assert connection.execute("SELECT name FROM code_name").fetchall() == [("Froment",)]


def test_wrong_names_stop_a_load(season: SeasonContext, inputs: Path, tmp_path: Path) -> None:
    (inputs / "names.csv").write_text("list,code,language,name\ncrops,C1110,de,Weizen\n")
    context = open_context(inputs, tmp_path, languages=["fr"], names="names.csv")
    with pytest.raises(ConfigurationError, match=r"names\.csv: line 2: 'de' is no language of the agency"):
        ingest.load_declarations(context, loaded_at=LATER)


def test_the_season_was_read_once(season: SeasonContext) -> None:
    opened = OpenSeason(season)
    with claimed(season, "season run", clock=lambda: LATER):
        assert finished_season(opened, clock=lambda: LATER) is not None
    with season.connect() as connection:
        assert opened.changed(connection) == []


def without(name: str) -> Callable[[SeasonContext, Path], None]:
    def remove(context: SeasonContext, _: Path) -> None:
        (found,) = (each for each in context.store.names("runs") if each.endswith(name))
        context.store.remove(found)

    return remove


def half_an_observation(context: SeasonContext, _: Path) -> None:
    path = context.store.local_path(context.store.names("observations")[0])
    path.write_bytes(path.read_bytes()[:-1])


def another_declaration(_: SeasonContext, inputs: Path) -> None:
    (inputs / "declarations.gpkg-wal").touch()


def a_product_replaced_in_place(_: SeasonContext, inputs: Path) -> None:
    band = sorted(inputs.rglob("B04.tif"))[0]
    band.rename(band.with_name("B04-2.tif"))
    (item,) = band.parent.glob("*.json")
    item.write_text(item.read_text().replace("B04.tif", "B04-2.tif"))


def another_published(context: SeasonContext, _: Path) -> None:
    with context.connect() as connection:
        connection.execute("DELETE FROM published")


@pytest.mark.parametrize(
    "change",
    [
        without("predictions.parquet"),
        without("assessments.json"),
        without("statistics.parquet"),
        half_an_observation,
        another_declaration,
        a_product_replaced_in_place,
        another_published,
    ],
    ids=["predictions", "assessments", "statistics", "damage", "declarations", "replaced", "published"],
)
def test_whatever_is_to_be_done_is_seen(
    season: SeasonContext, inputs: Path, change: Callable[[SeasonContext, Path], None]
) -> None:
    change(season, inputs)
    assert again(season) is None
    with season.connect() as connection:
        (run,) = connection.execute("SELECT attempts FROM run").fetchall()
    assert run == (1,), "the run that does it counts itself"
