"""Bands within zip files: how one is addressed, and its bytes, within bounds."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MAX_LIST_BYTES: Final = 4 << 20
"""of an archive's list of members; a product's has 30,000"""
MAX_MEMBER_BYTES: Final = 512 << 20
"""of a band; a 10 m band of a tile has 240 MB before it is packed"""
PIECE_BYTES: Final = 1 << 20

_ADDRESS: Final = re.compile(r"/vsizip/\{([^{}]+)\}/(.+)", re.DOTALL)
"""as GDAL writes it, so that an operator can open what the ledger names"""
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    LookupError,
)
"""what zipfile raises for an archive that is cut off, damaged, or under a password"""


def archived_address(archive: Path, member: str) -> str:
    return f"/vsizip/{{{archive}}}/{member}"


def archived(address: str) -> tuple[Path, str] | None:
    """The archive and the member of an address that `archived_address` made; None for any other."""
    match = _ADDRESS.fullmatch(address)
    return (Path(match[1]), match[2]) if match else None


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises OSError where it cannot be opened, for whatever reason."""
    with _Bounded(io.FileIO(path)) as file:
        with _damage():
            archive = zipfile.ZipFile(file)
        file.most = MAX_MEMBER_BYTES
        with archive:
            yield archive


def read_some(archive: zipfile.ZipFile, member: str, most: int) -> bytes:
    """At most so many bytes of a member; all of it is held against its checksum. Raises OSError."""
    content = io.BytesIO()  # in pieces: zipfile would hold all of a member twice, packed and unpacked
    with _damage(), archive.open(member) as opened:
        while content.tell() < most and (piece := opened.read(min(PIECE_BYTES, most - content.tell()))):
            content.write(piece)
    return content.getvalue()


def read_member(archive: Path, member: str) -> bytes:
    """All of a member. Raises OSError."""
    with open_zip(archive) as opened:
        with _damage():
            size = opened.getinfo(member).file_size
        if size > MAX_MEMBER_BYTES:
            raise OSError(f"it has {size >> 20:,} MB")
        return read_some(opened, member, size)


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise OSError(" ".join(str(error).split())[:160] or type(error).__name__) from error


class _Bounded(io.BufferedReader):
    """A file of which no more than `most` bytes are read at once: zipfile takes the whole list of members in one piece,
    and one of a gigabyte would fill the memory before it could be counted."""

    most = MAX_LIST_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most:
            raise zipfile.BadZipFile(f"{size >> 20} MB are to be read at once, more than {self.most >> 20}")
        return super().read(size)
