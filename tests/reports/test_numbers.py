"""How figures are written in a report."""

from __future__ import annotations

from datetime import date

import pytest

from cropmap.reports.numbers import MINUS, NONE, THIN, day, hectares, number, percent, signed, significant


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234567.8, 0, f"1{THIN}234{THIN}568"),
        (999.0, 0, "999"),
        (1000.0, 0, f"1{THIN}000"),
        (-1234.5, 1, f"{MINUS}1{THIN}234.5"),
        (-0.4, 0, "0"),  # what rounds to zero has no sign
        (-0.04, 1, "0.0"),
        (-0.06, 1, f"{MINUS}0.1"),
        (None, 0, NONE),
        (float("nan"), 0, NONE),
        (float("inf"), 0, NONE),
    ],
)
def test_a_number(value: float | None, decimals: int, text: str) -> None:
    assert number(value, decimals=decimals) == text


@pytest.mark.parametrize(
    ("area", "text"),
    [
        (0.0, "0"),  # a true zero
        (0.004, "0.00"),  # not one
        (9.994, "9.99"),
        (9.995, "10.0"),  # and not 10.00 (or 9.99): the decimals go by what is written
        (99.94, "99.9"),
        (99.95, "100"),
        (-99.95, f"{MINUS}100"),
        (1234.4, f"1{THIN}234"),
        (None, NONE),
    ],
)
def test_hectares_have_decimals_by_their_size(area: float | None, text: str) -> None:
    assert hectares(area) == text


def test_a_share_is_per_cent() -> None:
    assert percent(0.1234) == f"12.3{THIN}%"
    assert percent(0.1234, decimals=0) == f"12{THIN}%"
    assert percent(1.0) == f"100.0{THIN}%"
    assert percent(None) == NONE


@pytest.mark.parametrize(
    ("text", "change"), [("12", "+12"), (f"{MINUS}12", f"{MINUS}12"), ("0", "0"), ("0.00", "0.00"), (NONE, NONE)]
)
def test_a_change_has_a_sign_unless_it_is_none(text: str, change: str) -> None:
    assert signed(text) == change


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (2.50, "2.5"), (20.0, "20"), (125.0, "125"), (1500.0, f"1{THIN}500"), (999.6, f"1{THIN}000")],
)
def test_a_tick_has_no_closing_zeros(value: float, text: str) -> None:
    assert significant(value) == text


def test_a_day_has_no_leading_zero() -> None:
    assert day(date(2018, 3, 1)) == "1 March 2018"
