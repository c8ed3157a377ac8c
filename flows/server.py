"""A Prefect server for one command, where `PREFECT_API_URL` names no other.

Prefect would start one by itself, in the terminal's process group and to be stopped by this process: a Ctrl-C ends that
server first, and the run then asks it in vain for minutes; a `kill -9` leaves it behind. This one has a session of its
own, and ends when the pipe to this process closes, whatever ended it.
"""

from __future__ import annotations

import atexit
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx
from prefect.context import refresh_global_settings_context
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
)

from cropmap.errors import CropmapError

HOST: Final = "127.0.0.1"
TRIES: Final = 3
"""another process may take the port that was just found to be free"""


def ensure_server(log_folder: Path) -> None:
    """Prefect's API is there from now on, until this process ends. Raises CropmapError where no server starts."""
    if PREFECT_API_URL.value():
        return
    _make_prefect_home()
    process, url = _start(log_folder)
    # at the very end: Prefect sends the last states and log lines while the interpreter shuts down
    atexit.register(_end, process)
    os.environ["PREFECT_API_URL"] = url
    refresh_global_settings_context()


def _make_prefect_home() -> None:
    """Prefect makes the folder itself, but not those above it; without it, its server has no place for its database."""
    home = PREFECT_HOME.value()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CropmapError(
            f"Prefect's folder cannot be made ({error.strerror})", where=str(home), mend="Set PREFECT_HOME to another"
        ) from error


def _start(log_folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    log_folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / "prefect-server.log"
    for _ in range(TRIES):
        port = _free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.server_process", HOST, str(port)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)},
            )
        try:
            if _answers(process, f"http://{HOST}:{port}/api"):
                return process, f"http://{HOST}:{port}/api"
        except BaseException:
            _end(process)
            raise
        _end(process)
    raise CropmapError(f"the temporary Prefect server does not start ({_reason(log)})", where=str(log))


def _reason(log: Path) -> str:
    """The last error that the server's log names, else its last line."""
    lines = log.read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b", line)]
    return (errors or lines or ["it said nothing"])[-1]


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    until = time.monotonic() + PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    with httpx.Client(trust_env=False) as client:
        while process.poll() is None and time.monotonic() < until:
            try:
                if client.get(f"{url}/health").status_code == httpx.codes.OK:
                    return True
            except httpx.TransportError:
                time.sleep(0.1)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """It keeps nothing that a kill could break: its database is a file of transactions."""
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
