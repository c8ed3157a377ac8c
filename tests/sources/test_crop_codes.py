"""How crop codes and names of a file are found in a legend, and what is told of those that are not."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.legends import Legend, LegendEntry
from cropmap.sources.declarations.crop_codes import (
    RENAMED_SHOWN,
    CodeReport,
    FoundCodes,
    codes_answer,
    find_codes,
    report,
)

LEGEND = Legend(
    "test",
    (
        LegendEntry("001", "Winter wheat", "wheat", "C1110", "wheat", "3301010101", "winter_common_soft_wheat"),
        LegendEntry("002", "Maize", "corn", "C1500", "corn"),
        LegendEntry("003", "Épeautre", "spelt", None, "spelt"),
    ),
    "hash",
)


def looked_up(*rows: tuple[str | None, str | None]) -> tuple[pd.Series, pd.Series, FoundCodes]:
    codes = pd.Series([code for code, _ in rows], dtype=object)
    names = pd.Series([name for _, name in rows], dtype=object)
    return codes, names, find_codes(codes, names, LEGEND)


def reported(*rows: tuple[str | None, str | None, float]) -> CodeReport:
    codes, names, found = looked_up(*(row[:2] for row in rows))
    return report(codes, names, pd.Series([row[2] for row in rows]), found, LEGEND)


@pytest.mark.parametrize(
    ("code", "name", "expected", "way"),
    [
        ("001", None, "001", "exact"),
        ("001", "Maize", "001", "exact"),  # the code counts before the name
        ("9", "Maize", "002", "name: exact"),
        (None, "Maize", "002", "name: exact"),
        (None, None, None, "missing"),
        ("", "", None, "missing"),
        ("9", None, None, "unknown"),
        ("9", "Moon dust", None, "unknown"),
    ],
)
def test_a_code_is_looked_up_before_its_name(
    code: str | None, name: str | None, expected: str | None, way: str
) -> None:
    _, _, found = looked_up((code, name))
    assert found.code.tolist() == [expected]
    assert found.way.tolist() == [way]


@pytest.mark.parametrize(
    ("code", "name", "detail"),
    [
        ("9", None, "code 9 is not in legend test"),
        ("9", "Moon dust", "code 9 is not in legend test"),  # the code alone: it is what was declared
        (None, "Moon dust", "name Moon dust is not in legend test"),
        ("001", None, ""),
        (None, None, ""),
    ],
)
def test_why_there_is_none(code: str | None, name: str | None, detail: str) -> None:
    assert looked_up((code, name))[2].detail.tolist() == [detail]


def test_every_row_has_the_answer_of_its_own_pair() -> None:
    rows = [("001", None), ("9", "Maize"), ("001", None), ("9", None), ("9", "Maize")]
    _, _, found = looked_up(*rows)
    assert found.code.tolist() == ["001", "002", "001", None, "002"]


def test_the_index_of_the_rows_stays() -> None:
    codes = pd.Series(["002", "001"], index=[7, 3], dtype=object)
    found = find_codes(codes, pd.Series([None, None], index=[7, 3], dtype=object), LEGEND)
    assert found.code.loc[3] == "001"
    assert found.code.loc[7] == "002"


def test_what_is_unknown_is_listed_by_its_area() -> None:
    """8 is one row of 5 ha, 9 three rows of 2 ha together; a row without a code and a name is missing, not unknown."""
    found = reported(
        ("9", "x", 0.5), ("9", "x", 0.5), ("8", None, 5.0), ("9", "x", 1.0), (None, None, 9.0), ("001", None, 1)
    )
    assert found.rows == {"unknown": 4, "missing": 1, "exact": 1}
    assert found.harmonised == 1, "rows whose crop has a code of HCAT3"
    assert codes_answer(found)["unmapped_codes"] == [
        {"code": "8", "name": None, "why": "unknown", "rows": 1, "area_ha": 5.0},
        {"code": "9", "name": "x", "why": "unknown", "rows": 3, "area_ha": 2.0},
    ]


def test_of_equal_areas_the_more_frequent_code_comes_first() -> None:
    found = reported(("8", None, 2.0), ("9", None, 1.0), ("9", None, 1.0))
    assert found.unmapped["crop_code"].tolist() == ["9", "8"]


def test_a_code_whose_name_is_another_may_have_been_given_anew() -> None:
    """Case and accents are no other name, and a code that was found by its name has that name."""
    found = reported(
        ("001", "winter WHEAT", 1.0),
        ("003", "epeautre", 1.0),
        ("002", "Soya", 1.0),
        ("002", "Soya", 1.0),
        ("9", "Maize", 1.0),
        ("001", None, 1.0),
    )
    assert found.renamed == (("002", "Soya", "Maize"),)


def test_only_so_many_of_them_are_listed() -> None:
    found = reported(*(("001", f"name {n}", 1.0) for n in range(RENAMED_SHOWN + 5)))
    assert len(found.renamed) == RENAMED_SHOWN
