"""Whole copies of remote JPEG 2000 files while they are read: each is fetched once, decoded once, and removed.

A JPEG 2000 of a tile has no blocks that could be read by themselves at a tolerable number of requests. The next files
are fetched while one is decoded, within a bound on the bytes that lie there (decision 0105).
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cropmap.errors import CropmapError, SceneError
from cropmap.leftovers import partial_name, remove_leftovers
from cropmap.observations.raster_access import NotWrittenError, fetch
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.places import local_file, raster_ending
from cropmap.sources.catalogs.sign_in.signatures import without_signatures
from cropmap.sources.catalogs.zipped import archived

FETCHED_TOGETHER: Final = 4
"""files; as many connections as Copernicus Data Space allows"""
DEFAULT_BYTES: Final = 4_000_000_000
"""the bands of four acquisitions"""
EXPECTED_BYTES: Final = 130_000_000
"""of a file whose size the item does not state: a 10 m band without clouds"""
LEAST_ROOM_BYTES: Final = 1 << 24


def is_copied(href: str) -> bool:
    """Whether a file is fetched whole before it is read."""
    return local_file(href) is None and archived(href) is None and is_jpeg2000(href)


def is_jpeg2000(href: str) -> bool:
    path = href if href.startswith("/") else urlsplit(href).path
    return raster_ending(path) == ".jp2"


class _Copy:
    """One file on its way: asked for, being fetched, or there."""

    def __init__(self, href: str, size: int | None) -> None:
        self.href, self.size = href, size
        self.reserved = size or EXPECTED_BYTES
        self.wanted = False
        """a reader waits for it"""
        self.fetched: Future[Path]


class Scratch:
    """A folder of copies and its bound; threads share it.

    The bound may be exceeded by the files that readers wait for at this moment, one each: nobody waits for ever.
    """

    def __init__(self, folder: Path, most_bytes: int = DEFAULT_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._room = threading.Condition()
        self._held = 0
        self._copies: dict[str, _Copy] = {}
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def ahead(self, files: Mapping[str, int | None]) -> Iterator[None]:
        """Fetches the files that are copied whole (address -> bytes, None where the item does not say) in their order
        while the block reads them; what was not read is removed at its end."""
        asked = [self._ask(href, size) for href, size in files.items() if is_copied(href)]
        try:
            yield
        finally:
            for copy in asked:
                self._drop(copy)

    @contextmanager
    def copied(self, href: str) -> Iterator[Path]:
        """The copy of a file, there for the block. Raises SceneError where it cannot be fetched, CropmapError where the
        scratch folder has no room."""
        copy = self._ask(href, None)
        with self._room:
            copy.wanted = True
            self._room.notify_all()
        try:
            yield copy.fetched.result()
        finally:
            self._drop(copy)

    def _ask(self, href: str, size: int | None) -> _Copy:
        with self._room:
            if (copy := self._copies.get(href)) is None:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(FETCHED_TOGETHER, "fetch")
                    if self.folder.is_dir():
                        remove_leftovers(self.folder)
                copy = self._copies[href] = _Copy(href, size)
                copy.fetched = self._pool.submit(self._fetch, copy)
            return copy

    def _fetch(self, copy: _Copy) -> Path:
        with self._room:
            self._room.wait_for(lambda: copy.wanted or self._is_dropped(copy) or self._fits(copy))
            if self._is_dropped(copy):
                raise CancelledError
            self._held += copy.reserved
        path = self.folder / f"{partial_name()}.jp2"
        try:
            self._check_room(copy.reserved)
            try:
                _copy_whole(copy.href, path, copy.size)
            except SceneError:
                self._check_room(LEAST_ROOM_BYTES)  # a disk that filled up meanwhile is no fault of the scene
                raise
            self._settle(copy, path.stat().st_size)
        except BaseException as error:
            path.unlink(missing_ok=True)
            self._settle(copy, 0)
            if isinstance(error, OSError | NotWrittenError):
                raise self._full(error) from error
            raise
        return path

    def _fits(self, copy: _Copy) -> bool:
        return self._held + copy.reserved <= self.most_bytes

    def _is_dropped(self, copy: _Copy) -> bool:
        return self._copies.get(copy.href) is not copy

    def _settle(self, copy: _Copy, size: int) -> None:
        with self._room:
            self._held += size - copy.reserved
            copy.reserved = size
            self._room.notify_all()

    def _drop(self, copy: _Copy) -> None:
        with self._room:
            if self._is_dropped(copy):
                return
            del self._copies[copy.href]
            self._room.notify_all()
        if not copy.fetched.cancel():
            with suppress(CropmapError, CancelledError):
                copy.fetched.result().unlink(missing_ok=True)
                self._settle(copy, 0)

    def _check_room(self, wanted: int) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def _full(self, error: OSError | NotWrittenError) -> CropmapError:
        why = error.strerror if isinstance(error, OSError) else None
        return CropmapError(
            f"a remote file cannot be kept here while it is read ({why or error})",
            where=str(self.folder),
            mend="Free space, or set CROPMAP_SCRATCH to a folder with room",
        )


def _copy_whole(href: str, path: Path, size: int | None) -> None:
    """Raises SceneError where the file cannot be had, or is not as long as its item says."""
    fetch(href, path, size)
    if size is not None and (got := path.stat().st_size) != size:
        raise SceneError(
            f"has {got:,} bytes, and its item says {size:,}",
            reason=QuarantineReason.UNREADABLE_FILE,
            where=without_signatures(href),
        )


_in_use = Scratch(Path(tempfile.gettempdir()) / f"cropmap-scratch-{os.getuid()}")


def scratch() -> Scratch:
    """That of this process."""
    return _in_use


def use(folder: Path, most_bytes: int) -> None:
    """Sets the folder and the bound of this process. Reads that have begun end where they began."""
    global _in_use
    if (folder, most_bytes) != (_in_use.folder, _in_use.most_bytes):
        _in_use = Scratch(folder, most_bytes)
