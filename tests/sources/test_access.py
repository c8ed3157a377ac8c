"""Headers that a catalogue is entered with: one a line, and their values are shown to nobody."""

from __future__ import annotations

import pytest

from cropmap.errors import ConfigurationError
from cropmap.sources.catalogs.places import CatalogAccess
from cropmap.sources.catalogs.sign_in.secrets import read_headers


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("\n  \n", {}),
        ("Authorization: Bearer abc.def", {"Authorization": "Bearer abc.def"}),
        ("A:1\nB: 2\r\n\n C :3", None),
        ("A:1\r\n  B:  two words  \n", {"A": "1", "B": "two words"}),
        ("X-Key: a: b", {"X-Key": "a: b"}),  # only the first colon parts
        ("X: 1\nX: 2", {"X": "2"}),
    ],
)
def test_a_header_is_a_name_a_colon_and_a_value(text: str, headers: dict[str, str] | None) -> None:
    if headers is None:
        with pytest.raises(ConfigurationError, match="line 3 is no header"):  # no blank before a colon (RFC 9112, 5.1)
            read_headers(text)
    else:
        assert read_headers(text) == headers


@pytest.mark.parametrize(
    "line", ["secret", ": secret", "A:", "A: ", "A B: secret", "A: secr\x00et", "A: sécret", "Ä: secret"]
)
def test_a_wrong_line_is_named_by_its_number_and_not_shown(line: str) -> None:
    with pytest.raises(ConfigurationError, match="line 2 is no header") as caught:
        read_headers(f"Ok: 1\n{line}")
    assert "secr" not in str(caught.value)


def test_what_is_printed_of_an_access_shows_no_header() -> None:
    assert "abc" not in repr(CatalogAccess({"Authorization": "Bearer abc"}))
