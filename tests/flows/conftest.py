"""One small simulated season and one Prefect server for all tests of flows; a home and a database for each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness
from psycopg import sql
from pytest_socket import socket_allow_hosts

from cropmap.database.connection import connect
from cropmap.simulation.season import simulate_season
from cropmap.stages.context import SeasonContext
from flows.request import SeasonRequest
from tests.database_fixtures import _fresh
from tests.flows.terminal import rows

YEAR = 2018
LIGHT = {"networks": ["lstm"], "architecture": "lstm", "epochs": 1, "min_steps": 40}
"""few steps: these tests are about what is written, not about what is learnt"""
FULL = {"min_holdings": 4, "dominance": [2, 0.85]}
"""of the statistics: a table that is protected for publication"""


@pytest.fixture(scope="package")
def prefect_url() -> Iterator[str]:
    """A real Prefect server on this machine; it works a little even while nobody asks it anything."""
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
    os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "180"
    with prefect_test_harness(server_startup_timeout=180):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def simulated_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_season(tmp_path_factory.mktemp("simulated") / "season")


def small_season(folder: Path) -> Path:
    """220 parcels, two tiles, 10 dates; the agency file asks for little training, and for no search of what to hide:
    `FULL` brings that back."""
    simulate_season(folder, parcels=220, seed=3, season=YEAR, dates=10)
    change_agency(
        folder,
        model={**LIGHT, "folds": {"by": "block", "n": 2, "neighbour_distance_m": 0}},
        statistics={"confidentiality": "primary"},
    )
    return folder


@pytest.fixture
def inputs(simulated_inputs: Path, tmp_path: Path) -> Path:
    """A copy that a test may break; scenes are linked, so replace a file and never write into it."""
    shutil.copytree(simulated_inputs, tmp_path / "inputs", copy_function=os.link)
    return tmp_path / "inputs"


def change_agency(folder: Path, **sections: Any) -> Path:
    """Writes new sections into the agency file of a folder."""
    path = folder / "agency.yaml"
    document = {**yaml.safe_load(path.read_text()), **sections}
    path.unlink()
    path.write_text(yaml.safe_dump(document))
    return path


@dataclass(frozen=True)
class Season:
    """A season in its own home and database."""

    request: SeasonRequest
    database_url: str
    tracking_uri: str

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """The environment in which flows and commands find it."""
        patch.setenv("CROPMAP_DATABASE_URL", self.database_url)
        patch.setenv("MLFLOW_TRACKING_URI", self.tracking_uri)
        patch.setenv("CROPMAP_THREADS", "1")
        patch.delenv("CROPMAP_DATA", raising=False)

    def open(self) -> SeasonContext:
        return self.request.open()

    def rows(self, table: str, *, without: tuple[str, ...] = ()) -> list[str]:
        """Every row of a table as JSON text, sorted; `without` leaves columns out."""
        with connect(self.database_url) as connection:
            statement = sql.SQL("SELECT (to_jsonb(t) - %s::text[])::text FROM {} t").format(sql.Identifier(table))
            found = connection.execute(statement, (list(without),))
            return sorted(row[0] for row in found)

    def observation_files(self) -> dict[str, bytes]:
        store = self.open().store
        return {name: store.read_bytes(name) for name in store.names("observations")}


@pytest.fixture
def season(
    inputs: Path,
    tmp_path: Path,
    database_url: str,
    prefect_url: str,
    empty_tracking: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> Season:
    found = season_of(inputs, tmp_path, database_url, empty_tracking)
    found.enter(monkeypatch)
    return found


def season_of(inputs: Path, folder: Path, database_url: str, tracking: bytes) -> Season:
    """A season of these inputs that keeps its home and its tracking database in `folder`."""
    (folder / "mlflow.db").write_bytes(tracking)
    request = SeasonRequest(agency_file=inputs / "agency.yaml", season=YEAR, home=folder / "home")
    return Season(request, database_url, f"sqlite:///{folder / 'mlflow.db'}")


def season_command(inputs: Path, home: Path) -> list[str]:
    """The command that runs the season of these inputs in a home."""
    options = ["--season", str(YEAR), "--home", str(home)]
    return [sys.executable, "-m", "cropmap", "season", "run", str(inputs / "agency.yaml"), *options]


def killed_after(season: Season, prefect_url: str, seconds: float | None = None) -> float:
    """Runs the season in a process group of its own, which is killed after so many seconds or runs to its end; returns
    how long it took."""
    started = time.monotonic()
    with subprocess.Popen(
        season_command(season.request.agency_file.parent, season.request.home or Path()),
        env={**os.environ, "PREFECT_API_URL": prefect_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
            assert process.returncode == 0, said
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return time.monotonic() - started


@dataclass(frozen=True)
class Undisturbed:
    """What a season leaves that a command of its own ran, which nobody stopped."""

    seconds: float
    rows: dict[str, list[str]]
    files: dict[str, bytes]
    """the observations"""
    store: str
    """the folder of all objects"""


@pytest.fixture(scope="package")
def undisturbed(
    simulated_inputs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    cluster_url: str,
    prefect_url: str,
    empty_tracking: bytes,
) -> Undisturbed:
    """One for all that compare with it: a season takes half a minute of processor time."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with contextmanager(_fresh)(cluster_url, template="cropmap") as url, pytest.MonkeyPatch.context() as patch:
        season = season_of(simulated_inputs, folder, url, empty_tracking)
        season.enter(patch)
        seconds = killed_after(season, prefect_url)
        return Undisturbed(seconds, rows(url), season.observation_files(), season.open().store.root)
