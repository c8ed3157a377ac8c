"""Connections to a provider, shared by the workers of a cluster: leases that its scheduler gives.

A lease whose worker died comes back when it was not confirmed for Dask's `lease-timeout`, 30 seconds as Dask has it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Semaphore, get_worker

from cropmap.errors import ClusterError


class Leases:
    """Of the worker whose unit makes it. Every thread of its process may take one.

    Names are those of all that the scheduler serves: two seasons on one cluster share a provider's bound.
    """

    def __init__(self) -> None:
        worker = get_worker()
        self._scheduler, self._loop = worker.scheduler, worker.loop
        self._known: dict[tuple[str, int], Any] = {}
        self._lock = threading.Lock()

    @contextmanager
    def lease(self, name: str, most: int) -> Iterator[None]:
        """One of `most` while the block works, once one is free. Raises ClusterError."""
        semaphore = self._semaphore(name, most)
        try:
            semaphore.acquire()
        except Exception as error:  # an OSError among them, which a reader would take for the file's
            raise ClusterError(
                f"the Dask scheduler leases no connection ({type(error).__name__})",
                where=name,
                mend="Start it, then run the same command again",
            ) from error
        try:
            yield
        finally:
            with suppress(Exception):  # it comes back by itself
                semaphore.release()

    def _semaphore(self, name: str, most: int) -> Any:
        with self._lock:
            if (name, most) not in self._known:
                shared = f"cropmap {name}, {most} at a time"
                self._known[name, most] = Semaphore(most, shared, scheduler_rpc=self._scheduler, loop=self._loop)
            return self._known[name, most]
