"""A tiny season whose stages are called one by one, without Prefect."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from cropmap.settings import Settings
from cropmap.simulation.season import simulate_season
from cropmap.stages import ingest, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from tests.database_fixtures import _fresh

if TYPE_CHECKING:
    from tests.stages.judged import JudgedSeason

YEAR = 2018
NOON = datetime(2018, 5, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def tiny_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "inputs"
    simulate_season(folder, parcels=60, seed=4, season=YEAR, dates=4)
    return folder


@pytest.fixture
def environment(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, tmp_path, database_url)


def enter(patch: pytest.MonkeyPatch, folder: Path, database_url: str) -> None:
    """The environment of a home in `folder`."""
    patch.setenv("CROPMAP_HOME", str(folder / "home"))
    patch.setenv("CROPMAP_DATABASE_URL", database_url)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    patch.setenv("CROPMAP_THREADS", "1")
    patch.delenv("CROPMAP_DATA", raising=False)


def open_context(inputs: Path, tmp_path: Path, **changes: object) -> SeasonContext:
    """The season of `inputs` with changed sections of its agency file."""
    document = {**yaml.safe_load((inputs / "agency.yaml").read_text()), **changes}
    path = tmp_path / f"{document['agency']}.yaml"
    path.write_text(yaml.safe_dump(document))
    return SeasonContext.open(Settings.load(), path, season=YEAR, data=inputs)


def observe_everything(context: SeasonContext) -> None:
    ingest.load_declarations(context, loaded_at=NOON)
    season = OpenSeason(context)
    ingest.search_catalog(season)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    pending = ingest.pending_acquisitions(season, sets)
    todo = pending
    while todo:
        for item, tile in todo.items():
            ingest.observe_acquisition(season, item, sets[tile])
        todo = ingest.settle_rivals(season, sets)
        pending |= todo
    ingest.note_observed(season, sets, pending)


def publish_without_model(context: SeasonContext) -> None:
    season = OpenSeason(context)
    plan = products.plan_run(season)
    with products.logged_run(context, plan, clock=lambda: NOON):
        products.predict(season, plan)
        products.assess(season, plan)
        products.aggregate(season, plan)
        products.publish(season, plan, published_at=NOON)


NO_MODEL = {"assessment": {"min_class_parcels": 1_000}}
"""too few parcels of every crop to train on"""
INTERNAL = {"statistics": {"confidentiality": "primary"}}
"""no search of what to hide"""


@contextmanager
def observed_season(cluster_url: str, inputs: Path, folder: Path, **sections: object) -> Iterator[tuple[str, Path]]:
    """A database, by its name, and a home of what `copied_season` copies."""
    with contextmanager(_fresh)(cluster_url, template="cropmap") as url:
        with pytest.MonkeyPatch.context() as patch:
            enter(patch, folder, url)
            observe_everything(open_context(inputs, folder, **sections))
        yield str(conninfo_to_dict(url)["dbname"]), folder / "home"


@contextmanager
def copied_season(
    observed_once: tuple[str, Path], cluster_url: str, inputs: Path, folder: Path, **sections: object
) -> Iterator[SeasonContext]:
    """The observed season of the same inputs and sections, in a database and a home of its own."""
    database, home = observed_once
    shutil.copytree(home, folder / "home")
    with contextmanager(_fresh)(cluster_url, template=database) as url, pytest.MonkeyPatch.context() as patch:
        enter(patch, folder, url)
        yield open_context(inputs, folder, **sections)


@pytest.fixture(scope="session")
def observed_once(
    cluster_url: str, tiny_inputs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """What `observed` is copied from."""
    with observed_season(
        cluster_url, tiny_inputs, tmp_path_factory.mktemp("observed"), **NO_MODEL, **INTERNAL
    ) as season:
        yield season


@pytest.fixture
def observed(
    observed_once: tuple[str, Path], cluster_url: str, tiny_inputs: Path, tmp_path: Path
) -> Iterator[SeasonContext]:
    """Ingested, without a model, and with statistics for internal use."""
    with copied_season(observed_once, cluster_url, tiny_inputs, tmp_path, **NO_MODEL, **INTERNAL) as context:
        yield context


@pytest.fixture(scope="session")
def judged(cluster_url: str, tiny_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedSeason]:
    """Trained, predicted, assessed and published, once for all tests that only read it."""
    from tests.stages.judged import judged_season

    with judged_season(cluster_url, tiny_inputs, tmp_path_factory.mktemp("judged")) as season:
        yield season
