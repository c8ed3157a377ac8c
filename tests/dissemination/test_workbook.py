"""Which published columns are numbers, and what a sheet does with cells."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import openpyxl
import pandas as pd
import pytest

from cropmap.dissemination import workbook
from cropmap.errors import InputError


def test_areas_and_listed_columns_are_numbers_and_codes_are_not() -> None:
    names = ["nuts_id", "estimate_ha", "cv", "crop", "n_parcels", "season", "run_id", "level", "ha", "area_ha_note"]
    assert workbook.numbers(names) == ["estimate_ha", "cv", "n_parcels", "season", "level"]


def sheet(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    data = workbook.write(rows, notes=[("word", "what it says")], made_at=datetime(2018, 7, 1, tzinfo=UTC))
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert book.sheetnames == ["statistics", "notes"]
    assert book["notes"]["A1"].value == "word"
    return list(book["statistics"].values)


def test_text_stays_text_and_what_is_hidden_is_empty() -> None:
    rows = pd.DataFrame(
        {"nuts_id": ["00123", "=1+1", None], "estimate_ha": [1.5, None, 0.0], "run_id": ["1e5", "x", "y"]}
    )
    assert sheet(rows) == [
        ("nuts_id", "estimate_ha", "run_id"),
        ("00123", 1.5, "1e5"),
        ("=1+1", None, "x"),
        (None, 0, "y"),
    ]


def test_a_formula_is_no_formula() -> None:
    data = workbook.write(pd.DataFrame({"crop": ["=1+1"]}), notes=[], made_at=None)
    cell = openpyxl.load_workbook(io.BytesIO(data))["statistics"]["A2"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")


def test_a_sheet_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "SHEET_ROWS", 2)
    workbook.write(pd.DataFrame({"crop": ["a", "b"]}), notes=[], made_at=None)
    with pytest.raises(InputError, match="3 rows do not fit on a sheet"):
        workbook.write(pd.DataFrame({"crop": ["a", "b", "c"]}), notes=[], made_at=None)
