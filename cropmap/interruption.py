"""One Ctrl-C, SIGTERM or SIGHUP ends the program within seconds, whatever it is doing.

Every step of a season may be killed at any moment (`cropmap.stages`), so nothing has to be unwound: no library is asked
to stop, and none can refuse. A thread waits for the signals, which are blocked everywhere else. When one comes it does
the duties of the moment (an entry in the run log), says what to do next, kills the processes that this one started, and
leaves. Processes inherit that the signals are blocked: a terminal's Ctrl-C reaches this one alone.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Final

log = logging.getLogger(__name__)
record = logging.getLogger(f"{__name__}.record")

INTERRUPTED: Final = 130
"""exit code of all three signals: a script needs one answer to "was it stopped?", not which key was pressed"""
STOPPED_MESSAGE: Final = "interrupted: run the same command again to go on"
SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # SIGHUP: a closed terminal
DUTY_SECONDS: Final = 4.0
"""what the duties may take together; a database that is away must not keep the program"""
AT_LAST_SECONDS: Final = 8.0
"""after which the program is gone in any case"""
DUTIES: Final = "duties of an interruption"
WAITER: Final = "interruption"
SHOW_CURSOR: Final = "\x1b[?25h"

_numbers = itertools.count()
_duties: dict[int, Callable[[str], None]] = {}
_begun = threading.Event()
_first = threading.Lock()
_stop = threading.Event()
_blocked: set[signal.Signals] = set()


def watch() -> None:
    """Begins to wait for the signals; to be called once, first thing, from the main thread.

    A signal that is ignored (`nohup`, a job in the background of a script) stays so; but whoever types Ctrl-C at the
    terminal that this program has to itself means it.
    """
    _blocked.update(s for s in SIGNALS if signal.getsignal(s) != signal.SIG_IGN or _is_meant(s))
    signal.pthread_sigmask(signal.SIG_BLOCK, _blocked)
    for number in _blocked:  # should a library let one through
        signal.signal(number, lambda caught, _: _end_apart(signal.Signals(caught).name))
    threading.Thread(target=_wait, name=WAITER, daemon=True).start()


def settle() -> None:
    """To be called before processes are started: what multiprocessing keeps to clean up behind them is started, which
    lets SIGINT and SIGTERM through in the thread that first does it, and they are blocked again."""
    if _blocked:
        before = os.environ.get("PYTHONWARNINGS", "")
        # it would print what it cleans up behind workers that were killed
        os.environ["PYTHONWARNINGS"] = f"{before},ignore:resource_tracker".lstrip(",")
        resource_tracker.ensure_running()
        os.environ["PYTHONWARNINGS"] = before
        if not before:
            del os.environ["PYTHONWARNINGS"]
        signal.pthread_sigmask(signal.SIG_BLOCK, _blocked)


def release() -> None:
    """Hands the signals back, for a program that ends in its own way (uvicorn finishes the requests it has)."""
    _stop.set()
    for waiter in threading.enumerate():
        if waiter.name == WAITER and waiter.ident is not None:
            signal.pthread_kill(waiter.ident, next(iter(_blocked)))  # it waits for any of them
            waiter.join()
    for number in _blocked:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _blocked)
    _blocked.clear()


def _is_meant(number: signal.Signals) -> bool:
    if number == signal.SIGINT:
        with suppress(OSError):
            return os.tcgetpgrp(0) == os.getpgrp()
    return number == signal.SIGTERM


def hand_over() -> None:
    """Hands the signals to a program in the foreground that has its own use for Ctrl-C; to be called before it starts.
    Here Ctrl-C does nothing any more."""
    release()
    signal.signal(signal.SIGINT, lambda *_: None)


@contextmanager
def on_interrupt(duty: Callable[[str], None]) -> Iterator[None]:
    """While the block works, an interruption calls `duty` with the signal's name before the program ends."""
    number = next(_numbers)
    _duties[number] = duty
    try:
        yield
    finally:
        _duties.pop(number, None)


def hold_if_begun() -> None:
    """Keeps other threads from ending the process first, with another exit code and message; but for the duties."""
    if _begun.is_set() and threading.current_thread().name != DUTIES:
        threading.Event().wait(2 * AT_LAST_SECONDS)


def _wait() -> None:
    """Not by sigtimedwait: after the process was stopped and went on (Ctrl-Z, fg) CPython's answers with what the stack
    held."""
    waiting = set(_blocked)
    while waiting:
        caught = signal.sigwait(waiting)
        if _stop.is_set():
            return
        _end(signal.Signals(caught).name)


def _end_apart(name: str) -> None:
    """The main thread goes on meanwhile: it may hold what the duties need."""
    threading.Thread(target=_end, args=[name], daemon=True).start()


def _end(name: str) -> None:
    """A second signal changes nothing: the first is already as fast as it can be."""
    if not _first.acquire(blocking=False):
        return
    _begun.set()
    last = threading.Timer(AT_LAST_SECONDS, os._exit, [INTERRUPTED])  # whatever hangs below
    last.daemon = True
    last.start()
    duties = threading.Thread(target=_do_duties, args=[name], name=DUTIES, daemon=True)
    duties.start()
    duties.join(DUTY_SECONDS)
    cursor = SHOW_CURSOR if sys.stderr.isatty() else ""
    with suppress(OSError, ValueError):
        print(f"{cursor}\n{STOPPED_MESSAGE}", file=sys.stderr, flush=True)
    kill_children()  # no log is flushed: ours is at every line, and Prefect's would wait for its server
    os._exit(INTERRUPTED)


def _do_duties(name: str) -> None:
    record.info("interrupted (%s)", name)
    for duty in reversed(list(_duties.values())):
        try:
            duty(name)
        except Exception as error:  # the program ends whatever a duty does; the next command repeats it
            log.warning("interrupted (%s), and not all could be noted: %s", name, error)


def kill_children() -> None:
    """Kills every process below this one, but those that made themselves independent (a database server).

    What multiprocessing keeps to clean up behind its workers ends with them and is left to it.
    """
    import psutil  # here, because the watch begins before anything that takes time

    session = os.getsid(0)
    with suppress(psutil.Error, OSError):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, OSError):
                if os.getsid(child.pid) == session and "resource_tracker" not in " ".join(child.cmdline()):
                    child.kill()
