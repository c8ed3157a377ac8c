"""Intervals for shares that a random sample found. Pure functions; none assumes that counts are large.

Of a simple random sample: exact, by inverting the hypergeometric distribution (Clopper and Pearson 1934, for a finite
population), hence never too short. Of a stratified one: mid-p gamma (Fay and Feuer 1997; Fay and Kim 2017), made for
weighted sums of rare events; close to its level where five or more are expected, too long where fewer are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def exact_share(positive: int, *, sampled: int, population: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of the share in a population of which `sampled` were drawn at random, `positive` of them with the
    property."""
    from scipy.stats import hypergeom  # half a second to import, and most seasons have no reviews

    possible = np.arange(positive, population - (sampled - positive) + 1)
    tail = (1 - level) / 2
    at_least = hypergeom.sf(positive - 1, population, possible, sampled)
    at_most = hypergeom.cdf(positive, population, possible, sampled)
    inside = possible[(at_least > tail) & (at_most > tail)]
    return float(inside[0] / population), float(inside[-1] / population)


def weighted_share(
    weight: Floats, positive: NDArray[np.bool_], stratum: NDArray[Any], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of a share estimated as the weighted mean of `positive` [n], drawn within strata.

    Weights need no scale.
    """
    from scipy.optimize import brentq  # as above
    from scipy.stats import gamma

    w = weight / weight.sum()
    y, v, largest = float(w[positive].sum()), _variance(w, positive, stratum), float(w.max())
    below = gamma(y**2 / v, scale=v / y) if y else None
    above = gamma((y + largest) ** 2 / (v + largest**2), scale=(v + largest**2) / (y + largest))
    tail = (1 - level) / 2

    def share_below(t: float) -> float:
        return float(above.cdf(t) + (below.cdf(t) if below else 1.0)) / 2

    def quantile(p: float) -> float:
        return float(brentq(lambda t: share_below(t) - p, 0.0, float(above.ppf(1 - 1e-9)), xtol=1e-9))

    return (quantile(tail) if y else 0.0), min(quantile(1 - tail), 1.0)


def _variance(w: Floats, positive: NDArray[np.bool_], stratum: NDArray[Any]) -> float:
    """Of the weighted sum: the unbiased binomial one within strata. Strata of one say nothing of their spread and count
    as rare events do (Σ w²); so does everything where only whole strata are found."""
    _, place = np.unique(stratum, return_inverse=True)
    n, x = np.bincount(place), np.bincount(place, weights=positive)
    rare = np.bincount(place, weights=w**2 * positive)
    binomial = np.divide(n - x, n - 1, out=np.ones(len(n)), where=n > 1)
    return float((rare * binomial).sum() or rare.sum())
