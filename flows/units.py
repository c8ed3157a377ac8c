"""Units of work on Prefect: submit all, keep what succeeds, name what fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from cropmap.errors import CropmapError, InputError, PartialFailureError
from cropmap.masking import masked
from cropmap.progress import Counter

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS: Final = [1.0, 5.0]
"""Seconds before the second and the third try; a database that restarts is back by then."""

WORKERS: Final = os.cpu_count() or 1


def runner() -> TaskRunner[PrefectFuture[Any]]:
    """Threads: decoding and sparse products release the interpreter lock."""
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=WORKERS))


def unit(name: str, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task with the retries of this house. Our own store and ledger know what is done, so Prefect caches nothing;
    bad input does not get better by trying again."""

    def worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
        return not isinstance(state.result(raise_on_failure=False), InputError)

    decorate: Callable[[Callable[P, R]], Task[P, R]] = task(
        name=name,
        task_run_name=run_name or name,
        retries=len(RETRY_DELAYS),
        retry_delay_seconds=RETRY_DELAYS,
        retry_condition_fn=worth_a_retry,
        cache_policy=NO_CACHE,
    )
    return lambda stage: decorate(_without_secrets(stage))


def _without_secrets(stage: Callable[P, R]) -> Callable[P, R]:
    """Prefect keeps what a unit failed of: an error of somebody else's library that holds a secret is told anew."""

    @wraps(stage)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return stage(*args, **kwargs)
        except CropmapError:
            raise
        except Exception as error:
            if (said := masked(str(error))) == str(error):
                raise
            raise CropmapError(f"unexpected {type(error).__name__}: {said}") from None

    return run


def gather(futures: Mapping[str, PrefectFuture[Any]], *, description: str, units: str) -> dict[str, Any]:
    """Results by name. Waits for every unit; raises PartialFailureError that names those that failed."""
    names = {future.task_run_id: name for name, future in futures.items()}
    results, failed = {}, {}
    with Counter(description, total=len(futures), unit=units) as counter:
        for future in as_completed(list(futures.values())):
            name, result = names[future.task_run_id], future.result(raise_on_failure=False)
            if isinstance(result, BaseException):
                failed[name] = one_line(result)
            else:
                results[name] = result
            counter.add()
    if failed:
        raise PartialFailureError(failed, of=len(futures), unit=units, mend="Run the same command again")
    return results


def one_line(error: BaseException) -> str:
    """What a unit failed of, for a list of failed units."""
    text = masked(" ".join(str(error).split()))
    return text if isinstance(error, CropmapError) else f"{type(error).__name__}: {text}"
