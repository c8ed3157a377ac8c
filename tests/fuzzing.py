"""Damaged inputs, how many of them are tried (CROPMAP_FUZZ in all, 500 without it), and what a reader may do with one.

The seeds are fixed, so that a failure comes again.
"""

from __future__ import annotations

import os
import random
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from cropmap.errors import CropmapError

TOTAL: Final = int(os.environ.get("CROPMAP_FUZZ", "500"))
SHARES: Final = {
    "declarations": 0.28,
    "items": 0.10,
    "item dictionaries": 0.06,
    "catalogues": 0.04,
    "tables": 0.10,
    "workbooks": 0.02,
    "boundaries": 0.08,
    "objects": 0.05,
    "exchange": 0.09,
    "products": 0.03,
    "benchmark": 0.05,
    "observations": 0.05,
    "scenes": 0.05,
}
"""of the total, by what is read; declarations have the most formats"""
CPU_SECONDS: Final = 20
WALL_SECONDS: Final = 240
"""a reader that waits is no less of a hang; the machine may be busy"""
MOST_BYTES: Final = 2 << 30
TRICKS: Final = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'"',
    b"'",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r",
    b"\xe9",
    b"nan",
    b"1e999",
    b"0000-01-01",
    b"[" * 60,
    b"{" * 60,
    b"&a [*a]",
    b": ",
    b"- ",
    b"\x0b",
    b"\xc2\x85",
    b"9" * 400,
    b"#",
    b"!!python/none x",
    b"-1",
    b"0",
    b"<a>",
    b"&lt;",
    b"1_0",
    b"inf",
)


def inputs(reader: str, kinds: int = 1) -> int:
    """For each of so many kinds of input of this reader; at least one."""
    return max(1, round(TOTAL * SHARES[reader] / kinds))


def chances(name: str, number: int) -> Iterator[tuple[int, random.Random]]:
    """(seed, its source of chance), so many times."""
    for seed in range(number):
        yield seed, random.Random(f"{name} {seed}")  # noqa: S311  not for secrets


def mutated_text(data: bytes, chance: random.Random) -> bytes:
    """Cut, doubled, overwritten, spiked with what readers of text stumble over."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randint(0, len(data)) for _ in range(2))
        ways: list[Callable[[bytes, int, int], bytes]] = [
            lambda d, a, b: d[:a] + d[b:],
            lambda d, a, b: d[:b] + d[a:b] + d[b:],
            lambda d, a, _: d[:a],
            lambda d, a, _: d[:a] + bytes([chance.randrange(256)]) + d[a + 1 :],
            lambda d, a, _: d[:a] + chance.choice(TRICKS) + d[a:],
        ]
        data = chance.choice(ways)(data, at, to)
    return data


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, bytes set to what readers stumble over, cut off, doubled, or a stretch moved or zeroed."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        if not changed:
            return bytes(changed)
        at, length = chance.randrange(len(changed)), chance.randrange(1, 40)
        kind = chance.randrange(8)
        if kind == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at] = chance.choice(b"\x00\x01\x7f\x80\xff\"';,\n")
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            changed[at : at + length] = bytes(min(length, len(changed) - at))
        elif kind == 5:
            changed[at : at + 4] = chance.choice((b"\xff" * 4, b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f"))
        elif kind == 6:
            del changed[at : at + length]
        else:
            other = chance.randrange(len(changed))
            changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def survives(
    read: Callable[[], object], seed: Any, *, names: Path | str | None = None, heeding_warnings: bool = False
) -> str:
    """The refusal, empty where it was read. The test fails on an error that is not ours, on one of several lines, on
    one that does not say `names`, on a hang, and on a reader that takes gigabytes."""
    before, said = _resident("VmRSS"), ""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    with _bounded(seed), warnings.catch_warnings():
        # libraries warn of files that they half understand, and of those that an error left open
        warnings.simplefilter("ignore", ResourceWarning if heeding_warnings else Warning)
        try:
            read()
        except CropmapError as error:
            said = str(error)
        except Exception as error:
            raise AssertionError(f"{seed}: {type(error).__name__}: {error}") from error
    assert len(said.splitlines()) <= 1, (seed, said)
    assert not said or names is None or str(names) in said, f"{seed} does not say where: {said}"
    assert _resident("VmHWM") - before < MOST_BYTES, f"{seed}: takes {_resident('VmHWM') - before:,} bytes"
    return said


@contextmanager
def _bounded(seed: Any) -> Iterator[None]:
    def stop(number: int, _: object) -> None:
        pytest.fail(f"{seed}: no end within {CPU_SECONDS} s of processor or {WALL_SECONDS} s ({number})")

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, CPU_SECONDS), signal.SIGALRM: (signal.ITIMER_REAL, WALL_SECONDS)}
    before = {number: signal.signal(number, stop) for number in timers}
    for timer, seconds in timers.values():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def _resident(what: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))
