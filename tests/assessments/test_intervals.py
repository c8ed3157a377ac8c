"""Intervals whose ends are sums of a few binomial coefficients, or quantiles of a table."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from cropmap.assessments.intervals import exact_share, weighted_share


def test_the_exact_interval_inverts_the_hypergeometric_distribution() -> None:
    # 5 of 10 drawn, none found: three of ten would hide in C(7, 5) of C(10, 5) draws (8 %), four in 2.4 %
    assert comb(7, 5) / comb(10, 5) > 0.025 > comb(6, 5) / comb(10, 5)
    assert exact_share(0, sampled=5, population=10) == (0.0, 0.3)
    assert exact_share(5, sampled=5, population=10) == (0.7, 1.0)
    assert exact_share(3, sampled=10, population=10) == (0.3, 0.3), "who saw everything knows"


def test_the_weighted_interval_of_equal_weights_is_mid_p_poisson() -> None:
    one = np.zeros(1_000)
    low, high = weighted_share(np.ones(1_000), np.zeros(1_000, bool), one)
    assert low == 0.0
    assert high == pytest.approx(-np.log(0.05) / 1_000)
    found = np.arange(1_000) < 10
    low, high = weighted_share(np.full(1_000, 7.0), found, one)
    # mid-P limits of 10 events are 5.08 and 17.82 (between the exact ones, 4.80 and 18.39); 10 of 1,000 vary 1 % less
    assert [low * 1_000, high * 1_000] == pytest.approx([5.08, 17.82], abs=0.05)


def test_events_of_large_weight_widen_the_interval() -> None:
    found, weight = np.arange(1_000) < 10, np.where(np.arange(1_000) < 500, 3.0, 1.0)
    low, high = weighted_share(weight, found, weight)
    assert low < 10 * 3 / 2_000 < high
    assert high - low > (17.82 - 5.08) / 1_000
    assert weighted_share(np.ones(2), np.ones(2, bool), np.zeros(2))[1] == 1.0


def test_strata_in_which_many_are_found_vary_less_than_rare_events() -> None:
    # nine of a thousand are rare; nine of ten vary by (10 - 9) / (10 - 1) of that
    found = np.arange(1_000) < 9
    rare = weighted_share(np.ones(1_000), found, np.zeros(1_000))
    common = weighted_share(np.ones(1_000), found, np.arange(1_000) < 10)
    assert rare[0] < common[0] < 9 / 1_000 < common[1] < rare[1]
