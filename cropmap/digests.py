"""The digest that an object of the store carries within itself, so that one changed bit is found when it is read.

It is one line, `{"sha256": "<64 hex digits>"}`, over all other bytes of the object: at the end, or in a Parquet file
before its footer, where no reader looks. So Parquet stays Parquet, JSON becomes two JSON values, and zip (`.npz`) and
ONNX are cut back before they are parsed. In the object, not beside it: both are written, moved and replaced as one.
An object without such a line (made by an earlier version, or by another program) is taken as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

LINE: Final = re.compile(rb'\n\{"sha256": "([0-9a-f]{64})"\}\n')
LENGTH: Final = len(b'\n{"sha256": ""}\n') + 64
PARQUET: Final = b"PAR1"


class DigestError(ValueError):
    """The bytes are not those that were written."""


def sealed(data: bytes) -> bytes:
    """The object with its digest."""
    at = _place(data)
    return b"".join((data[:at], _line(data[:at], data[at:]), data[at:]))


def opened(data: bytes) -> tuple[bytes, bool]:
    """The object, and whether a digest vouches for it: without its line, but a Parquet file as it is.

    Raises DigestError where there is a digest and it is another.
    """
    end = _place(data)
    at = max(end - LENGTH, 0)
    line = data[at:end]
    if not LINE.fullmatch(line):
        return data, False
    if line != _line(data[:at], data[end:]):
        raise DigestError("its SHA-256 is not the one that it was written with")
    return (data if end < len(data) else data[:at]), True


def _line(before: bytes, after: bytes) -> bytes:
    digest = hashlib.sha256(before)
    digest.update(after)
    return b'\n{"sha256": "%s"}\n' % digest.hexdigest().encode()


def _place(data: bytes) -> int:
    """Where the line ends or would be put: before the footer of a Parquet file, at the end of everything else."""
    if len(data) < 12 or not (data.startswith(PARQUET) and data.endswith(PARQUET)):
        return len(data)
    footer = int.from_bytes(data[-8:-4], "little") + 8
    return len(data) - footer if footer <= len(data) - len(PARQUET) else len(data)
