"""From P(right) to a list and to verdicts, on rows that are decided by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cropmap.assessments.channel import Channel
from cropmap.assessments.verdict import Evidence, largest_list, verdicts
from cropmap.schemas import Reason, Verdict

CROPS = 3


def listed(
    right: list[float], *, target: float, candidates: list[bool] | None = None, order: list[float] | None = None
) -> list[int]:
    """Rows on the list."""
    chosen = np.ones(len(right), dtype=bool) if candidates is None else np.array(candidates)
    by = None if order is None else np.array(order)
    flagged = largest_list(np.array(right), target=target, candidates=chosen, order=by)
    return [int(row) for row in np.flatnonzero(flagged)]


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        (0.01, []),  # the first alone is above it
        (0.02, [1]),  # exactly at it
        (0.05, [0, 1]),  # (.02 + .08) / 2
        (0.14, [0, 1]),
        (0.15, [0, 1, 3]),  # (.02 + .08 + .35) / 3
        (0.30, [0, 1, 3]),
        (0.3375, [0, 1, 2, 3]),  # and .90: 1.35 / 4
    ],
)
def test_a_list_is_as_long_as_its_mean_allows(target: float, rows: list[int]) -> None:
    assert listed([0.08, 0.02, 0.90, 0.35], target=target + 1e-12) == rows


def test_a_list_goes_on_where_its_mean_comes_down_again() -> None:
    """By another order the mean of the first two is .2, above the target, and that of the first three .14."""
    right, order = [0.30, 0.10, 0.02], [1.0, 2.0, 3.0]
    assert listed(right, target=0.15, order=order) == [0, 1, 2]
    assert listed(right[:2], target=0.15, order=order[:2]) == []


def test_who_is_no_candidate_is_on_no_list() -> None:
    assert listed([0.01, 0.01, 0.01], target=0.1, candidates=[True, False, True]) == [0, 2]
    assert listed([0.01], target=0.1, candidates=[False]) == []
    assert listed([], target=0.1) == []


def test_ties_keep_the_order_of_rows() -> None:
    """Three of .1 and a .01: .05 allows the .01 and one .1, which is the first."""
    assert listed([0.1, 0.01, 0.1, 0.1], target=0.0551) == [0, 1]


def test_the_order_may_be_another_than_the_chance() -> None:
    assert listed([0.05, 0.04], target=0.045, order=[1, 2]) == [0, 1]
    assert listed([0.05, 0.04], target=0.044, order=[1, 2]) == []
    assert listed([0.05, 0.04], target=0.044) == [1]


def evidence(clean: list[list[float]], declared: list[int], right: list[float]) -> Evidence:
    """Of a channel that takes scores for logarithms of probabilities."""
    chance, shares = np.array(right), np.full(CROPS, 1 / CROPS)
    same = Channel(0.0, np.zeros(CROPS), np.eye(CROPS), 0.0, np.ones((CROPS, CROPS), dtype=bool), shares, 0.0)
    return Evidence(same, np.log(clean), np.array(declared, dtype=np.intp), chance, chance)


def test_the_competitor_is_the_likeliest_crop_besides_the_declared_one() -> None:
    found = evidence([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3]], [0, 0, 2], [1, 0, 0])
    assert found.competitor.tolist() == [1, 2, 0]
    assert found.declared_probability == pytest.approx([0.7, 0.1, 0.3])


def channel(*, alike: bool) -> Channel:
    """Declarations are mostly right; where crops look alike, the pair of 0 and 1 is not told apart."""
    identifiable = np.ones((CROPS, CROPS), dtype=bool)
    identifiable[1, 0] = not alike
    shares = np.full(CROPS, 1 / CROPS)
    return Channel(0.0, np.zeros(CROPS), np.eye(CROPS) * 0.97 + 0.01, 0.01, identifiable, shares, 0.001)


def decided(
    clean: list[float],
    *,
    right: float,
    flagged: bool = False,
    unreliable: bool = False,
    useless: bool = False,
    alike: bool = False,
) -> tuple[Verdict, Reason]:
    """Of one declaration of crop 0."""
    verdict, reason = verdicts(
        evidence([clean], [0], [right]),
        channel(alike=alike),
        np.array([flagged]),
        unreliable=np.array([unreliable]),
        useless=useless,
    )
    return Verdict(verdict[0]), Reason(reason[0])


LIKELY, OTHER_LIKELIER, UNLIKELY = [0.6, 0.3, 0.1], [0.3001, 0.5999, 0.1], [0.29, 0.61, 0.1]


@pytest.mark.parametrize(
    ("clean", "right", "expected"),
    [
        (LIKELY, 0.95, Reason.DECLARED_CROP_SUPPORTED),
        (LIKELY, 0.9499, Reason.WEAK_EVIDENCE),
        (
            OTHER_LIKELIER,
            0.95,
            Reason.DECLARED_CROP_SUPPORTED,
        ),  # another crop is likelier, and .3 or more supports it all the same
        (UNLIKELY, 0.95, Reason.WEAK_EVIDENCE),  # .29 does not
        (UNLIKELY, 0.1, Reason.WEAK_EVIDENCE),
    ],
)
def test_what_supports_a_declaration(clean: list[float], right: float, expected: Reason) -> None:
    conform = expected == Reason.DECLARED_CROP_SUPPORTED
    assert decided(clean, right=right) == (Verdict.CONFORM if conform else Verdict.INCONCLUSIVE, expected)


def test_a_flag_is_a_mismatch_whatever_else_is_said() -> None:
    assert decided(UNLIKELY, right=0.01, flagged=True) == (Verdict.MISMATCH, Reason.OTHER_CROP_SUPPORTED)
    assert decided(LIKELY, right=0.99, flagged=True)[0] == Verdict.MISMATCH
    assert decided(UNLIKELY, right=0.01, flagged=True, alike=True)[0] == Verdict.MISMATCH


def test_a_guard_withdraws_a_flag_and_leaves_the_rest() -> None:
    """An unreliable crop loses its flags; its other declarations may be conform still."""
    assert decided(UNLIKELY, right=0.01, flagged=True, unreliable=True) == (
        Verdict.INCONCLUSIVE,
        Reason.NO_RELIABLE_EVIDENCE,
    )
    assert decided(LIKELY, right=0.99, unreliable=True)[0] == Verdict.CONFORM


def test_useless_evidence_makes_nothing_conform() -> None:
    for right, flagged in ((0.99, False), (0.01, True), (0.5, False)):
        found = decided(LIKELY, right=right, flagged=flagged, useless=True)
        assert found == (Verdict.INCONCLUSIVE, Reason.NO_RELIABLE_EVIDENCE)


def test_crops_that_look_alike_are_not_held_against_each_other() -> None:
    """The competitor of crop 0 is crop 1, and the pair cannot be told apart; support still counts."""
    assert decided(UNLIKELY, right=0.5, alike=True) == (Verdict.INCONCLUSIVE, Reason.LOOK_ALIKE_CROPS)
    assert decided(LIKELY, right=0.95, alike=True)[0] == Verdict.CONFORM
    assert decided([0.2, 0.1, 0.7], right=0.5, alike=True)[1] == Reason.WEAK_EVIDENCE, "its competitor is crop 2"
