"""CSV that a spreadsheet opens as it is meant, and in which nothing runs."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.dissemination.spreadsheets import guarded, to_csv, unguarded
from cropmap.schemas import CsvDialect


@pytest.mark.parametrize(
    "text", ["=1+1", "+A1", "-A1", "@SUM(1)", "\tx", "\r=x", "=cmd|' /C calc'!A0", "-6-1", "\uff1d1"]
)
def test_what_a_spreadsheet_would_run_is_guarded_and_comes_back(text: str) -> None:
    assert guarded(text) == "'" + text
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("value", ["wheat", "-6", "+4.5", "-1,5", "1e-3", "'quoted'", "007", "", None, -6.5, "a=b"])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert guarded(value) == value
    assert unguarded(value) == value


def test_dialects() -> None:
    frame = pd.DataFrame({"crop": ["=x", "blé"], "area_ha": [1.5, None], "n": pd.array([3, None], dtype="Int64")})
    assert to_csv(frame).decode() == "crop,area_ha,n\n'=x,1.5,3\nblé,,\n"
    assert to_csv(frame, CsvDialect.BOM) == b"\xef\xbb\xbf" + to_csv(frame)
    assert to_csv(frame, CsvDialect.SEMICOLON).decode() == "\ufeffcrop;area_ha;n\n'=x;1,5;3\nblé;;\n"


def test_an_empty_table_keeps_its_header() -> None:
    assert to_csv(pd.DataFrame({"a": [], "b": pd.Series([], dtype=object)})) == b"a,b\n"
