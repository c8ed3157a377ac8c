"""Which column of an unknown file may be what: values count for more than names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cropmap.legends.matching import Matcher
from cropmap.sources.declarations.candidates import SHOWN, Candidate, ColumnFacts, Role, candidates, facts

ROWS = 60
CROPS = [("001", "winter wheat"), ("002", "grain maize"), ("003", "oilseed rape"), ("004", "sugar beet")]
MATCHERS = {"national": Matcher((code, code) for code, _ in CROPS)}
AREAS = np.round(np.linspace(0.5, 6.4, ROWS), 2)


def file(**columns: object) -> pd.DataFrame:
    """A file of 60 parcels as text."""
    return pd.DataFrame({name: pd.Series(values).astype(str) for name, values in columns.items()}).astype(object)


def looked_at(table: pd.DataFrame) -> dict[Role, list[Candidate]]:
    return candidates(table, facts(table, MATCHERS), AREAS)


def columns(found: dict[Role, list[Candidate]], role: Role) -> list[str]:
    return [each.column for each in found[role]]


def numbered(prefix: str) -> list[str]:
    return [f"{prefix}{n:03d}" for n in range(ROWS)]


def code(place: int = 0) -> list[str]:
    return [CROPS[n % 4][place] for n in range(ROWS)]


def fact(values: list[str | None]) -> ColumnFacts:
    (found,) = facts(pd.DataFrame({"x": pd.Series(values, dtype=object)}), MATCHERS)
    return found


def test_what_is_known_of_a_column() -> None:
    found = fact(["001", "002", "001", None, "x9"])
    assert (found.filled, found.distinct, found.numeric, found.decimals, found.dates) == (4, 3, False, False, False)
    assert found.letters == pytest.approx(1 / 3), "of the distinct values"
    assert found.length == pytest.approx(8 / 3)
    assert found.matched == {"national": 0.75}, "of the filled rows: three of four"
    assert found.samples == ("001", "002", "x9"), "the most frequent first"


@pytest.mark.parametrize(
    ("values", "numeric", "decimals", "dates"),
    [
        (["1", "2"], True, False, False),
        (["1,5", "2"], True, True, False),
        (["1", "x"], False, False, False),
        (["2018-01-31", "2018-02-01"], False, False, True),
        (["31.1.2018", "1/2/2018"], False, False, True),
        (["2018-01-31", "soon"], False, False, False),
        ([None, None], False, False, False),
    ],
)
def test_numbers_and_dates(values: list[str | None], numeric: bool, decimals: bool, dates: bool) -> None:
    found = fact(values)
    assert (found.numeric, found.decimals, found.dates) == (numeric, decimals, dates)


def test_a_column_of_decimals_is_held_against_no_code_list() -> None:
    assert fact(["1.5", "2.25"]).matched == {}
    assert fact(["001"]).matched == {"national": 1.0}


def test_a_plain_file() -> None:
    found = looked_at(file(parcel_id=numbered("P"), crop_code=code(), crop_name=code(1), area_ha=AREAS))
    assert columns(found, "parcel_id")[0] == "parcel_id"
    assert columns(found, "crop_code") == ["crop_code"]
    assert columns(found, "crop_name") == ["crop_name"]
    assert found["crop_code"][0].goes_with == ("crop_name",)
    assert columns(found, "area") == ["area_ha"]
    assert found["holding_id"] == []


def test_codes_are_found_by_their_values_under_any_name() -> None:
    found = looked_at(file(parcel_id=numbered("P"), zz=code()))
    assert columns(found, "crop_code") == ["zz"]
    assert "100% in national" in found["crop_code"][0].why


@pytest.mark.parametrize(
    ("factor", "unit"), [(1.0, "ha"), (1.09, "ha"), (1.11, None), (10_000.0, "m2"), (9_100.0, "m2"), (100.0, None)]
)
def test_an_area_is_within_a_tenth_of_the_drawn_one(factor: float, unit: str | None) -> None:
    """Ares would be 100 to the hectare: no unit that a load knows."""
    found = looked_at(file(parcel_id=numbered("P"), zz=np.round(AREAS * factor, 4)))
    assert [(each.column, each.unit) for each in found["area"]] == ([("zz", unit)] if unit else [])


def test_a_computed_area_comes_after_a_declared_one() -> None:
    found = looked_at(file(shape_area=AREAS * 10_000, decl=AREAS))
    assert columns(found, "area") == ["decl", "shape_area"]


def test_a_row_number_is_a_worse_identifier_than_a_reference() -> None:
    found = looked_at(file(objectid=range(1, ROWS + 1), parcel_ref=numbered("P")))
    assert columns(found, "parcel_id")[0] == "parcel_ref"
    assert "a row number that may change" in next(c.why for c in found["parcel_id"] if c.column == "objectid")


def test_an_identifier_may_be_repeated_now_and_then() -> None:
    """Three repetitions among 60 are 95 % distinct values; four are less."""
    for repeated, found in ((3, True), (4, False)):
        ids = numbered("P")
        ids[:repeated] = [ids[-1]] * repeated
        names = columns(looked_at(file(parcel_id=ids, crop_code=code())), "parcel_id")
        assert ("parcel_id" in names) is found


def test_two_columns_may_be_unique_together() -> None:
    farm, number = [f"F{n // 6:02d}" for n in range(ROWS)], [str(n % 6) for n in range(ROWS)]
    found = looked_at(file(farm_id=farm, field=number))
    assert columns(found, "parcel_id") == ["farm_id+field"]
    assert found["parcel_id"][0].why == "unique together"
    assert columns(found, "holding_id") == ["farm_id"]


def test_a_column_with_a_gap_identifies_nothing() -> None:
    table = file(parcel_id=numbered("P"))
    table.loc[7, "parcel_id"] = None
    assert looked_at(table)["parcel_id"] == []


def test_who_declares_every_parcel_or_one_is_no_holding() -> None:
    found = looked_at(file(parcel_id=numbered("P"), farm=["F1"] * ROWS, farmer=numbered("F")))
    assert found["holding_id"] == []


def test_only_the_best_are_shown() -> None:
    found = looked_at(file(**{f"parcel_id{n}": numbered(f"P{n}") for n in range(5)}))
    assert len(found["parcel_id"]) == SHOWN
    scores = [each.score for each in found["parcel_id"]]
    assert scores == sorted(scores, reverse=True)
