"""The workbook for the field: what is a number, what is text, and what may be filled in."""

from __future__ import annotations

import io

import numpy as np
import openpyxl
import pandas as pd
from openpyxl.worksheet.worksheet import Worksheet

from cropmap.results.field_workbook import field_workbook
from cropmap.schemas import Finding


def sheet(frame: pd.DataFrame, *fill_in: str) -> Worksheet:
    book = openpyxl.load_workbook(io.BytesIO(field_workbook(frame, to_fill_in=fill_in)))
    assert book.sheetnames == ["review"]
    return book["review"]


def test_identifiers_stay_text_and_areas_are_numbers() -> None:
    frame = pd.DataFrame(
        {
            "parcel_id": ["0056", "1e5", "=1+1", "http://x"],
            "area_ha": [1.5, np.nan, np.float32(0.5), 2],
            "mixed": pd.Series([1, "x", None, 2], dtype=object),
        }
    )
    assert list(sheet(frame).values) == [
        ("parcel_id", "area_ha", "mixed"),
        ("0056", 1.5, "1"),
        ("1e5", None, "x"),
        ("=1+1", 0.5, None),
        ("http://x", 2, "2"),
    ]
    assert sheet(frame)["A4"].data_type == "s"


def test_what_is_to_be_filled_in_is_text_whatever_stands_there() -> None:
    """A code of a crop that is typed in keeps its zeros."""
    frame = pd.DataFrame({"found_code": [7, 8], "area_ha": [7, 8]})
    filled = sheet(frame, "found_code")
    assert [cell.value for cell in filled["A"]] == ["found_code", "7", "8"]
    assert filled["A2"].number_format == "@"
    assert [cell.value for cell in filled["B"]] == ["area_ha", 7, 8]


def test_a_finding_is_chosen_from_a_list_in_every_row() -> None:
    frame = pd.DataFrame({"parcel_id": ["a", "b", "c"], "finding": [None, None, None]})
    (rule,) = sheet(frame, "finding").data_validations.dataValidation
    assert str(rule.sqref) == "B2:B4"
    assert rule.formula1 == '"' + ",".join(str(each) for each in Finding) + '"'
    assert not sheet(frame.iloc[:0], "finding").data_validations.dataValidation
