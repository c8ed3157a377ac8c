"""Units of work on Prefect: submit all, keep what succeeds, name what fails. One line in the log for each."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import deployment
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from cropmap.errors import CropmapError, InputError, PartialFailureError
from cropmap.interruption import hold_if_begun
from cropmap.logs import FILE_ONLY
from cropmap.masking import masked
from cropmap.progress import Counter as Progress
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.work import claimed as claim
from flows.engine import RETRY_DELAYS, Batch, Cluster
from flows.gone import what_is_gone

P = ParamSpec("P")
R = TypeVar("R")

WORKERS: Final = os.cpu_count() or 1

log = logging.getLogger("cropmap.flows")
record = logging.getLogger(f"cropmap.flows.{FILE_ONLY}")

_hopeless = threading.Event()
"""set when what every unit needs is gone: those that wait are not tried one by one"""


@contextmanager
def claimed(context: SeasonContext, task: str) -> Iterator[None]:
    """The agency is ours while the block works. A run of a schedule waits for its turn; a person is told who works."""
    _hopeless.clear()
    with claim(context, task, clock=lambda: datetime.now(UTC), wait=deployment.id is not None):
        yield


def runner(threads: int = WORKERS) -> TaskRunner[PrefectFuture[Any]]:
    """Threads: decoding and sparse products release the interpreter lock."""
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=threads))


def unit(name: str, run_name: str | None = None, *, retried: bool = True) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task with the retries of this house, unless what it waits for is `retried` elsewhere. Our own store and ledger
    know what is done, so Prefect caches nothing; bad input does not get better by trying again."""

    def worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
        return not (_hopeless.is_set() or isinstance(state.result(raise_on_failure=False), InputError))

    def made(function: Callable[P, R]) -> Task[P, R]:
        return task(
            name=name,
            task_run_name=run_name or name,
            retries=len(RETRY_DELAYS) if retried else 0,
            retry_delay_seconds=list(RETRY_DELAYS) if retried else None,
            retry_condition_fn=worth_a_retry,
            cache_policy=NO_CACHE,
        )(_without_secrets(_logged(function, name, run_name or name)))

    return made


def _without_secrets(stage: Callable[P, R]) -> Callable[P, R]:
    """Prefect keeps what a unit failed of: an error of somebody else's library that holds a secret is told anew."""

    @functools.wraps(stage)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return stage(*args, **kwargs)
        except CropmapError:
            raise
        except Exception as error:
            if (hidden := masked(str(error))) == str(error):
                raise
            raise CropmapError(f"unexpected {type(error).__name__}: {hidden}") from None

    return run


def _logged(function: Callable[P, R], name: str, run_name: str) -> Callable[P, R]:
    """A line for every try: of a stage also before the person, of its many units in the file alone."""

    bound = inspect.signature(function)

    @functools.wraps(function)
    def tried(*arguments: P.args, **named: P.kwargs) -> R:
        if _hopeless.is_set():
            raise CropmapError("not tried: what it needs is gone")
        bound_arguments = bound.bind(*arguments, **named).arguments
        what = f"{run_name.format_map(bound_arguments)} of {_season(bound_arguments.values())}"
        record.info("%s begins", what)
        started = time.monotonic()
        try:
            result = function(*arguments, **named)
        except Exception as error:
            hold_if_begun()
            record.warning("%s failed after %.1f s: %s", what, time.monotonic() - started, one_line(error))
            raise
        line = log if name == run_name or isinstance(result, Mapping) else record
        line.info("%s: %s (%.1f s)", what, _shown(result), time.monotonic() - started)
        return result

    return tried


def _season(arguments: Iterable[Any]) -> str:
    contexts = (part.context if isinstance(part, OpenSeason) else part for part in arguments)
    context = next((part for part in contexts if isinstance(part, SeasonContext)), None)
    return f"{context.agency.agency} {context.season.year}" if context else "a season"


def _shown(result: Any) -> str:
    """Counts and words of a result on one line; of a table the sums of what it counts."""
    if isinstance(result, Mapping):
        plain = {key: value for key, value in result.items() if value and isinstance(value, str | int | float)}
        return ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in plain.items()) or "done"
    if isinstance(result, list):
        counted = [key for key, value in (result[0] if result else {}).items() if isinstance(value, int)]
        return ", ".join(f"{key} {sum(row[key] for row in result)}" for key in counted) or "done"
    return str(result)


def gather(
    futures: Mapping[str, PrefectFuture[R]],
    *,
    units: str,
    description: str = "",
    done: Callable[[str, Any], None] | None = None,
) -> dict[str, R]:
    """Results by name. Waits for every unit; raises PartialFailureError that names those that failed. `done` is called
    with the name and the result or error of each unit; without it they are counted here."""
    if done is None:
        with Progress(description, total=len(futures), unit=units) as counter:
            return gather(futures, units=units, done=lambda *_: counter.add())
    names = {future.task_run_id: name for name, future in futures.items()}
    ended = (
        (names[future.task_run_id], future.result(raise_on_failure=False))
        for future in as_completed(list(futures.values()))
    )
    return _collected(ended, total=len(futures), units=units, done=done)


def _collected(
    ended: Iterable[tuple[str, R | BaseException]], *, total: int, units: str, done: Callable[[str, Any], None]
) -> dict[str, R]:
    """Results by name of units that end one after the other; `done` is told of each. Raises for those that failed, at
    the end of all."""
    results: dict[str, R] = {}
    failed: dict[str, str] = {}
    gone: CropmapError | None = None
    for name, result in ended:
        if isinstance(result, BaseException):
            failed[name] = one_line(result)
            gone = gone or what_is_gone(result)
            if gone:
                _hopeless.set()
        else:
            results[name] = result
        done(name, result)
    if gone:
        raise type(gone)(
            gone.what, where=gone.where, mend=f"{len(results)} of {total} {units} are done and kept. {gone.mend}"
        ) from gone
    if failed:
        raise PartialFailureError(failed, of=total, unit=units, mend="Run the same command again")
    return results


def gather_from_cluster(
    cluster: Cluster,
    season: OpenSeason,
    units: Mapping[str, Any],
    *,
    watched: Task[..., str],
    groups: Mapping[str, Collection[str]],
    of: str,
    description: str = "",
    done: Callable[[str, Any], None] | None = None,
) -> None:
    """Has the cluster's workers do units; waits for every one and raises as `gather` does. Prefect keeps one task for
    each group of units, `watched`: it waits for them. `done` is called with the name and the result or error of each
    unit; without it they are counted here."""
    if not units:
        return
    if done is None:
        with Progress(description, total=len(units), unit=of) as counter:
            gather_from_cluster(
                cluster, season, units, watched=watched, groups=groups, of=of, done=lambda *_: counter.add()
            )
        return
    with runner(len(groups)) as tasks, Batch(cluster, season, units) as batch:
        runs = [  # noqa: F841 - Prefect complains of a run that nobody holds
            tasks.submit(watched, {"season": season, "name": name, "awaited": Awaited(batch, members)})
            for name, members in groups.items()
        ]
        _collected(batch.ended(), total=len(units), units=of, done=done)


class Awaited:
    """Futures of units, which Prefect is not to look into."""

    __slots__ = ("_futures",)

    def __init__(self, batch: Batch, members: Collection[str]) -> None:
        self._futures = {name: batch.results[name] for name in members}

    def counts(self) -> str:
        """What the units ended in; waits for them. Raises PartialFailureError."""
        failed = {name: one_line(error) for name, future in self._futures.items() if (error := future.exception())}
        if failed:
            raise PartialFailureError(failed, of=len(self._futures), unit="units")
        counts = Counter(str(future.result()) for future in self._futures.values())
        return ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))


def watch(season: OpenSeason, name: str, awaited: Awaited) -> str:  # noqa: ARG001 - for the name of the task's run
    """Waits for units that are done elsewhere; says how many ended in what."""
    return awaited.counts()


def one_line(error: BaseException) -> str:
    """What a unit failed of, for a list of failed units."""
    text = masked(" ".join(str(error).split()))
    return text if isinstance(error, CropmapError) else f"{type(error).__name__}: {text}"
