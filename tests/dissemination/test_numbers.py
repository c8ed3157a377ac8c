"""Numbers as text: what is a number in other people's files, and how ours are written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cropmap.dissemination.numbers import decimal_text, parse_numbers


def test_decimals_are_fixed_and_what_is_missing_is_empty() -> None:
    values = np.array([1234.5, 0.0, -2.0, np.nan, 0.125])
    assert decimal_text(values, decimals=2) == ["1234.50", "0.00", "-2.00", "", "0.12"]
    assert decimal_text(values, decimals=0) == ["1234", "0", "-2", "", "0"], "halves go to the even digit"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0),
        ("-0.5", -0.5),
        (" 7 ", 7.0),
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        ("", None),
        (":", None),
        ("NaN", None),
    ],
)
def test_numbers_and_words_for_none(text: str, value: float | None) -> None:
    found, fits = parse_numbers([text])
    assert fits.tolist() == [True]
    assert found[0] == pytest.approx(math.nan if value is None else value, nan_ok=True)


@pytest.mark.parametrize(
    "text", ["1,5", "+1", ".5", "5.", "1_000", "nan", "inf", "-inf", "0x10", "1 000", "1e", "--1", "one", "1e999", "∞"]
)
def test_what_float_would_take_or_nobody_meant_is_no_number(text: str) -> None:
    """float() reads +1, .5, 5., 1_000, nan and inf; a file of areas that holds one of them was not written as such."""
    assert parse_numbers([text])[1].tolist() == [False]


def test_every_text_has_its_own_answer() -> None:
    found, fits = parse_numbers(["1", "x", ":", "2"])
    assert fits.tolist() == [True, False, True, True]
    assert np.nan_to_num(found, nan=-1).tolist() == [1, -1, -1, 2]
