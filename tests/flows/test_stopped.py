"""A season that is stopped, and then run by the same command, ends like one that nobody stopped.

Stopped by Ctrl-C, SIGTERM and a closed terminal, at a person's terminal and on Prefect's temporary server; and by
`kill -9` at any moment.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL
from sqlalchemy import make_url

from cropmap.cli import run
from cropmap.database import embedded
from cropmap.database.connection import connect
from flows.season import season as season_flow
from tests.database_fixtures import short_folder
from tests.flows.conftest import Undisturbed, killed_after, season_command, season_of
from tests.flows.terminal import faults, on_terminal, rows, runs

KILLS = 5


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Path:
    """One for all homes, with the database of the server at `prefect_url` as it is now: Prefect takes six seconds of
    processor time to make one."""
    folder = tmp_path_factory.mktemp("prefect")
    of_server = make_url(PREFECT_SERVER_DATABASE_CONNECTION_URL.value() or "").database
    with closing(sqlite3.connect(str(of_server))) as made, closing(sqlite3.connect(folder / "prefect.db")) as copy:
        made.backup(copy)
    return folder


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch, prefect_home: Path) -> Iterator[Path]:
    """A folder of homes with servers of their own; not pytest's, which the server's user cannot enter."""
    monkeypatch.setenv("PREFECT_HOME", str(prefect_home))
    for name in ("CROPMAP_DATABASE_URL", "CROPMAP_HOME", "CROPMAP_DATA", "CROPMAP_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("CROPMAP_THREADS", "2")
    folder = short_folder()
    yield folder
    for home in folder.iterdir():
        embedded.remove(home)
    shutil.rmtree(folder)


def _when(home: Path, words: str) -> Callable[[float], bool]:
    """As soon as the log says so, from now on."""
    log = home / "logs" / "cropmap.log"
    known = len(log.read_text()) if log.is_file() else 0
    return lambda _: log.is_file() and words in log.read_text()[known:]


def _refuse_a_second_run_then_kill(command: list[str], home: Path, prefect_url: str) -> None:
    """While the first one trains, a second is tried; then the first is killed, which leaves nothing."""
    said: list[str] = []

    def second_then_kill(_: float) -> bool:
        if not trains(0.0):
            return False
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_API_URL", prefect_url)
            said.append(on_terminal(command, patience=120).said)
        return True

    trains = _when(home, "train lstm of simulated-bretagne 2018 begins")
    first = on_terminal(command, how="SIGKILL", when=second_then_kill, patience=300)
    assert first.code == -9
    assert first.left == []
    assert "is being worked on (season run 2018 by" in said[0].replace("\r\n", " ")


def _status(inputs: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["season", "status", *season_command(inputs, home)[5:]]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_season_ends_at_once_and_like_an_undisturbed_one(
    undisturbed: Undisturbed,
    simulated_inputs: Path,
    homes: Path,
    prefect_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, inputs = homes / "disturbed", simulated_inputs
    # imports, Prefect's server
    ended = on_terminal(season_command(inputs, home), how="Ctrl-C", when=lambda seconds: seconds > 2, patience=300)
    assert ended.disturbed, ended.said
    assert (ended.code, ended.left) == (130, []), ended.said
    assert ended.seconds < 10

    ended = on_terminal(season_command(inputs, home), how="SIGTERM", when=_when(home, "observe S2"), patience=300)
    assert ended.disturbed, ended.said
    assert faults(ended, embedded.ensure_running(home)) == [], ended.said
    assert {status for _, status, _ in runs(embedded.ensure_running(home))} == {"interrupted"}

    _refuse_a_second_run_then_kill(season_command(inputs, home), home, prefect_url)
    answer = _status(inputs, home, capsys)
    assert "interrupted" in answer, answer
    assert "running" not in answer

    monkeypatch.setenv("CROPMAP_THREADS", "1")  # the killed one had processes that train
    ended = on_terminal(
        season_command(inputs, home),
        how="SIGHUP",
        when=_when(home, "assess of simulated-bretagne 2018 begins"),
        patience=300,
    )
    assert ended.disturbed, ended.said
    assert faults(ended, embedded.ensure_running(home)) == [], ended.said
    assert {status for _, status, _ in runs(embedded.ensure_running(home))} == {"interrupted"}

    # rows are being written, by a transaction that holds the run's row too and takes as long as it likes
    url = embedded.ensure_running(home)
    with connect(url) as reader, reader.transaction(), connect(url) as looker, monkeypatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect_url)  # all other signals come while there is a temporary server
        reader.execute("LOCK TABLE statistic IN SHARE MODE")
        waits = "SELECT FROM pg_locks WHERE relation = 'statistic'::regclass AND NOT granted"
        ended = on_terminal(
            season_command(inputs, home),
            how="Ctrl-C Ctrl-C",
            when=lambda _: bool(looker.execute(waits).rowcount),
            patience=300,
        )
        assert ended.disturbed, ended.said
        assert faults(ended, url) == [], ended.said
        assert {status for _, status, _ in runs(url)} == {"interrupted"}

    whole = on_terminal(season_command(inputs, home))
    assert whole.code == 0, whole.said
    assert whole.left == []
    assert rows(url) == undisturbed.rows


@pytest.mark.slow
def test_a_season_killed_at_any_moment_ends_like_an_undisturbed_one(
    undisturbed: Undisturbed,
    simulated_inputs: Path,
    tmp_path: Path,
    database_url: str,
    prefect_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    season = season_of(simulated_inputs, tmp_path, database_url, b"")
    season.enter(monkeypatch)
    # uniform over the time that an undisturbed run takes, imports left out: nothing is written before them
    chance = random.Random(20181122)  # noqa: S311
    for _ in range(KILLS):
        killed_after(season, prefect_url, chance.uniform(0.25 * undisturbed.seconds, undisturbed.seconds))
    season_flow(season.request)

    assert rows(database_url) == undisturbed.rows
    assert season.observation_files() == undisturbed.files
