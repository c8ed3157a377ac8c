"""The object store: a folder or `s3://bucket/prefix`, through one interface.

An object is either wholly there or absent: local files are written under a temporary name, synced and renamed;
S3 puts are atomic by themselves. Writing the same object twice leaves one copy. Every object carries a digest
(`digests`), and is never returned where its bytes are others than those that were written.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from cropmap.digests import DigestError, opened, sealed
from cropmap.errors import ConfigurationError, DamagedObjectError, StoreError
from cropmap.leftovers import is_partial, partial_name, remove_leftovers

log = logging.getLogger(__name__)

T = TypeVar("T")

MENDS: Final = {
    "observations": "`cropmap observe` of its season makes it again; an imported table is to be imported again",
    "artifacts": "`cropmap train` of its season makes it again",
    "runs": "`cropmap season run` of its season makes it again",
}
"""What makes an object again, by the first part of its name."""
MADE_AGAIN: Final = "Run the same command again: it is made again"


class Store:
    """Names are relative, with forward slashes: `observations/bretagne/2018/30UVU/<item>.parquet`."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._whole: set[str] = set()  # names of objects that this process wrote, or read and found whole
        if "://" in self.root:
            try:
                self._fs, self._base = fs.FileSystem.from_uri(self.root)
            except (pa.ArrowInvalid, OSError) as error:
                raise ConfigurationError(
                    f"cannot open the store ({error})",
                    where=self.root,
                    mend="Set CROPMAP_STORE to a folder or s3://bucket/prefix",
                ) from error
            self.is_local = isinstance(self._fs, fs.LocalFileSystem)
        else:
            path = Path(self.root).absolute()  # made by the first object: looking makes none
            self._fs, self._base, self.is_local = fs.LocalFileSystem(), str(path), True

    def location(self, name: str) -> str:
        return f"{self._base}/{name}"

    def local_path(self, name: str) -> Path:
        """Path of an object in a local store, in a folder that exists; asserts that the store is a folder."""
        assert self.is_local, "only a local store has paths"
        path = Path(self.location(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def exists(self, name: str) -> bool:
        with _naming(name, "looked for"):
            return bool(self._fs.get_file_info(self.location(name)).type == fs.FileType.File)

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted; half-written ones are not objects."""
        selector = fs.FileSelector(self.location(prefix), recursive=True, allow_not_found=True)
        cut = len(self._base) + 1
        with _naming(prefix, "listed"):
            names = [info.path[cut:] for info in self._fs.get_file_info(selector) if info.type == fs.FileType.File]
        return sorted(name for name in names if not is_partial(name))

    def write_bytes(self, name: str, data: bytes, *, digest: bool = True) -> None:
        """Raises StoreError where it cannot be written. `digest` is False for a file that people open themselves."""
        with _naming(name, "written"):
            self._put(name, sealed(data) if digest else data)
        self._whole.add(name)

    def read_bytes(self, name: str) -> bytes:
        return self.read(name, bytes)

    def read(self, name: str, parse: Callable[[bytes], T]) -> T:
        """What `parse` makes of the object's bytes.

        Raises DamagedObjectError where they are not those that were written, or where `parse` fails on them; StoreError
        where there is no such object, or the store does not answer.
        """
        try:
            with _naming(name, "read"), self._fs.open_input_stream(self.location(name)) as source:
                stored = bytes(source.read())
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise StoreError("is not in the store", where=name, mend=_mend(name)) from error
            raise
        try:
            data, vouched = opened(stored)
        except DigestError as error:
            raise _damaged(name, error) from error
        try:
            parsed = parse(data)
            if not vouched and isinstance(parsed, pa.Table):
                parsed.validate(full=True)
        except Exception as error:  # bytes that nothing vouches for may break a parser in any way
            raise _damaged(name, error) from error
        self._whole.add(name)
        return parsed

    def recall(self, name: str, parse: Callable[[bytes], T]) -> T | None:
        """The same of something that can be made again: None where there is none, or a damaged one, which is logged."""
        if not self.exists(name):
            return None
        try:
            return self.read(name, parse)
        except DamagedObjectError as error:
            log.warning("%s: %s; it is made again", error.where, error.what)
            return None

    def write_table(self, name: str, table: pa.Table, *, row_group_size: int | None = None) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=row_group_size, write_page_checksum=True)
        self.write_bytes(name, sink.getvalue().to_pybytes())

    def read_table(self, name: str, columns: list[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
        """`rows` keeps the rows where it is true; row groups whose statistics rule it out are not decoded.

        The object is read as a whole once per process, to be held against its digest; then only what is asked for.
        """
        if rows is None:  # half the time of the general way, which is felt where a season has hundreds of small files
            return self.read(name, lambda data: _parquet_file(data).read(columns=columns))
        if name not in self._whole:
            return self.read(name, lambda data: _rows(data, columns, rows))
        with _naming(name, "read"):
            return pq.read_table(self.location(name), columns=columns, filters=rows, filesystem=self._fs)

    def read_schema(self, name: str) -> pa.Schema:
        return self.read(name, parquet_schema)

    def remove(self, name: str) -> None:
        if self.exists(name):
            with _naming(name, "removed"):
                self._fs.delete_file(self.location(name))

    def clean(self) -> list[str]:
        """Removes what killed processes left half-written in a folder, and returns its names; S3 shows none."""
        if not self.is_local:
            return []
        root = Path(self._base)
        return [str(path.relative_to(root)) for path in remove_leftovers(root)]

    def _put(self, name: str, data: bytes) -> None:
        target = self.location(name)
        if not self.is_local:
            with self._fs.open_output_stream(target) as remote:
                remote.write(data)
            return
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(partial_name())
        try:
            with partial.open("wb") as sink:
                sink.write(data)
                sink.flush()
                os.fsync(sink.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def parquet_schema(data: bytes) -> pa.Schema:
    return pq.read_schema(pa.BufferReader(data))


def parquet_content(data: bytes) -> pa.Table:
    return _parquet_file(data).read()


def _parquet_file(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)


def _rows(data: bytes, columns: list[str] | None, rows: pc.Expression) -> pa.Table:
    return pq.read_table(pa.BufferReader(data), columns=columns, filters=rows, page_checksum_verification=True)


@contextmanager
def _naming(name: str, done: str) -> Iterator[None]:
    """Errors of the file system as one of ours that names the object."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot be {done} ({_one_line(error)})", where=name) from error


def _damaged(name: str, error: Exception) -> DamagedObjectError:
    why = _one_line(error) if isinstance(error, DigestError) else f"{type(error).__name__}: {_one_line(error)}"
    return DamagedObjectError(f"is damaged ({why})", where=name, mend=_mend(name))


def _mend(name: str) -> str:
    return MENDS.get(name.partition("/")[0], MADE_AGAIN)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
