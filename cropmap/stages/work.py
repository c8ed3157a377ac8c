"""A worker's claim on an agency, and what the run log says when its work ends early."""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cropmap.database import work
from cropmap.database.connection import connect, end_other_sessions
from cropmap.errors import CropmapError
from cropmap.interruption import on_interrupt
from cropmap.provenance import code_version
from cropmap.stages.context import SeasonContext

log = logging.getLogger(__name__)

INTERRUPTED_CONNECT_SECONDS: Final = "3"
"""the program is about to end: whatever cannot be noted by then is found by the next command"""


@dataclass
class Claim:
    """What this process does for an agency."""

    work: work.Work
    planned: bool = False
    """a run of the run log stands for it"""


_held: dict[tuple[str, str], Claim] = {}


def whoami() -> str:
    """User, machine and process, to find this worker by."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


@contextmanager
def claimed(context: SeasonContext, task: str, *, clock: Callable[[], datetime], wait: bool = False) -> Iterator[Claim]:
    """The agency is ours while the block works; what this process holds already it need not claim again.

    Observing, training and publishing of one agency never overlap: its seasons share the champion, its steps the
    register. Raises BusyError, which says who works on it, or with `wait` waits for its turn. An error or a signal
    that ends the block is entered in the run log.
    """
    key = (context.database_url, context.agency.agency)
    if (held := _held.get(key)) is not None:
        yield held
        return
    about = work.Work(**context.key, task=task, worker=whoami(), since=clock())
    claim, version = Claim(about), code_version()

    def stopped(why: str, *, ends: bool = True) -> None:
        with connect(context.database_url, connect_timeout=INTERRUPTED_CONNECT_SECONDS) as connection:
            if ends:  # a transaction of ours may hold the run's row, in `publish` for minutes
                end_other_sessions(connection)
            work.interrupt_work(connection, about, detail=f"interrupted ({why})", at=clock(), code_version=version)

    with work.claim(context.database_url, about, code_version=version, wait=wait) as left_behind, on_interrupt(stopped):
        for run_id in left_behind:
            log.warning("%s was left behind by a process that is gone, and is closed", run_id)
        _held[key] = claim
        try:
            yield claim
        except Exception as error:
            if not claim.planned:
                with suppress(CropmapError), connect(context.database_url) as connection:
                    work.fail_unplanned(connection, about, detail=str(error), at=clock(), code_version=version)
            raise
        except BaseException as error:  # a scheduler that ends this run, or Ctrl-C outside of the command line
            with suppress(CropmapError):
                stopped(type(error).__name__, ends=False)
            raise
        finally:
            del _held[key]


def claim_of(context: SeasonContext) -> Claim | None:
    """This process's claim on the agency."""
    return _held.get((context.database_url, context.agency.agency))
