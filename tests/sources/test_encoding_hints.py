"""Text that was read in another encoding than it was written in: the legend tells which."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.legends import Legend, LegendEntry
from cropmap.sources.declarations.encoding_hints import encoding_hint

NAMES = ("Pšenice ozimá", "Weizengemüse", "Ziemas kvieši", "Σιτάρι", "Кукурудза", "Žito")
LEGEND = Legend("l", tuple(LegendEntry(str(n), name, None, None, "") for n, name in enumerate(NAMES)), "")


def hint(text: str, *, encoding_set: str | None = None) -> tuple[str, ...]:
    table = pd.DataFrame(
        {"crop_code": [None], "crop_name": [text], "found": ["unknown"], "rows": [7], "area_ha": [1.0]}
    )
    return encoding_hint(table, LEGEND, encoding_set=encoding_set)


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("Pšenice ozimá", "UTF-8", "latin-1"),
        ("Pšenice ozimá", "CP1250", "latin-1"),
        ("Weizengemüse", "UTF-8", "cp1252"),
        ("Ziemas kvieši", "CP1257", "cp1252"),
        ("Σιτάρι", "CP1253", "cp1252"),
        ("Кукурудза", "CP1251", "cp1252"),
        ("Pšenice ozimá", "CP852", "latin-1"),
    ],
)
def test_the_encoding_is_named_in_which_the_legend_knows_the_text(name: str, written: str, read: str) -> None:
    (said,) = hint(name.encode(written).decode(read))
    assert said.startswith("7 rows with an unknown code have a known one with declarations.encoding: ")
    encoding = said.rsplit(" ", 1)[1]
    assert name.encode(written).decode(encoding) == name, "another page may write these letters alike"


@pytest.mark.parametrize("text", ["wheat", "Größe", "\ufffd\ufffd", ""])
def test_nothing_is_said_of_text_that_no_encoding_makes_known(text: str) -> None:
    assert hint(text) == ()


def test_the_encoding_that_is_set_is_not_proposed() -> None:
    text = "Pšenice ozimá".encode().decode("latin-1")
    assert "UTF-8" not in "".join(hint(text, encoding_set="utf-8"))
