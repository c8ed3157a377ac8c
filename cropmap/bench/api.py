"""How the API answers under load: `cropmap serve` in a process of its own, clients beside it.

All settings are the defaults, except that the one key has no limit to its rate.

Three loads, one after the other: a steady mix of all routes; many requests in one moment; the same mix while clients
that do not read hold large answers open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from cropmap.bench import Row
from cropmap.bench.api_season import AGENCY, SEASON, PublishedSeason, publish_season
from cropmap.bench.http_load import FAILED, Answers, Connections, at_once, at_rate
from cropmap.database import embedded
from cropmap.settings import Settings

PARCELS, ACQUISITIONS, RATE, SECONDS, BURST = 20_000, 140, 200, 60, 500
QUICK: Final = (500, 20, 50, 2, 100)
SLOW_READERS: Final = 40
SLOW_READERS_PATH: Final = f"/v1/assessments?agency={AGENCY}&season={SEASON}&limit=1000"
START_SECONDS: Final = 60


def measure(*, quick: bool = False) -> list[Row]:
    """One row a load: answers by status, latency, the target."""
    parcels, acquisitions, rate, seconds, burst = QUICK if quick else (PARCELS, ACQUISITIONS, RATE, SECONDS, BURST)
    with tempfile.TemporaryDirectory(prefix="cropmap-bench-") as folder:
        settings = Settings(home=Path(folder))
        try:
            season = publish_season(settings, parcels=parcels, acquisitions=acquisitions)
            with served(settings.home_path) as port:
                return asyncio.run(_loads(port, season, rate=rate, seconds=seconds, burst=burst))
        finally:
            embedded.remove(settings.home_path)


async def _loads(port: int, season: PublishedSeason, *, rate: int, seconds: int, burst: int) -> list[Row]:
    connections = Connections("127.0.0.1", port, f"X-API-Key: {season.key}\r\n")
    path = _mix(season)
    for _ in range(20):
        await connections.get(path())
    steady = await at_rate(connections, path, rate=rate, seconds=seconds)
    together = await at_once(connections, [path() for _ in range(burst)])
    with _slow_readers(port, season.key):
        beside = await at_rate(connections, path, rate=rate / 2, seconds=seconds / 4)
    await connections.close()
    return [
        _row(f"{rate} requests/s for {seconds} s, all routes", steady, "p95 < 100 ms, all 200"),
        _row(f"{burst} requests at once", together, "each 200 or 429"),
        _row(f"{rate / 2:g} requests/s beside {SLOW_READERS} clients that do not read", beside, "all 200"),
    ]


def _row(what: str, answers: Answers, target: str) -> Row:
    statuses = {("no answer" if status == FAILED else str(status)): n for status, n in answers.statuses.items()}
    return {
        "what": what,
        "answers": ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())),
        "p50 ms": answers.percentile_ms(0.5),
        "p95 ms": answers.percentile_ms(0.95),
        "p99 ms": answers.percentile_ms(0.99),
        "longest ms": answers.percentile_ms(1.0),
        "target": target,
    }


def _mix(season: PublishedSeason) -> Callable[[], str]:
    """One route after the other at random, a parcel among them."""
    chance, key = random.Random(0), f"agency={AGENCY}&season={SEASON}"  # noqa: S311  a load, no secret
    fixed = (
        f"/v1/statistics?{key}",
        "/v1/statistics?nuts_id=FRH01",
        f"/v1/assessments?{key}&verdict=mismatch&limit=50",
        f"/v1/assessments?{key}&limit=100",
        "/v1/seasons",
        "/v1/agencies",
        f"/v1/releases?{key}",
        "/health",
    )
    return lambda: chance.choice((*fixed, f"/v1/parcels/{AGENCY}/{SEASON}/{chance.choice(season.parcel_ids)}"))


@contextlib.contextmanager
def served(home: Path, **others: str) -> Iterator[int]:
    """`cropmap serve` on a free port of this machine, with its defaults but for `others`, which are variables."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "cropmap", "serve", "--home", str(home), "--port", str(port)]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("CROPMAP_")}
    quiet["CROPMAP_RATE_PER_MINUTE"] = "0"  # one key sends everything
    with subprocess.Popen(command, env=quiet | others, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/health")
            yield port
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait(address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(address, timeout=2):  # noqa: S310  our own server
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def _slow_readers(port: int, key: str) -> Iterator[None]:
    """Clients that send requests for large answers, one behind the other, and read nothing."""
    request = f"GET {SLOW_READERS_PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode()
    with contextlib.ExitStack() as open_sockets:
        for _ in range(SLOW_READERS):
            client = open_sockets.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256)
            client.connect(("127.0.0.1", port))
            client.sendall(request * 20)
        time.sleep(1)
        yield
