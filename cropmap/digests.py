"""The digest that an object of the store carries within itself, so that one changed bit is found when it is read.

It is one line, `{"sha256": "<64 hex digits>"}`, over all other bytes of the object: at the end, or in a Parquet file
before its footer, where no reader looks. So Parquet stays Parquet, JSON becomes two JSON values, and zip (`.npz`) and
ONNX are cut back before they are parsed. In the object, not beside it: both are written, moved and replaced as one.
An object without such a line (made by an earlier version, or by another program) is taken as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO, Final

LINE: Final = re.compile(rb'\n\{"sha256": "([0-9a-f]{64})"\}\n')
LENGTH: Final = len(b'\n{"sha256": ""}\n') + 64
PARQUET: Final = b"PAR1"
PIECE: Final = 1 << 20
"""bytes of a file that are held at a time"""


class DigestError(ValueError):
    """The bytes are not those that were written."""


def sealed(data: bytes) -> bytes:
    """The object with its digest."""
    at, view = _place(data), memoryview(data)
    return b"".join((view[:at], _line(hashlib.sha256(data)), view[at:]))


def seal(file: IO[bytes]) -> None:
    """The same of a file that is open for reading and writing, in place."""
    size, digest = file.seek(0, 2), hashlib.sha256()
    _feed(digest, file, 0, size)
    file.seek(at := _place_in(file, size))
    rest = file.read()
    file.seek(at)
    file.write(_line(digest) + rest)


def opened(data: bytes) -> tuple[bytes, bool]:
    """The object, and whether a digest vouches for it: without its line, but a Parquet file as it is.

    Raises DigestError where there is a digest and it is another.
    """
    end, view = _place(data), memoryview(data)
    at = max(end - LENGTH, 0)
    line = data[at:end]
    if not LINE.fullmatch(line):
        return data, False
    digest = hashlib.sha256(view[:at])
    digest.update(view[end:])
    _require(line, digest)
    return (data if end < len(data) else data[:at]), True


def check(file: IO[bytes]) -> tuple[int, bool]:
    """Bytes of the object in a file, as `opened` gives it, and whether a digest vouches for them. Raises DigestError
    where there is one and it is another."""
    size, digest = file.seek(0, 2), hashlib.sha256()
    end = _place_in(file, size)
    at = max(end - LENGTH, 0)
    file.seek(at)
    line = file.read(end - at)
    if not LINE.fullmatch(line):
        return size, False
    _feed(digest, file, 0, at)
    _feed(digest, file, end, size)
    _require(line, digest)
    return size if end < size else at, True


def _feed(digest: hashlib._Hash, file: IO[bytes], start: int, end: int) -> None:
    file.seek(start)
    while start < end and (piece := file.read(min(PIECE, end - start))):
        digest.update(piece)
        start += len(piece)


def _line(digest: hashlib._Hash) -> bytes:
    return b'\n{"sha256": "%s"}\n' % digest.hexdigest().encode()


def _require(line: bytes, digest: hashlib._Hash) -> None:
    if line != _line(digest):
        raise DigestError("its SHA-256 is not the one that it was written with")


def _place(data: bytes) -> int:
    """Where the line ends or would be put: before the footer of a Parquet file, at the end of everything else."""
    return _place_of(data[:4], data[-8:], len(data))


def _place_in(file: IO[bytes], size: int) -> int:
    file.seek(0)
    first = file.read(4)
    file.seek(max(size - 8, 0))
    return _place_of(first, file.read(8), size)


def _place_of(first: bytes, last: bytes, size: int) -> int:
    """By the first four bytes and the last eight."""
    if size < 12 or not (first == PARQUET and last.endswith(PARQUET)):
        return size
    footer = int.from_bytes(last[:4], "little") + 8
    return size - footer if footer <= size - len(PARQUET) else size
