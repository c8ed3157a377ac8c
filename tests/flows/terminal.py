"""A command on a terminal of its own that somebody ends: Ctrl-C typed, SIGTERM sent, or the terminal closed.

    python -m tests.flows.terminal FOLDER [--moments 20] [--seed 0]

runs a season of FOLDER/agency.yaml undisturbed in one home, interrupts it at random moments in another, lets it end
there, and prints what every moment showed. A FOLDER that is not there is made: 220 simulated parcels, little training.
`test_stopped.py` does the same at three moments.
"""

from __future__ import annotations

import argparse
import os
import pty
import random
import select
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from psycopg import sql

from cropmap.database import embedded
from cropmap.database.connection import connect

MARK = "CROPMAP_TEST_MARK"
"""in the environment of whatever the command starts; its database server, which is to stay, gets none of it"""
PRODUCTS = ("crop_prediction", "crop_assessment", "crop_statistic", "acquisition", "rejection", "parcel")
ENDS_WITHIN = 10.0
SIGNALS = ("Ctrl-C", "SIGTERM", "Ctrl-C Ctrl-C", "SIGHUP")


@dataclass
class Ended:
    """How a command on a terminal ended."""

    said: str
    code: int
    seconds: float
    """from the signal to the end; of an undisturbed command its whole time"""
    disturbed: bool
    left: list[str] = field(default_factory=list)
    """processes that it started and that still live"""


def on_terminal(
    command: list[str], *, how: str = "", when: Callable[[float], bool] | None = None, patience: float = 1_200
) -> Ended:
    """Runs the command on a new pseudo-terminal, and ends it `when` that says so, given the seconds since its start.

    `how`: Ctrl-C (twice with Ctrl-C Ctrl-C), SIGTERM, SIGHUP or SIGKILL.
    """
    mark = uuid.uuid4().hex
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ[MARK] = mark
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # this process may have been started with nohup
        os.execv(command[0], command)  # noqa: S606
    said = bytearray()
    started = time.monotonic()
    signalled: float | None = None
    code: int | None = None
    while code is None:
        now = time.monotonic()
        if when is not None and signalled is None and when(now - started):
            signalled = now
            _end(pid, terminal, how)
        said += _read(terminal)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        elif now - (signalled or started) > patience:
            os.kill(pid, signal.SIGKILL)
    ended = time.monotonic()
    while (more := _read(terminal)) and time.monotonic() - ended < 1:
        said += more
    os.close(terminal)
    until = time.monotonic() + 3  # what was killed is gone a moment later
    while (left := list(_marked(mark))) and time.monotonic() < until:
        time.sleep(0.1)
    return Ended(said.decode(errors="replace"), code, ended - (signalled or started), signalled is not None, left)


def _end(pid: int, terminal: int, how: str) -> None:
    if how.startswith("Ctrl-C"):
        os.write(terminal, b"\x03")
        if how == "Ctrl-C Ctrl-C":
            time.sleep(0.3)
            os.write(terminal, b"\x03")
    else:
        os.kill(pid, getattr(signal, how))


def _read(terminal: int) -> bytes:
    try:
        ready, _, _ = select.select([terminal], [], [], 0.05)
        return os.read(terminal, 65_536) if ready else b""
    except OSError:  # the other side is closed
        time.sleep(0.05)
        return b""


def _marked(mark: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield f"{process.pid} {' '.join(process.cmdline())[:120]}"
        except psutil.Error:
            continue


def rows(url: str) -> dict[str, list[str]]:
    """Every published row of a season, as sorted text."""
    with connect(url) as connection:
        found = {}
        for name in PRODUCTS:
            statement = sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(name))
            found[name] = sorted(row[0] for row in connection.execute(statement))
        return found


def runs(url: str) -> list[tuple[str, str, int]]:
    """(run, status, attempts) of the run log, the latest first."""
    with connect(url) as connection:
        if connection.execute("SELECT to_regclass('run')").fetchone() == (None,):
            return []
        return connection.execute("SELECT run_id, status, attempts FROM run ORDER BY started_at DESC").fetchall()


def faults(ended: Ended, url: str) -> list[str]:
    """What an interrupted command did wrong."""
    found = []
    if ended.seconds > ENDS_WITHIN:
        found.append(f"took {ended.seconds:.1f} s")
    if ended.code != 130:
        found.append(f"ended with {ended.code}")
    if "run the same command again" not in ended.said:
        found.append(f"said {ended.said[-300:]!r}")
    if "Traceback" in ended.said:
        found.append("showed a traceback")
    found += [f"left {process}" for process in ended.left]
    log = runs(url)
    if any(status == "running" for _, status, _ in log):
        found.append("left a run as running")
    with connect(url) as connection:
        open_work = connection.execute("SELECT task, worker FROM work WHERE ended_at IS NULL").fetchall()
    return found + [f"left its work open: {row}" for row in open_work]


def _last(said: str) -> str:
    """What the command was at when it was interrupted, by its last line before."""
    lines = [line.strip() for line in said.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-2][-60:] if len(lines) > 1 else ""


def _last_line(ended: Ended) -> str:
    return ended.said.strip().splitlines()[-1]


def main() -> int:
    ask = argparse.ArgumentParser()
    ask.add_argument("folder", type=Path)
    ask.add_argument("--moments", type=int, default=20)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--season", default="2018")
    given = ask.parse_args()
    folder = given.folder.absolute()
    if not folder.exists():
        from tests.flows.conftest import small_season

        small_season(folder)
        folder.chmod(0o711)  # the embedded server has an account of its own

    def command(home: Path) -> list[str]:
        agency = str(folder / "agency.yaml")
        return [sys.executable, "-m", "cropmap", "season", "run", agency, "--season", given.season, "--home", str(home)]

    homes = [folder / name for name in ("undisturbed", "disturbed")]
    for home in homes:
        prepare(folder, home, given.season)
    whole = on_terminal(command(homes[0]))
    assert whole.code == 0, whole.said
    print(f"undisturbed: {whole.seconds:.0f} s, left {whole.left}", flush=True)
    url = embedded.ensure_running(homes[1])
    chance, wrong = random.Random(given.seed), 0  # noqa: S311
    for number in range(given.moments):
        how, after = SIGNALS[number % len(SIGNALS)], chance.uniform(0.5, whole.seconds)
        ended = None
        # a season that had ended by then, or had said all that it has to say, was not interrupted
        while ended is None or not ended.disturbed or (ended.code == 0 and _last_line(whole) in ended.said):
            for name in ("training", "models", "runs"):  # or the later moments would find nothing to do
                shutil.rmtree(homes[1] / "store" / name, ignore_errors=True)
            before = sum(attempts for _, status, attempts in runs(url) if status == "interrupted")
            ended = on_terminal(command(homes[1]), how=how, when=after.__le__)
            after *= 0.9
        bad = faults(ended, url)
        wrong += bool(bad)
        again = sum(attempts for _, status, attempts in runs(url) if status == "interrupted") > before
        print(
            f"{number + 1:2} {how:13} at {after / 0.9:5.1f} s: code {ended.code} after {ended.seconds:4.1f} s; "
            f"{'noted' if again else 'not begun'} in the run log; {bad or 'right'}; last said {_last(ended.said)!r}",
            flush=True,
        )
    last = on_terminal(command(homes[1]))
    equal = rows(url) == rows(embedded.ensure_running(homes[0]))
    print(f"then: ended with {last.code}, rows {'equal' if equal else 'DIFFER'}; {wrong} of {given.moments} wrong")
    for home in homes:
        embedded.remove(home)
    return wrong + (not equal)


def prepare(folder: Path, home: Path, season: str) -> None:
    """Takes in what is taken in once: a table of parcel means, where the folder has one."""
    table = folder / f"table_{season}.parquet"
    if not table.exists():
        embedded.ensure_running(home)
        return
    start = [sys.executable, "-m", "cropmap"]
    common = [str(folder / "agency.yaml"), "--season", season, "--home", str(home)]
    for step in (["declarations", "load", *common], ["observations", "import", common[0], str(table), *common[1:]]):
        ended = on_terminal([*start, *step])
        assert ended.code == 0, ended.said


if __name__ == "__main__":
    sys.exit(main())
