"""Requests at a fixed rate over kept-open connections, as many clients of an HTTP server send them.

An open-loop load: a request is due at its time whether or not the answers before it have come, so that a server
which falls behind shows it in the latency (Schroeder, Wierman, Harchol-Balter 2006). It reads every answer whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

FAILED: Final = 0
"""status of a request that got no whole answer"""
LONGEST_S: Final = 30.0


@dataclass
class Answers:
    seconds: list[float] = field(default_factory=list)
    """from the moment a request was due to the last byte of its answer"""
    statuses: Counter[int] = field(default_factory=Counter)

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


class Connections:
    """Open connections to one server; a request takes a free one or opens another."""

    def __init__(self, host: str, port: int, headers: str = "") -> None:
        self._host, self._port, self._headers = host, port, headers
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> int:
        """The status of the answer, read whole; FAILED where there is none.

        A server may close an idle connection in the moment in which it is used again: then the request is sent once
        more, as RFC 9110 9.2.2 has clients do.
        """
        try:
            async with asyncio.timeout(LONGEST_S):
                while self._free:
                    reader, writer = self._free.pop()
                    if reader.at_eof():
                        writer.close()
                        continue
                    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                        return await self._ask(path, reader, writer)
                return await self._ask(path, *await asyncio.open_connection(self._host, self._port))
        except (OSError, EOFError, ValueError, TimeoutError):
            return FAILED

    async def _ask(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n{self._headers}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in head:
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(head.split()[1])

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def at_rate(connections: Connections, path: Callable[[], str], *, rate: float, seconds: float) -> Answers:
    """`rate` requests a second for so many seconds, each due at its own time."""
    answers = Answers()
    started = time.perf_counter()

    async def ask(due: float) -> None:
        answers.statuses[await connections.get(path())] += 1
        answers.seconds.append(time.perf_counter() - due)

    tasks = []
    for number in range(round(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*tasks)
    return answers


async def at_once(connections: Connections, paths: Sequence[str]) -> Answers:
    """All requests in one moment."""
    answers = Answers()
    started = time.perf_counter()

    async def ask(path: str) -> None:
        answers.statuses[await connections.get(path)] += 1
        answers.seconds.append(time.perf_counter() - started)

    await asyncio.gather(*(ask(path) for path in paths))
    return answers
