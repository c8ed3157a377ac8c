"""Rows that arrive in any order, returned day by day: in memory while they are few, else in temporary files.

A row takes 32 bytes. What is held stays below HELD_BYTES; the rows of one day are in memory when they are read back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.schemas import BANDS

RECORD: Final = np.dtype(
    [("parcel", "<i4"), ("clear_fraction", "<f4"), ("pixels", "<f4"), ("bands", "<i2", (len(BANDS),))]
)
"""Position of the parcel, 0-1, number of 10 m pixels, stored reflectance."""
HELD_BYTES: Final = 128 * 2**20


class DaySpill:
    """`with DaySpill() as spill: spill.add(days, records); for day, records in spill: ...`; rows of a day come back
    in the order in which they were added."""

    def __init__(self) -> None:
        self._held = 0
        self._parts: dict[int, list[bytes]] = {}
        self._days: set[int] = set()

    def __enter__(self) -> DaySpill:
        self._folder = tempfile.TemporaryDirectory(prefix="cropmap-import-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def __len__(self) -> int:
        """Number of days."""
        return len(self._days)

    def add(self, day: NDArray[np.int64], records: NDArray[Any]) -> None:
        """day (n,), records (n,) of RECORD."""
        if not len(day):
            return
        order = np.argsort(day, kind="stable")
        days, starts = np.unique(day[order], return_index=True)
        for number, rows in zip(days.tolist(), np.split(records[order], starts[1:]), strict=True):
            self._parts.setdefault(number, []).append(rows.tobytes())
            self._held += rows.nbytes
        self._days.update(days.tolist())
        if self._held > HELD_BYTES:
            self._flush()

    def __iter__(self) -> Iterator[tuple[int, NDArray[Any]]]:
        for day in sorted(self._days):
            path = self._path(day)
            before = path.read_bytes() if path.exists() else b""
            yield day, np.frombuffer(b"".join([before, *self._parts.get(day, ())]), RECORD)

    def _flush(self) -> None:
        for day, parts in self._parts.items():
            with self._path(day).open("ab") as file:
                file.writelines(parts)
        self._parts.clear()
        self._held = 0

    def _path(self, day: int) -> Path:
        return Path(self._folder.name) / f"{day}.rows"
