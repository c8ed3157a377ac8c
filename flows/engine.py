"""Units of work on a Dask cluster (`CROPMAP_DASK`), fed in bounded batches.

A plain client submits units and forgets them: the ledger and the store say what is done, so a unit that is done twice
costs its time and nothing else. In flight are a few units more than the workers have threads, each of them a key and
the agency document; what a unit holds in memory is bounded on its worker (`flows.worker`).
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager, suppress
from typing import Any, Final, NotRequired, TypedDict, TypeVar

from cropmap.errors import ClusterError, ConfigurationError, CropmapError
from cropmap.interruption import settle
from cropmap.logs import FILE_ONLY, take_log
from cropmap.provenance import code_version
from cropmap.settings import Settings
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.work import claim_of
from flows.gone import what_is_gone

VARIABLE: Final = "CROPMAP_DASK"
RETRY_DELAYS: Final = (1.0, 5.0)
"""Seconds before the second and the third try of a unit; a database that restarts is back by then."""
AHEAD: Final = 32
"""units in flight beyond the threads of the workers: they are on their way, there or back. With more than twice as many
as threads, and keys of one group, Dask hands a unit out when a thread is free, and not before"""
TOGETHER: Final = 16
"""most units that are sent together, where they are so short that Dask would take longer than they do"""
TOGETHER_SECONDS: Final = 0.05
"""that units which are sent together may take: a worker begins none of them later"""
LOOK_SECONDS: Final = 1.0
"""between two looks at which workers there are"""
WAIT_SECONDS: Final = 600.0
"""for the first worker, and for another where all have left: a cluster may have to start machines"""
SAY_SECONDS: Final = 20.0
CONNECT_SECONDS: Final = 30.0
"""to reach the scheduler, to reach it again, and for an answer of it"""
CLOSING_SECONDS: Final = 2.0
SELDOM: Final[Mapping[str, Any]] = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.client.scheduler-info-interval": "60s",
    "distributed.scheduler.active-memory-manager.start": False,
}
"""What Dask looks at fifty times a second, ten times and every two seconds. Of a local cluster of two workers that has
nothing to do, this took 11 % of a processor; so it takes 2 %. Workers hold no data that a memory manager could move."""
WORKER_MODULE: Final = "flows.worker"
RUN: Final = f"__import__({WORKER_MODULE!r}, fromlist=['work']).work(order, units, seconds)"
"""what a worker evaluates. A function of ours would be unpacked on arrival, and a worker that cannot import it ends
without a word"""
NOT_OURS: Final = (ImportError, SyntaxError, AttributeError)
"""of a worker without cropmap, or with one that does not fit"""
SAME_VERSION: Final = "Install the command's version of cropmap there, with the extra dask"
GPU: Final = "GPU"
"""the resource that a worker with a GPU is started with"""

R = TypeVar("R")

log = logging.getLogger("cropmap.flows")
record = logging.getLogger(f"cropmap.flows.engine.{FILE_ONLY}")


class Worker(TypedDict):
    """A worker as the scheduler describes it, by the keys that are read here."""

    name: str | int
    nthreads: int
    resources: NotRequired[Mapping[str, float]]


class Cluster:
    """The workers of `CROPMAP_DASK`; a local cluster is started by the first batch. Raises ConfigurationError where
    Dask is not installed."""

    __slots__ = ("_client", "_local", "_settings", "said")  # no __dict__: see OpenSeason

    def __init__(self, settings: Settings) -> None:
        _quiet_distributed()
        self._settings = settings
        self.said: set[str] = set()
        """which workers were named as refused: each batch asks anew"""
        self._client: Any = None
        self._local: Any = None

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> Any:
        from distributed import Client

        # Dask's own waits for a scheduler that never answered when it is forgotten, and prints that
        client: Any = type("QuietClient", (Client,), {"__del__": lambda _: None})
        address = self._settings.dask
        if address.startswith("local:"):
            self._local = _local_cluster(self._settings, int(address.removeprefix("local:")))
            return client(self._local, set_as_default=False)
        try:
            patience = CONNECT_SECONDS - CLOSING_SECONDS
            return _within(CONNECT_SECONDS, lambda: client(address, timeout=patience, set_as_default=False))
        except Exception as error:  # what answers may be no scheduler, and its bytes may mean anything
            if isinstance(error, TypeError) and address.startswith("tls:"):
                why = "no certificate is set"
            else:
                why = _one_line(error) or f"nothing that is understood within {CONNECT_SECONDS:.0f} s"
            raise ClusterError(
                f"no Dask scheduler answers ({why})",
                where=address,
                mend="Check the address; with tls:// also Dask's certificates. Start it, or unset CROPMAP_DASK",
            ) from error

    def workers(self) -> dict[str, Worker]:
        """By address. Not by the client's `scheduler_info`: another thread of it replaces its answer now and then by
        one without workers."""
        client = self.client
        told = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=CONNECT_SECONDS)
        return dict(told["workers"])

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """Of units that have ended. Raises whatever Dask does where a worker has left with one, and TimeoutError."""
        client = self.client
        return list(client.sync(client._gather, futures, callback_timeout=CONNECT_SECONDS))

    def unable(self) -> dict[str, str]:
        """The workers that cannot import our code, by address, and why: what they answer a unit says neither."""
        client, told = self.client, {}
        with suppress(TimeoutError, OSError):  # one that is silent is no answer
            told = client.sync(
                client._run, exec, f"import {WORKER_MODULE}", on_error="return", callback_timeout=CONNECT_SECONDS
            )
        return {address: _one_line(why) for address, why in told.items() if isinstance(why, NOT_OURS)}

    def restore(self, present: int) -> None:
        """Starts what is missing of a local cluster: a worker that was killed while it started is given up by Dask."""
        if self._local is not None and present < len(self._local.worker_spec):
            self._local.scale(len(self._local.worker_spec))

    def close(self) -> None:
        with suppress(Exception):  # whatever a cluster that is gone says of it
            if self._client is not None:
                self._client.close(timeout=2)
        for nanny in list(self._local.workers.values()) if self._local is not None else ():
            with suppress(Exception):  # one that is at something is not waited for: it keeps nothing
                self._local.sync(nanny.kill, timeout=1)
        with suppress(Exception):
            if self._local is not None:
                self._local.close(timeout=30)
        self._client = self._local = None


_opened: dict[str, Cluster] = {}


@contextmanager
def cluster_of(settings: Settings) -> Iterator[Cluster | None]:
    """The cluster of the settings while the block works; that of a longer block is shared. None: units run here."""
    address = settings.dask
    if not address or address in _opened:
        yield _opened.get(address)
        return
    cluster = _opened[address] = Cluster(settings)
    try:
        yield cluster
    finally:
        del _opened[address]
        cluster.close()


def _quiet_distributed() -> None:
    """Imports Dask. What it logs goes into the log file; what matters of it is said in our lines."""
    try:
        import dask

        # workers hold no data of Dask's: there is nothing to spill, and to pause them would stop them for good
        memory = {f"distributed.worker.memory.{name}": False for name in ("target", "spill", "pause")}
        # no pages are served, and nothing is measured for them
        pages: dict[str, Any] = {f"distributed.{one}.http.routes": [] for one in ("scheduler", "worker")}
        pages |= {"distributed.worker.profile.enabled": False}
        dask.config.set({"logging": {"distributed": "critical"}, **memory, **pages, **SELDOM})
        import distributed  # noqa: F401 - after its configuration
    except ImportError as error:
        raise ConfigurationError(
            "Dask is not installed", where=VARIABLE, mend="Install it with `pip install 'cropmap[dask]'`"
        ) from error
    take_log("distributed", into=record)


def _local_cluster(settings: Settings, count: int) -> Any:
    """`count` processes with one thread each, which share the machine's memory with this one. They end with it, and
    speak TLS with a key of their own: no other user of the machine can send them work."""
    from distributed import LocalCluster
    from distributed.security import Security
    from distributed.system import MEMORY_LIMIT

    settle()
    threads = max(1, (os.cpu_count() or 1) // count)
    try:
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls",
            security=Security.temporary(),
            dashboard_address=None,
            # of its HTTP server, which it always has: any free port, because another cluster may have 8787
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            memory_limit=MEMORY_LIMIT // (count + 1),
            env={"CROPMAP_HOME": str(settings.home_path), "CROPMAP_THREADS": str(threads)},
        )
    except (RuntimeError, OSError, TimeoutError) as error:
        take_log("distributed", into=record)
        raise ClusterError(
            f"the workers of this machine do not start ({_one_line(error)})",
            where=VARIABLE,
            mend="Look at the memory that is free, or write a smaller number; then run the same command again",
        ) from error
    take_log("distributed", into=record)
    return cluster


class Batch:
    """Units on their way, each with a future of its result by name; a thread feeds them until the block ends."""

    __slots__ = (
        "_accepted", "_cluster", "_done", "_flying", "_group", "_known", "_later", "_numbers", "_order", "_refusals",
        "_said", "_seen_at", "_stop", "_stopped_by", "_thread", "_together", "_tries", "_units", "_waiting", "results",
    )  # fmt: skip

    def __init__(self, cluster: Cluster, season: OpenSeason, units: Mapping[str, Any]) -> None:
        self._cluster, self._units = cluster, units
        self.results: dict[str, Future[Any]] = {name: Future() for name in units}
        self._waiting = deque(units)
        self._later: list[tuple[float, str]] = []
        self._group, self._numbers = uuid.uuid4().hex, itertools.count()
        self._flying: dict[Any, tuple[list[str], Any]] = {}
        """key -> names, Dask's future"""
        self._together = 1
        """units that are sent together, as many as the last ones allow"""
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tries: Counter[str] = Counter()
        self._known: set[str] = set()
        self._accepted: dict[str, Worker] = {}
        self._refusals: dict[str, CropmapError] = {}
        self._seen_at = time.monotonic()
        self._said = 0.0
        self._stop, self._stopped_by = threading.Event(), "the command stopped before"
        self._order = _order_of(season, readers=sum(int(worker["nthreads"]) for worker in self._workers().values()))
        self._thread = threading.Thread(target=self._feed, name="cluster", daemon=True)

    def __enter__(self) -> Batch:
        self._cluster.client  # noqa: B018 - an error of the connection belongs to the caller
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def ended(self) -> Iterator[tuple[str, Any]]:
        """(name, result or error) of each unit as it ends."""
        names = {future: name for name, future in self.results.items()}
        for future in as_completed(names):
            yield names[future], future.exception() or future.result()

    def _feed(self) -> None:
        try:
            self._drive()
        except CropmapError as error:
            self._fail_the_rest(error)
        except Exception as error:
            record.exception("the cluster failed")
            self._fail_the_rest(ClusterError(f"Dask failed ({type(error).__name__}: {_one_line(error)})"))
        finally:
            self._fail_the_rest(CropmapError(f"not tried: {self._stopped_by}"))
            with suppress(Exception):
                self._cluster.client.cancel([future for _, future in self._flying.values()], force=True)

    def _fail_the_rest(self, error: CropmapError) -> None:
        for future in self.results.values():
            if not future.done():
                future.set_exception(error)

    def _drive(self) -> None:
        looked = 0.0
        while (self._waiting or self._later or self._flying) and not self._stop.is_set():
            now = time.monotonic()
            if now - looked > LOOK_SECONDS:
                looked = now
                self._look(now)
            due = [name for when, name in self._later if when <= now]
            self._later = [(when, name) for when, name in self._later if when > now]
            self._waiting.extend(due)
            self._submit()
            self._collect()

    def _submit(self) -> None:
        from flows.worker import packed

        room = self._room()
        preferred = list(self._accepted) if self._refusals else None
        while self._waiting and len(self._flying) < room:
            names = self._next()
            units = [packed(self._units[name]) for name in names]
            kind = type(self._units[names[0]]).__name__.removesuffix("Unit").lower()
            future = self._cluster.client.submit(
                eval,
                RUN,
                {"order": self._order, "units": units, "seconds": TOGETHER_SECONDS},
                key=(f"{kind}-{self._group}", next(self._numbers)),
                pure=False,
                workers=preferred,
                allow_other_workers=bool(preferred),
                resources=self._resources(),
            )
            self._flying[future.key] = names, future
            future.add_done_callback(lambda done: self._done.put(done.key))

    def _next(self) -> list[str]:
        """Units that are sent together: of one kind, and of those that have failed each alone."""
        names = [self._waiting.popleft()]
        wanted = 1 if self._tries[names[0]] else min(self._together, 1 + len(self._waiting) // self._threads())
        kind = type(self._units[names[0]])
        while len(names) < wanted and not self._tries[self._waiting[0]] and type(self._units[self._waiting[0]]) is kind:
            names.append(self._waiting.popleft())
        return names

    def _threads(self) -> int:
        return sum(int(worker["nthreads"]) for worker in self._accepted.values())

    def _room(self) -> int:
        threads = self._threads()
        return threads + max(AHEAD, threads + 1) if threads else 0

    def _resources(self) -> dict[str, int] | None:
        """Folds go to GPUs where workers have some."""
        from flows.worker import FoldUnit

        if not isinstance(next(iter(self._units.values())), FoldUnit):
            return None
        with_gpu = any(worker.get("resources", {}).get(GPU, 0) >= 1 for worker in self._accepted.values())
        return {GPU: 1} if with_gpu else None

    def _collect(self) -> None:
        """Takes what has ended; waits a moment for the first."""
        keys: list[Any] = []
        with suppress(queue.Empty):
            keys.append(self._done.get(timeout=0.2))
            while True:
                keys.append(self._done.get_nowait())
        ended = [(*self._flying.pop(key), key) for key in dict.fromkeys(keys) if key in self._flying]
        whole = [future for _, future, _ in ended if future.status == "finished"]
        outcomes: dict[Any, Any] = {}
        with suppress(Exception):  # of a worker that left between its unit's end and now: the unit is found done
            outcomes = dict(zip((f.key for f in whole), self._cluster.results(whole), strict=True))
        for names, future, key in ended:
            if key in outcomes:
                self._take_all(names, outcomes[key])
            elif future.status == "error":
                self._fail(names, future.exception())
            else:
                self._waiting.extendleft(reversed(names))

    def _take_all(self, names: Sequence[str], outcomes: Sequence[Any]) -> None:
        """Of units that were sent together; those without an outcome were not begun."""
        self._waiting.extendleft(reversed(names[len(outcomes) :]))
        for name, outcome in zip(names, outcomes, strict=False):
            self._take(name, outcome)
        longest = max(outcome.seconds for outcome in outcomes)
        self._together = max(1, min(TOGETHER, int(TOGETHER_SECONDS / max(longest, 0.001))))

    def _take(self, name: str, outcome: Any) -> None:
        unit, on = self._units[name], f"on {outcome.worker}"
        if outcome.refused:
            self._refuse(outcome.worker, outcome.error)
            self._waiting.appendleft(name)
        elif outcome.error is None:
            record.info("%s: %s (%.1f s %s)", unit, outcome.result, outcome.seconds, on)
            self.results[name].set_result(outcome.result)
        else:
            record.warning("%s failed after %.1f s %s: %s", unit, outcome.seconds, on, outcome.error)
            self._try_again(name, outcome.error, final=outcome.final)

    def _refuse(self, address: str, error: CropmapError) -> None:
        if address not in self._cluster.said:
            self._cluster.said.add(address)
            log.error("%s takes no work: %s", address, error)
        self._refusals[address] = error
        self._accepted.pop(address, None)

    def _fail(self, names: Sequence[str], why: BaseException | None) -> None:
        """Of units that ended in an error of Dask's, or of a worker without our code."""
        if not isinstance(why, NOT_OURS):
            for name in names:
                self._try_again(name, _of_dask(why), final=_is_killer(why) and self._tries[name] > 0)
            return
        unable = self._cluster.unable()
        for address, missing in unable.items():
            error = ConfigurationError(f"cannot run cropmap ({missing})", where=f"worker {address}", mend=SAME_VERSION)
            self._refuse(address, error)
        if unable:
            self._waiting.extendleft(reversed(names))
            return
        for name in names:
            self._try_again(name, _of_dask(why))

    def _try_again(self, name: str, error: CropmapError, *, final: bool = False) -> None:
        tried = self._tries[name]
        self._tries[name] += 1
        if tried < len(RETRY_DELAYS) and not final:
            self._later.append((time.monotonic() + RETRY_DELAYS[tried], name))
            return
        self.results[name].set_exception(error)
        if what_is_gone(error):
            self._stopped_by = "what it needs is gone"
            self._stop.set()

    def _look(self, now: float) -> None:
        """Which workers there are. Raises ClusterError where there is none for long, or no scheduler; the refusal where
        all workers refuse."""
        workers = self._workers()
        for address in sorted(self._known - set(workers)):
            log.warning("worker %s has left; what it was at is done again", address)
        self._known = set(workers)
        self._cluster.restore(len(workers))
        had_gpu = self._resources()
        self._accepted = {address: worker for address, worker in workers.items() if address not in self._refusals}
        if had_gpu and not self._resources():
            self._requeue()
        if self._accepted:
            self._seen_at = now
            return
        if self._refusals and workers:
            why = next(iter(self._refusals.values()))
            raise ClusterError(f"no worker takes the work: {why.what}", where=why.where, mend=why.mend) from why
        where = self._cluster.client.scheduler.address
        if now - self._seen_at > WAIT_SECONDS:
            raise ClusterError(f"has had no worker for {WAIT_SECONDS:.0f} s", where=where, mend="Start workers")
        if now - self._said > SAY_SECONDS:
            self._said = now
            log.info("waiting for a worker of %s", where)

    def _workers(self) -> dict[str, Worker]:
        """By address. Raises ClusterError where there is no scheduler for long."""
        until, error = time.monotonic() + CONNECT_SECONDS, None
        while time.monotonic() < until and not self._stop.is_set():
            if (status := self._cluster.client.status) == "running":
                try:
                    return self._cluster.workers()
                except (OSError, ValueError, TimeoutError) as failed:  # noticed before the client does
                    error = failed
            elif status != "connecting":
                break
            time.sleep(0.2)
        raise ClusterError(
            "the Dask scheduler does not answer any more",
            where=VARIABLE,
            mend="Start it, then run the same command again",
        ) from error

    def _requeue(self) -> None:
        """What was submitted cannot run any more as it was."""
        for names, future in self._flying.values():
            future.cancel()
            self._waiting.extendleft(reversed(names))
        self._flying.clear()


def _order_of(season: OpenSeason, *, readers: int) -> bytes:
    """What the units of a batch have in common, packed; the store is marked with it."""
    from flows.worker import Order, packed, write_marker

    context = season.context
    if (claim := claim_of(context)) is None:
        raise ClusterError("units are sent under a claim alone", where=f"agency {context.agency.agency}")
    marker = uuid.uuid4().hex
    write_marker(context.store, claim.work, marker)
    return packed(
        Order(
            agency=context.agency.model_dump_json(),
            providers=tuple(provider.model_dump_json() for provider in context.agency.providers()),
            season=context.season.year,
            as_of=context.as_of,
            architecture=context.architecture,
            claim=claim.work,
            marker=marker,
            code_version=code_version(),
            readers=readers,
        )
    )


def _within(seconds: float, call: Callable[[], R]) -> R:
    """What `call` returns, which some servers make wait for ever. Raises what it raises, and TimeoutError."""
    answer: Future[R] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="connecting", daemon=True).start()
    return answer.result(seconds)


def _of_dask(error: BaseException | None) -> CropmapError:
    """What Dask itself says of a unit: above all that the workers that had it died."""
    if _is_killer(error):
        return CropmapError("the workers that had it died, one after the other", mend="Look at their memory")
    return CropmapError(f"{type(error).__name__}: {_one_line(error)}")


def _is_killer(error: BaseException | None) -> bool:
    """Whether Dask gave a unit up with which worker after worker died: four, unless the scheduler's settings say
    otherwise. It is tried once more, because workers also die of something else, and a unit may be there by chance. A
    third try would cost as many again, and a machine without a nanny starts none anew."""
    return type(error).__name__ == "KilledWorker"


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
