"""Objects as files below a folder: written under a temporary name, synced, and renamed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import pyarrow as pa

from cropmap.errors import StoreUnavailableError
from cropmap.leftovers import is_partial, partial_name, remove_leftovers

FULL: Final = (errno.ENOSPC, errno.EDQUOT)
NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""what disks answer that know one name of a file alone: exFAT, buckets that are mounted"""


class Folder:
    """Names are relative, with forward slashes. Errors are OSError; a full disk is StoreUnavailableError."""

    def __init__(self, path: Path) -> None:
        self.path = path  # made by the first object: looking makes none

    def read(self, name: str) -> tuple[bytes, str]:
        """The bytes and their version. Raises FileNotFoundError."""
        with (self.path / name).open("rb") as source:
            return source.read(), _version(os.fstat(source.fileno()))

    def open(self, name: str) -> pa.NativeFile:
        """For reading parts."""
        return pa.OSFile(str(self.path / name))

    def open_whole(self, name: str) -> IO[bytes]:
        """For reading all of it, piece by piece. Raises FileNotFoundError."""
        return (self.path / name).open("rb")

    def version(self, name: str) -> str | None:
        path = self.path / name
        try:
            return _version(path.stat()) if path.is_file() else None
        except FileNotFoundError:
            return None

    def versions(self, prefix: str) -> dict[str, str]:
        """Version by name of every file below `prefix`; another one wherever a file was written anew."""
        found = {}
        for folder, folders, files in os.walk(self.path / prefix):
            folders[:] = [part for part in folders if not is_partial(part)]
            for file in files:
                path = Path(folder, file)
                with suppress(FileNotFoundError):  # removed, or renamed, while we look
                    if not is_partial(file):
                        found[path.relative_to(self.path).as_posix()] = _version(path.stat())
        return found

    def write(self, name: str, data: bytes) -> None:
        with self._written(name, lambda sink: sink.write(data)) as partial:
            partial.replace(self.path / name)

    def write_with(self, name: str, fill: Callable[[IO[bytes]], None]) -> None:
        """The same of what `fill` puts into a file that is open for writing and reading."""
        with self._written(name, fill) as partial:
            partial.replace(self.path / name)

    def write_new(self, name: str, data: bytes) -> bool:
        """Writes the file unless there is one; returns whether it did."""
        with self._written(name, lambda sink: sink.write(data)) as partial:
            try:
                os.link(partial, self.path / name)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                return self._moved(partial, name, before=None)
            return True

    def write_over(self, name: str, data: bytes, version: str) -> bool:
        """Writes the file where what stands there is still this version; returns whether it did."""
        with self._written(name, lambda sink: sink.write(data)) as partial:
            return self._moved(partial, name, before=version)

    def _moved(self, partial: Path, name: str, *, before: str | None) -> bool:
        with _alone(partial.parent):
            if self.version(name) != before:
                return False
            partial.replace(self.path / name)
            return True

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def clean(self) -> list[str]:
        """Removes what killed processes left half-written, and returns its names."""
        return [str(path.relative_to(self.path)) for path in remove_leftovers(self.path)]

    @contextmanager
    def _written(self, name: str, fill: Callable[[IO[bytes]], object]) -> Iterator[Path]:
        """What `fill` writes, under a temporary name beside the file, gone after the block unless it renamed them."""
        folder = (self.path / name).parent
        partial = folder / partial_name()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with partial.open("w+b") as sink:
                fill(sink)
                sink.flush()
                os.fsync(sink.fileno())
            yield partial
        except OSError as error:
            if error.errno in FULL:
                raise StoreUnavailableError(
                    "the disk is full", where=str(self.path), mend="Free space, then run the same command again"
                ) from error
            raise
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this machine at a time; a file system without locks leaves it to the lock of the database."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
