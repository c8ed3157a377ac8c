"""Limits repeated log messages to one a minute, such as those of wrong keys or of a database that cannot be reached."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

EVERY_SECONDS: Final = 60.0


class Sparse(logging.Filter):
    """Lets each message template through once per `every_seconds`, with the number that was left out since.

    Attach it to a logger; arguments of a message (paths, names) do not make it another one.
    """

    def __init__(
        self, *, every_seconds: float = EVERY_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._every, self._monotonic = every_seconds, monotonic
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        template, now = str(record.msg), self._monotonic()
        with self._lock:
            if now - self._last.get(template, float("-inf")) < self._every:
                self._left_out[template] = self._left_out.get(template, 0) + 1
                return False
            self._last[template] = now
            count = self._left_out.pop(template, 0)
        if count:
            record.msg, record.args = f"{record.getMessage()} ({count} more like it since the last one)", ()
        return True
