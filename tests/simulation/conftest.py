"""One small simulated season for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.simulation.season import SimulationSummary, simulate_season


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    return simulate_season(tmp_path_factory.mktemp("simulated") / "season", parcels=40, seed=11, dates=5)


@pytest.fixture(scope="session")
def folder(season: SimulationSummary) -> Path:
    return Path(season.agency_file).parent
