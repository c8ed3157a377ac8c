"""Which names and years a parameter takes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from serving.names import AfterQuery, AgencyPath, LevelQuery, OneSeasonQuery, ParcelPath


def takes(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        (AgencyPath, "bretagne", True),
        (AgencyPath, "", False),
        (AgencyPath, "x" * 200, True),
        (AgencyPath, "x" * 201, False),
        (AgencyPath, "a\0b", False),  # PostgreSQL takes no text with NUL
        (ParcelPath, "A/7 ü\n", True),
        (OneSeasonQuery, 1979, False),
        (OneSeasonQuery, 1980, True),
        (OneSeasonQuery, 2200, True),
        (OneSeasonQuery, 2201, False),
        (LevelQuery, -1, False),
        (LevelQuery, 0, True),
        (LevelQuery, 3, True),
        (LevelQuery, 4, False),
        (LevelQuery, None, True),
        (AfterQuery, "x" * 1000, True),  # the mark of a page is longer than a name
        (AfterQuery, "x" * 1001, False),
    ],
)
def test_the_ends_of_what_is_taken(kind: Any, value: object, taken: bool) -> None:
    assert takes(kind, value) is taken
