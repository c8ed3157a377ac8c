"""`kill -9` at any moment, then the same command: the season ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.conftest import YEAR, Season

MOMENTS = 6
PRODUCTS = ("crop_prediction", "crop_assessment", "crop_statistic", "acquisition", "rejection", "parcel")


def _command(season: Season) -> list[str]:
    request = season.request
    cropmap = Path(sys.executable).with_name("cropmap")
    options = ["--season", str(YEAR), "--home", str(request.home)]
    return [str(cropmap), "season", "run", str(request.agency_file), *options]


def _run(season: Season, url: str, *, kill_after: float | None = None) -> float:
    """Runs the command in its own process group; returns how long it took. A killed one leaves no child behind."""
    started = time.monotonic()
    with subprocess.Popen(
        _command(season),
        env={**os.environ, "PREFECT_API_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=kill_after)
            assert process.returncode == 0, said
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return time.monotonic() - started


@pytest.mark.slow
def test_a_killed_season_ends_like_an_undisturbed_one(
    season: Season, prefect_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_database: str
) -> None:
    whole = _run(season, prefect_url)
    expected = {table: season.rows(table) for table in PRODUCTS}
    files = season.observation_files()

    monkeypatch.setenv("CROPMAP_DATABASE_URL", fresh_database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow2.db'}")
    disturbed = Season(season.request.model_copy(update={"home": tmp_path / "home2"}), fresh_database)
    # uniform over the time that an undisturbed run takes, imports left out: nothing is written before them
    chance = random.Random(20181122)  # noqa: S311
    for _ in range(MOMENTS):
        _run(disturbed, prefect_url, kill_after=chance.uniform(0.25 * whole, whole))
    _run(disturbed, prefect_url)

    assert {table: disturbed.rows(table) for table in PRODUCTS} == expected
    assert disturbed.observation_files() == files
