"""The long form: one row per figure, in the order of its codes, with one mask for all that is hidden."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cropmap.dissemination.long_form import long_form, marked, masked, ordered, positions, read_rows, rounded
from cropmap.errors import InputError
from cropmap.schemas import LeftOut
from tests.dissemination.published import SECRET, hidden, row


def figures(*values: float, flags: list[str] | None = None) -> pd.DataFrame:
    flagged = flags or [""] * len(values)
    return pd.DataFrame({"OBS_VALUE": list(values), "OBS_FLAG": flagged, "CV": [0.123456] * len(values)})


def coded(*rows: tuple[str, str, float, str]) -> pd.DataFrame:
    """geo, year, value of wheat, and the flags apart."""
    return pd.DataFrame(
        {
            "freq": "A",
            "crops": "C1110",
            "strucpro": "AR",
            "geo": [one[0] for one in rows],
            "TIME_PERIOD": [one[1] for one in rows],
            "OBS_VALUE": [one[2] for one in rows],
        }
    )


@pytest.mark.parametrize(
    ("value", "written", "flag"),
    [
        (0.0, 0.0, ""),  # a true zero is one
        (0.00049, 0.0, "n"),  # less than half of the last decimal: not nothing, and not significant
        (-0.00049, 0.0, "n"),
        (0.0005, 0.0, "n"),  # exactly half goes to the even digit, which is 0 here
        (0.0015, 0.002, ""),  # and 2 here
        (0.00051, 0.001, ""),
        (1.2344, 1.234, ""),
    ],
)
def test_what_vanishes_in_rounding_says_so(value: float, written: float, flag: str) -> None:
    found = rounded(figures(value), decimals=3)
    assert found["OBS_VALUE"].tolist() == [written]
    assert not np.signbit(found["OBS_VALUE"].iloc[0]), "no -0.0"
    assert found["OBS_FLAG"].tolist() == [flag]


def test_a_flag_is_added_once_and_a_share_is_not_rounded() -> None:
    found = rounded(figures(0.0001, 0.0001, np.nan, flags=["en", "e", ""]), decimals=2)
    assert found["OBS_FLAG"].tolist() == ["en", "en", ""], "a figure that is missing has not vanished"
    assert found["CV"].tolist() == [0.123456] * 3


def test_every_row_has_its_place_in_the_cube() -> None:
    """Two crops and three regions: places 0 to 5, the last name running fastest, codes as they sort."""
    table = pd.DataFrame({"crops": ["B", "A", "B", "A"], "geo": ["x", "z", "y", "x"]})
    assert positions(table, ["crops", "geo"]).tolist() == [3, 2, 4, 0]
    assert positions(table, ["geo", "crops"]).tolist() == [1, 4, 3, 0]
    assert positions(table.iloc[:0], ["crops", "geo"]).tolist() == []


def test_rows_stand_as_their_codes_sort() -> None:
    table = coded(("FRH02", "2018", 1.0, ""), ("FRH01", "2019", 2.0, ""), ("FRH01", "2018", 3.0, ""))
    assert ordered(table)["OBS_VALUE"].tolist() == [3, 2, 1]


def test_a_figure_that_is_there_twice_is_named() -> None:
    table = coded(("FRH01", "2018", 1.0, ""), ("FRH02", "2018", 1.0, ""), ("FRH01", "2018", 3.0, ""))
    with pytest.raises(InputError, match="1 figures are there twice, the first is A, C1110, AR, FRH01, 2018"):
        ordered(table, where="a test")


def test_a_hidden_cell_loses_every_figure_and_what_speaks_of_them() -> None:
    shown = masked(pd.DataFrame([hidden("FRH02", "C1110"), row("FRH01", "C1110", 5.0)]))
    secret, open_ = shown.iloc[0], shown.iloc[1]
    assert SECRET not in secret.to_list()
    assert secret[["estimate_ha", "n_holdings", "obs_flag", "basis"]].isna().all()
    assert secret[["nuts_id", "crop", "conf_status"]].tolist() == ["FRH02", "C1110", "C"]
    assert open_[["estimate_ha", "obs_flag", "basis"]].tolist() == [5.0, "e", "model_assisted"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], [True, False]),
        (["true", "False"], [True, False]),  # as a CSV has them
        ([None, "TRUE"], [False, True]),
        ([1, 0], [False, False]),  # a number is no mark
    ],
)
def test_a_mark_is_the_word_true(values: list[object], expected: list[bool]) -> None:
    assert marked(pd.DataFrame({"simulated": pd.Series(values, dtype=object)}), "simulated").tolist() == expected


def test_without_the_column_nothing_is_marked() -> None:
    assert marked(pd.DataFrame({"x": [1, 2]}), "simulated").tolist() == [False, False]


def test_a_part_of_a_region_and_what_is_simulated() -> None:
    """A register that covers a region in part says nothing of its area; what was simulated says so, with a flag where
    a figure is shown and none where it is hidden."""
    rows = pd.DataFrame(
        [
            row("FRH01", "C1110", 5_000.0) | {"simulated": True, "partial_region": False},
            row("FRH02", "C1110", 7_000.0) | {"simulated": True, "partial_region": True},
            hidden("FRH03", "C1110") | {"simulated": True, "partial_region": False},
        ]
    )
    found = long_form(rows, nuts_version=2024)
    assert found.table["geo"].tolist() == ["FRH01", "FRH03"]
    assert found.table["OBS_FLAG"].tolist() == ["ed", ""]
    assert found.table["OBS_VALUE"].iloc[0] == 5.0, "thousands of hectares"
    assert found.table["COMMENT_OBS"].str.startswith("simulation").all()
    assert found.left_out == {LeftOut.PARTIAL_REGION: {"FRH02": 1}}
    assert found.rows_left_out == 1


def test_rows_of_a_file_that_say_nothing_we_know_are_counted_by_line() -> None:
    rows = coded(
        ("FRH01", "2018", 1.0, ""),
        ("FRH02", "2018", 2.0, "q"),  # no flag of Eurostat's
        ("FRH03", "2018-Q1", 3.0, ""),  # a quarter
        ("FRH04", "2018", np.inf, ""),
        ("FRH05", "2018", 5.0, "C"),  # a value that should not be there
    )
    rows.loc[0, "strucpro"] = "XX"
    table, left_out = read_rows(rows, flags=["", "q", "", "", "C"], lines=[2, 3, 4, 5, 6], where="a test")
    assert table["geo"].tolist() == ["FRH05"]
    assert table["OBS_VALUE"].isna().tolist() == [True]
    assert left_out == {
        LeftOut.UNKNOWN_STRUCPRO: {"XX": 1},
        LeftOut.BROKEN_LINE: {"line 4": 1},
        LeftOut.NO_NUMBER: {"line 5": 1},
        LeftOut.UNKNOWN_FLAG: {"line 3: q": 1},
    }
