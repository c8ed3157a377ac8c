"""The peers' rules on four declarations that a reader judges by eye."""

import numpy as np

from tests.studies import peers

PROBABILITIES = np.array([[0.96, 0.03, 0.01], [0.96, 0.03, 0.01], [0.50, 0.30, 0.20], [0.94, 0.01, 0.05]])
DECLARED = np.array([2, 1, 2, 0])


def test_sen4cap_flags_what_is_not_among_the_two_likeliest() -> None:
    assert peers.sen4cap(PROBABILITIES, DECLARED).tolist() == [True, False, True, False]


def test_flemish_rule_wants_another_crop_and_confidence() -> None:
    assert peers.flemish(PROBABILITIES, DECLARED).tolist() == [True, True, False, False]


def test_what_has_no_score_is_never_among_the_lowest() -> None:
    assert peers.lowest(np.array([0.2, np.nan, 0.1]), count=3).tolist() == [True, False, True]
