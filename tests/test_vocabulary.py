"""Seasons, hashes, errors: the words every room shares."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import ConfigurationError, CropmapError, PartialFailureError, SceneError
from cropmap.provenance import code_version, content_hash, value_hash
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season


def _below(kind: type[CropmapError]) -> Iterator[type[CropmapError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _below(below)


def test_days_count_from_the_seasons_own_year() -> None:
    season = Season.from_window(2018, ("{previous}-08-01", "{season}-11-30"))
    assert season.day_of_year(date(2018, 1, 1)) == 1
    assert season.day_of_year(date(2017, 12, 31)) == 0
    assert season.day_of_year(date(2017, 8, 1)) == -152
    assert season.start == date(2017, 8, 1)


def test_a_season_as_of_a_day_ends_there() -> None:
    season = Season.from_window(2018, ("{season}-01-01", "{season}-12-31"))
    assert season.until(date(2018, 6, 15)).end == date(2018, 6, 15)
    assert season.until(date(2019, 6, 15)) == season
    assert season.until(None) == season


@pytest.mark.parametrize("window", [("x", "y"), ("{year}-01-01", "2018-12-31"), ("2018-13-01", "2018-12-31")])
def test_a_window_that_cannot_be_read_says_where(window: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"acquisitions\.window"):
        Season.from_window(2018, window)


def test_hashes_tell_splits_apart() -> None:
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert value_hash({"a": 1, "b": [2]}) == value_hash({"b": [2], "a": 1})


def test_the_code_version_starts_with_the_version() -> None:
    assert code_version().startswith("0.1.0+")


def test_errors_survive_a_process_boundary() -> None:
    error = SceneError("is truncated", reason=QuarantineReason.UNREADABLE_FILE, where="B02.tif", mend="Fetch it again")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(again) == "B02.tif: is truncated. Fetch it again"
    assert again.reason is QuarantineReason.UNREADABLE_FILE


@pytest.mark.parametrize("kind", sorted(_below(CropmapError), key=str))
def test_every_error_survives_a_process_boundary(kind: type[CropmapError]) -> None:
    """A process that trains a fold, and a worker of a cluster, hand theirs back."""
    more: dict[str, Any] = {"reason": QuarantineReason.MISSING_BAND} if kind is SceneError else {}
    error = (
        kind({"S2A": "is late"}, of=2, unit="acquisitions", mend="Wait")
        if kind is PartialFailureError
        else kind("is gone", where="here", mend="Bring it back", **more)
    )
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again), again.__dict__) == (kind, str(error), error.__dict__)


def test_a_partial_failure_names_its_units() -> None:
    error = PartialFailureError({"S2B": "late", "S2A": "broken"}, of=7, unit="acquisitions")
    assert str(error) == "2 of 7 acquisitions failed: S2A: broken; S2B: late"


def test_no_path_of_one_machine_is_tracked() -> None:
    root = Path(__file__).parents[1]
    for path in [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("infra/**/*.yaml")]:
        assert "/home/" not in path.read_text(), path
