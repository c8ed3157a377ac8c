"""Shares over all crops as they may be said, and the attack that exact ones would allow."""

from __future__ import annotations

import pytest

from cropmap.assessments.report import AssessmentReport
from cropmap.reports.quality import CvSummary, Share, season_quality, shown_share
from cropmap.statistics.report import StatisticsReport
from tests.reports.seasons import ASSESSMENTS, STATISTICS, areas


@pytest.mark.parametrize(
    ("share", "low", "high", "words"),
    [
        (0.983, 0.95, 1.0, "95\u202f% or more"),
        (1.0, 0.95, 1.0, "95\u202f% or more"),
        (0.918, 0.9, 0.95, "90 to 95\u202f%"),
        (0.95, 0.95, 1.0, "95\u202f% or more"),
        (0.0, 0.0, 0.05, "less than 5\u202f%"),
    ],
)
def test_shares_in_steps(share: float, low: float, high: float, words: str) -> None:
    found = shown_share(share, in_steps=True)
    assert found == Share(low, high)
    assert found is not None
    assert found.words == words


def test_shares_are_exact_where_nothing_is_hidden() -> None:
    found = shown_share(0.91834, in_steps=False)
    assert found is not None
    assert found.words == "91.8\u202f%"
    assert shown_share(None, in_steps=True) is None


def test_a_share_in_steps_does_not_open_the_only_hidden_crop() -> None:
    """Declared over all land is (shown declared + x) / (shown estimated + x) where one crop is hidden and its two areas
    are nearly the same: solved for x an exact share gives it away, a band does not bound it."""
    declared, estimated, secret = 9_800.0, 10_000.0, 400.0
    share = (declared + secret) / (estimated + secret)
    assert (declared - share * estimated) / (share - 1) == pytest.approx(secret)
    said = shown_share(share, in_steps=True)
    assert said is not None
    for x in (0.0, 100.0, 10_000.0):
        assert said.low <= (declared + x) / (estimated + x) <= said.high


def test_what_the_run_said() -> None:
    found = season_quality(ASSESSMENTS, STATISTICS, areas(), accuracy=None, judged_by="a model", any_hidden=True)
    assert (found.declared_land, found.seen_land) == (Share(0.9, 0.95), Share(0.95, 1.0))
    assert found.undecided == Share(0.15, 0.2)  # 17 of 100 declarations
    assert (found.cells, found.hidden, found.reviews, found.worse_than_stated) == (12, 4, 0, None)
    # .02 .05 .06 .01 .31 .15 .2; the cell without an area has none
    assert found.cv == CvSummary(0.06, (3, 2, 1, 1))
    assert [count for _, count in found.cv.classes] == [3, 2, 1, 1]


def test_a_run_that_says_nothing() -> None:
    nothing = AssessmentReport(), StatisticsReport()
    found = season_quality(*nothing, areas(), accuracy=None, judged_by="a model", any_hidden=False)
    assert (found.declared_land, found.seen_land, found.undecided, found.reviews) == (None, None, None, 0)


def test_reviews_say_how_far_they_and_the_estimate_are_apart() -> None:
    said = STATISTICS.model_copy(
        update={
            "reviews": 300,
            "overconfidence": {"agrees": 1.2, "conflict": 1.8},
            "contradiction": {"agrees": 1.0, "conflict": 7.46},
        }
    )
    none = AssessmentReport()
    found = season_quality(none, said, areas(), accuracy=None, judged_by="a model", any_hidden=False)
    assert (found.reviews, found.worse_than_stated, found.contradicted) == (300, 1.8, 7.46)
