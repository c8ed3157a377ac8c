"""Which texts of a row can be kept, and what is said of the others."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.sources.files.row_text import MAX_TEXT, storable


def judged(*values: str | None, unusable: dict[int, str] | None = None) -> tuple[list[str | None], list[str | None]]:
    kept, why = storable(pd.DataFrame({"name": pd.Series(values, dtype=object)}), unusable or {})
    return kept["name"].tolist(), why.tolist()


@pytest.mark.parametrize("text", ["", "wheat", "Épeautre 中 🌾", "x" * MAX_TEXT, None])
def test_text_that_is_kept_as_it_is(text: str | None) -> None:
    assert judged(text) == ([text], [None])


@pytest.mark.parametrize(
    ("text", "kept", "why"),
    [
        ("a\0b", "a\ufffdb", "name holds a NUL character"),
        ("a\x1b[2J", "a\ufffd[2J", "name holds an escape character (U+001B)"),
        ("a\x07b\0", "a\ufffdb\ufffd", "name holds U+0007"),  # the first of them
        ("x" * 501, "x" * 60 + "\u2026", "name holds 501 characters"),
        ("x" * 12_345, "x" * 60 + "\u2026", "name holds 12,345 characters"),
        ("\0" + "x" * 600, "\ufffd" + "x" * 59 + "\u2026", "name holds a NUL character"),
    ],
)
def test_text_that_is_not(text: str, kept: str, why: str) -> None:
    assert judged(text) == ([kept], [why])


def test_the_first_column_that_is_wrong_is_named_and_all_are_mended() -> None:
    table = pd.DataFrame({"code": ["a", "b\0"], "name": ["c\0", "d\0"]}, dtype=object)
    kept, why = storable(table, {})
    assert why.tolist() == ["name holds a NUL character", "code holds a NUL character"]
    assert kept.to_numpy().tolist() == [["a", "c\ufffd"], ["b\ufffd", "d\ufffd"]]
    assert table.loc[1, "code"] == "b\0", "what was given is not changed"


def test_a_row_that_is_unusable_already_keeps_its_reason() -> None:
    assert judged("a\0", "b", unusable={0: "3 fields instead of 4", 9: "a row that was not read"}) == (
        ["a\ufffd", "b"],
        ["3 fields instead of 4", None],
    )


def test_no_rows_no_reasons() -> None:
    assert judged() == ([], [])
