"""Guards by hand."""

import numpy as np
import pytest

from cropmap.assessments.channel import Channel
from cropmap.assessments.guards import (
    TailCounts,
    refused_classes,
    reliability,
    skill,
    tail_counts,
    tail_refused,
    too_many_refused,
)
from cropmap.assessments.verdict import evidence_of, largest_list


def _counts(observed: list[float], expected: list[float]) -> TailCounts:
    return TailCounts(np.array(observed), np.array(expected))


def test_list_is_refused_above_one_and_a_half_when_chance_cannot_explain_it() -> None:
    assert not tail_refused(_counts([30, 30], [25, 20]))  # 1.33
    assert tail_refused(_counts([40, 40], [30, 20]))  # 1.6 of 50: 30 over, 2√50 = 14
    assert not tail_refused(_counts([8, 0], [3, 2]))  # 1.6 of 5: 3 over, 2√5 = 4.5
    assert not tail_refused(_counts([0, 0], [0, 0]))


def test_class_is_refused_on_both_conditions() -> None:
    refused = refused_classes(_counts([30, 19, 5, 0], [10, 10, 2, 0]))
    assert list(refused) == [True, False, False, False]  # the third: 2.5 times, but 3 over < 3√2


def test_many_refused_classes_discredit_the_scores_of_all() -> None:
    def refused(classes: int, count: int, *, occurring: int | None = None) -> bool:
        return too_many_refused(np.arange(classes) < count, np.arange(occurring or classes).repeat(2))

    assert not refused(13, 3)
    assert refused(13, 4)
    assert not refused(3, 2)  # two, whatever they are a share of
    assert refused(3, 3)
    assert refused(40, 4, occurring=13)  # classes that nobody declares are no support
    assert not refused(40, 10)


def test_tail_counts_by_hand() -> None:
    """Two classes; threshold 0.5. P(decl) = q T; right = q diag(T) / P(decl)."""
    channel = Channel(
        0.0, np.zeros(2), np.array([[0.9, 0.1], [0.2, 0.8]]), 0.1, np.ones((2, 2), dtype=bool), np.full(2, 0.5), 0.0
    )
    clean = np.array([[0.95, 0.05], [0.5, 0.5], [0.1, 0.9]])
    # class 0: right = .855/.865, .45/.55, .09/.27 -> inside: row 2 (0.27); class 1: .04/.135, .4/.45, .72/.73 -> row 0
    seen = evidence_of(channel, np.log(clean), np.array([1, 0, 1]))
    counts = tail_counts(channel, seen, threshold=0.5)
    assert counts.expected == pytest.approx([0.27, 0.135])
    assert counts.observed == pytest.approx([0, 1])
    assert counts.ratio == pytest.approx(1 / 0.405)
    without = tail_counts(channel, seen, threshold=0.5, without=np.array([False, True]))
    assert without.expected == pytest.approx([0.27, 0])


def test_skill_is_zero_for_the_class_shares_and_one_for_certainty() -> None:
    shares = np.array([0.25, 0.75])
    channel = Channel(0.0, np.zeros(2), np.eye(2), 0.1, np.ones((2, 2), dtype=bool), shares, 0.0)
    declared = np.array([0, 1, 1, 1])
    blind, sure = (channel.likelihood(q, declared) for q in (np.tile(shares, (4, 1)), np.eye(2)[declared]))
    assert skill(channel, blind) == pytest.approx(0)
    assert skill(channel, sure) == pytest.approx(1)


def test_largest_list_by_hand() -> None:
    right = np.array([0.9, 0.05, 0.3, 0.1])
    everyone = np.ones(4, dtype=bool)
    assert list(largest_list(right, target=0.15, candidates=everyone)) == [False, True, True, True]  # mean 0.15
    assert list(largest_list(right, target=0.149, candidates=everyone)) == [False, True, False, True]
    assert not largest_list(right, target=0.04, candidates=everyone).any()
    assert list(largest_list(right, target=0.2, candidates=right != 0.05)) == [False, False, True, True]


def test_a_list_goes_as_far_in_its_order_as_the_mean_allows() -> None:
    """Means .2, .1, .1, .325 in the order given: the first is above .15, three together are not."""
    right, order = np.array([0.0, 0.1, 0.2, 1.0]), np.array([0.2, 0.3, 0.1, 0.4])
    everyone = np.ones(4, dtype=bool)
    assert list(largest_list(right, target=0.15, candidates=everyone, order=order)) == [True, True, True, False]
    assert not largest_list(right, target=0.05, candidates=everyone, order=order).any()


def test_statement() -> None:
    assert reliability(parcels=20_000, flags=50, refusals=[]) == "estimated, not guaranteed"
    assert reliability(parcels=9_999, flags=9, refusals=[]) == (
        "provisional: fewer than 10,000 parcels, fewer than 10 flags"
    )
    assert reliability(parcels=9_999, flags=9, refusals=["why"]) == "refused: why"
