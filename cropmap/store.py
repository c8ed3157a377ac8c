"""The object store: a folder or `s3://bucket/prefix`, through one interface.

An object is either wholly there or absent: local files are written under a temporary name, synced and renamed;
S3 puts are atomic by themselves. Writing the same object twice leaves one copy.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from cropmap.errors import ConfigurationError


class Store:
    """Names are relative, with forward slashes: `observations/bretagne/2018/30UVU/<item>.parquet`."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        if "://" in self.root:
            try:
                self._fs, self._base = fs.FileSystem.from_uri(self.root)
            except (pa.ArrowInvalid, OSError) as error:
                raise ConfigurationError(
                    f"cannot open the store ({error})", where=self.root,
                    mend="Set CROPMAP_STORE to a folder or s3://bucket/prefix",
                ) from error  # fmt: skip
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
        return bool(self._fs.get_file_info(self.location(name)).type == fs.FileType.File)

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted; half-written ones are not objects."""
        selector = fs.FileSelector(self.location(prefix), recursive=True, allow_not_found=True)
        cut = len(self._base) + 1
        return sorted(
            info.path[cut:]
            for info in self._fs.get_file_info(selector)
            if info.type == fs.FileType.File and not info.base_name.startswith(".writing-")
        )

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes] | Any]:
        """A binary sink; the object appears when the block ends without an error, else nothing does."""
        target = self.location(name)
        if not self.is_local:
            with self._fs.open_output_stream(target) as sink:
                yield sink
            return
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".writing-{uuid.uuid4().hex}")
        try:
            with partial.open("wb") as sink:
                yield sink
                sink.flush()
                os.fsync(sink.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def write_bytes(self, name: str, data: bytes) -> None:
        with self.writing(name) as sink:
            sink.write(data)

    def read_bytes(self, name: str) -> bytes:
        with self._fs.open_input_stream(self.location(name)) as source:
            return bytes(source.read())

    def write_table(self, name: str, table: pa.Table) -> None:
        with self.writing(name) as sink:
            pq.write_table(table, sink, compression="zstd")

    def read_table(self, name: str, columns: list[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
        """`rows` keeps the rows where it is true; row groups whose statistics rule it out are not decoded."""
        if rows is None:  # half the time of the general way, which is felt where a season has hundreds of small files
            with self._fs.open_input_file(self.location(name)) as source:
                return pq.ParquetFile(source).read(columns=columns)
        return pq.read_table(self.location(name), columns=columns, filters=rows, filesystem=self._fs)

    def read_schema(self, name: str) -> pa.Schema:
        return pq.read_schema(self.location(name), filesystem=self._fs)

    def remove(self, name: str) -> None:
        if self.exists(name):
            self._fs.delete_file(self.location(name))
