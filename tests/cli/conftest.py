"""A working folder of its own beside a database that has a season and nothing published."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.database.connection import connect
from cropmap.database.runs import ensure_season
from cropmap.dissemination.long_form import masked
from cropmap.simulation.season import simulate_season
from tests.database.seasons import KEY, begin, load, publish_run
from tests.dissemination.published import published


@pytest.fixture(scope="session")
def simulated_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that no test changes."""
    folder = tmp_path_factory.mktemp("inputs") / "season"
    simulate_season(folder, parcels=60, seed=1, dates=2)
    return folder


@pytest.fixture
def workplace(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CROPMAP_DATABASE_URL", database_url)
    monkeypatch.delenv("CROPMAP_DATA", raising=False)
    with connect(database_url) as connection:
        ensure_season(connection, **KEY, simulated=True, document={"agency": "bretagne"})
        load(connection)
    return tmp_path


@pytest.fixture
def published_season(workplace: Path, database_url: str) -> Path:
    """The same with `published()` as the areas of run-1."""
    with connect(database_url) as connection:
        begin(connection, "run-1")
        publish_run(connection, statistics=masked(published()).fillna({"basis": "register"})[list(STATISTIC_COLUMNS)])
    return workplace
