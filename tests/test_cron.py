"""Cron lines and time zones of a schedule: which a scheduler takes, and when they come."""

from __future__ import annotations

import pytest

from cropmap.cron import checked_cron, checked_zone


@pytest.mark.parametrize("line", ["0 6 * * 1", "*/15 * * * *", "0 0 29 2 *", "0 0 31 1,3 *", "0 0 L * *"])
def test_a_line_that_comes_is_taken_as_it_is(line: str) -> None:
    """Also on 29 February, which is not in every year."""
    assert checked_cron(line) == line


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 31 4,6 *", "bad day-of-month"),
        ("60 6 * * 1", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 6 * *", "wrong number of fields"),
        ("0 0 6 * * 1", "wrong number of fields"),  # seconds stand first for some readers and last for others
        ("@daily", "wrong number of fields"),
        ("", "wrong number of fields"),
    ],
)
def test_a_line_that_never_comes_or_is_none(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_cron(line)


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "Indian/Reunion"])
def test_a_zone_is_taken_as_it_is(name: str) -> None:
    assert checked_zone(name) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Pari", "did you mean Europe/Paris or "),
        ("Europe", "is no time zone"),  # a folder of zones
        ("../etc/passwd", "such as Europe/Paris or UTC"),
        ("", "such as Europe/Paris or UTC"),
        ("12345", "such as Europe/Paris or UTC"),
    ],
)
def test_what_is_no_zone_is_told_with_what_may_be_meant(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        checked_zone(name)
