"""Bytes and requests that GDAL takes for one window of a GeoTIFF on another machine, or for a copy of a file.

GDAL does not tell. What stands here was counted at a server (`tests/observations/test_ranges.py` counts again): the
header comes first; then rows of blocks, of which as many as fit into PREFETCHED_BYTES come with one request each; the
blocks of later rows come in pieces, each twice as large as the one before. Blocks that follow each other in the file
are one piece, and pieces are no larger than PREFETCHED_BYTES.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

HEADER_BYTES: Final = 32_768
"""of a COG, with the first request"""
CHUNK_BYTES: Final = 512 << 10
"""of the first request of a copy; GDAL doubles it. With its own 16 kB a file would be a hundred requests. GDAL takes it
for the whole process, once: where GeoTIFFs are read too, their headers come in chunks of this size"""
CHUNKS_AT_ONCE: Final = 31
"""of one request of a copy, as they were counted"""
PREFETCHED_BYTES: Final = 10 << 20
ALIGNED_BYTES: Final = 16_384
"""at multiples of which GDAL begins and ends what it fetches"""

Block: TypeAlias = tuple[int, int]
"""where its bytes begin in the file, and how many they are; 0, 0 for one that is not stored"""


@dataclass(frozen=True)
class Fetched:
    n_bytes: float
    n_requests: float


@dataclass
class _Piece:
    start: int
    end: int
    blocks: int


def fetched(rows: Sequence[Sequence[Block]], *, file_bytes: int) -> Fetched:
    """`rows`: the blocks of a window, row by row. `file_bytes`: of the whole file, or to the end of its last block."""
    header = min(HEADER_BYTES, file_bytes)
    pieces = _pieces(rows, file_bytes)
    n_requests, room = 1.0, float(PREFETCHED_BYTES)
    if len(pieces) == 1:
        n_requests += math.ceil((pieces[0].end - pieces[0].start) / PREFETCHED_BYTES)
    else:
        for piece in pieces:
            each = (piece.end - piece.start) / piece.blocks
            first = min(piece.blocks, int(room // max(each, 1.0)))
            room -= first * each
            n_requests += bool(first) + (1 + math.ceil(math.log2(piece.blocks - first + 1))) * (first < piece.blocks)
    return Fetched(header + sum(piece.end - piece.start for piece in pieces), n_requests)


def requests_of_copy(n_bytes: float) -> int:
    """Of a whole file, in a process that has read nothing else before."""
    chunks = max(math.ceil(n_bytes / CHUNK_BYTES), 1)
    doubled = min(chunks, CHUNKS_AT_ONCE + 1)
    return 1 + math.ceil(math.log2(doubled)) + math.ceil((chunks - doubled) / CHUNKS_AT_ONCE)


def _pieces(rows: Sequence[Sequence[Block]], file_bytes: int) -> list[_Piece]:
    """What lies behind the header, in the order of the file."""
    pieces: list[_Piece] = []
    for row in rows:
        for at, size in sorted(block for block in row if block[1]):
            start = max(at // ALIGNED_BYTES * ALIGNED_BYTES, HEADER_BYTES)
            end = min(-(-(at + size) // ALIGNED_BYTES) * ALIGNED_BYTES, file_bytes)
            if end <= start:
                continue
            if pieces and pieces[-1].start <= start <= pieces[-1].end + ALIGNED_BYTES:
                last = pieces[-1]
                last.end, last.blocks = max(last.end, end), last.blocks + 1
            else:
                pieces.append(_Piece(start, end, 1))
    return pieces
