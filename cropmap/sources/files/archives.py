"""Archives of strangers: zip, 7z, tar, gzip, and RAR where a reader is installed. In: a path; out: the members, and
some of them unpacked into a folder of ours, within bounds.

A member is a plain file with a path inside the archive. Links and devices are no members; a path that leads out of the
archive, a member under a password, or one that unpacks to far more than it should is refused.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Self

import inflate64
import multivolumefile
import rarfile

from cropmap.errors import DeclarationFileError

ENDINGS: Final = (".zip", ".kmz", ".7z", ".7z.001", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
MAX_MEMBERS: Final = 50_000
"""a file geodatabase has some hundred files, a country delivered per municipality some thousand"""
MAX_UNPACKED: Final = 64 << 30
"""bytes of one delivery; the largest national registers unpack to about a tenth of it"""
ANY_RATIO_BELOW: Final = 1 << 28
"""bytes that may be unpacked from however little"""
MAX_RATIO: Final = 200
"""unpacked to packed bytes of a delivery; padded text in a .dbf reaches about 50"""
SEVEN_ZIP: Final = b"7z\xbc\xaf\x27\x1c"
RAR: Final = b"Rar!\x1a\x07"
COMPRESSED: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
FIRST_VOLUME: Final = ".001"
_DEFLATE64: Final = 9
"""compression method of a zip made by the Windows Explorer of more than 2 GB; zipfile does not know it"""
_UTF8_NAME: Final = 0x800
_CHUNK: Final = 1 << 20
_MAX_HEADER: Final = 1 << 20
"""bytes of a long name, or of what a pax header says, which tarfile reads at once; a path has some hundred"""
_LONG_HEADERS: Final = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


@dataclass(frozen=True)
class Member:
    name: str
    """with slashes, without a root: `folder/fields.shp`"""
    size: int
    """bytes unpacked, as the archive says"""
    entry: Any
    """the reader's own"""


@dataclass
class Budget:
    """What one delivery may still unpack, its inner archives included."""

    where: str
    packed: int
    left: int = MAX_UNPACKED
    spent: int = 0

    def take(self, size: int, folder: Path) -> None:
        """Raises DeclarationFileError where `size` more bytes are too many, or do not fit on the disk."""
        self.spent += size
        self.left -= size
        if self.left < 0 or (self.spent > ANY_RATIO_BELOW and self.spent > MAX_RATIO * self.packed):
            raise DeclarationFileError(
                f"{_bytes(self.packed)} would unpack to {_bytes(self.spent)} or more",
                where=self.where,
                mend="If that is right, unpack it and name the file itself",
            )
        if size > (free := shutil.disk_usage(folder).free):
            raise DeclarationFileError(
                f"unpacking needs {_bytes(size)}, {folder.parent} has {_bytes(free)} left",
                where=self.where,
                mend="Set TMPDIR to a folder on a larger disk",
            )


@dataclass(frozen=True)
class Archive:
    path: Path
    members: Sequence[Member]
    _unpack: Callable[[Member, Path], None]

    def unpack(self, wanted: Mapping[Member, Path], budget: Budget) -> None:
        """Writes members under the paths given. Raises DeclarationFileError."""
        for member, target in wanted.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            budget.take(member.size, target.parent)
            with _foreign_errors(budget.where, member.name):
                self._unpack(member, target)


def is_archive(path: Path) -> bool:
    """By its content, whatever its name."""
    return _kind(path) is not None


@contextlib.contextmanager
def open_archive(path: Path, *, where: str) -> Iterator[Archive]:
    """`where` stands in errors for the file that a person named. Raises DeclarationFileError."""
    reader = _kind(path)
    assert reader is not None, "asked is_archive first"
    with contextlib.ExitStack() as stack:
        with _foreign_errors(where, ""):
            members, unpack = reader(path, stack)
        if len(members) > MAX_MEMBERS:
            raise DeclarationFileError(f"the archive has {len(members)} members", where=where, mend="Unpack it")
        yield Archive(path, [_checked(member, where) for member in members], unpack)


_Reader = Callable[[Path, contextlib.ExitStack], tuple[list[Member], Callable[[Member, Path], None]]]


def _kind(path: Path) -> _Reader | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(SEVEN_ZIP):
        return _seven_zip
    if head.startswith(RAR):
        return _rar
    if head[257:262] == b"ustar":
        return _tar
    if any(head.startswith(magic) for magic in COMPRESSED):
        return _compressed
    return _zip if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) else None


def _checked(member: Member, where: str) -> Member:
    """With a name that stays inside."""
    parts = PurePosixPath(member.name.replace("\\", "/")).parts
    if ".." in parts:
        raise DeclarationFileError(
            f"its member {member.name[:80]!r} leads out of the archive", where=where, mend="Pack it anew"
        )
    inner = [part for part in parts if part != "/" and not (len(part) == 2 and part[1] == ":")]
    return Member(str(PurePosixPath(*inner)), member.size, member.entry)


def _copy(source: IO[bytes], target: Path, size: int) -> None:
    """At most `size` bytes: what the archive said, and what was counted."""
    left = size
    with target.open("wb") as file:
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ValueError("it holds more than it says")
            file.write(chunk)


# --- zip -----------------------------------------------------------------------------------------------------------


def _zip(path: Path, stack: contextlib.ExitStack) -> tuple[list[Member], Callable[[Member, Path], None]]:
    archive = stack.enter_context(zipfile.ZipFile(path))

    def unpack(member: Member, target: Path) -> None:
        if member.entry.compress_type == _DEFLATE64:
            return _inflate64(path, member.entry, target)
        with archive.open(member.entry) as packed:
            return _copy(packed, target, member.size)

    plain = [info for info in archive.infolist() if not info.is_dir() and not _is_special(info.external_attr >> 16)]
    return [Member(_zip_name(info), info.file_size, info) for info in plain if info.filename], unpack


def _is_special(mode: int) -> bool:
    """A link, device or pipe by its Unix mode; 0 where the archive says none."""
    return mode >> 12 not in (0, 0o10)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Names without a mark are taken for code page 437 by zipfile; many are UTF-8 all the same."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    with contextlib.suppress(UnicodeError):
        return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _inflate64(path: Path, info: zipfile.ZipInfo, target: Path) -> None:
    if info.flag_bits & 1:
        raise RuntimeError("it is encrypted")
    with path.open("rb") as packed, target.open("wb") as file:
        packed.seek(info.header_offset)
        header = packed.read(30)
        name, extra = struct.unpack("<HH", header[26:30])
        packed.seek(name + extra, 1)
        inflater, left, checksum, written = inflate64.Inflater(), info.compress_size, 0, 0
        while left > 0 and (chunk := packed.read(min(_CHUNK >> 4, left))):
            left -= len(chunk)
            data = inflater.inflate(chunk)
            written, checksum = written + len(data), zlib.crc32(data, checksum)
            if written > info.file_size:
                raise ValueError("it holds more than it says")
            file.write(data)
    if written != info.file_size or checksum != info.CRC:
        raise zipfile.BadZipFile("bad checksum")


# --- 7z, RAR ---------------------------------------------------------------------------------------------------------


def _seven_zip(path: Path, stack: contextlib.ExitStack) -> tuple[list[Member], Callable[[Member, Path], None]]:
    import py7zr  # a third of a second, and hardly a declarations file is one

    file = stack.enter_context(_volumes(path))
    archive = stack.enter_context(py7zr.SevenZipFile(file))
    total = sum(int(each.uncompressed or 0) for each in archive.files)
    if total > _limit(packed := file.seek(0, os.SEEK_END)):  # its members are packed as one, and unpacked as one
        raise ValueError(f"{_bytes(packed)} would unpack to {_bytes(total)}")
    plain = [each for each in archive.files if each.is_file and not each.is_symlink and not each.is_junction]
    names = [Member(each.filename, int(each.uncompressed), each.filename) for each in plain]

    def unpack(member: Member, target: Path) -> None:
        folder = target.parent / f".7z-{target.name}"
        archive.reset()
        archive.extract(folder, targets=[member.entry])
        unpacked = next(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
        unpacked.replace(target)
        shutil.rmtree(folder)

    return names, unpack


def _volumes(path: Path) -> Any:
    """One file, or the volumes that begin with .001 as if they were one."""
    if path.suffix == FIRST_VOLUME and path.with_suffix(".002").exists():
        return multivolumefile.MultiVolume(path.with_suffix(""), mode="rb", ext_digits=len(FIRST_VOLUME) - 1)
    return path.open("rb")


def _rar(path: Path, stack: contextlib.ExitStack) -> tuple[list[Member], Callable[[Member, Path], None]]:
    archive = stack.enter_context(rarfile.RarFile(path))

    def unpack(member: Member, target: Path) -> None:
        with archive.open(member.entry) as packed:
            _copy(packed, target, member.size)

    plain = [info for info in archive.infolist() if info.is_file() and not info.is_symlink()]
    return [Member(info.filename, int(info.file_size), info) for info in plain], unpack


# --- tar, and a single compressed file -------------------------------------------------------------------------------


def _compressed(path: Path, stack: contextlib.ExitStack) -> tuple[list[Member], Callable[[Member, Path], None]]:
    if _is_tar(path):
        return _tar(path, stack)
    with path.open("rb") as file:
        head = file.read(8)
    opener = next(opener for magic, opener in COMPRESSED.items() if head.startswith(magic))

    def unpack(_: Member, target: Path) -> None:
        with opener(path) as packed:
            _copy(packed, target, size)

    size = 0  # known only by unpacking it: once to count, once to write
    with opener(path) as packed:
        while size <= _limit(path.stat().st_size) and (chunk := packed.read(_CHUNK)):
            size += len(chunk)
    return [Member(path.name.rpartition(".")[0] or path.name, size, None)], unpack


class _Header(tarfile.TarInfo):
    """Refuses a header that would fill the memory before anything is unpacked."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _LONG_HEADERS and header.size > _MAX_HEADER:
            raise _LongHeaderError(f"a header of {_bytes(header.size)}")
        return header


class _LongHeaderError(Exception):
    """No error of tarfile's, which would take it for the end of the archive."""


def _is_tar(path: Path) -> bool:
    try:
        tarfile.open(path, tarinfo=_Header).close()
    except tarfile.TarError:
        return False
    return True


def _tar(path: Path, stack: contextlib.ExitStack) -> tuple[list[Member], Callable[[Member, Path], None]]:
    archive = stack.enter_context(tarfile.open(path, tarinfo=_Header))  # noqa: SIM115  the stack closes it
    members = []
    for number, info in enumerate(archive):
        if number > 2 * MAX_MEMBERS:  # folders and links too: each takes memory
            raise ValueError(f"it has more than {2 * MAX_MEMBERS:,} entries")
        if info.isreg():
            members.append(Member(info.name, info.size, info))
        if len(members) > MAX_MEMBERS or info.offset_data + info.size > _limit(path.stat().st_size):
            break  # listing or unpacking it raises the error; the rest is not read

    def unpack(member: Member, target: Path) -> None:
        packed = archive.extractfile(member.entry)
        assert packed is not None, "only plain files are members"
        with packed:
            _copy(packed, target, member.size)

    return members, unpack


def _limit(packed: int) -> int:
    """Bytes after which no more is unpacked only to see how much there is."""
    return min(max(ANY_RATIO_BELOW, MAX_RATIO * packed), MAX_UNPACKED)


# --- errors ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _foreign_errors(where: str, member: str) -> Iterator[None]:
    """Readers of archives raise anything on a damaged one, not only their own errors."""
    try:
        yield
    except DeclarationFileError:
        raise
    except rarfile.RarCannotExec as error:
        raise DeclarationFileError(
            "no reader for RAR archives is installed",
            where=where,
            mend="Install unrar, bsdtar, 7z or unar; or unpack it",
        ) from error
    except Exception as error:  # readers of zip, 7z, RAR and tar raise whatever damage makes them stumble over
        import py7zr  # as above

        text = " ".join(str(error).split())[:160] or type(error).__name__
        secret = isinstance(error, py7zr.PasswordRequired | rarfile.PasswordRequired) or (
            isinstance(error, RuntimeError) and "encrypted" in text
        )
        if secret:
            raise DeclarationFileError("the archive is under a password", where=where, mend="Unpack it") from error
        at = f", member {member[:80]!r}" if member else ""
        raise DeclarationFileError(
            f"the archive cannot be unpacked ({text}{at})",
            where=where,
            mend="Fetch it again, all its volumes (.001, .002 …) in one folder; or unpack it",
        ) from error


def _bytes(number: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
