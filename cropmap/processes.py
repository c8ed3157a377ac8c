"""This process, and those that it starts."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from cropmap import interruption

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it


def return_unused_memory() -> None:
    """Gives back to the system what the allocators of C and Arrow keep after large tables are gone, in milliseconds.

    After a register and its observations were read that was as much as all that is held of them (800,000 parcels: 631
    MB of anonymous memory before, 373 MB after).
    """
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    if _TRIM is not None:
        _TRIM(0)


def end_with_parent() -> None:
    """To be run first in a process: a killed parent leaves none behind."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, and at once where the block raises: what is given up is not waited for."""
    interruption.settle()
    spawn = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            raise
