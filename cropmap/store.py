"""The object store: a folder or `s3://bucket/prefix`, through one interface.

An object is either wholly there or absent: local files are written under a temporary name, synced and renamed
(`folders`), puts into a bucket are atomic by themselves (`buckets`). Writing the same object twice leaves one copy.
Every object carries a digest (`digests`), and is never returned where its bytes are others than those that were
written.
"""

from __future__ import annotations

import logging
import shutil
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, Final, TypeVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cropmap.buckets import Bucket
from cropmap.digests import DigestError, check, opened, seal, sealed
from cropmap.errors import DamagedObjectError, ObjectChangedError, StoreError
from cropmap.folders import Folder

log = logging.getLogger(__name__)

T = TypeVar("T")

MENDS: Final = {
    "observations": "`cropmap observe` of its season makes it again; an imported table is to be imported again",
    "artifacts": "`cropmap train` of its season makes it again",
    "runs": "`cropmap season run` of its season makes it again",
}
"""What makes an object again, by the first part of its name."""
MADE_AGAIN: Final = "Run the same command again: it is made again"


@dataclass(frozen=True)
class RowGroup:
    lasts: tuple[str, ...]
    """the last value of the column in each row group of the table"""
    number: int
    """of this one; as many as there are where the value is behind all of them"""
    rows: pa.Table


class Store:
    """Names are relative, with forward slashes: `observations/bretagne/2018/30UVU/<item>.parquet`."""

    def __init__(self, root: str | Path) -> None:
        """Opens nothing yet. Raises ConfigurationError for an address that is none."""
        self.root = str(root)
        self._whole: set[str] = set()  # names of objects that this process wrote, or read and found whole
        self._place: Folder | Bucket
        if "://" in self.root and not self.root.startswith("file://"):
            self._place = Bucket(self.root)
        else:
            path = unquote(urlsplit(self.root).path) if "://" in self.root else self.root
            self._place = Folder(Path(path).absolute())

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        """By its address: another process takes the keys from its own environment."""
        return Store, (str(self._place.path) if isinstance(self._place, Folder) else self.root,)

    @property
    def is_local(self) -> bool:
        return isinstance(self._place, Folder)

    def address(self, name: str) -> str:
        """Of an object or a folder of objects, as other programs name it."""
        return f"{self._place.path if isinstance(self._place, Folder) else self._place.address}/{name}"

    def name_at(self, address: str) -> str | None:
        """The reverse of `address`: the name of what lies there in this store; None: it lies elsewhere."""
        base = self.address("")
        return address.removeprefix(base) if address.startswith(base) else None

    def local_path(self, name: str) -> Path:
        """Path of an object in a local store, in a folder that exists; asserts that the store is a folder."""
        assert isinstance(self._place, Folder), "only a local store has paths"
        path = self._place.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def exists(self, name: str) -> bool:
        return self.version(name) is not None

    def version(self, name: str) -> str | None:
        """None where there is no such object. One request to a bucket; of many objects `versions` tells at once."""
        with _naming(name, "looked for"):
            return self._place.version(name)

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted; half-written ones are not objects."""
        return sorted(self.versions(prefix))

    def versions(self, prefix: str) -> dict[str, str]:
        """Name -> version of all objects below a prefix; other bytes have another version."""
        with _naming(prefix, "listed"):
            return self._place.versions(prefix)

    def write_bytes(self, name: str, data: bytes, *, digest: bool = True) -> None:
        """Raises StoreError where it cannot be written. `digest` is False for a file that people open themselves."""
        with _naming(name, "written"):
            self._place.write(name, sealed(data) if digest else data)
        self._whole.add(name)

    def write_file(self, name: str, path: Path) -> None:
        """A file's bytes as an object, piece by piece."""

        def fill(file: IO[bytes]) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, file)
            seal(file)

        with _naming(name, "written"):
            self._place.write_with(name, fill)

    def read_file(self, name: str, path: Path) -> None:
        """The reverse of `write_file`, which gives every object a digest. Raises as `read` does."""
        with _finding(name):
            file = self._place.open_whole(name)
        with file, path.open("wb") as target:
            try:
                size, vouched = check(file)
            except DigestError as error:
                raise _damaged(name, error) from error
            if not vouched:
                raise _damaged(name, DigestError("its SHA-256 is missing"))
            file.seek(0)
            shutil.copyfileobj(file, target)
            target.truncate(size)

    def write_once(self, name: str, data: bytes) -> bool:
        """Writes an object that never changes; returns False, and writes nothing, where another writer was first."""
        with _naming(name, "written"):
            return self._place.write_new(name, sealed(data))

    def replace(self, name: str, data: bytes, *, before: str | None) -> None:
        """Writes an object where it is still the version `before` (None: where there is none).

        Raises ObjectChangedError where another writer came between."""
        with _naming(name, "written"):
            place, whole = self._place, sealed(data)
            done = place.write_new(name, whole) if before is None else place.write_over(name, whole, before)
        if not done:
            raise ObjectChangedError("was changed by another command meanwhile", where=name, mend="Run it again")

    def read_bytes(self, name: str) -> bytes:
        return self.read(name, bytes)

    def read(self, name: str, parse: Callable[[bytes], T]) -> T:
        """What `parse` makes of the object's bytes.

        Raises DamagedObjectError where they are not those that were written, or where `parse` fails on them; StoreError
        where there is no such object, or the store does not answer.
        """
        with _finding(name):
            stored, _ = self._place.read(name)
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
        return self._recalled(lambda: self.read(name, parse))

    def _recalled(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except DamagedObjectError as error:
            log.warning("%s: %s; it is made again", error.where, error.what)
            return None
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def write_table(self, name: str, table: pa.Table, *, row_group_size: int | None = None) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=row_group_size, write_page_checksum=True)
        self.write_bytes(name, sink.getvalue().to_pybytes())

    def write_rows(self, name: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        """A table whose row groups are these tables, which are held one at a time."""

        def fill(file: IO[bytes]) -> None:
            with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=max(len(table), 1))
            seal(file)

        with _naming(name, "written"):
            self._place.write_with(name, fill)
        self._whole.add(name)

    def read_rows(self, name: str, columns: list[str] | None = None) -> Generator[pa.Table, None, None]:
        """A table, one row group after the other; at least one. The object is held against its digest first, and never
        in memory as a whole. Raises as `read` does."""
        with _finding(name):
            file = self._place.open_whole(name)
        with file:
            try:
                _, vouched = check(file)
                table = pq.ParquetFile(file, page_checksum_verification=True)
                if not table.num_row_groups:
                    yield table.schema_arrow.empty_table().select(columns or table.schema_arrow.names)
                for group in range(table.num_row_groups):
                    rows = table.read_row_group(group, columns=columns)
                    if not vouched:
                        rows.validate(full=True)
                    yield rows
            except Exception as error:  # bytes that nothing vouches for may break a parser in any way
                raise _damaged(name, error) from error

    def count_rows(self, name: str) -> int | None:
        """Rows of a table that can be decoded to its end; None as `recall` gives it."""
        return self._recalled(lambda: sum(len(rows) for rows in self.read_rows(name)))

    def read_table(self, name: str, columns: list[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
        """`rows` keeps the rows where it is true; row groups whose statistics rule it out are not decoded.

        The object is read as a whole once per process, to be held against its digest; then only what is asked for.
        """
        if rows is None:  # half the time of the general way, which is felt where a season has hundreds of small files
            return self.read(name, lambda data: parquet_file(data).read(columns=columns))
        if name not in self._whole:
            return self.read(name, lambda data: _rows(data, columns, rows))
        with _naming(name, "read"), self._place.open(name) as source:
            return pq.read_table(source, columns=columns, filters=rows)

    def read_row_group(self, name: str, column: str, value: str) -> RowGroup:
        """Of a table that is sorted by a column of text, the row group that has the value where any has it."""
        if name not in self._whole:
            return self.read(name, lambda data: _row_group(parquet_file(data), column, value))
        with _naming(name, "read"), self._place.open(name) as source:
            return _row_group(pq.ParquetFile(source, page_checksum_verification=True), column, value)

    def read_schema(self, name: str) -> pa.Schema:
        return self.read(name, parquet_schema)

    def remove(self, name: str) -> None:
        """Removes an object; one that is not there is removed already."""
        with _naming(name, "removed"):
            self._place.remove(name)
        self._whole.discard(name)

    def clean(self) -> list[str]:
        """Removes what killed processes left half-written in a folder, and returns its names; a bucket shows none."""
        return self._place.clean()


def _row_group(file: pq.ParquetFile, column: str, value: str) -> RowGroup:
    # the largest until then: a row group that lost all of its rows has none of its own
    lasts = tuple(accumulate((_last(file, number, column) for number in range(file.num_row_groups)), max))
    number = bisect_left(lasts, value)
    empty = file.schema_arrow.empty_table()
    return RowGroup(lasts, number, file.read_row_group(number) if number < len(lasts) else empty)


def _last(file: pq.ParquetFile, number: int, column: str) -> str:
    statistics = file.metadata.row_group(number).column(file.schema_arrow.names.index(column)).statistics
    if statistics is not None and statistics.has_min_max:
        return str(statistics.max)
    values = file.read_row_group(number, columns=[column])[column]  # a long text has no statistics
    return str(values[-1]) if len(values) else ""


def parquet_schema(data: bytes) -> pa.Schema:
    return pq.read_schema(pa.BufferReader(data))


def parquet_file(data: bytes) -> pq.ParquetFile:
    """For reading row groups, each held against its checksums."""
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


@contextmanager
def _finding(name: str) -> Iterator[None]:
    """The same where an object is read: one that is missing is told with what makes it again."""
    try:
        with _naming(name, "read"):
            yield
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise StoreError("is not in the store", where=name, mend=_mend(name)) from error.__cause__
        raise


def _damaged(name: str, error: Exception) -> DamagedObjectError:
    why = _one_line(error) if isinstance(error, DigestError) else f"{type(error).__name__}: {_one_line(error)}"
    return DamagedObjectError(f"is damaged ({why})", where=name, mend=_mend(name))


def _mend(name: str) -> str:
    return MENDS.get(name.partition("/")[0], MADE_AGAIN)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
