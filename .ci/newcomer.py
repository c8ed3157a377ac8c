#!/usr/bin/env python3
"""The newcomer's path: what the demo's last page and the README print, typed as it stands; all of it must succeed.

    .ci/newcomer.py [CHECKOUT] [--parcels 400] [--folder FOLDER] [--seen PAGE] [--skip-mlflow]

Needs a checkout in which `make install` has run, and Python's own library; meant for a user without rights on the
machine. It runs `cropmap demo` in an empty folder, in an environment of HOME and a plain PATH. Then each line of the
last page is given to `sh -c` as printed, and so is each `cropmap` line of the README's blocks: after the README's
`export`, and with its words in capitals replaced by what the demo made. What serves is ended by Ctrl-C once its
address answers. A Prefect server is there for `schedule`. At the end, no process may be left that names the folder.

Prints a table of exit codes, seconds and commands, and ends with 0 where all did what they must. `cropmap mlflow`
installs its pages from the package index when it is first run. Ports 8000 and 5000 must be free. `--seen PAGE` takes
the last page of a demo that was run in FOLDER before.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HINT = re.compile(r"^  \S.*?  +(?P<command>\S.*)$")
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVING = {"serve": (0, 130), "mlflow": (0, 130)}
"""commands that run until Ctrl-C, and how they may end then"""
LIMIT_S = 3_600
"""of one command: a bound against hangs, no measure of speed"""
PLAIN_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Ran:
    command: str
    rc: int | str
    seconds: float
    expected: tuple[int, ...]
    output: str

    @property
    def as_it_must(self) -> bool:
        return self.rc in self.expected


class Shell:
    """A plain shell in one folder: `sh -c`, an environment of HOME and PATH, a process group of its own."""

    def __init__(self, folder: Path) -> None:
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a job in the background, and so in what it starts
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.folder = folder
        self.environment = {"HOME": os.environ.get("HOME", str(folder)), "PATH": PLAIN_PATH, "LANG": "C.UTF-8"}

    def run(self, command: str, *, typed: str | None = None, expected: tuple[int, ...] = (0,)) -> Ran:
        """`typed`: what the shell is given where it is more than `command`, which is what is shown."""
        started = time.monotonic()
        with tempfile.TemporaryFile() as sink:
            process = subprocess.Popen(
                ["/bin/sh", "-c", typed or command],
                cwd=self.folder,
                env=self.environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            served = serves(command)
            rc: int | str
            try:
                rc = self._until_interrupted(process, sink) if served else process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                rc = "hung"
            sink.seek(0)
            output = sink.read().decode(errors="replace")
        return Ran(command, rc, time.monotonic() - started, SERVING[served] if served else expected, output)

    @staticmethod
    def _until_interrupted(process: subprocess.Popen[bytes], sink: IO[bytes]) -> int | str:
        """Ctrl-C, as a terminal sends it, when the printed address answers."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            if process.poll() is not None:
                return f"ended with {process.returncode} before its address answered"
            said = os.pread(sink.fileno(), 1 << 20, 0).decode(errors="replace")
            if (address := re.search(r"https?://[\w.:\[\]-]+\d[\w/.-]*", said)) and answers(address.group()):
                os.killpg(process.pid, signal.SIGINT)
                rc = process.wait(60)
                while time.monotonic() < end and in_group(process.pid):  # the shell may be gone before what it ran
                    time.sleep(0.1)
                return 128 - rc if rc < 0 else rc  # as a shell says it of what a signal ended
            time.sleep(0.5)
        raise subprocess.TimeoutExpired("no address answered", LIMIT_S)


def in_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def serves(command: str) -> str:
    """The command of SERVING that it is; empty for those that end by themselves."""
    return next((word for word in shlex.split(command, comments=True)[1:4] if word in SERVING), "")


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  an address of this machine
            return bool(answer.status < 400)
    except (urllib.error.URLError, OSError):
        return False


def hinted(page: str) -> list[str]:
    """Commands of the demo's last page."""
    _, _, last = page.partition("Where to look")
    return [found["command"].strip() for line in last.splitlines() if (found := HINT.match(line))]


def described(readme: str) -> tuple[str, list[str]]:
    """The README's `export` line, and the lines of its blocks that begin with `cropmap`."""
    lines = [line.strip() for block in BLOCK.findall(readme) for line in block.splitlines()]
    (export,) = [line for line in lines if line.startswith("export PATH=")]
    return export, [line for line in lines if line.startswith("cropmap ")]


def filled(command: str, words: dict[str, str]) -> str:
    """The README's words in capitals as the demo has them; a comment stays, because a shell takes it."""
    typed, hash_, comment = command.partition("#")
    for word, value in words.items():
        typed = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", value.replace("\\", r"\\"), typed)
    return typed + hash_ + comment


def words_of(hints: list[str]) -> dict[str, str]:
    """What stands in the README for something of the reader's own -> what the demo made."""
    explain = next(shlex.split(one) for one in hints if " explain " in one)
    return {
        "AGENCY.yaml": shlex.quote(next(word for word in explain if word.endswith(".yaml"))),
        "ID": shlex.quote(explain[explain.index("--parcel") + 1]),
        "DIR": "pages",
        "FILE.tsv.gz": "eurostat.tsv.gz",
        "FILE.csv": "sample.csv",
    }


def walk(checkout: Path, folder: Path, *, parcels: int, seen: Path | None, skip_mlflow: bool) -> list[Ran]:
    """The demo, its hints, the README's lines, and the hint that stops the database."""
    shell = Shell(folder)
    if seen:
        ran, page = [], seen.read_text(encoding="utf-8")
    else:
        demo = shell.run(f"{shlex.quote(str(checkout / '.venv/bin/cropmap'))} demo --parcels {parcels}")
        ran, page = [_show(demo)], demo.output
    hints = hinted(page)
    if not hints:
        return [*ran, _show(Ran("the demo's last page", "no command was found on it", 0, (0,), page))]
    *looking, stop = hints
    export, lines = described((checkout / "README.md").read_text(encoding="utf-8"))
    words = words_of(hints)
    for command in looking:
        if not (skip_mlflow and serves(command) == "mlflow"):
            ran += [_show(shell.run(command))]

    def type_(command: str, expected: tuple[int, ...] = (0,)) -> Ran:
        there, back = shlex.quote(str(checkout)), shlex.quote(str(folder))
        ran.append(
            _show(shell.run(command, typed=f"cd {there} && {export} && cd {back} && {command}", expected=expected))
        )
        return ran[-1]

    for line in (filled(one, words) for one in lines):
        if skip_mlflow and serves(line) == "mlflow":
            continue
        if "review import" in line:
            fill_findings(folder / words["FILE.csv"])
        if "stats compare" in line:
            made = f"cropmap stats export {words['AGENCY.yaml']} --season 2018 --format tsv --out eurostat.tsv"
            if type_(made).as_it_must:
                (folder / words["FILE.tsv.gz"]).write_bytes(gzip.compress((folder / "eurostat.tsv").read_bytes()))
        if "stats release" in line:  # the demo is a simulation, whose release asks for a word
            type_(line, expected=(1, 2))
            type_(line.partition("#")[0].rstrip() + " --allow simulation")
        elif line.startswith("cropmap schedule"):
            with prefect_server(checkout, folder) as api:
                shell.environment["PREFECT_API_URL"] = api
                type_(line)
            del shell.environment["PREFECT_API_URL"]
        else:
            type_(line)
    return [*ran, _show(shell.run(stop))]


@contextmanager
def prefect_server(checkout: Path, folder: Path) -> Iterator[str]:
    """What an operator has running before `cropmap schedule`; gives PREFECT_API_URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"HOME": str(folder), "PATH": PLAIN_PATH, "PREFECT_HOME": str(folder / "prefect-server")}
    with (folder / "prefect-server.log").open("wb") as log:
        process = subprocess.Popen(
            [checkout / ".venv/bin/python", "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        api = f"http://127.0.0.1:{port}/api"
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end and not answers(f"{api}/health"):
            time.sleep(0.5)
        yield api
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def fill_findings(sample: Path) -> None:
    """Every parcel of the sample was found to be declared rightly; the field's file stays as it is otherwise."""
    if not sample.exists():
        return
    with sample.open(encoding="utf-8-sig", newline="") as source:
        rows = list(csv.DictReader(source))
    for row in rows:
        row["finding"] = "right"
    with sample.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def left_running(folder: Path) -> list[str]:
    """Processes of this user whose command or working folder names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            where = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in where + command and Path(__file__).name not in command:
            found.append(f"{process.name} {command[:120]}")
    return found


def _show(one: Ran) -> Ran:
    print(
        f"{'ok    ' if one.as_it_must else 'FAILED'} rc {one.rc!s:>4} {one.seconds:7.1f} s  {one.command}", flush=True
    )
    if not one.as_it_must:
        print("\n".join(f"       | {line}" for line in one.output.splitlines()[-15:]), flush=True)
    return one


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--parcels", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept [default: a temporary one]")
    parser.add_argument("--seen", type=Path, metavar="PAGE", help="the page of a demo that was run in --folder")
    parser.add_argument("--skip-mlflow", action="store_true", help="where no package index can be reached")
    asked = parser.parse_args()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="newcomer-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not asked.seen and any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    ran = walk(asked.checkout.resolve(), folder, parcels=asked.parcels, seen=asked.seen, skip_mlflow=asked.skip_mlflow)
    time.sleep(2)  # what was stopped last is still ending
    left = left_running(folder)
    wrong = [one for one in ran if not one.as_it_must]
    print(f"\n{len(ran)} commands, {len(wrong)} did not do what they must")
    print(f"left running: {', '.join(left) or 'nothing'}")
    if asked.folder is None and not wrong:
        shutil.rmtree(folder)
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
