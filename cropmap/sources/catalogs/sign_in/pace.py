"""How fast is read from a provider: files at a time, bytes per second, requests in a minute.

The bounds hold for this process, or for all processes that share them (`share`). GDAL tells neither its requests nor
its bytes, so that they are counted by the caller: whoever read more than the pace allows waits before it reads on.

A quota holds for all processes of an installation and for all their runs: what one read is noted elsewhere, and each is
told what was noted (`used_of`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cropmap.sources.catalogs.providers import Provider, Quota
from cropmap.sources.catalogs.sign_in.secrets import number

log = logging.getLogger(__name__)

AHEAD_S: Final = 1.0
"""what may be spent ahead of time, so that short reads do not wait"""

Lease = Callable[[str, int], AbstractContextManager[object]]
"""(name, most at a time) -> one of so many, of all processes together, while the block works"""


@dataclass(frozen=True)
class _Sharing:
    lease: Lease
    readers: int


_sharing: _Sharing | None = None


def share(lease: Lease | None, *, readers: int = 1) -> None:
    """From now on the bounds hold for all processes that share `lease` together; None: for this one again.

    Each lease carries its part of the rates, so that processes need not tell each other what they read. Where a
    provider states a rate and no number of connections, `readers` files are read at a time, in all processes.
    """
    global _sharing
    if (now := _Sharing(lease, max(readers, 1)) if lease else None) != _sharing:
        _sharing = now
        pace_of.cache_clear()


class Pace:
    """Of one provider. Threads share it."""

    def __init__(
        self,
        *,
        connections: int | None = None,
        bytes_per_second: float | None = None,
        requests_per_minute: float | None = None,
        used: Used | None = None,
        name: str = "",
    ) -> None:
        self._used, self._name = used or Used(None), name
        quota = self._used.quota
        per_second = requests_per_minute / 60 if requests_per_minute else None
        then = quota.then_bytes_per_second if quota else None
        self._usual = _Bounds(name, connections, bytes_per_second, per_second)
        self._then = _Bounds(f"{name} beyond its quota", quota.then_connections if quota else None, then, per_second)
        self._held = threading.local()
        self.is_bounded = connections is not None
        """whether a file may take one connection alone"""

    @contextmanager
    def connection(self) -> Iterator[None]:
        """One of the connections, once one is free. What is spent meanwhile counts from here on."""
        used_up = self._used.is_used_up
        with self._usual.free(), self._then.free() if used_up else nullcontext():
            before = getattr(self._held, "hold", None)
            self._held.hold = _Hold(time.monotonic(), self._usual.rates(), self._then.rates())
            try:
                yield
            finally:
                self._held.hold = before

    def spend(self, *, n_bytes: float = 0, n_requests: float = 0) -> None:
        """Returns once what was read so far is within the pace."""
        if self._used.spend(n_bytes):
            log.warning("%s: its quota is used up, and it is read on as slowly as it allows then", self._name)
        hold = getattr(self._held, "hold", None) or _Hold(time.monotonic(), self._usual.rates(), self._then.rates())
        rates = hold.then if self._used.is_used_up else hold.usual
        rates.bytes.spend(n_bytes, since=hold.since)
        rates.requests.spend(n_requests, since=hold.since)


class _Bounds:
    """What may be read at a time, and how fast."""

    def __init__(
        self, name: str, connections: int | None, bytes_per_second: float | None, requests_per_second: float | None
    ) -> None:
        self._rates = _Rates.of(bytes_per_second, requests_per_second)
        self._part: Callable[[], _Rates] | None = None
        self.free: Callable[[], AbstractContextManager[object]] = nullcontext
        if _sharing is None:
            if connections:
                semaphore = threading.BoundedSemaphore(connections)
                self.free = lambda: semaphore
            return
        is_rated = bytes_per_second is not None or requests_per_second is not None
        if most := connections or (_sharing.readers if is_rated else 0):
            lease = _sharing.lease
            self.free = lambda: lease(name, most)
            self._part = lambda: _Rates.of(bytes_per_second, requests_per_second, share_of=most)

    def rates(self) -> _Rates:
        """Of one more that reads: the process's own, or its lease's part."""
        return self._part() if self._part else self._rates


@dataclass(frozen=True)
class _Rates:
    bytes: _Rate
    requests: _Rate

    @classmethod
    def of(cls, bytes_per_second: float | None, requests_per_second: float | None, *, share_of: int = 0) -> _Rates:
        """Of one of `share_of` leases, which spends nothing ahead of time; 0: of all of this process."""
        ahead = 0.0 if share_of else AHEAD_S
        bytes_, requests = (
            _Rate(rate / max(share_of, 1) if rate else None, ahead) for rate in (bytes_per_second, requests_per_second)
        )
        return cls(bytes_, requests)


@dataclass(frozen=True)
class _Hold:
    """A connection that a thread holds."""

    since: float
    usual: _Rates
    then: _Rates


class Used:
    """What was read of a quota in its period: by whom ever as far as it was noted, and by this process since then."""

    def __init__(self, quota: Quota | None) -> None:
        self.quota = quota
        self._noted = self._unnoted = 0.0
        self._is_said = False
        self._lock = threading.Lock()
        self.noting = threading.Lock()
        """to be held from reading `unnoted` to `note`: else two threads would note the same bytes"""

    @property
    def unnoted(self) -> float:
        """Bytes that this process read and has not noted."""
        return self._unnoted

    @property
    def is_used_up(self) -> bool:
        return self.quota is not None and self._noted + self._unnoted > self.quota.bytes

    def spend(self, n_bytes: float) -> bool:
        """Whether it is to be said that the quota is used up: once, until a new period leaves some."""
        if self.quota is None:
            return False
        with self._lock:
            self._unnoted += n_bytes
            was_said, self._is_said = self._is_said, self.is_used_up
            return self._is_said and not was_said

    def note(self, n_bytes: float, *, in_period: float) -> None:
        """`n_bytes` of the unnoted ones are noted now; with them all that was noted in the period is `in_period`."""
        with self._lock:
            self._unnoted -= n_bytes
            self._noted = in_period
            self._is_said = self._is_said and self.is_used_up


class _Rate:
    def __init__(self, per_second: float | None, ahead_s: float) -> None:
        self._per_second, self._ahead_s = per_second, ahead_s
        self._paid_until = 0.0
        self._lock = threading.Lock()

    def spend(self, amount: float, *, since: float) -> None:
        """Waits until an amount, which was read `since` a moment, is within the rate."""
        if self._per_second is None or not amount:
            return
        with self._lock:
            self._paid_until = max(self._paid_until, since - self._ahead_s) + amount / self._per_second
            wait = self._paid_until - time.monotonic()
        if wait > 0:
            time.sleep(wait)


NO_PACE: Final = Pace()


@lru_cache(256)
def used_of(provider: Provider) -> Used:
    """Of this process, whatever shares its pace."""
    return Used(provider.limits.quota)


@lru_cache(256)
def pace_of(provider: Provider) -> Pace:
    """Of this process, within the provider's limits or those of the environment. Raises ConfigurationError."""
    limits, connections = provider.limits, number(provider.name, "CONNECTIONS")
    return Pace(
        connections=max(1, int(connections)) if connections else limits.connections,
        bytes_per_second=number(provider.name, "BYTES_PER_SECOND") or limits.bytes_per_second,
        requests_per_minute=limits.requests_per_minute,
        used=used_of(provider),
        name=provider.name,
    )
