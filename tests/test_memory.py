"""Memory that is no longer used goes back to the system."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap import processes

BLOCKS = 2_000
BLOCK_BYTES = 60_000
"""below what glibc maps by itself"""


def anonymous_bytes() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


@pytest.mark.skipif(processes._TRIM is None, reason="another C library than glibc")
def test_what_lies_below_a_block_in_use_is_returned() -> None:
    blocks = [b"x" * BLOCK_BYTES for _ in range(BLOCKS)]
    last = blocks.pop()
    blocks.clear()
    before = anonymous_bytes()
    processes.return_unused_memory()
    assert before - anonymous_bytes() > BLOCKS * BLOCK_BYTES / 2
    assert last
