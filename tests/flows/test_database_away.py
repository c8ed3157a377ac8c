"""The database goes away in the middle of a run: one line, nothing lost, and the next run ends it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from cropmap.database import embedded
from cropmap.errors import CropmapError
from flows.ingest import ingest
from flows.request import SeasonRequest
from tests.database_fixtures import short_folder
from tests.flows.conftest import YEAR


@pytest.fixture
def own_home() -> Iterator[Path]:
    """A home whose embedded server this test may stop; not pytest's folder, which the server's user cannot enter."""
    folder = short_folder()
    yield folder / "home"
    embedded.remove(folder / "home")
    shutil.rmtree(folder)


def _stop_after_first_observation(home: Path) -> None:
    while not list((home / "store").rglob("observations/**/*.parquet")):
        time.sleep(0.01)
    embedded.stop(home)


def test_a_database_that_stops_mid_run_costs_nothing_but_time(
    own_home: Path, inputs: Path, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROPMAP_DATA", raising=False)
    # a server by URL: the embedded one would be started again by whoever needs it
    monkeypatch.setenv("CROPMAP_DATABASE_URL", embedded.ensure_running(own_home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{own_home / 'mlflow.db'}")
    request = SeasonRequest(agency_file=inputs / "agency.yaml", season=YEAR, as_of=date(YEAR, 4, 15), home=own_home)
    request.open()
    watch = threading.Thread(target=_stop_after_first_observation, args=[own_home])
    watch.start()
    with pytest.raises(CropmapError) as caught:
        ingest(request)
    watch.join()

    assert "does not answer" in str(caught.value)
    assert "are done and kept" in str(caught.value)
    assert len(str(caught.value)) < 500, "one cause is said once, not once a unit"
    assert "\n" not in str(caught.value)
    kept = {p.name: p.read_bytes() for p in (own_home / "store" / "observations").rglob("*.parquet")}
    assert kept

    embedded.ensure_running(own_home)
    counts = ingest(request)["acquisitions"]
    assert counts["observed"] == counts["found"]
    after = {p.name: p.read_bytes() for p in (own_home / "store" / "observations").rglob("*.parquet")}
    assert kept.items() <= after.items()
