"""A whole season through real Prefect: what it leaves, what a second run changes, and what a broken part does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cropmap.cli.demo import hints
from cropmap.database import acquisitions as ledger
from cropmap.database import queries
from cropmap.errors import CatalogError, CropmapError, InputError, PartialFailureError
from cropmap.observations.files import observation_name
from cropmap.schemas import AcquisitionStatus, RunStatus
from cropmap.stages import ingest as stage
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.products import plan_run
from flows.ingest import ingest
from flows.predict import predict
from flows.season import season as season_flow
from tests.database_fixtures import _fresh
from tests.flows.conftest import FULL, LIGHT, YEAR, Season, change_agency, season_of
from tests.infra.test_newcomer import newcomer

__all__ = ["newcomer"]
PROGRAM = str(Path(sys.executable).with_name("cropmap"))

TABLES = ("parcel", "declaration", "rejection", "acquisition", "prediction", "assessment", "statistic", "published")


@dataclass(frozen=True)
class Published:
    season: Season
    inputs: Path
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def published(
    simulated_inputs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    cluster_url: str,
    prefect_url: str,
    empty_tracking: bytes,
) -> Iterator[Published]:
    """A whole season, with tables that are protected for publication."""
    folder = tmp_path_factory.mktemp("published")
    inputs = Path(shutil.copytree(simulated_inputs, folder / "inputs", copy_function=os.link))
    change_agency(inputs, statistics=FULL)
    with contextmanager(_fresh)(cluster_url, template="cropmap") as url:
        season = season_of(inputs, folder, url, empty_tracking)
        with pytest.MonkeyPatch.context() as patch:
            season.enter(patch)
            summary = season_flow(season.request)
        yield Published(season, inputs, summary)


def test_a_season_publishes_every_declaration_and_a_second_run_changes_nothing(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    season, summary = published.season, published.summary
    season.enter(monkeypatch)
    assert summary["ingest"]["declarations"]["accepted"] == 220
    assert summary["networks"]["lstm"]["parity"] <= 1e-4
    declared = {json.loads(row)["parcel_id"] for row in season.rows("declaration")}
    assert {json.loads(row)["parcel_id"] for row in season.rows("crop_prediction")} == declared
    assert {json.loads(row)["parcel_id"] for row in season.rows("crop_assessment")} == declared
    assert {json.loads(row)["level"] for row in season.rows("crop_statistic")} == {0, 1, 2, 3}

    before = {table: season.rows(table) for table in TABLES}
    first = json.loads(season.rows("run")[0])
    files = {
        p: p.stat().st_mtime_ns for p in (season.request.home or Path()).joinpath("store").rglob("*") if p.is_file()
    }
    season_flow(season.request)
    assert {table: season.rows(table) for table in TABLES} == before
    assert {p: p.stat().st_mtime_ns for p in files} == files, "a finished unit was done again"
    runs = [json.loads(row) for row in season.rows("run")]
    assert [run["status"] for run in runs] == [RunStatus.PUBLISHED]
    assert (first["attempts"], runs[0]["attempts"]) == (1, 2)
    # both began with their ingest, before the run's id was known
    assert datetime.fromisoformat(first["started_at"]).timestamp() < min(files.values()) / 1e9
    assert datetime.fromisoformat(runs[0]["started_at"]) > datetime.fromisoformat(first["started_at"])
    assert [json.loads(row)["ended_at"] is not None for row in season.rows("work")] == [True]


@pytest.mark.slow
def test_every_hint_of_the_demo_does_what_it_says_as_it_is_printed(
    published: Published, newcomer: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The demo's last page in a plain shell, each line as it is printed."""
    season, inputs = published.season, published.inputs
    season.enter(monkeypatch)
    context = season.open()
    with context.connect() as connection:
        (first,) = queries.assessments(connection, **context.key, limit=1).items
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    shell = newcomer.Shell(folder)
    shell.environment |= {"CROPMAP_DATABASE_URL": season.database_url, "CROPMAP_PORT": str(port)}
    shell.environment["MLFLOW_TRACKING_URI"] = season.tracking_uri
    shown = hints([PROGRAM], inputs / "agency.yaml", home=season.request.home, first=first)
    # the pages of MLflow are installed from a package index when they are first asked for
    ran = [shell.run(command) for _, command in shown if newcomer.serves(command) != "mlflow"]
    assert [(one.command, one.rc, one.output) for one in ran if not one.as_it_must] == []
    (served,) = [one for one in ran if newcomer.serves(one.command) == "serve"]
    assert served.output.splitlines()[-1] == "stopped"
    results = inputs / "results"
    assert {path.name for path in results.iterdir()} == {
        "areas.html",
        "areas.quality.json",
        "areas.xlsx",
        "evidence",
        "flags.xlsx",
    }
    assert list((results / "evidence").rglob("*.html"))
    assert list(folder.iterdir()) == []


def test_a_broken_scene_is_set_aside_and_the_season_goes_on(season: Season, inputs: Path) -> None:
    broken = sorted(inputs.rglob("B04.tif"))[2]
    whole = broken.read_bytes()
    broken.unlink()
    broken.write_bytes(whole[: len(whole) // 2])

    counts = ingest(season.request)["acquisitions"]

    assert counts["quarantined: UNREADABLE_FILE"] == 1
    entry = next(row for row in map(json.loads, season.rows("acquisition")) if row["reason"] == "UNREADABLE_FILE")
    assert entry["item_id"] == broken.parent.name
    assert "B04.tif" in entry["detail"]
    assert len(season.observation_files()) == counts["observed"]

    broken.write_bytes(whole)
    assert "quarantined: UNREADABLE_FILE" not in ingest(season.request)["acquisitions"]


def test_a_unit_that_fails_is_named_and_the_others_are_kept(season: Season) -> None:
    context = season.open()
    # a folder where the observation file should be: the disk refuses this one unit
    ingest_once = stage.load_declarations(context, loaded_at=datetime(2018, 5, 15, tzinfo=UTC))
    assert ingest_once["accepted"] == 220
    stage.search_catalog(OpenSeason(context))
    with context.connect() as connection:
        entries = ledger.read_acquisitions(connection, **context.key, status=AcquisitionStatus.FOUND)
    victim = entries[0].acquisition
    agency, year = context.agency.agency, context.season.year
    obstacle = context.store.local_path(observation_name(agency, year, victim.tile, victim.item_id))
    obstacle.mkdir(parents=True)
    (obstacle / "in the way").touch()

    with pytest.raises(PartialFailureError) as caught:
        ingest(season.request)

    assert list(caught.value.failed) == [victim.item_id]
    assert len(season.observation_files()) - 1 == len(entries) - 1
    (obstacle / "in the way").unlink()
    obstacle.rmdir()
    assert ingest(season.request)["acquisitions"]["observed"] == len(entries)


def test_a_catalogue_that_is_not_there_is_one_line(season: Season, inputs: Path) -> None:
    change_agency(inputs, acquisitions={"catalog": "nowhere/catalog.json", "collection": "sentinel-2-l2a"})
    with pytest.raises(CatalogError) as caught:
        ingest(season.request)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_done_is_said_before_any_work(season: Season, inputs: Path) -> None:
    mistakes: dict[str, dict[str, Any]] = {
        "two NUTS-3 regions": {
            "regions": {"nuts_version": 2024, "boundaries": "nuts.geojson", "codes": ["FRH01"]},
            "model": {**LIGHT, "folds": {"by": "region"}},
        },
        "regions.boundaries": {"regions": {"nuts_version": 2024, "boundaries": "gone.geojson", "codes": ["FRH0"]}},
        "model.folds.file": {"model": {**LIGHT, "folds": {"by": "file", "file": "gone.csv"}}},
        "gone.csv": {"legend": "gone.csv"},
    }
    whole = (inputs / "agency.yaml").read_text()
    for said, sections in mistakes.items():
        change_agency(inputs, **sections)
        with pytest.raises(InputError, match=said):
            ingest(season.request)
        (inputs / "agency.yaml").write_text(whole)
    assert season.rows("parcel") == []
    assert not (season.request.home or Path()).exists()


def test_a_run_that_fails_before_it_is_planned_stands_in_the_run_log(season: Season, inputs: Path) -> None:
    for file in inputs.glob("declarations*"):
        file.unlink()
    with pytest.raises(CropmapError):
        season_flow(season.request)
    run = json.loads(season.rows("run")[0])
    assert (run["run_id"], run["status"]) == (f"simulated-bretagne-{YEAR}-unplanned", RunStatus.FAILED)
    assert run["detail"].startswith("season run: ")


def test_as_of_uses_only_what_was_acquired_by_then(season: Season) -> None:
    early = season.request.model_copy(update={"as_of": date(YEAR, 6, 1)})
    ingest(early)
    days = [json.loads(row)["sensed_at"][:10] for row in season.rows("acquisition")]
    assert days
    assert max(days) <= "2018-06-01"
    assert plan_run(OpenSeason(early.open()), retrain=True).as_of == date(YEAR, 6, 1)


def test_prediction_without_a_trained_model_says_what_to_do(season: Season) -> None:
    ingest(season.request)
    with pytest.raises(CropmapError, match="cropmap train"):
        predict(season.request)


def test_too_few_parcels_of_every_crop_end_in_register_statistics(season: Season, inputs: Path) -> None:
    change_agency(inputs, assessment={"min_class_parcels": 10_000})
    summary = season_flow(season.request)
    assert summary["networks"] == {}
    assert "fewer than 2 crops have 10000 parcels to learn from" in str(summary["no model"])
    assert "Lower assessment.min_class_parcels" in str(summary["no model"])
    assessed = [json.loads(row) for row in season.rows("crop_assessment")]
    assert {row["verdict"] for row in assessed} == {"not_assessable"}
    assert "CLASS_TOO_RARE" in {row["reason"] for row in assessed}
    assert all(row["mapped_ha"] in (0, None) for row in map(json.loads, season.rows("crop_statistic")))
