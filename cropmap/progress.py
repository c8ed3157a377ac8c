"""Progress on stderr for anything that takes more than two seconds: a bar with rate and time left for a person,
a line now and then for a log file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")
LOG_EVERY_SECONDS: Final = 20.0
SAME_COUNT: Final = 1e-6

_console = Console(stderr=True)
_log = logging.getLogger(__name__)
_record = logging.getLogger(f"{__name__}.record")
_part: ContextVar[str] = ContextVar("part", default="")


@contextmanager
def part_of_work(name: str) -> Iterator[None]:
    """What is counted in the block belongs to this part of a longer work, such as `clean-up 1 of 2`, and says so: its
    end is not the work's."""
    token = _part.set(name)
    try:
        yield
    finally:
        _part.reset(token)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        return Text(f"{speed:,.0f} {unit}/s" if speed and speed >= 10 else f"{speed or 0:.1f} {unit}/s")


class _Left(TimeRemainingColumn):
    """Time left of what is counted; nothing once it is over, for the next part may follow."""

    def render(self, task: Task) -> Text:
        return Text("") if task.finished else super().render(task)


def bar() -> Progress:
    """A progress display on stderr; silent where stderr is no terminal (`Counter` logs there instead)."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        _Left(),
        console=_console,
        transient=False,
        disable=not _console.is_terminal,
    )


class Counter:
    """Counts finished units: `with Counter("observe", total=142, unit="acquisitions") as counter: counter.add(1)`.

    Safe to call from several threads.
    """

    def __init__(self, description: str, *, total: int, unit: str) -> None:
        part = _part.get()
        self.description = f"{description}, {part}" if part else description
        self.total, self.unit = total, unit
        self._progress = bar()
        self._added = self._done = 0.0
        self._started = self._logged = 0.0

    def __enter__(self) -> Counter:
        self._progress.start()
        self._task = self._progress.add_task(self.description, total=self.total, unit=self.unit)
        self._started = self._logged = time.monotonic()
        return self

    def add(self, amount: float = 1, *, description: str | None = None) -> None:
        self._added += amount
        nearest = round(self._added)  # the steps of a unit do not add up to it exactly
        self._done = nearest if abs(self._added - nearest) < SAME_COUNT else self._added
        self._progress.update(self._task, completed=self._done, description=description or self.description)
        now = time.monotonic()
        if self._progress.disable and now - self._logged > LOG_EVERY_SECONDS:
            self._logged = now
            rate = self._done / (now - self._started)
            left = f", {(self.total - self._done) / rate:.0f} s left" if rate and self._done < self.total else ""
            _log.info(
                "%s: %d of %d %s, %.2g/s%s",
                description or self.description,
                self._done,
                self.total,
                self.unit,
                rate,
                left,
            )

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        seconds = time.monotonic() - self._started
        _record.info("%s: %d of %d %s in %.1f s", self.description, self._done, self.total, self.unit, seconds)


def track(items: Iterable[Item], description: str, *, total: int, unit: str) -> Iterator[Item]:
    """Yields the items and shows how many are done, at what rate, and how long it will take."""
    with Counter(description, total=total, unit=unit) as counter:
        for item in items:
            yield item
            counter.add()
