"""Units of work on Prefect: submit all, keep what succeeds, name what fails. One line in the log for each."""

from __future__ import annotations

import errno
import functools
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import deployment
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from cropmap.errors import CropmapError, DatabaseUnavailableError, InputError, PartialFailureError
from cropmap.interruption import hold_if_begun
from cropmap.logs import FILE_ONLY
from cropmap.masking import masked
from cropmap.progress import Counter
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.work import claimed as claim

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS: Final = [1.0, 5.0]
"""Seconds before the second and the third try; a database that restarts is back by then."""

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


def runner() -> TaskRunner[PrefectFuture[Any]]:
    """Threads: decoding and sparse products release the interpreter lock."""
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=WORKERS))


def unit(name: str, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task with the retries of this house. Our own store and ledger know what is done, so Prefect caches nothing;
    bad input does not get better by trying again."""

    def worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
        return not (_hopeless.is_set() or isinstance(state.result(raise_on_failure=False), InputError))

    def made(function: Callable[P, R]) -> Task[P, R]:
        return task(
            name=name,
            task_run_name=run_name or name,
            retries=len(RETRY_DELAYS),
            retry_delay_seconds=RETRY_DELAYS,
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


def gather(futures: Mapping[str, PrefectFuture[R]], *, description: str, units: str) -> dict[str, R]:
    """Results by name. Waits for every unit; raises PartialFailureError that names those that failed."""
    names = {future.task_run_id: name for name, future in futures.items()}
    results, failed = {}, {}
    gone: CropmapError | None = None
    with Counter(description, total=len(futures), unit=units) as counter:
        for future in as_completed(list(futures.values())):
            name, result = names[future.task_run_id], future.result(raise_on_failure=False)
            if isinstance(result, BaseException):
                failed[name] = one_line(result)
                gone = gone or _what_is_gone(result)
                if gone:
                    _hopeless.set()
            else:
                results[name] = result
            counter.add()
    if gone:
        raise type(gone)(
            gone.what, where=gone.where, mend=f"{len(results)} of {len(futures)} {units} are done and kept. {gone.mend}"
        ) from gone
    if failed:
        raise PartialFailureError(failed, of=len(futures), unit=units, mend="Run the same command again")
    return results


def _what_is_gone(error: BaseException) -> CropmapError | None:
    """What no other unit can do without either: the database, or room on the disk."""
    if isinstance(error, DatabaseUnavailableError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CropmapError(
            "the disk is full", where=str(error.filename or "store"), mend="Free space, then run the same command again"
        )
    return None


def one_line(error: BaseException) -> str:
    """What a unit failed of, for a list of failed units."""
    text = masked(" ".join(str(error).split()))
    return text if isinstance(error, CropmapError) else f"{type(error).__name__}: {text}"
