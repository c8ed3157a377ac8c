"""Rows that arrive in any order come back by day, whether they were held in memory or written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropmap.observations import spill
from cropmap.observations.spill import RECORD, DaySpill

PER_ROW = 32


def rows(*parcels: int) -> np.ndarray:
    made = np.zeros(len(parcels), RECORD)
    made["parcel"] = parcels
    made["pixels"] = [parcel + 0.5 for parcel in parcels]
    return made


def days(*each: int) -> np.ndarray:
    return np.array(each, dtype=np.int64)


def parcels(found: DaySpill) -> dict[int, list[int]]:
    return {day: records["parcel"].tolist() for day, records in found}


@pytest.mark.parametrize("held", [0, PER_ROW * 3, 1 << 20])
def test_days_in_order_and_rows_in_the_order_they_came(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything written out at once, some of it, or nothing."""
    monkeypatch.setattr(spill, "HELD_BYTES", held)
    with DaySpill() as found:
        found.add(days(9, 3, 9), rows(1, 2, 3))
        found.add(days(3, -5), rows(4, 5))
        found.add(days(), rows())
        found.add(days(9), rows(6))
        assert len(found) == 3
        assert parcels(found) == {-5: [5], 3: [2, 4], 9: [1, 3, 6]}
        assert list(parcels(found)) == [-5, 3, 9]
        assert parcels(found) == {-5: [5], 3: [2, 4], 9: [1, 3, 6]}, "and once more"
        (_, day) = next(iter(found))
        assert day["pixels"].tolist() == [5.5], "every column comes back"


def test_what_is_held_stays_below_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert RECORD.itemsize == PER_ROW
    monkeypatch.setattr(spill, "HELD_BYTES", 2 * PER_ROW)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with DaySpill() as found:
        found.add(days(1, 2), rows(1, 2))
        assert not list(tmp_path.rglob("*.rows")), "at the limit nothing is written yet"
        found.add(days(3), rows(3))
        assert {path.name for path in tmp_path.rglob("*.rows")} == {"1.rows", "2.rows", "3.rows"}
    assert not list(tmp_path.iterdir()), "nothing is left behind"
