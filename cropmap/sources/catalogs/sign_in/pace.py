"""How fast this process reads from a provider: files at a time, bytes per second, requests in a minute.

The bounds hold for one process. GDAL tells neither its requests nor its bytes, so that they are counted by the caller:
whoever read more than the pace allows waits before it reads on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Final

from cropmap.sources.catalogs.providers import Provider, Quota
from cropmap.sources.catalogs.sign_in.secrets import number

log = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
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
        quota: Quota | None = None,
        name: str = "",
    ) -> None:
        self._quota, self._name = _Used(quota), name
        self._free = _bounded(connections)
        self._free_then = _bounded(quota.then_connections if quota else None)
        self._bytes_then = _Rate(quota.then_bytes_per_second if quota else None)
        self._bytes = _Rate(bytes_per_second)
        self._requests = _Rate(requests_per_minute / 60 if requests_per_minute else None)

    @contextmanager
    def connection(self) -> Iterator[None]:
        """One of the connections, once one is free."""
        with self._free, self._free_then if self._quota.is_used_up else nullcontext():
            yield

    def spend(self, *, n_bytes: float = 0, n_requests: float = 0) -> None:
        """Returns once what was read so far is within the pace."""
        if self._quota.spend(n_bytes):
            log.warning("%s: this process has used up its quota, and reads on as slowly as it allows", self._name)
        (self._bytes_then if self._quota.is_used_up else self._bytes).spend(n_bytes)
        self._requests.spend(n_requests)


def _bounded(connections: int | None) -> AbstractContextManager[object]:
    return threading.BoundedSemaphore(connections) if connections else nullcontext()


class _Used:
    """What this process has read of a quota since it began, or since the quota's period began anew."""

    def __init__(self, quota: Quota | None) -> None:
        self._quota = quota
        self._bytes, self._began = 0.0, time.monotonic()
        self._lock = threading.Lock()
        self.is_used_up = False

    def spend(self, n_bytes: float) -> bool:
        """Whether the quota is used up by this very read."""
        if self._quota is None:
            return False
        with self._lock:
            if time.monotonic() - self._began > self._quota.days * DAY_S:
                self._bytes, self._began, self.is_used_up = 0.0, time.monotonic(), False
            self._bytes += n_bytes
            was, self.is_used_up = self.is_used_up, self._bytes > self._quota.bytes
            return self.is_used_up and not was


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
        quota=limits.quota,
        name=provider.name,
    )
