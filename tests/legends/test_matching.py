"""Codes and names that lost something on their way are found, and only where one alone fits."""

from __future__ import annotations

import unicodedata

import pytest

from cropmap.legends.matching import Found, Matcher

CODES = Matcher([("056", "056"), ("1200", "1200"), ("BTH", "BTH"), ("A 1", "A 1"), ("7", "7"), ("007", "007")])
NAMES = Matcher(
    [
        ("Jačmeň jarný", "SJ"),
        ("Jačmeň ozimný", "WJ"),
        ("Ľan siaty", "L"),
        ("Maïs", "M1"),
        ("Mais", "M2"),
        ("Ziemniak skrobiowy łąkowy", "Z"),
        ("Kukurica", "K"),
        ("kukurica ", "K"),
    ]
)


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("056", "056", Found.EXACT),
        (" 056 ", "056", Found.BLANKS),
        ("A  1", "A 1", Found.BLANKS),
        ("1200.0", "1200", Found.DECIMAL_POINT),
        ("1200,00", "1200", Found.DECIMAL_POINT),
        ("56", "056", Found.LEADING_ZEROS),
        ("0056", "056", Found.LEADING_ZEROS),
        ("56.0", "056", Found.LEADING_ZEROS),
        ("bth", "BTH", Found.CASE),
        ("7", "7", Found.EXACT),
        ("007", "007", Found.EXACT),
        ("07", None, Found.AMBIGUOUS),  # 7 and 007 are two crops
        ("12", None, Found.UNKNOWN),
        ("120", None, Found.UNKNOWN),
        ("0", None, Found.UNKNOWN),
        ("B?H", None, Found.UNKNOWN),  # too few letters are left to tell a word by
    ],
)
def test_codes(text: str, code: str | None, found: Found) -> None:
    match = CODES.find(text)
    assert (match.code, match.way) == (code, found)


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("Jačmeň jarný", "SJ", Found.EXACT),
        (unicodedata.normalize("NFD", "Jačmeň jarný"), "SJ", Found.BLANKS),
        ("JAČMEŇ  JARNÝ", "SJ", Found.CASE),
        ("Jacmen jarny", "SJ", Found.ACCENTS),
        ("Ziemniak skrobiowy lakowy", "Z", Found.ACCENTS),
        ("Ja?me? jarný", "SJ", Found.LOST_LETTERS),
        ("Ja\ufffdme\ufffd ozimn\ufffd", "WJ", Found.LOST_LETTERS),
        ("?an siaty", "L", Found.LOST_LETTERS),
        ("Ja?me?", None, Found.UNKNOWN),  # winter or spring is not said
        ("Maïs", "M1", Found.EXACT),
        ("maïs", "M1", Found.CASE),
        ("MAÍS", None, Found.AMBIGUOUS),
        ("Kukurica", "K", Found.EXACT),  # written twice, one crop
        ("Ja?me?ko ja", None, Found.UNKNOWN),
    ],
)
def test_names(text: str, code: str | None, found: Found) -> None:
    match = NAMES.find(text)
    assert (match.code, match.way) == (code, found)


def test_an_ambiguous_text_names_what_fits() -> None:
    assert CODES.find("07").candidates == ("007", "7")
    assert NAMES.find("MAÍS").candidates == ("M1", "M2")


def test_lost_letters_that_fit_two_names_are_not_guessed() -> None:
    match = Matcher([("Raž ozimná", "R"), ("Rad ozimná", "D")]).find("Ra? ozimná")
    assert (match.code, match.way, match.candidates) == (None, Found.AMBIGUOUS, ("D", "R"))
