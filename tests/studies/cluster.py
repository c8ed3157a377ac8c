"""What a Dask cluster costs and gives, on workers of this machine: `python -m tests.studies cluster`.

Parts: `overhead` (units that do nothing), `speed` (one worker beside two, in units of observe), `kills` (workers killed
at random moments: rows as without a cluster, units done again).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from cropmap.database import embedded
from cropmap.database.connection import connect
from cropmap.settings import Settings, keep_quiet
from cropmap.simulation.season import simulate_season
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.work import claimed
from flows.engine import Batch, Cluster, cluster_of
from flows.worker import CoverUnit, EmptyUnit, ObserveUnit

YEAR: Final = 2018
PARTS: Final = ("overhead", "speed", "kills")
BEGINS: Final = re.compile(r" observe (\S+) begins$", re.MULTILINE)


def measure(parts: list[str], *, units: int, parcels: int, dates: int, quick: bool) -> list[dict[str, Any]]:
    """One row a figure."""
    rows: list[dict[str, Any]] = []
    with _season(parcels=220 if quick else parcels, dates=3 if quick else dates) as (context, home):
        if "overhead" in parts:
            rows += [overhead(context, home, count=units // 20 if quick else units, workers=2)]
        if "speed" in parts:
            rows += speed(context, home)
        if "kills" in parts:
            rows += [kills(context, home, workers=n, count=3 if quick else 10) for n in ((2,) if quick else (1, 2, 4))]
    return [{**row, "load": f"{os.getloadavg()[0]:.1f}"} for row in rows]


@contextmanager
def _season(*, parcels: int, dates: int) -> Iterator[tuple[SeasonContext, Path]]:
    """A simulated season whose register is loaded and whose catalogue is searched, in a home of its own."""
    folder = Path(tempfile.mkdtemp(prefix="cropmap-cluster-", dir="/tmp"))
    folder.chmod(0o711)
    home = folder / "home"
    try:
        simulate_season(folder / "inputs", parcels=parcels, seed=3, season=YEAR, dates=dates)
        settings = Settings.load(home=home)
        settings.make_home()
        keep_quiet(home)
        context = SeasonContext.open(settings, folder / "inputs" / "agency.yaml", season=YEAR, create=True)
        ingest.load_declarations(context, loaded_at=datetime.now(UTC))
        ingest.search_catalog(OpenSeason(context))
        yield context, home
    finally:
        embedded.remove(home)
        shutil.rmtree(folder)


@contextmanager
def _workers(context: SeasonContext, home: Path, count: int) -> Iterator[Cluster]:
    settings = Settings.load(home=home).model_copy(update={"dask": f"local:{count}"})
    with claimed(context, "study", clock=lambda: datetime.now(UTC)), cluster_of(settings) as cluster:
        assert cluster is not None
        run(cluster, context, {str(n): EmptyUnit(n) for n in range(4 * count)})  # imports and connections
        yield cluster


def run(cluster: Cluster, context: SeasonContext, units: Mapping[str, Any]) -> dict[str, Any]:
    """Results by name. Raises the first error."""
    with Batch(cluster, OpenSeason(context), units) as batch:
        return {name: future.result() for name, future in batch.results.items()}


def overhead(context: SeasonContext, home: Path, *, count: int, workers: int) -> dict[str, Any]:
    """Milliseconds of a unit that does nothing: of the clock, and of processors, which others on the machine do not
    change."""
    with _workers(context, home, workers) as cluster:
        started, used = time.perf_counter(), processor_seconds()
        results = run(cluster, context, {str(n): EmptyUnit(n) for n in range(count)})
        seconds, used = time.perf_counter() - started, processor_seconds() - used
    assert sorted(results.values()) == list(range(count))
    return {
        "what": f"an empty unit, {count} of them, {workers} workers",
        "figure": f"{1000 * seconds / count:.2f} ms (processors: {1000 * used / count:.2f} ms)",
        "target": "<= 5 ms",
    }


def processor_seconds() -> float:
    """Of this process, which has the scheduler, and of its workers."""
    all_of_it = [psutil.Process().cpu_times(), *(one.cpu_times() for one in worker_processes())]
    return sum(float(times.user + times.system) for times in all_of_it)


def pending(context: SeasonContext, cluster: Cluster) -> dict[str, Any]:
    """The units of observe that are left, tile by tile."""
    season = OpenSeason(context)
    sets = run(cluster, context, {tile: CoverUnit(tile) for tile in ingest.season_tiles(season)})
    left = ingest.pending_acquisitions(season, sets)
    return {item: ObserveUnit(item, tile, sets[tile]) for item, tile in sorted(left.items(), key=lambda one: one[1])}


def forget(context: SeasonContext) -> None:
    """Removes every observation, so that all are made again."""
    for name in context.store.names("observations"):
        context.store.remove(name)


def speed(context: SeasonContext, home: Path) -> list[dict[str, Any]]:
    """Seconds of all units of observe with one worker and with two; and with as many processes without a cluster, which
    is what this machine gives."""
    seconds: dict[int, float] = {}
    busiest: dict[int, float] = {}
    for count in (1, 2):
        forget(context)
        with _workers(context, home, count) as cluster:
            units = pending(context, cluster)
            before = {one.pid: one.cpu_times() for one in worker_processes()}
            started = time.perf_counter()
            run(cluster, context, units)
            seconds[count] = time.perf_counter() - started
            after = {one.pid: one.cpu_times() for one in worker_processes()}
            busiest[count] = max(sum(after[pid][:2]) - sum(before[pid][:2]) for pid in before)
    alone = {count: bare_processes(context, home, units, count) for count in (1, 2)}
    return [
        {
            "what": f"{len(units)} units of observe, two processes to one ({alone[1]:.1f} s, {alone[2]:.1f} s)",
            "figure": f"{alone[1] / alone[2]:.2f} x",
            "target": "what two workers can reach",
        },
        {
            "what": f"{len(units)} units of observe, two workers to one ({seconds[1]:.1f} s, {seconds[2]:.1f} s)",
            "figure": f"{seconds[1] / seconds[2]:.2f} x (processor of the busiest: {busiest[1] / busiest[2]:.2f} x)",
            "target": ">= 1.8 x",
        },
    ]


def bare_processes(context: SeasonContext, home: Path, units: Mapping[str, ObserveUnit], count: int) -> float:
    """Seconds of the same units in `count` processes that share nothing, each with the season open before."""
    forget(context)
    opened = (_Opened, (home, context.agency.file, context.season.year))
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), *opened) as pool:
        list(pool.map(_wait, range(count)))
        started = time.perf_counter()
        list(pool.map(_observe, units.values()))
        return time.perf_counter() - started


class _Opened:
    """The season of a process."""

    season: OpenSeason

    def __init__(self, home: Path, file: Path, year: int) -> None:
        _Opened.season = OpenSeason(SeasonContext.open(Settings.load(home=home), file, season=year))
        for tile in ingest.season_tiles(_Opened.season):
            ingest.cover_tile(_Opened.season, tile)


def _wait(_: int) -> None:
    """So long that each process is started."""
    time.sleep(1)


def _observe(unit: ObserveUnit) -> None:
    ingest.observe_acquisition(_Opened.season, unit.item_id, unit.parcel_set)


def kills(context: SeasonContext, home: Path, *, workers: int, count: int) -> dict[str, Any]:
    """Observes all while workers are killed at random moments; beside what this process observes alone."""
    forget(context)
    season = OpenSeason(context)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    for item, tile in ingest.pending_acquisitions(season, sets).items():
        ingest.observe_acquisition(season, item, sets[tile])
    wanted = observed(context)
    forget(context)
    for log in (home / "logs").glob("worker-*.log"):
        log.unlink()
    with _workers(context, home, workers) as cluster:
        units = pending(context, cluster)
        with Batch(cluster, OpenSeason(context), units) as batch, killing(batch.results, count=count) as killed:
            for future in batch.results.values():
                future.result()
    assert observed(context) == wanted, "other rows than without a cluster"
    again = begun_again(home)
    assert again <= len(killed), "a worker that was killed had one unit"
    return {
        "what": f"{len(units)} units of observe, {workers} workers, {len(killed)} kill -9: rows equal; done again",
        "figure": str(again),
        "target": f"<= {len(killed)}",
    }


@contextmanager
def killing(units: Mapping[str, Future[Any]], *, count: int, seed: int = 0) -> Iterator[list[int]]:
    """Kills worker processes at so many random moments between the first unit's beginning and the last one's end;
    yields their numbers."""
    killed: list[int] = []
    stop, chance = threading.Event(), random.Random(seed)  # noqa: S311
    after = sorted(chance.randrange(len(units)) for _ in range(count))

    def kill() -> None:
        for done in after:
            while sum(unit.done() for unit in units.values()) < done:
                if stop.wait(0.01):
                    return
            if stop.wait(chance.uniform(0, 0.5)):
                return
            if processes := worker_processes():
                victim = chance.choice(processes)
                victim.kill()
                killed.append(victim.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def worker_processes() -> list[psutil.Process]:
    """Of this process's local cluster."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # killed a moment ago
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def begun_again(home: Path) -> int:
    """Units that were begun more than once, each time after the first counted."""
    lines = "".join(log.read_text() for log in sorted((home / "logs").glob("worker-*.log*")))
    return sum(times - 1 for times in Counter(BEGINS.findall(lines)).values())


def observed(context: SeasonContext) -> tuple[dict[str, bytes], list[str]]:
    """Every observation file, and every row of the ledger."""
    with connect(context.database_url) as connection:
        rows = connection.execute("SELECT to_jsonb(t)::text FROM acquisition t").fetchall()
    store = context.store
    return {name: store.read_bytes(name) for name in store.names("observations")}, sorted(row[0] for row in rows)
