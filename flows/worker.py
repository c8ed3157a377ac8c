"""A unit of work on a worker of a Dask cluster: what is sent to it, and what it does.

A unit carries the agency document, the season and keys; never an address, a path or a secret. The worker opens the
season by its own settings, once for all units of a batch, and takes units for its own database and store alone. It
needs no Prefect and no MLflow.
"""

from __future__ import annotations

import logging
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final, Protocol

import psutil
from distributed import get_worker

from cropmap.agency import Agency
from cropmap.database.work import Work, held_claim, is_claimed
from cropmap.errors import BusyError, ConfigurationError, CropmapError, InputError, StoreRefusedError
from cropmap.logs import FILE_ONLY, log_on_worker, take_log
from cropmap.masking import mask_logs
from cropmap.observations.coverage import TileCoverage
from cropmap.provenance import code_version
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.sources.catalogs.sign_in import pace
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.store import Store
from flows.gone import what_is_gone
from flows.leases import Leases

record = logging.getLogger(f"cropmap.flows.worker.{FILE_ONLY}")

MARKER: Final = "cluster"
"""first part of the name of the object that says which command a store's workers work for"""
KEPT_COVERAGES: Final = 2
"""tiles that a worker holds at a time: units come tile by tile"""
MEMORY_SHARE: Final = 0.5
"""of a worker's memory that the units at work may take together; the rest is for what stays"""
CELL_BYTES: Final = 24
"""what a covered pixel costs beside its band: position, weight, value"""


@dataclass(frozen=True)
class Order:
    """What all units of a batch have in common."""

    agency: str = field(repr=False)
    """the checked agency document, as JSON"""
    providers: tuple[str, ...]
    """of the catalogues that it names, as JSON: their files are not on the worker's machine"""
    season: int
    as_of: date | None
    architecture: Architecture
    claim: Work
    """under which the units work: it stands in the driver's database, and in no other"""
    marker: str
    """what the driver's store holds at this moment, and no other"""
    code_version: str
    readers: int
    """threads of all workers, which share what a catalogue allows"""


@dataclass(frozen=True)
class Outcome:
    """How a unit ended."""

    seconds: float
    worker: str
    """its address in the cluster"""
    result: Any = None
    error: CropmapError | None = None
    refused: bool = False
    """this worker takes no unit of the batch"""
    final: bool = False
    """another try would end the same"""


class Unit(Protocol):
    """A piece of work that may be done twice: the second time finds it done."""

    def run(self, season: OpenSeason, claim: Work, /) -> Any: ...


@dataclass(frozen=True)
class ObserveUnit:
    item_id: str
    tile: str
    parcel_set: str

    def __str__(self) -> str:
        return f"observe {self.item_id}"

    def run(self, season: OpenSeason, claim: Work, /) -> str:
        @contextmanager
        def writing() -> Iterator[None]:
            with season.context.connect() as connection, held_claim(connection, claim):
                yield

        try:
            with _room_for(season, self.tile, self.parcel_set):
                return str(ingest.observe_acquisition(season, self.item_id, self.parcel_set, writing=writing))
        finally:
            ingest.note_bytes_read(season.context, at=datetime.now(UTC))


@dataclass(frozen=True)
class CoverUnit:
    tile: str

    def __str__(self) -> str:
        return f"cover {self.tile}"

    def run(self, season: OpenSeason, _claim: Work, /) -> str:
        try:
            return ingest.cover_tile(season, self.tile)
        finally:
            season.coverages.clear()


@dataclass(frozen=True)
class FoldUnit:
    job: Any
    """a FoldJob: torch is imported where one is run"""

    def __str__(self) -> str:
        return f"{self.job.config.architecture} fold {self.job.fold + 1}"

    def run(self, season: OpenSeason, _claim: Work, /) -> float:
        return float(self.job.train(season.context.store))


@dataclass(frozen=True)
class PredictUnit:
    """Another worker that still has it in hand would write the same bytes: no claim is held."""

    job: Any
    """a PartJob: ONNX Runtime is imported where one is run"""

    def __str__(self) -> str:
        return f"predict {self.job}"

    def run(self, season: OpenSeason, _claim: Work, /) -> str:
        from cropmap.dataset.shared import shared_dataset
        from cropmap.predictions.predict import load_artifact

        context, job = season.context, self.job
        artifact = season.once(f"artifact {job.artifact_id}", lambda: load_artifact(context.store, job.artifact_id))
        series = shared_dataset(context.store, job.dataset).series
        return str(job.score(context.store, series, artifact, threads=1))  # a unit has one of the worker's threads


@dataclass(frozen=True)
class EmptyUnit:
    """Does nothing: what a unit costs beside its work."""

    number: int

    def __str__(self) -> str:
        return f"unit {self.number}"

    def run(self, _season: OpenSeason, _claim: Work, /) -> int:
        return self.number


class RefusedError(ConfigurationError):
    """This worker is not one that the driver's units are for."""


def packed(part: Order | Unit) -> bytes:
    """As it is sent: the scheduler, which takes apart what it can, need not know what it is."""
    return pickle.dumps(part)


def work(order: bytes, units: list[bytes], seconds: float) -> list[Outcome]:
    """Runs packed units one after the other, and begins none after `seconds`: those without an outcome go to whichever
    worker is free."""
    until, outcomes = time.monotonic() + seconds, list[Outcome]()
    for unit in units:
        outcomes.append(_done(order, unit))
        if outcomes[-1].refused or time.monotonic() > until:
            break
    return outcomes


def _done(order: bytes, unit: bytes) -> Outcome:
    """How one packed unit ends. Every error comes back as one of ours, in one line and without a secret: what is raised
    here would be logged and sent as it is."""
    started, me = time.monotonic(), get_worker().address

    def ended(**how: Any) -> Outcome:
        return Outcome(time.monotonic() - started, me, **how)

    try:
        claim, season = _opened(order)
    except Exception as error:
        return ended(error=_ours(error), refused=True)
    todo: Unit = pickle.loads(unit)  # noqa: S301 - from the driver, whose code this is
    record.info("%s begins", todo)
    try:
        result = todo.run(season, claim)
    except Exception as error:
        ours = _ours(error)
        record.warning("%s failed after %.1f s: %s", todo, time.monotonic() - started, ours)
        if isinstance(ours, StoreRefusedError):  # its own key, which another worker need not have
            return ended(error=ours, refused=True)
        return ended(error=ours, final=isinstance(error, InputError | BusyError))
    record.info("%s: %s (%.1f s)", todo, result, time.monotonic() - started)
    return ended(result=result)


def _ours(error: Exception) -> CropmapError:
    if (gone := what_is_gone(error)) is not None:
        return gone
    if isinstance(error, CropmapError):
        return error
    return CropmapError(f"{type(error).__name__}: {' '.join(str(error).split())}")


# --- the open season of this process ---

_lock = threading.Lock()
_held: tuple[bytes, Work, OpenSeason] | None = None


def _opened(packed_order: bytes) -> tuple[Work, OpenSeason]:
    """The claim of the order and its season: one a process, opened anew for another batch."""
    global _held
    with _lock:
        if _held is None or _held[0] != packed_order:
            _held = None  # the former one's memory first
            order: Order = pickle.loads(packed_order)  # noqa: S301 - from the driver, whose code this is
            _held = packed_order, order.claim, _open(order)
        return _held[1], _held[2]


def _open(order: Order) -> OpenSeason:
    settings = Settings.load()
    mask_logs()
    log_on_worker(settings.home_path, str(get_worker().name))
    take_log("distributed", into=record)
    if code_version() != order.code_version:
        raise RefusedError(
            f"runs cropmap {code_version()}, and the command {order.code_version}",
            where=f"worker on {socket.gethostname()}",
            mend="Install the same version on both",
        )
    context = SeasonContext.of_worker(
        settings,
        Agency.received(order.agency, providers=order.providers),
        season=order.season,
        as_of=order.as_of,
        architecture=order.architecture,
    )
    with context.connect() as connection:
        if not is_claimed(connection, order.claim):
            raise _elsewhere("database", "CROPMAP_DATABASE_URL")
    if context.store.recall(marker_name(order.claim), bytes) != order.marker.encode():
        raise _elsewhere("store", "CROPMAP_STORE")
    pace.share(_leases().lease, readers=order.readers)
    ingest.note_bytes_read(context, at=datetime.now(UTC), begins=True)
    return OpenSeason(context)


@cache
def _leases() -> Leases:
    return Leases()


def _elsewhere(what: str, variable: str) -> RefusedError:
    return RefusedError(
        f"its {what} is not that of the command",
        where=f"worker on {socket.gethostname()}",
        mend=f"Give the worker the {variable} of the command",
    )


def marker_name(claim: Work) -> str:
    return f"{MARKER}/{claim.agency}"


def write_marker(store: Store, claim: Work, marker: str) -> None:
    store.write_bytes(marker_name(claim), marker.encode())


# --- memory ---


class Room:
    """Bytes that the units of this process take at a time; one that alone takes more than all waits for the others."""

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self.limit)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


_room = Room()


@contextmanager
def _room_for(season: OpenSeason, tile: str, parcel_set: str) -> Iterator[None]:
    """The share of memory of a unit of the tile: the largest band of its window, and what its covered pixels need."""
    with _lock:
        coverage = ingest.covered(season, tile, parcel_set)
        season.coverages[tile, parcel_set] = season.coverages.pop((tile, parcel_set), coverage)  # now the last one
        while len(season.coverages) > KEPT_COVERAGES:
            season.coverages.pop(next(iter(season.coverages)))
        _room.limit = int(_memory_bytes() * MEMORY_SHARE)
    with _room.taken(unit_bytes(coverage)):
        yield


def unit_bytes(coverage: TileCoverage) -> int:
    return 2 * coverage.fine.window.size + CELL_BYTES * len(coverage.fine.cells)


def _memory_bytes() -> int:
    """Of this worker: what Dask gives it, else the machine's."""
    return int(get_worker().memory_manager.memory_limit or psutil.virtual_memory().total)
