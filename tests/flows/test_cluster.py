"""Units of work on a Dask cluster: the same rows as without one, whatever dies; and nothing secret on the wire."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cropmap.database.work import Work
from cropmap.dataset.dataset import Dataset
from cropmap.errors import (
    ClusterError,
    ConfigurationError,
    DatabaseUnavailableError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from cropmap.model.elsewhere import FoldJob, fold_jobs
from cropmap.model.fold import fold_name
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.simulation.season import simulate_season
from cropmap.stages import products
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.work import claimed
from cropmap.store import Store
from flows.engine import Batch, Cluster, cluster_of
from flows.gone import what_is_gone
from flows.ingest import ingest
from flows.request import SeasonRequest
from flows.season import season as season_flow
from flows.worker import EmptyUnit, FoldUnit, PredictUnit, Room
from tests.flows.conftest import YEAR, Season, Undisturbed, season_of
from tests.flows.terminal import on_terminal, rows
from tests.flows.test_secrets import forms
from tests.model.problems import make_dataset, tiny
from tests.stages.judged import JudgedSeason, judged_season
from tests.studies.cluster import begun_again, run, worker_processes

# distributed leaves the connection to a worker that died to the garbage collector, which may find it in any test here
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

DASK = [sys.executable, "-m", "distributed.cli.dask_"]
SECRETS = {
    "CROPMAP_CATALOG_HEADERS": "Authorization: Bearer hD7kx9wheader",
    "AWS_SECRET_ACCESS_KEY": "aWs7/kx+9secret",
    "AWS_ACCESS_KEY_ID": "AKIAQ7KX9WWACCESS",
    "GDAL_HTTP_USERPWD": "me:gD7kx9wgdal",
}


@dataclass
class Recorder:
    """A port before a scheduler, which keeps all bytes that pass towards it."""

    target: tuple[str, int]
    sent: bytearray = field(default_factory=bytearray)
    address: str = ""

    def serve(self, listener: socket.socket, stop: threading.Event) -> None:
        other: dict[socket.socket, socket.socket] = {}
        with selectors.DefaultSelector() as ready:
            ready.register(listener, selectors.EVENT_READ)
            while not stop.is_set():
                for key, _ in ready.select(0.2):
                    source: Any = key.fileobj
                    if source is listener:
                        near = listener.accept()[0]
                        far = socket.create_connection(self.target)
                        other |= {near: far, far: near}
                        ready.register(near, selectors.EVENT_READ, "sent")
                        ready.register(far, selectors.EVENT_READ)
                        continue
                    data = b""
                    with suppress(OSError):
                        data = source.recv(65_536)
                    if key.data == "sent":
                        self.sent += data
                    if data:
                        with suppress(OSError):
                            other[source].sendall(data)
                    else:
                        ready.unregister(source)
                        with suppress(OSError):
                            other[source].shutdown(socket.SHUT_WR)
        for one in other:
            one.close()


@contextmanager
def recorded(address: str) -> Iterator[Recorder]:
    host, port = address.removeprefix("tcp://").split(":")
    recorder, stop = Recorder((host, int(port))), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorder.address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=recorder.serve, args=[listener, stop])
        thread.start()
        yield recorder
        stop.set()
        thread.join()


@dataclass
class Machines:
    """A scheduler and workers as another machine's operator starts them."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def scheduler(self) -> subprocess.Popen[bytes]:
        place = self.folder / "scheduler.json"
        process = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place))
        wait_for(lambda: place.is_file() and "tcp://" in place.read_text())
        found = re.search(r"tcp://[\d.:]+", place.read_text())
        assert found
        self.address = found[0]
        return process

    def worker(self, *more: str, **environment: str) -> subprocess.Popen[bytes]:
        options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder), *more]
        return self._start("worker", self.address, *options, **environment)

    def _start(self, what: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [*DASK[:2], f"{DASK[2]}{what}", *options, "--no-dashboard"]
        with (self.folder / f"{what}-{len(self.started)}.log").open("wb") as said:
            process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=said, stderr=said)
        self.started.append(process)
        return process


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    folder = tmp_path / "machines"
    folder.mkdir()
    found = Machines(folder)
    yield found
    for process in found.started:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.05)


def at_work(home: Path) -> str:
    return "".join(log.read_text() for log in home.glob("logs/worker-*.log"))


@contextmanager
def killing(home: Path, *moments: tuple[str, float]) -> Iterator[list[int]]:
    """While the block runs: kills a worker so many seconds after its log has these words, one moment after the other.
    The processes that were killed."""
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        for words, pause in moments:
            while words not in at_work(home):
                if stop.wait(0.02):
                    return
            if not stop.wait(pause) and (found := worker_processes()):
                found[0].kill()
                killed.append(found[0].pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def observed(request: SeasonRequest) -> dict[str, bytes]:
    store = request.open().store
    return {name: store.read_bytes(name) for name in store.names("observations")}


@pytest.mark.slow
def test_a_season_on_workers_that_are_killed_publishes_the_rows_of_a_season_without_them(
    undisturbed: Undisturbed,
    simulated_inputs: Path,
    tmp_path: Path,
    database_url: str,
    empty_tracking: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = season_of(simulated_inputs, tmp_path, database_url, empty_tracking)
    apart.enter(monkeypatch)
    monkeypatch.setenv("CROPMAP_DASK", "local:2")
    home = apart.request.home or Path()
    # one in the middle of observing, two while folds train
    with killing(home, ("observe S2", 0.3), ("lstm fold", 0.1), ("lstm fold", 2.0)) as killed:
        season_flow(apart.request)

    assert killed
    assert apart.observation_files() == undisturbed.files
    assert rows(database_url) == undisturbed.rows
    assert begun_again(home) <= len(killed)
    assert "lstm fold 2 begins" in at_work(home)
    assert "predict 30U" in at_work(home)


@pytest.fixture(scope="module")
def judged(cluster_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedSeason]:
    """A tiny season with a model and predictions, which needs no Prefect."""
    inputs = tmp_path_factory.mktemp("tiny") / "inputs"
    simulate_season(inputs, parcels=60, seed=4, season=YEAR, dates=4)
    with judged_season(cluster_url, inputs, tmp_path_factory.mktemp("judged")) as season:
        yield season


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "moments"), [(1, []), (2, [("predict 30U", 0.0)])])
def test_tiles_are_predicted_on_workers_as_in_one_process_and_one_that_dies_costs_its_own(
    judged: JudgedSeason, workers: int, moments: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.enter(monkeypatch)
    context = judged.context
    plan = products.plan_run(OpenSeason(context))
    name = plan.name(products.PREDICTIONS)
    wanted = context.store.read_bytes(name)
    context.store.remove(name)
    (judged.home / "logs").mkdir(exist_ok=True)  # a worker of a home without one logs to stderr
    for log in judged.home.glob("logs/worker-*.log"):
        log.unlink()
    settings = Settings.load(home=judged.home).model_copy(update={"dask": f"local:{workers}"})
    with claimed(context, "test", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        season = OpenSeason(context)
        jobs = products.parts_to_score(season, plan)
        products.share_series(season)
        with killing(judged.home, *moments) as killed:
            done = run(cluster, context, {tile: PredictUnit(job) for tile, job in jobs.items()})
        products.join_predictions(season, plan)
    assert context.store.read_bytes(name) == wanted
    assert set(done.values()) <= ({"predicted", "kept"} if killed else {"predicted"})
    assert len(jobs) <= at_work(judged.home).count(" begins") <= len(jobs) + len(killed)


@pytest.mark.slow
def test_workers_elsewhere_need_store_and_database_alone_and_are_sent_no_secret(
    season: Season, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    found = re.search(r"passfile=([^&]+)", season.database_url)
    assert found
    password = Path(unquote(found[1])).read_text().strip().rpartition(":")[2]
    monkeypatch.setenv("CROPMAP_DATABASE_URL", season.database_url.replace("cropmap@", f"cropmap:{password}@"))
    place = str(season.open().store.root)
    own = {"CROPMAP_STORE": place, "CROPMAP_HOME": str(tmp_path / "nowhere")}
    machines.scheduler()
    machines.worker(**{**own, "CROPMAP_STORE": str(tmp_path / "another")})
    with recorded(machines.address) as recorder:
        monkeypatch.setenv("CROPMAP_DASK", recorder.address)
        with pytest.raises(ClusterError, match=r"its store is not that of the command.*CROPMAP_STORE"):
            ingest(season.request)
        # a moved agency file: workers were never told where it was
        machines.worker(**own)
        counts = ingest(season.request)["acquisitions"]
    assert counts["observed"] == counts["found"]

    assert b'"agency":"simulated-bretagne"' in recorder.sent, "what was sent was seen"
    secrets = [*(value.rpartition(" ")[2] for value in SECRETS.values()), password, season.database_url]
    assert not [secret for secret in secrets if any(form in recorder.sent for form in forms(secret))]
    assert str(season.request.agency_file).encode() not in recorder.sent
    assert not (tmp_path / "another").exists(), "a refused worker writes nothing"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_a_scheduler_that_dies_costs_no_finished_unit(
    season: Season, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = machines.scheduler()
    machines.worker(CROPMAP_STORE=str(season.open().store.root))
    monkeypatch.setenv("CROPMAP_DASK", machines.address)
    monkeypatch.setattr("flows.engine.CONNECT_SECONDS", 3.0)

    def end() -> None:
        wait_for(lambda: list(Path(season.open().store.root).rglob("observations/**/*.parquet")))
        scheduler.kill()

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(ClusterError, match=r"does not answer any more.* of 20 acquisitions are done and kept") as said:
        ingest(season.request)
    thread.join()
    assert "\n" not in str(said.value)
    kept = observed(season.request)
    assert kept
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        ingest(season.request)

    monkeypatch.delenv("CROPMAP_DASK")
    counts = ingest(season.request)["acquisitions"]
    assert counts["observed"] == counts["found"]
    assert kept.items() <= observed(season.request).items()


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    """The lines of the engine, once each: whether they reach the root's handlers depends on what ran before."""
    engine = logging.getLogger("cropmap.flows.engine")
    monkeypatch.setattr(engine, "propagate", False)
    engine.addHandler(caplog.handler)
    yield caplog
    engine.removeHandler(caplog.handler)


@pytest.mark.slow
def test_folds_go_to_workers_with_a_gpu_and_another_worker_takes_over(
    season: Season, machines: Machines, heard: pytest.LogCaptureFixture
) -> None:
    context, dataset, config = season.open(), make_dataset(), tiny(Architecture.LSTM, min_steps=6)
    machines.scheduler()
    place = {"CROPMAP_STORE": str(context.store.root)}
    machines.worker("--name", "plain", **place)
    with_gpu = machines.worker("--name", "gpu", "--resources", "GPU=1", **place)
    settings = Settings.load(home=season.request.home).model_copy(update={"dask": machines.address})
    with claimed(context, "test", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        wait_for(lambda: len(cluster.workers()) == 2)
        names = {address: str(one["name"]) for address, one in cluster.workers().items()}
        run(cluster, context, {str(seed): FoldUnit(_fold(context.store, dataset, config, seed)) for seed in (1, 2)})

        def on() -> list[str]:
            ended = [line for line in heard.messages if line.startswith("lstm fold 1: ")]
            return [names[line.rpartition(" ")[2].rstrip(")")] for line in ended]

        assert on() == ["gpu", "gpu"]

        with_gpu.terminate()
        run(cluster, context, {"3": FoldUnit(_fold(context.store, dataset, config, 3))})
        assert on()[-1] == "plain"


def _fold(store: Store, dataset: Dataset, config: TrainingConfig, seed: int) -> FoldJob:
    name = fold_name(dataset, 0, config, seed=seed)
    (job,) = fold_jobs(store, dataset, config, [(0, name)], seed=seed, suspects=None, owner="test")
    return job


@pytest.mark.slow
def test_ctrl_c_and_kill_end_the_workers_of_this_machine_too(season: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    home = season.request.home
    assert home
    monkeypatch.setenv("CROPMAP_DASK", "local:2")
    command = [sys.executable, "-m", "cropmap", "observe", str(season.request.agency_file), "--season", str(YEAR)]
    for how, code in (("Ctrl-C", 130), ("SIGKILL", -9)):
        ended = on_terminal(
            [*command, "--home", str(home)],
            how=how,
            when=lambda _: any("observe S2" in log.read_text() for log in home.glob("logs/worker-*.log")),
            patience=300,
        )
        assert ended.disturbed, ended.said
        assert (ended.code, ended.left) == (code, []), ended.said
        assert ended.seconds < 10
        for log in home.glob("logs/worker-*.log"):
            log.unlink()


@contextmanager
def _taken(port: int) -> Iterator[None]:
    """The port that Dask prefers for its HTTP server belongs to somebody else."""
    with socket.socket() as other:
        with suppress(OSError):  # it does already
            other.bind(("127.0.0.1", port))
            other.listen()
        yield


@dataclass(frozen=True)
class WithoutAStore:
    """A unit of a worker whose store went away."""

    def run(self, _season: OpenSeason, _claim: Work, /) -> int:
        raise StoreUnavailableError("is away")


@dataclass(frozen=True)
class WithoutAKey:
    """A unit of a worker whose key is not accepted any more."""

    def run(self, _season: OpenSeason, _claim: Work, /) -> int:
        raise StoreRefusedError("the store does not accept the key")


@dataclass(frozen=True)
class KillsItsWorker:
    """A unit that does nothing, but the one with the deadly number takes more memory than its machine has."""

    number: int
    deadly: int = 150

    def run(self, _season: OpenSeason, _claim: Work, /) -> int:
        if self.number == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.number


@dataclass(frozen=True)
class Takes:
    """A unit that takes some seconds; says which process did it."""

    number: int
    seconds: float

    def run(self, _season: OpenSeason, _claim: Work, /) -> tuple[int, int]:
        time.sleep(self.seconds)
        return self.number, os.getpid()


@pytest.mark.slow
def test_a_unit_that_kills_every_worker_is_given_up_after_eight_of_them(
    season: Season, heard: pytest.LogCaptureFixture
) -> None:
    context = season.open()
    settings = Settings.load(home=season.request.home).model_copy(update={"dask": "local:1"})
    with claimed(context, "test", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        units = {str(number): KillsItsWorker(number) for number in range(300)}
        with Batch(cluster, OpenSeason(context), units) as batch:
            ended = dict(batch.ended())
    assert str(ended.pop("150")).startswith("the workers that had it died, one after the other")
    assert ended == {str(number): number for number in range(300) if number != 150}
    assert sum("has left" in line for line in heard.messages) <= 8


WITHOUT_CROPMAP = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name in ("cropmap", "flows"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
"""


@pytest.mark.slow
def test_a_worker_without_cropmap_is_refused_once_and_the_others_do_its_units(
    season: Season, machines: Machines, heard: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(WITHOUT_CROPMAP)
    context = season.open()
    units = {str(number): EmptyUnit(number) for number in range(40)}
    machines.scheduler()
    machines.worker(PYTHONPATH=str(tmp_path / "bare"))
    settings = Settings.load(home=season.request.home).model_copy(update={"dask": machines.address})
    with claimed(context, "test", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        wait_for(lambda: len(cluster.workers()) == 1)
        with pytest.raises(
            ClusterError, match=r"no worker takes the work: cannot run cropmap \(No module named 'flows'"
        ):
            run(cluster, context, units)
        machines.worker(CROPMAP_STORE=str(context.store.root))
        wait_for(lambda: len(cluster.workers()) == 2)
        for _ in range(2):
            assert run(cluster, context, units) == {str(number): number for number in range(40)}
    assert sum("takes no work" in line for line in heard.messages) == 1


def _amid(units: dict[str, Any], name: str, unit: object) -> dict[str, Any]:
    """The units with another one after the first ones."""
    named = list(units.items())
    return dict([*named[:8], (name, unit), *named[8:]])


def test_short_units_are_sent_together_and_long_ones_alone(season: Season) -> None:
    context = season.open()
    settings = Settings.load(home=season.request.home).model_copy(update={"dask": "local:2"})
    with claimed(context, "test", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        units = {str(number): EmptyUnit(number) for number in range(600)}
        with Batch(cluster, OpenSeason(context), units) as batch:
            assert {int(name): future.result() for name, future in batch.results.items()} == {n: n for n in range(600)}
            assert next(batch._numbers) < 300, "times that something was sent"
        # of long ones that were sent together, a worker does the first
        long = range(500, 516)
        takes: dict[str, Any] = {str(n): Takes(n, 0.3 if n in long else 0) for n in range(516)}
        with Batch(cluster, OpenSeason(context), takes) as batch:
            ended = [batch.results[name].result() for name in takes]
        assert [number for number, _ in ended] == list(range(516))
        shares = Counter(process for number, process in ended if number in long)
        assert len(shares) == 2
        assert min(shares.values()) >= 5


def test_empty_units_come_back_and_errors_are_ours(
    season: Season, heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = season.open()
    settings = Settings.load(home=season.request.home).model_copy(update={"dask": "local:1"})
    with _taken(8787), claimed(context, "test", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        with cluster_of(settings) as inner:
            assert inner is cluster, "a flow within a flow shares it"
        units: dict[str, Any] = {str(number): EmptyUnit(number) for number in range(40)}
        with Batch(cluster, OpenSeason(context), units) as batch:
            assert {name: future.result() for name, future in batch.results.items()} == {str(n): n for n in range(40)}
        # a unit for a tile that is none: bad input is not tried again, and its error keeps its type
        from flows.worker import CoverUnit

        with Batch(cluster, OpenSeason(context), {"x": CoverUnit("99XXX")}) as batch:
            error = batch.results["x"].exception()
        assert "no acquisition of tile 99XXX can be read" in str(error)
        # what others ended in at the moment in which the store went away is known
        monkeypatch.setattr("flows.engine.RETRY_DELAYS", ())
        with Batch(cluster, OpenSeason(context), _amid(units, "away", WithoutAStore())) as batch:
            ended = dict(batch.ended())
        assert isinstance(ended.pop("away"), StoreUnavailableError)
        assert {str(why) for name, why in ended.items() if why != int(name)} <= {"not tried: what it needs is gone"}
        # a worker whose key was changed fails no unit after the other: it takes none any more
        with Batch(cluster, OpenSeason(context), {"x": WithoutAKey()}) as batch:
            error = batch.results["x"].exception()
        assert str(error).startswith("no worker takes the work: the store does not accept the key")
    assert "the cluster failed" not in heard.messages
    assert worker_processes() == []


def test_without_dask_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    settings = Settings.load(home=tmp_path).model_copy(update={"dask": "local:2"})
    with (
        pytest.raises(ConfigurationError, match=r"Dask is not installed.*pip install 'cropmap\[dask\]'"),
        cluster_of(settings),
    ):
        pass


@pytest.mark.parametrize("value", ["dask", "local:0", "local", "tcp://user:password@host:1", "tcp://host", "host:8786"])
def test_an_address_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_DASK", value)
    with pytest.raises(ConfigurationError, match=r"^CROPMAP_DASK: write local:N"):
        Settings.load()


def never_answers(connection: socket.socket) -> None:
    connection.recv(1)


def speaks_http(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("answer", [never_answers, speaks_http])
def test_what_is_no_scheduler_is_one_line_in_time(
    answer: Callable[[socket.socket], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.engine.CONNECT_SECONDS", 3.0)
    held: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                held.append(listener.accept()[0])
                answer(held[-1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings.load(home=tmp_path).model_copy(update={"dask": address})
        with pytest.raises(ClusterError, match=f"{address}: no Dask scheduler answers.*Check the address") as said:
            within(60, lambda: Cluster(settings).client)
        assert "\n" not in str(said.value)
        listener.shutdown(socket.SHUT_RDWR)
    for one in held:
        one.close()
    settings = settings.model_copy(update={"dask": address.replace("tcp:", "tls:")})
    with pytest.raises(ClusterError, match="no certificate is set"):
        within(60, lambda: Cluster(settings).client)


def within(seconds: float, call: Callable[[], object]) -> None:
    """An endless wait as a failure of the test."""
    done: list[Exception | None] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            done.append(error)
        else:
            done.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert done, "it waits for ever"
    if done[0] is not None:
        raise done[0]


def test_a_scheduler_that_falls_silent_is_given_up(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.engine.CONNECT_SECONDS", 5.0)
    scheduler = machines.scheduler()
    settings = Settings.load(home=tmp_path).model_copy(update={"dask": machines.address})
    with cluster_of(settings) as cluster:
        assert cluster is not None
        assert cluster.workers() == {}
        scheduler.send_signal(signal.SIGSTOP)  # its machine is frozen, or its network gone without a word
        with pytest.raises(TimeoutError):
            within(60, cluster.workers)
        scheduler.kill()


def test_units_share_the_memory_of_their_worker() -> None:
    room, at_once, most = Room(limit=10), 0, [0]
    lock = threading.Lock()

    def unit(size: int) -> None:
        nonlocal at_once
        with room.taken(size):
            with lock:
                at_once += size
                most.append(at_once)
            time.sleep(0.02)
            with lock:
                at_once -= size

    threads = [threading.Thread(target=unit, args=[size]) for size in (4, 4, 4, 25, 4, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert max(most) == 25, "one that is too large for all has its turn"
    assert sorted(set(most) - {25})[-1] <= 10


def test_what_no_unit_can_do_without() -> None:
    full = StoreError("cannot be written", where="observations/x")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/store/x")
    gone = what_is_gone(full)
    assert "the disk is full" in str(gone)
    assert what_is_gone(pickle.loads(pickle.dumps(gone))) is not None  # noqa: S301 - it comes from a worker
    assert what_is_gone(DatabaseUnavailableError("is away")) is not None
    assert what_is_gone(StoreUnavailableError("is away")) is not None
    assert what_is_gone(StoreRefusedError("does not accept the key")) is not None
    assert what_is_gone(StoreError("is not in the store", where="x")) is None
