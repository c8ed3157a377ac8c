"""What every test shares: no network beyond this machine, the real inputs where they are at hand, a store."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_socket import socket_allow_hosts

from cropmap.store import Store

FLOWS: Final = "tests/flows/"

# Before anything imports them: both would otherwise try to report home.
os.environ.update(
    DO_NOT_TRACK="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    MPLBACKEND="agg",
    OMP_NUM_THREADS="1",  # the test processes share the cores: threads of each would wait for those of the other
)

pytest_plugins = ["tests.database_fixtures", "tests.s3_server"]


def pytest_collection_finish() -> None:
    """What the tests import stays to the end: the collector need not look through it each time it comes."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, but that what runs flows stays in one process: it shares a season and a Prefect
    server."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return FLOWS if file.startswith(FLOWS) else file

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """Only this machine: the embedded database's unix socket and servers on loopback."""
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """A command run in this process sets variables, PREFECT_HOME among them: the next test does not inherit them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real inputs; their licences keep them out of the repository."""
    folder = Path(os.environ.get("CROPMAP_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real inputs are not at {folder}; set CROPMAP_TEST_DATA to the folder that holds them")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def empty_tracking(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """MLflow's database before anything is in it: making one takes seconds."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    from cropmap.model.tracking import track_training

    track_training(
        f"sqlite:///{path}", experiment="none", run_key="", params={}, history={}, metrics={}, files={}, tags={}
    )
    return path.read_bytes()
