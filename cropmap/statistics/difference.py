"""The shrunken difference estimator: Σ a·q plus what a reviewed sample says q is wrong by, as far as it can be trusted.

In: totals per cell (region × verdict) and a reviewed sample with known inclusion probabilities. Out: areas, variances
and degrees of freedom per region or any union of regions. One shrink factor ω per cell for all crops, so that crops
still add up to the region; a floor of pseudo-reviews, so that no standard error is zero because no error was seen.

Beside the prior variance τ² of the recipe, which is the calibration error of all parcels together, stands the chance
part Σ a² q (1-q): what each parcel turns out to be. In regions of some hundred parcels it is most of the error, and
rests on a few large ones: its fourth cumulant says on how few, and lengthens the t quantile. Because chance is counted
apart, τ² can be smaller than in the recipe; where reviews contradict it, it grows (`contradiction`).

Axes: R regions, V verdicts, J columns (crops that partition the area, then sums of crops), H reviewed strata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from cropmap.statistics.contradiction import contradiction

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

PARCELS_PER_REVIEW: Final = 50
"""declared parcels whose probabilities earn the trust of one review: what is learnt from few is calibrated worse. The
recipe's fixed 120 has to hold the chance of single parcels too, and is too little for many parcels (docs/areas.md)"""
PRIOR_SIZE: Final = (20.0, 2_000.0)
"""ν at least and at most: from there on it is the regions that differ, which more parcels do not mend"""
FLOOR_REVIEWS: Final = 10.0
"""n₀: pseudo-reviews of the variance floor"""
PRIOR_DF: Final = 30.0
LEFT: Final = 0.01
"""share of a cell's variance that stays where every parcel of it was reviewed: no standard error is zero"""
OVERCONFIDENT: Final = 1.5
"""φ above this is used, and warned about; below, it would only cost precision"""
MAX_OVERCONFIDENCE: Final = 20.0


@dataclass(frozen=True)
class CellTotals:
    area: Floats
    """A [R, V], ha"""
    synthetic: Floats
    """Z = Σ a q [R, V, J], ha"""
    variance: Floats
    """V0 = Σ a q (1-q) [R, V, J]"""
    chance: Floats
    """Σ a² q (1-q) [R, V, J]; zero to follow the recipe to the letter"""
    fourth: Floats
    """Σ a⁴ q (1-q) (1 - 6 q (1-q)) [R, V, J], the fourth cumulant of what `chance` is the variance of"""


@dataclass(frozen=True)
class ReviewedStrata:
    """Parts of a cell with one assigned crop each; only cells that hold a review need be given."""

    region: Integers
    verdict: Integers
    area: Floats
    """A_h [H], ha"""
    variance: Floats
    """V0_h [H, J]"""


@dataclass(frozen=True)
class Reviews:
    stratum: Integers
    """[n], index into the strata"""
    area: Floats
    """a [n], ha"""
    inclusion: Floats
    """π [n]"""
    truth: Floats
    """y [n, J], 0 or 1"""
    posterior: Floats
    """q [n, J]"""


@dataclass(frozen=True)
class Corrected:
    """Per cell: everything that is needed to add cells up to any region."""

    synthetic: Floats
    omega: Floats
    """ω [R, V]: weight of the sampled correction; 0 where nothing was reviewed"""
    correction: Floats
    """D [R, V, J], ha"""
    sampling: Floats
    """V_D [R, V, J]"""
    sampling_df: Floats
    """Σ_h V_Dh² / (n*_h - 1 + n₀) [R, V, J]"""
    prior: Floats
    """τ² [R, V, J], one error for all regions"""
    chance: Floats
    """[R, V, J], independent between regions"""
    fourth: Floats
    """[R, V, J], fourth cumulant of the chance part"""
    contradiction: Floats
    """[V] what the reviews made of τ², as a multiple of the prior's; 1 where they do not contradict it"""


@dataclass(frozen=True)
class AreaEstimate:
    area: Floats
    variance: Floats
    df: Floats

    @property
    def se(self) -> Floats:
        root: Floats = np.sqrt(self.variance)
        return root

    def interval(self, limit: Floats | float = np.inf) -> tuple[Floats, Floats]:
        """95 % t interval, cut to [0, limit]; `limit` broadcasts against the areas.

        What is published is not cut at the area of the region: the end of a cut interval would be the total over all
        crops, from which a hidden crop follows.
        """
        reach = np.where(self.variance > 0, stdtrit(np.maximum(self.df, 1), 0.975), 0) * self.se
        return np.clip(self.area - reach, 0, limit), np.clip(self.area + reach, 0, limit)


def correct(
    cells: CellTotals,
    strata: ReviewedStrata,
    reviews: Reviews,
    *,
    overconfidence: Floats,
    crops: int,
    trusted: Floats | None = None,
    design_based: NDArray[np.bool_] | None = None,
    prior_size: float,
    unadjusted: bool = False,
) -> Corrected:
    """Correction, sampling and prior variance per cell. `overconfidence` is φ_v [V]; the first `crops` columns
    partition the area, the others are sums of them and do not enter ω. `trusted` [V] is the φ that ω goes by, where
    it is another one than that of the variance.

    Regions in `design_based` [R] (probabilities that failed their check) use the sample alone wherever there is one.

    Reviewed parcels count as what was found there, whatever ω is, and only what is left is estimated; and τ² grows
    where the reviews contradict it. `unadjusted`: without either, as the published estimator has it.
    """
    correction, sampling, sampling_df = (np.zeros_like(cells.synthetic) for _ in range(3))
    strata, reviews = merge_unreviewed(strata, reviews)
    place = (strata.region, strata.verdict)
    drift, variance, effective = _stratum_estimates(strata, reviews)
    np.add.at(correction, place, strata.area[:, None] * drift)
    np.add.at(sampling, place, variance)
    np.add.at(sampling_df, place, variance**2 / (effective - 1 + FLOOR_REVIEWS)[:, None])
    own, left, grown = np.zeros_like(correction), cells, np.ones_like(overconfidence)
    if not unadjusted:
        own, left = _found_there(cells, strata, reviews)
        expected = (sampling, *_uncertain(cells, overconfidence / prior_size, overconfidence)[:2])
        grown = contradiction(*(part[..., :crops] for part in (correction, *expected)))
    prior, chance, fourth = _uncertain(left, grown * overconfidence / prior_size, overconfidence)
    trust = (prior + chance)[..., :crops].sum(axis=2)
    if trusted is not None:
        trust = trust * trusted / overconfidence
    doubt = sampling[..., :crops].sum(axis=2)
    reviewed = np.zeros(cells.area.shape, dtype=bool)
    reviewed[place] = True
    omega = np.where(reviewed, trust / np.where(trust + doubt > 0, trust + doubt, 1), 0)
    if design_based is not None:
        omega = np.where(reviewed & design_based[:, None], 1, omega)
    return Corrected(
        cells.synthetic + own, omega, correction - own, sampling, sampling_df, prior, chance, fourth, grown
    )


def prior_size(learnt_from: int) -> float:
    """ν, reviews' worth of trust in probabilities that were learnt from so many declared parcels."""
    return float(np.clip(learnt_from / PARCELS_PER_REVIEW, *PRIOR_SIZE))


def _uncertain(cells: CellTotals, common: Floats, single: Floats) -> tuple[Floats, Floats, Floats]:
    """τ², chance part and its fourth cumulant [R, V, J]; factors [V] of the common error and of single parcels."""
    return (
        common[:, None] * cells.area[..., None] * cells.variance,
        single[:, None] * cells.chance,
        single[:, None] ** 2 * cells.fourth,
    )


def _found_there(cells: CellTotals, strata: ReviewedStrata, reviews: Reviews) -> tuple[Floats, CellTotals]:
    """Σ a (y - q) over the reviewed parcels of each cell [R, V, J], ha, and the totals of the parcels that are left."""
    own, variance, chance, fourth = (np.zeros_like(cells.synthetic) for _ in range(4))
    area = np.zeros_like(cells.area)
    place = (strata.region[reviews.stratum], strata.verdict[reviews.stratum])
    size, spread = reviews.area[:, None], reviews.posterior * (1 - reviews.posterior)
    np.add.at(own, place, size * (reviews.truth - reviews.posterior))
    np.add.at(variance, place, size * spread)
    np.add.at(chance, place, size**2 * spread)
    np.add.at(fourth, place, size**4 * spread * (1 - 6 * spread))
    np.add.at(area, place, reviews.area)
    left = CellTotals(
        np.maximum(cells.area - area, LEFT * cells.area),
        cells.synthetic,
        np.maximum(cells.variance - variance, LEFT * cells.variance),
        np.maximum(cells.chance - chance, LEFT * cells.chance),
        np.maximum(cells.fourth - fourth, 0),
    )
    return own, left


def merge_unreviewed(strata: ReviewedStrata, reviews: Reviews) -> tuple[ReviewedStrata, Reviews]:
    """Strata without a review join the largest reviewed stratum of their cell; cells without any are left out."""
    seen = np.bincount(reviews.stratum, minlength=len(strata.area)) > 0
    order = np.lexsort((-strata.area, ~seen, strata.verdict, strata.region))
    cell = np.stack([strata.region[order], strata.verdict[order]])
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (cell[:, 1:] != cell[:, :-1]).any(axis=0)
    leader = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    target = np.arange(len(order))
    target[order] = np.where(seen[order], order, leader)
    area, variance = np.zeros_like(strata.area), np.zeros_like(strata.variance)
    np.add.at(area, target, strata.area)
    np.add.at(variance, target, strata.variance)
    position = np.cumsum(seen) - 1
    merged = ReviewedStrata(strata.region[seen], strata.verdict[seen], area[seen], variance[seen])
    kept = Reviews(position[reviews.stratum], reviews.area, reviews.inclusion, reviews.truth, reviews.posterior)
    return merged, kept


def _stratum_estimates(strata: ReviewedStrata, reviews: Reviews) -> tuple[Floats, Floats, Floats]:
    """δ_h [H, J], V_Dh [H, J] and n*_h [H] of strata that all hold a review."""
    count = len(strata.area)

    def total(values: Floats) -> Floats:
        out = np.zeros((count, *values.shape[1:]))
        np.add.at(out, reviews.stratum, values)
        return out

    weight = reviews.area / reviews.inclusion  # x
    error = reviews.truth - reviews.posterior  # e
    size, square = total(weight), total(weight**2)
    drift = total(weight[:, None] * error) / size[:, None]
    second = total(weight[:, None] * error**2) / size[:, None]
    effective = size**2 / square
    finite = total((1 - reviews.inclusion) * weight**2) / square
    free = (effective - 1)[:, None]
    spread = (second - drift**2) * effective[:, None] / np.maximum(free, 0.5)
    floor = strata.variance / strata.area[:, None]
    floored = (free * spread + FLOOR_REVIEWS * floor) / (free + FLOOR_REVIEWS)
    variance = (finite * strata.area**2 / np.maximum(effective, 1))[:, None] * floored
    return drift, variance, effective


def add_up(corrected: Corrected, parent: Integers, *, parents: int) -> AreaEstimate:
    """Areas of unions of regions: region r belongs to `parent[r]`. Areas, sampling and chance variances add; the prior
    part is one model's error and counts as fully correlated between regions within a verdict."""
    omega = corrected.omega[..., None]

    def over(values: Floats) -> Floats:
        out = np.zeros((parents, *values.shape[1:]))
        np.add.at(out, parent, values)
        return out

    area = over((corrected.synthetic + omega * corrected.correction).sum(axis=1))
    sampling = over((omega**2 * corrected.sampling).sum(axis=1))
    chance = over(((1 - omega) ** 2 * corrected.chance).sum(axis=1))
    fourth = over(((1 - omega) ** 4 * corrected.fourth).sum(axis=1))
    prior = over((1 - omega) * np.sqrt(corrected.prior)) ** 2  # (parents, V, J)
    variance = sampling + chance + prior.sum(axis=1)
    spread = over((omega**4 * corrected.sampling_df).sum(axis=1)) + (prior**2).sum(axis=1) / PRIOR_DF
    spread += _chance_spread(chance, fourth)
    df = np.divide(variance**2, spread, out=np.full_like(variance, PRIOR_DF), where=spread > 0)
    return AreaEstimate(area, variance, df)


def _chance_spread(chance: Floats, fourth: Floats) -> Floats:
    """chance² / df, where t with df = 4 + 6 chance² / κ₄ has the excess kurtosis of the chance part."""
    heavy = np.maximum(fourth, 0)
    whole = 6 * chance**2 + 4 * heavy
    share: Floats = np.divide(chance**2 * heavy, whole, out=np.zeros_like(chance), where=whole > 0)
    return share


def overconfidence(truth: Floats, posterior: Floats, verdict: Integers, *, verdicts: int) -> Floats:
    """φ_v [V] over reviewed parcels: squared error over the error that q itself expects; 1 is as expected."""
    error, due = np.ones(verdicts), np.ones(verdicts)
    np.add.at(error, verdict, ((truth - posterior) ** 2).sum(axis=1))
    np.add.at(due, verdict, (posterior * (1 - posterior)).sum(axis=1))
    return np.clip(error / due, 1, MAX_OVERCONFIDENCE)


def benchmark(area: Floats, variance: Floats, total: Floats) -> Floats:
    """Areas [R, J] without negatives whose rows still sum to `total` [R]: negatives become 0 and the others give the
    gap back in proportion to their variance, until none is negative."""
    result = area.copy()
    for row in np.flatnonzero((area < 0).any(axis=1)):
        while (result[row] < 0).any():
            result[row] = np.maximum(result[row], 0)
            share = np.where(result[row] > 0, np.maximum(variance[row], 1e-12), 0)
            result[row] += (total[row] - result[row].sum()) * share / share.sum()
    return result
