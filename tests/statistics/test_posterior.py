"""Raking and posteriors of a region, on numbers that are worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from cropmap.statistics.posterior import declared_shares, posterior, rake


def declared(*classes: int) -> np.ndarray:
    return np.array(classes, dtype=np.intp)


def test_shares_are_by_count_of_what_is_declared() -> None:
    assert declared_shares(declared(0, 0, 0, 2, -1, -1), classes=3).tolist() == [0.75, 0, 0.25]
    assert declared_shares(declared(-1), classes=2).tolist() == [0, 0], "nothing declared: no share, and no division"


def test_a_declaration_weighs_as_much_as_it_is_rarely_wrong() -> None:
    """p = (.4, .5, .1), declared is class 0 and declared by .2 of all, the others by .3 and .5. L(0) = .97; of the
    others .03 are wrong, and .2 / (1 - .3) or .2 / (1 - .5) of these say class 0: L(1) = .006 / .7, L(2) = .012."""
    q = posterior(np.array([[0.4, 0.5, 0.1]]), declared(0), shares=np.array([0.2, 0.3, 0.5]))
    parts = np.array([0.4 * 0.97, 0.5 * 0.006 / 0.7, 0.1 * 0.012])
    assert q == pytest.approx(np.array([[0.388, 0.0042857, 0.0012]]) / 0.3934857, rel=1e-4)
    assert q[0] == pytest.approx(parts / parts.sum())


def test_a_rarely_declared_crop_is_rarely_declared_by_mistake() -> None:
    """Two parcels look alike; the one that declares the crop of 10 % is believed more than that of the crop of 60 %:
    L of the others is .03 x .1 / .4 and .03 x .1 / .7, against .03 x .6 / .9 and .03 x .6 / .7."""
    p = np.full((2, 3), 1 / 3)
    q = posterior(p, declared(0, 1), shares=np.array([0.1, 0.6, 0.3]))
    assert q[0, 0] == pytest.approx(0.97 / (0.97 + 0.0075 + 0.003 / 0.7))
    assert q[1, 1] == pytest.approx(0.97 / (0.97 + 0.02 + 0.018 / 0.7))


def test_an_undeclared_parcel_keeps_what_the_classifier_said() -> None:
    p = np.array([[0.4, 0.6], [0.2, 0.8]])
    q = posterior(p, declared(-1, 0), shares=np.array([0.5, 0.5]))
    assert q[0].tolist() == [0.4, 0.6]
    assert q[1].tolist() != [0.2, 0.8]
    assert p.tolist() == [[0.4, 0.6], [0.2, 0.8]], "what was given is not changed"


def test_where_everybody_declares_one_crop_nothing_is_divided_by_zero() -> None:
    """No share is left beside the declared crop's: 1 / (1 - 1) has no value, and its own likelihood .97 needs none."""
    q = posterior(np.array([[0.5, 0.5]]), declared(0), shares=np.array([1.0, 0.0]))
    assert q == pytest.approx(np.array([[0.97, 0.03]]))


def test_raking_gives_the_declared_counts() -> None:
    """A classifier that gives every parcel (.5, .5), and three of four that declare class 0: by symmetry the raked
    probabilities are (.75, .25) for everybody, the undeclared parcel too."""
    raked = rake(np.full((5, 2), 0.5), declared(0, 0, 0, 1, -1))
    assert raked.declared_counts.tolist() == [3, 1]
    assert raked.expected_counts == pytest.approx([3, 1], abs=0.01)
    assert raked.probabilities == pytest.approx(np.tile([0.75, 0.25], (5, 1)), abs=0.003)
    assert raked.probabilities.sum(axis=1) == pytest.approx(np.ones(5))


def test_the_first_step_by_hand() -> None:
    """Expected are 2 and 2, declared 3 and 1: the factors become (3 + 1) / (2 + 1) and (1 + 1) / (2 + 1)."""
    raked = rake(np.full((4, 2), 0.5), declared(0, 0, 0, 1), most=1)
    assert raked.factors == pytest.approx([4 / 3, 2 / 3])
    assert raked.probabilities[0] == pytest.approx([2 / 3, 1 / 3])


def test_probabilities_that_agree_already_stay() -> None:
    raked = rake(np.array([[0.75, 0.25]] * 4), declared(0, 0, 0, 1))
    assert raked.factors == pytest.approx([1, 1])
    assert raked.expected_counts == pytest.approx([3, 1])
