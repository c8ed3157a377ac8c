"""A signal ends the program at once, says what to do next, does what was left to do, and takes its processes along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = """
import pathlib, subprocess, sys, time
from cropmap import interruption
interruption.watch()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
note = pathlib.Path(sys.argv[1])
with interruption.on_interrupt(lambda name: note.write_text(name)):
    print(child.pid, flush=True)
    while True:
        time.sleep(0.01)
"""
AS_IN_A_SHELL = """
import signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
"""
"""a script that runs these tests in the background has them ignored"""
HANGS = PROGRAM.replace("note.write_text(name)", "(note.write_text(name), time.sleep(120))")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def _started(program: str, note: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The program, and the process that it has started."""
    with subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_SHELL + program, str(note)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()  # where it did not end by itself


def _interrupted(program: str, note: Path, *signals: signal.Signals) -> tuple[int, str, int]:
    """Exit code, stderr and the process that the program had started."""
    with _started(program, note) as (process, child):
        assert process.stderr is not None
        for number in signals:
            os.kill(process.pid, number)
        code = process.wait(timeout=60)
        return code, process.stderr.read(), child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program_and_its_processes(number: signal.Signals, tmp_path: Path) -> None:
    code, said, child = _interrupted(PROGRAM, tmp_path / "note", number)
    assert code == 130
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert (tmp_path / "note").read_text() == number.name
    until = time.monotonic() + 10
    while _alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(child)


@pytest.mark.slow
def test_a_program_that_was_stopped_and_goes_on_still_hears_signals(tmp_path: Path) -> None:
    """Ctrl-Z and fg."""
    with _started(PROGRAM, tmp_path / "note") as (process, _):
        for number, seconds in (
            (signal.SIGSTOP, 1.0),
            (signal.SIGCONT, 0.5),
            (signal.SIGSTOP, 0.1),
            (signal.SIGCONT, 0.5),
        ):
            os.kill(process.pid, number)
            time.sleep(seconds)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr is not None
        assert process.stderr.read().splitlines() == ["", "interrupted: run the same command again to go on"]


def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    code, said, _ = _interrupted(PROGRAM, tmp_path / "note", signal.SIGINT, signal.SIGINT, signal.SIGTERM)
    assert code == 130
    assert said.count("run the same command again") == 1


@pytest.mark.slow
def test_a_duty_that_hangs_does_not_keep_the_program(tmp_path: Path) -> None:
    code, said, _ = _interrupted(HANGS, tmp_path / "note", signal.SIGTERM)
    assert code == 130
    assert "run the same command again" in said


def test_nohup_is_respected(tmp_path: Path) -> None:
    program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + PROGRAM
    code, _, _ = _interrupted(program, tmp_path / "note", signal.SIGHUP, signal.SIGTERM)
    assert code == 130
    assert (tmp_path / "note").read_text() == "SIGTERM"


@pytest.mark.slow
def test_a_library_that_lets_signals_through_changes_nothing(tmp_path: Path) -> None:
    # multiprocessing does so when it starts what it keeps to clean up, and Prefect listens to SIGTERM in a flow
    through = """
import signal
from multiprocessing import resource_tracker
resource_tracker.ensure_running()
"""
    program = PROGRAM.replace("note =", through + "note =")
    for number in (signal.SIGINT, signal.SIGTERM):
        code, said, _ = _interrupted(program, tmp_path / "note", number)
        assert (code, "Traceback" in said) == (130, False)
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + PROGRAM.replace(
        "note =", "interruption.settle()\nnote ="
    )
    code, _, _ = _interrupted(program, tmp_path / "note", signal.SIGTERM)
    assert code == 130
