"""The prior's answer to reviews that contradict it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cropmap.statistics.contradiction import MOST, contradiction
from cropmap.statistics.difference import PRIOR_DF, Corrected, add_up

SHAPE = (8, 3, 12)


def _drawn(seed: int, *, scale: float) -> tuple[NDArray[np.float64], ...]:
    """Corrections of 8 regions, whose common error in the third verdict is `scale` times what the prior expects."""
    rng = np.random.default_rng(seed)
    sampling, prior, chance = (rng.uniform(1, 3, SHAPE) for _ in range(3))
    true = prior * np.array([1.0, 1.0, scale])[None, :, None]
    return rng.normal(0, np.sqrt(sampling + chance + true)), sampling, prior, chance


def test_sound_probabilities_keep_the_prior() -> None:
    factors = np.array([contradiction(*_drawn(seed, scale=1.0)) for seed in range(50)])
    assert (factors == 1).mean() > 0.93  # two standard errors, one-sided
    assert factors.max() < 4


def test_a_common_error_is_found_where_it_is_and_measured() -> None:
    factors = np.array([contradiction(*_drawn(seed, scale=10.0)) for seed in range(50)])
    assert (factors[:, 2] > 1).all()
    assert np.median(factors[:, 2]) == pytest.approx(10, rel=0.15)
    assert (factors[:, :2] == 1).mean() > 0.93


def test_nothing_is_said_of_what_nobody_reviewed_and_a_few_reviews_do_not_decide_all() -> None:
    correction, sampling, prior, chance = _drawn(1, scale=1e6)
    assert contradiction(correction, sampling, prior, chance)[2] == MOST
    sampling[:, 2] = 0
    assert contradiction(correction, sampling, prior, chance)[2] == 1


def _chance_of(area: NDArray[np.float64], q: NDArray[np.float64]) -> Corrected:
    """One region, verdict and crop, of whose parcels nothing but chance is unknown."""
    spread, zero = q * (1 - q), np.zeros((1, 1, 1))
    chance, fourth = (area**2 * spread).sum(), (area**4 * spread * (1 - 6 * spread)).sum()
    synthetic = np.array([[[(area * q).sum()]]])
    return Corrected(synthetic, np.zeros((1, 1)), zero, zero, zero, zero, zero + chance, zero + fourth, np.ones(1))


def test_an_interval_that_rests_on_one_large_parcel_is_longer_than_a_normal_one() -> None:
    """400 parcels of 1 ha with an even chance, and beside them 100 ha that are wheat with 2 %."""
    alike = add_up(_chance_of(np.ones(4_000), np.full(4_000, 0.5)), np.zeros(1, np.intp), parents=1)
    uneven = _chance_of(np.append(np.ones(400), 100.0), np.append(np.full(400, 0.5), 0.02))
    one = add_up(uneven, np.zeros(1, np.intp), parents=1)
    assert alike.df[0, 0] == PRIOR_DF
    assert 4 < one.df[0, 0] < 5
    low, high = one.interval(np.full((1, 1), 1e9))
    assert high[0, 0] - low[0, 0] > 2 * 2.5 * one.se[0, 0]


def test_one_review_that_finds_the_impossible_does_not_speak_for_all() -> None:
    correction, sampling, prior, chance = _drawn(2, scale=1.0)
    correction[0, 0, 0] = 1e3
    assert contradiction(correction, sampling, prior, chance)[0] == 1
