"""What is proposed where land is declared twice."""

from __future__ import annotations

import pytest

from cropmap.sources.declarations.doubles import Separator
from cropmap.stages.declared import exclude_hint


@pytest.mark.parametrize(
    ("separator", "said"),
    [
        (None, ""),
        (
            Separator("use", ("catch",), rows=4, certain=True),
            "4 rows would be left out with `declarations.exclude: {use: [catch]}`",
        ),
        (
            Separator("use", ("catch", "2"), rows=4, certain=False),
            "4 rows would be left out with `declarations.exclude: {use: [catch, '2']}`, "
            "or the other side of that column",
        ),
    ],
)
def test_a_line_to_write_into_the_agency_file(separator: Separator | None, said: str) -> None:
    """What looks like a number stands in quotes: the values of a column are texts."""
    assert exclude_hint(separator) == said
