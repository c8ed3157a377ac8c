"""Outlines as WKB in one file that is mapped: those of a declarations file as it is read, and those of a register. A
country's are never decoded whole.

A file of this process alone, without a name: it is gone when nobody uses it any more, also after a kill.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from cropmap.errors import StoreError
from cropmap.schemas import EPSG_EQUAL_AREA, EPSG_WGS84

CHUNK: Final = 25_000
"""outlines that are decoded at a time"""


class Outlines:
    """N outlines by position, None where there is none; threads may share them. A register's are in EPSG:4326."""

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._data, self._offsets = data, offsets

    @classmethod
    def of(cls, geometry: gpd.GeoSeries) -> Outlines:
        """Of outlines that are in memory; a missing one stays missing."""
        shapes = geometry.to_crs(epsg=EPSG_WGS84).to_numpy()
        wkb = [part or b"" for part in shapely.to_wkb(shapes, output_dimension=2, byte_order=1)]
        data = np.frombuffer(b"".join(wkb), np.uint8)
        return cls(data, np.concatenate([[0], np.cumsum([len(part) for part in wkb])]).astype(np.int64))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def wkb(self) -> Iterator[bytes]:
        """Each outline's bytes, as the database holds them."""
        for part in self.positions():  # numbers of Python for all of them would take 60 bytes an outline
            starts, ends = self._offsets[part].tolist(), self._offsets[part + 1].tolist()
            for start, end in zip(starts, ends, strict=True):
                yield self._data[start:end].tobytes()

    def shapes(self, index: NDArray[np.integer[Any]]) -> NDArray[np.object_]:
        """(n,) decoded."""
        starts, ends = self._offsets[index].tolist(), self._offsets[np.asarray(index) + 1].tolist()
        wkb = [self._data[start:end].tobytes() or None for start, end in zip(starts, ends, strict=True)]
        with np.errstate(invalid="ignore"):
            decoded: NDArray[np.object_] = shapely.from_wkb(np.array(wkb, dtype=object))
        return decoded

    def beside(self, parcels: pd.DataFrame) -> gpd.GeoDataFrame:
        """Rows of the register with their outlines; their index says which positions they are."""
        return gpd.GeoDataFrame(parcels, geometry=self.shapes(parcels.index.to_numpy()), crs=EPSG_WGS84)

    def parts(self, parcels: pd.DataFrame) -> Iterator[gpd.GeoDataFrame]:
        """The same, some after the other; at least one part."""
        for start in range(0, max(len(parcels), 1), CHUNK):
            yield self.beside(parcels.iloc[start : start + CHUNK])

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """(N, 4) west, south, east, north; NaN where an outline is empty."""
        return np.concatenate([np.empty((0, 4)), *(shapely.bounds(self.shapes(part)) for part in self.positions())])

    @cached_property
    def centroids_m(self) -> NDArray[np.float64]:
        """(N, 2) metres in EPSG:3035."""
        xy = [np.empty((0, 2))]
        for part in self.positions():
            shapes = gpd.GeoSeries(self.shapes(part), crs=EPSG_WGS84)
            centroid = shapes.to_crs(epsg=EPSG_EQUAL_AREA).centroid
            xy.append(np.column_stack([centroid.x, centroid.y]))
        return np.concatenate(xy)

    def positions(self) -> Iterator[NDArray[np.int64]]:
        """All of them, as many together as may be decoded at a time."""
        for start in range(0, len(self), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(self)))


class OutlineFile:
    """Outlines that are written as they come, in a `with` block."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` on a disk; None: where temporary files lie."""
        with _naming(folder):
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with the block
        self._folder = folder
        self._lengths: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]

    def __enter__(self) -> OutlineFile:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what a full disk left in the buffer: the error was raised where it was written
            self._file.close()

    def add(self, wkb: Sequence[bytes]) -> None:
        with _naming(self._folder):
            self._file.writelines(wkb)
        self._lengths.append(np.array([len(part) for part in wkb], np.int64))

    def add_shapes(self, shapes: NDArray[np.object_]) -> None:
        """In two dimensions; a missing one stays missing."""
        self.add([wkb or b"" for wkb in shapely.to_wkb(shapes, output_dimension=2, byte_order=1)])

    def finish(self) -> Outlines:
        offsets = np.cumsum(np.concatenate(self._lengths))
        self._lengths.clear()
        with _naming(self._folder):
            self._file.flush()
            mapped = np.memmap(self._file, np.uint8, mode="r") if offsets[-1] else np.empty(0, np.uint8)
        return Outlines(mapped, offsets)  # the map stays when the file is closed


@contextmanager
def _naming(folder: Path | None) -> Iterator[None]:
    """A disk that is full or closed as one error of ours."""
    try:
        yield
    except OSError as error:
        where = str(folder or tempfile.gettempdir())
        why = f"the outlines cannot be written ({error.strerror or error})"
        raise StoreError(why, where=where, mend="Free space on its disk, or name another --home") from error
