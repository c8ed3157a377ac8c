"""Datasets that processes, on this machine or another, find in the store that they share."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.files import open_dataset, write_dataset
from cropmap.errors import DamagedObjectError, StoreError
from cropmap.store import Store

FACTS: Final = "facts.json"
"""written last, so that a dataset is either wholly there or absent"""
DATASETS: Final = "datasets"

_fetching = Lock()
_fetched: dict[str, Dataset] = {}
"""by hash, the one that was asked for last"""


def share_dataset(store: Store, dataset: Dataset) -> None:
    """The dataset is in the store afterwards: as files that are mapped in a folder, else as objects."""
    if store.is_local:
        write_dataset(store.local_path(DATASETS), dataset)
        return
    place = f"{DATASETS}/{dataset.hash}"
    if store.exists(f"{place}/{FACTS}"):
        return
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(write_dataset(Path(folder), dataset).iterdir(), key=lambda file: file.name == FACTS)
        for file in files:
            store.write_file(f"{place}/{file.name}", file)


def shared_dataset(store: Store, name: str) -> Dataset:
    """The dataset of this hash, mapped; of a store that is no folder a copy is mapped, from files without a name that
    end with this process.

    Raises StoreError where it is not in the store; where it is damaged there, `share_dataset` makes it again.
    """
    place = f"{DATASETS}/{name}"
    if (store.is_local or name not in _fetched) and not store.exists(f"{place}/{FACTS}"):
        raise StoreError("is not in the store", where=place, mend="Run the same command again: it is made again")
    if store.is_local:
        return open_dataset(store.local_path(place))
    with _fetching:
        if name not in _fetched:
            _fetched.clear()
            _fetched[name] = _fetch(store, place)
        return _fetched[name]


def _fetch(store: Store, place: str) -> Dataset:
    with tempfile.TemporaryDirectory(prefix="cropmap-dataset-") as folder:
        try:
            for file in store.names(place):
                store.read_file(file, Path(folder) / Path(file).name)
        except DamagedObjectError:
            store.remove(f"{place}/{FACTS}")
            raise
        return open_dataset(Path(folder))  # what is mapped stays when its names are gone


def packed_mask(mask: NDArray[np.bool_] | None) -> bytes:
    """Some of a dataset's parcels as they are sent: a bit each, compressed; empty where there are none."""
    return b"" if mask is None or not mask.any() else zlib.compress(np.packbits(mask).tobytes())


def unpacked_mask(packed: bytes, count: int) -> NDArray[np.bool_] | None:
    """(count,) the reverse."""
    if not packed:
        return None
    return np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=count).astype(np.bool_)
