"""Folders of plain arrays that are mapped. A folder is wholly there or absent: it is written under a temporary name and
renamed. It holds what can be made again, and is made again where it is damaged.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cropmap.leftovers import is_partial, partial_name

log = logging.getLogger(__name__)

T = TypeVar("T")


def open_array(path: Path) -> NDArray[Any]:
    """An array mapped from its file, to be read only."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    except ValueError:  # an empty array cannot be mapped
        array = np.load(path)
    return array


def layout(*arrays: NDArray[Any]) -> list[str]:
    """Type, order of bytes and shape of each: a digest of the bytes does not see them."""
    return [f"{array.dtype.str} {array.shape}" for array in arrays]


def keep_folder(folder: Path, *, write: Callable[[Path], None], read: Callable[[Path], T | None]) -> T | None:
    """Has `write` fill the folder unless it is there, whole: what `read` gives then; None where it was made now.

    `read` gives None, or raises, where the folder does not hold what was written. Another process that makes the same
    folder may be first. Raises OSError where it cannot be written.
    """
    if folder.is_dir():
        if (known := _read(folder, read)) is not None:
            return known
        log.warning("%s is damaged; it is made again", folder)
        shutil.rmtree(folder, ignore_errors=True)
    partial = folder.parent / partial_name()
    try:
        partial.mkdir(parents=True)
        write(partial)
        try:
            partial.replace(folder)
        except OSError:  # another process was first
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return None


def forget_old(root: Path, *, keep: Path, count: int) -> None:
    """Of the folders below `root` leaves `count`, `keep` among them: those that were touched last. Who has mapped
    another one keeps what is mapped."""
    used: list[tuple[float, Path]] = []
    for path in root.iterdir():
        if path.is_dir() and path != keep and not is_partial(path.name):
            with suppress(FileNotFoundError):  # another process was first
                used.append((path.stat().st_mtime, path))
    for _, path in sorted(used, reverse=True)[count - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _read(folder: Path, read: Callable[[Path], T | None]) -> T | None:
    try:
        return read(folder)
    except Exception:  # damaged bytes may break a reader in any way
        return None
