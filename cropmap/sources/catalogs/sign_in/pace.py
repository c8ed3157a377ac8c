"""How fast this process reads from a provider: files at a time, bytes per second, requests in a minute.

The bounds hold for one process. GDAL tells neither its requests nor its bytes, so that they are counted by the caller:
whoever read more than the pace allows waits before it reads on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from cropmap.sources.catalogs.providers import Provider
from cropmap.sources.catalogs.sign_in.secrets import number

AHEAD_S: Final = 1.0
"""what may be spent ahead of time, so that short reads do not wait"""


class Pace:
    """Of one provider. Threads share it."""

    def __init__(
        self,
        *,
        connections: int | None = None,
        bytes_per_second: float | None = None,
        requests_per_minute: float | None = None,
    ) -> None:
        self._free = threading.BoundedSemaphore(connections) if connections else None
        self._bytes = _Rate(bytes_per_second)
        self._requests = _Rate(requests_per_minute / 60 if requests_per_minute else None)

    @contextmanager
    def connection(self) -> Iterator[None]:
        """One of the connections, once one is free."""
        if self._free is None:
            yield
            return
        with self._free:
            yield

    def spend(self, *, n_bytes: float = 0, n_requests: float = 0) -> None:
        """Returns once what was read so far is within the pace."""
        self._bytes.spend(n_bytes)
        self._requests.spend(n_requests)


class _Rate:
    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._paid_until = 0.0
        self._lock = threading.Lock()

    def spend(self, amount: float) -> None:
        if self._per_second is None or not amount:
            return
        with self._lock:
            now = time.monotonic()
            self._paid_until = max(self._paid_until, now - AHEAD_S) + amount / self._per_second
            wait = self._paid_until - now
        if wait > 0:
            time.sleep(wait)


@lru_cache(256)
def pace_of(provider: Provider) -> Pace:
    """Of this process, within the provider's limits or those of the environment. Raises ConfigurationError."""
    limits, connections = provider.limits, number(provider.name, "CONNECTIONS")
    return Pace(
        connections=max(1, int(connections)) if connections else limits.connections,
        bytes_per_second=number(provider.name, "BYTES_PER_SECOND") or limits.bytes_per_second,
        requests_per_minute=limits.requests_per_minute,
    )
