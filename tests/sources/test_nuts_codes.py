"""Which edition of NUTS a code is of, and what is meant by a text that is no code."""

from __future__ import annotations

import pytest

from cropmap.sources.nuts_codes import common_editions, editions_of, no_code, of_other_editions, words


@pytest.mark.parametrize("code", ["FR", "FRH", "FRH0", "FRH01", "EL30", "UKM50", "XK000"])
def test_codes(code: str) -> None:
    assert no_code(code) is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("GR30", "Eurostat writes EL30"),
        ("gb1", "Eurostat writes UK1"),
        ("XX01", "Two capital letters of a country"),
        ("frh01", "Two capital letters of a country"),
        ("FRH012", "Two capital letters of a country"),  # six signs
        ("FR-01", "Two capital letters of a country"),
        ("", "Two capital letters of a country"),
    ],
)
def test_texts_that_are_none(text: str, hint: str) -> None:
    assert f"{text!r} is no NUTS code. {hint}" in (no_code(text) or "")


@pytest.mark.parametrize(
    ("code", "editions"),
    [
        ("FRH01", (2016, 2021, 2024)),  # in no table of changes: of all editions
        ("NL113", (2016, 2021)),
        ("NL115", (2024,)),
        ("BE221", (2016,)),
        ("BE224", (2021, 2024)),
        ("FR52", ()),  # Bretagne until 2016
        ("FR5", ()),
        ("FRJ", (2016, 2021, 2024)),
    ],
)
def test_the_editions_of_a_code(code: str, editions: tuple[int, ...]) -> None:
    assert editions_of(code) == editions


def test_codes_that_an_edition_does_not_have() -> None:
    found = of_other_editions(["NL115", "FRH01", "BE221", "NL115"], nuts_version=2021)
    assert found == {"BE221": (2016,), "NL115": (2024,)}
    assert list(found) == ["BE221", "NL115"], "sorted, each once"


@pytest.mark.parametrize(
    ("codes", "editions"),
    [
        (["FRH01"], (2016, 2021, 2024)),
        (["NL113", "BE224"], (2021,)),
        (["NL113", "NL115"], ()),
        (["FRH01", "FR52"], ()),
        ([], (2016, 2021, 2024)),
    ],
)
def test_the_editions_that_all_codes_may_be_of(codes: list[str], editions: tuple[int, ...]) -> None:
    assert common_editions(codes) == editions


def test_a_long_list_says_how_many_more() -> None:
    assert words(range(6)) == "0, 1, 2, 3, 4, 5"
    assert words(range(8)) == "0, 1, 2, 3, 4, 5 and 2 more"
    assert words([]) == ""
