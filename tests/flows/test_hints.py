"""The demo's last page in a plain shell: each line as it is printed, over a season that was really run."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cropmap.cli.demo import hints
from cropmap.database import queries
from flows.season import season as season_flow
from tests.flows.conftest import FULL, Season, change_agency
from tests.infra.test_newcomer import newcomer

__all__ = ["newcomer"]
PROGRAM = str(Path(sys.executable).with_name("cropmap"))


@pytest.mark.slow
def test_every_hint_does_what_it_says_as_it_is_printed(
    season: Season, newcomer: ModuleType, inputs: Path, tmp_path: Path
) -> None:
    change_agency(inputs, statistics=FULL)
    season_flow(season.request)
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
    shell.environment["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_TRACKING_URI"]
    shown = hints([PROGRAM], inputs / "agency.yaml", home=tmp_path / "home", first=first)
    # the pages of MLflow are installed from a package index when they are first asked for
    ran = [shell.run(command) for _, command in shown if newcomer.serves(command) != "mlflow"]
    assert [(one.command, one.rc, one.output) for one in ran if not one.as_it_must] == []
    (served,) = [one for one in ran if newcomer.serves(one.command) == "serve"]
    assert served.output.splitlines()[-1] == "stopped"
    results = inputs / "results"
    assert {path.name for path in results.iterdir()} == {
        "areas.html", "areas.quality.json", "areas.xlsx", "evidence", "flags.xlsx",
    }  # fmt: skip
    assert list((results / "evidence").rglob("*.html"))
    assert list(folder.iterdir()) == []
