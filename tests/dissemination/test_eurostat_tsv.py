"""Eurostat's TSV, letter by letter: what is written, and what of a file is read."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from cropmap.dissemination.eurostat_tsv import HEAD, read, write
from cropmap.errors import InputError
from cropmap.schemas import LeftOut

YEARS = "2017 \t2018 "
WHEAT = "A,C1110,AR_THS_HA,FRH01"


def file(*lines: str, years: str = YEARS) -> bytes:
    return "\n".join([f"{HEAD}\t{years}", *lines, ""]).encode()


def table(*rows: tuple[str, str, float, str, str]) -> pd.DataFrame:
    names = ["geo", "TIME_PERIOD", "OBS_VALUE", "OBS_FLAG", "CONF_STATUS"]
    return pd.DataFrame(list(rows), columns=names).assign(freq="A", crops="C1110", strucpro="AR_THS_HA")


def test_a_series_is_a_line_and_a_year_a_column() -> None:
    """A value, a blank, its flags; `:` where there is none. Confidential is `c`, in front of the other flags."""
    text = write(
        table(
            ("FRH02", "2018", 1.5, "e", ""),
            ("FRH02", "2017", np.nan, "d", "C"),
            ("FRH01", "2018", np.nan, "", "C"),
            ("FRH01", "2017", 20.0, "", ""),
        ),
        decimals=2,
    )
    assert text == file(f"{WHEAT}\t20.00 \t: c", "A,C1110,AR_THS_HA,FRH02\t: cd\t1.50 e")


def test_a_cell_is_a_value_and_flags_and_nothing_where_neither_is() -> None:
    found = read(file(f"{WHEAT}\t12.5 ep\t: "), where="a test")
    assert found.table[["TIME_PERIOD", "OBS_VALUE", "OBS_FLAG"]].to_numpy().tolist() == [["2017", 12.5, "ep"]]
    assert not found.left_out


@pytest.mark.parametrize(
    ("cell", "value", "flag", "status"),
    [
        ("7", 7.0, "", ""),
        (" 7 b ", 7.0, "b", ""),
        ("-0.5 ", -0.5, "", ""),
        (": c", np.nan, "", "C"),
        (": C", np.nan, "", "C"),
        ("9 c", np.nan, "", "C"),  # a value that should not be there is not taken
    ],
)
def test_cells(cell: str, value: float, flag: str, status: str) -> None:
    found = read(file(f"{WHEAT}\t{cell}\t: "), where="a test").table.iloc[0]
    assert found["OBS_VALUE"] == pytest.approx(value, nan_ok=True)
    assert (found["OBS_FLAG"], found["CONF_STATUS"]) == (flag, status)


@pytest.mark.parametrize("cell", ["1,5", "x", "1.", ".5", "1 2", "+1"])
def test_a_cell_that_is_no_number_is_counted(cell: str) -> None:
    found = read(file(f"{WHEAT}\t{cell}\t3"), where="a test")
    assert found.left_out == {LeftOut.NO_NUMBER: {"line 2": 1}}
    assert found.table["OBS_VALUE"].tolist() == [3]


def test_only_what_is_asked_for_is_kept_and_everything_is_looked_at() -> None:
    lines = [
        f"{WHEAT}\t1\t2",
        "A,C1110,AR_THS_HA,FRH02\t3\t4",
        "A,C1500,AR_THS_HA,FRH01\t5\t6",
        "Q,C1110,AR_THS_HA,FRH03\t7\t8",  # a series by quarters
        f"{WHEAT}\t9\t9",  # once more
        "A,C1110,FRH01\t1\t2",  # a code is missing
        "A,C1110,AR_THS_HA,FRH04\t1",  # a year is missing
    ]
    found = read(file(*lines), where="a test", geo={"FRH01"}, crops={"C1110"})
    assert found.table["OBS_VALUE"].tolist() == [1, 2]
    assert found.left_out == {LeftOut.BROKEN_LINE: {"line 7": 1, "line 8": 1}, LeftOut.SERIES_TWICE: {"line 6": 1}}
    assert read(file(*lines), where="a test", geo={"FRH09"}).table.empty, "a file without the region is still a file"


def test_a_file_is_read_gzipped_and_with_line_ends_of_windows() -> None:
    data = file(f"{WHEAT}\t1\t2").replace(b"\n", b"\r\n")
    for form in (data, gzip.compress(data), b"\xef\xbb\xbf" + data):
        assert read(form, where="a test").table["OBS_VALUE"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (file(f"{WHEAT}\t1\t2", years="2017 \t2017 "), "a year is there twice"),
        (file(f"{WHEAT}\t1\t2", years="2017 \t2018-Q1 "), "the first line begins"),
        (b"geo\t2017\nFR\t1\n", "the first line begins"),
        (file(), "no line can be read"),
        (file("x\t1\t2"), "no line can be read"),
        (gzip.compress(b"x" * 200, mtime=0)[:20], "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(data, where="a test")
