"""Datasets that processes, on this machine or another, find in the store that they share.

Of a store in a bucket each machine takes one copy, which its processes map. It lies in the temporary folder, named by
the dataset's hash, and stays for later processes; the last MACHINE_COPIES do.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.arrays import forget_old, keep_folder
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.files import open_dataset, write_dataset
from cropmap.errors import DamagedObjectError, StoreError
from cropmap.leftovers import remove_leftovers
from cropmap.store import Store

FACTS: Final = "facts.json"
"""written last, so that a dataset is either wholly there or absent"""
DATASETS: Final = "datasets"
LAST: Final = "last.json"
"""hashes of an owner's datasets, the last first"""
KEPT: Final = 4
"""datasets of an owner that stay in the store; older ones are made again where they are wanted"""
MACHINE_COPIES: Final = 2

_fetching = Lock()
_fetched: dict[str, Dataset] = {}
"""by place, the one that was asked for last"""


def place_of(dataset: Dataset, *, owner: str) -> str:
    """Where a dataset lies in a store that it is shared through."""
    return f"{DATASETS}/{owner}/{dataset.hash}"


def share_dataset(store: Store, dataset: Dataset, *, owner: str) -> str:
    """The dataset is in the store afterwards: as files that are mapped in a folder, else as objects. Returns its place.

    To be called by the one that works for the owner at this moment: of the owner's other datasets all but the last are
    removed, and nobody is left who needs them. Those of another owner are left alone.
    """
    place = place_of(dataset, owner=owner)
    home = place.rpartition("/")[0]
    _keep_last(store, home, dataset.hash)
    if store.is_local:
        write_dataset(store.local_path(home), dataset)
    elif not store.exists(f"{place}/{FACTS}"):
        with tempfile.TemporaryDirectory() as folder:
            files = sorted(write_dataset(Path(folder), dataset).iterdir(), key=lambda file: file.name == FACTS)
            for file in files:
                store.write_file(f"{place}/{file.name}", file)
    return place


def _keep_last(store: Store, home: str, name: str) -> None:
    """Also removes what a command that was killed has shared in part."""
    before = store.recall(f"{home}/{LAST}", json.loads) or []
    kept = [name, *(other for other in before if other != name)][:KEPT]
    if kept == before:
        return
    store.write_bytes(f"{home}/{LAST}", json.dumps(kept).encode())
    there = store.names(home)
    for other in {file.split("/")[2] for file in there} - {*kept, LAST}:
        if store.is_local:
            shutil.rmtree(store.local_path(f"{home}/{other}"), ignore_errors=True)
            continue
        for file in sorted(there, key=lambda file: not file.endswith(FACTS)):
            if file.startswith(f"{home}/{other}/"):
                store.remove(file)


def shared_dataset(store: Store, place: str) -> Dataset:
    """The dataset at this place, mapped; of a store that is no folder the machine's copy is.

    Raises StoreError where it is not in the store; where it is damaged there, `share_dataset` makes it again.
    """
    if (store.is_local or place not in _fetched) and not store.exists(f"{place}/{FACTS}"):
        raise StoreError("is not in the store", where=place, mend="Run the same command again: it is made again")
    if store.is_local:
        return open_dataset(store.local_path(place))
    with _fetching:
        if place not in _fetched:
            _fetched.clear()
            _fetched[place] = _fetch(store, place)
        return _fetched[place]


def _fetch(store: Store, place: str) -> Dataset:
    """The machine's copy, which the first process takes while others wait for it."""
    name = place.rpartition("/")[2]

    def write(folder: Path) -> None:
        try:
            for file in store.names(place):
                store.read_file(file, folder / Path(file).name)
        except DamagedObjectError:
            store.remove(f"{place}/{FACTS}")
            raise

    def read(folder: Path) -> Dataset | None:
        """Temporary folders are tidied by others too, file by file."""
        copy = open_dataset(folder)
        return copy if copy.hash == name else None

    with machines_copies() as root:
        remove_leftovers(root)
        copy = keep_folder(root / name, write=write, read=read) or open_dataset(root / name)
        os.utime(root / name)
        forget_old(root, keep=root / name, count=MACHINE_COPIES)
        return copy


@contextmanager
def machines_copies() -> Iterator[Path]:
    """The folder of this user's copies, for this process alone meanwhile. Raises StoreError where it is another
    user's: whoever can write there could give us other arrays."""
    root = Path(tempfile.gettempdir()) / f"cropmap-datasets-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(opened)
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise StoreError("belongs to somebody else, or others can enter it", where=str(root), mend="Remove it")
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield root
    finally:
        os.close(opened)


def packed_mask(mask: NDArray[np.bool_] | None) -> bytes:
    """Some of a dataset's parcels as they are sent: a bit each, compressed; empty where there are none."""
    return b"" if mask is None or not mask.any() else zlib.compress(np.packbits(mask).tobytes())


def unpacked_mask(packed: bytes, count: int) -> NDArray[np.bool_] | None:
    """(count,) the reverse."""
    if not packed:
        return None
    return np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=count).astype(np.bool_)
