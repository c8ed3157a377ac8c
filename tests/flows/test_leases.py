"""Workers of a cluster read from one provider together: its bounds hold for all of them, whatever dies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import pytest
import yaml
from distributed import Client, LocalCluster

from cropmap.database.bytes_read import bytes_read
from flows.ingest import ingest
from tests.data.sign_in_services import of, provider
from tests.flows.conftest import Season
from tests.flows.reading import read_shared
from tests.metered_server import Busy, Meter, metered
from tests.observations.test_raster_access import SIZE, Shut, cog
from tests.studies.cluster import forget, worker_processes

CONNECTIONS = 2
BYTES_PER_SECOND = 0.6e6


@contextmanager
def metered_scenes(season: Season, **limits: object) -> Iterator[Meter]:
    """The scenes of a season behind a server, which its catalogue names, and whose provider has limits."""
    folder = season.request.agency_file.parent
    with metered(folder / "scenes") as meter:
        for path in sorted((folder / "scenes").rglob("*.json")):
            document = json.loads(path.read_text())
            for asset in document.get("assets", {}).values():
                place = (path.parent / asset["href"]).resolve().relative_to((folder / "scenes").resolve())
                asset["href"] = f"{meter.url}/{place}"
            path.unlink()
            path.write_text(json.dumps(document))
        provider = {"hosts": [meter.url.partition("//")[2]], "limits": limits}
        (folder / "metered.yaml").write_text(yaml.safe_dump(provider))
        agency = yaml.safe_load(season.request.agency_file.read_text())
        agency["acquisitions"]["provider"] = "metered.yaml"
        season.request.agency_file.unlink()
        season.request.agency_file.write_text(yaml.safe_dump(agency))
        yield meter


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A lease that nobody confirms comes back after two seconds, here and on the workers."""
    locks = {"lease-timeout": "2s", "lease-validation-interval": "1s"}
    for name, value in locks.items():
        monkeypatch.setenv(f"DASK_DISTRIBUTED__SCHEDULER__LOCKS__{name.upper().replace('-', '_')}", value)
    with dask.config.set({f"distributed.scheduler.locks.{name}": value for name, value in locks.items()}):
        yield


@pytest.mark.slow
def test_workers_share_the_connections_and_the_rate_of_a_provider(
    season: Season, short_leases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three workers, one of which is killed while it reads: never more than the provider allows, and the same bits as
    in one process, which the provider put off for a while."""
    with metered_scenes(season, connections=CONNECTIONS, bytes_per_second=BYTES_PER_SECOND) as meter:
        meter.refuse = busy = Shut(after=40, lasts_s=3.0)
        ingest(season.request)
        assert busy.began
        assert not busy.disturbed(meter)
        alone, files = meter.most_at_once, season.observation_files()
        forget(season.open())
        meter.forget()
        meter.refuse = _killing(meter, after=60)
        monkeypatch.setenv("CROPMAP_DASK", "local:3")
        counts = ingest(season.request)["acquisitions"]
    assert counts["observed"] == counts["found"]
    assert season.observation_files() == files
    assert alone <= CONNECTIONS
    assert meter.most_at_once == CONNECTIONS
    largest = max(one.n_bytes for one in meter.answered)
    assert meter.most_ahead(BYTES_PER_SECOND) <= 4 * CONNECTIONS * largest


@pytest.mark.slow
@pytest.mark.parametrize("dask", [None, "local:2"])
def test_what_a_season_reads_is_noted_against_the_quota(
    season: Season, dask: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one process, or of all workers together: what the server gave, as far as it can be known."""
    if dask:
        monkeypatch.setenv("CROPMAP_DASK", dask)
    began = datetime.now(UTC).date()
    with metered_scenes(season, quota={"bytes": 1e12, "days": 30}) as meter:
        ingest(season.request)
        given = sum(one.n_bytes for one in meter.answered)
    with season.open().connect() as connection:
        noted = bytes_read(connection, "metered", until=began + timedelta(days=1), days=30)
    assert noted == pytest.approx(given, rel=0.1)


def _killing(meter: Meter, *, after: int) -> Callable[[str], Busy | None]:
    """Kills a worker while the server answers one request, and refuses none."""
    once = threading.Lock()

    def kill(_: str) -> Busy | None:
        if len(meter.answered) > after and once.acquire(blocking=False):
            worker_processes()[0].kill()
        return None

    return kill


@pytest.mark.slow
@pytest.mark.parametrize("limits", [{"bytes_per_second": 2e6}, {"bytes_per_second": 2e6, "connections": 2}])
def test_a_rate_holds_for_all_workers_that_read(limits: dict[str, float], tmp_path: Path) -> None:
    """Also where the provider states no number of connections; and it is used."""
    for n in range(12):
        (tmp_path / f"{n}.tif").write_bytes(cog(n))  # half a megabyte each
    with (
        metered(tmp_path) as meter,
        LocalCluster(n_workers=3, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        named = provider("rated", hosts=[of(meter.url)], limits=limits).model_dump_json()
        parts = [[f"{meter.url}/{n}.tif" for n in range(12)[k::3]] for k in range(3)]
        began = time.monotonic()
        done = [client.submit(read_shared, named, part, 3, pure=False) for part in parts]
        assert sum(client.gather(done)) == sum(range(12))
        took = time.monotonic() - began
    total = sum(one.n_bytes for one in meter.answered)
    assert total >= 12 * 2 * SIZE**2
    assert meter.most_at_once <= limits.get("connections", 3)
    assert total / took <= 2e6
    assert meter.most_ahead(2e6) <= 3 * 2 * SIZE**2 + 100_000, "no more than one file for each that reads"
