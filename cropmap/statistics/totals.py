"""Region by region: rake, combine with the declarations, and add parcels up into cells.

Verdict cells of a region: `confirmed` (declared, the classifier agrees, max q > 0.995), `agrees`, `conflict`,
`undeclared`, and `declared_only`: parcels that the model cannot judge (never observed, or a crop without training).
The last keep their declaration, with the variance of a declaration that is wrong with probability ε; an undeclared
parcel that was never observed gets the declared shares of its region. Nothing is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cropmap.statistics.crops import Columns
from cropmap.statistics.difference import CellTotals, ReviewedStrata
from cropmap.statistics.population import NONE, Population, use_shares
from cropmap.statistics.posterior import DECLARATION_ERROR, Floats, Integers, declared_shares, posterior, rake

VERDICTS: Final = ("confirmed", "agrees", "conflict", "undeclared", "declared_only")
CONFIRMED, AGREES, CONFLICT, UNDECLARED_CELL, DECLARED_ONLY = range(5)
CERTAIN: Final = 0.995
SMALLEST: Final = 1e-7
"""probabilities below are lifted: a float32 softmax of 0 is no more exact than that"""
RAKING_TOLERANCE: Final = 0.01
RAKING_PARCELS: Final = 0.5
"""Σ p2 may miss a declared count by 1 % and half a parcel"""


@dataclass(frozen=True)
class Totals:
    cells: CellTotals
    declared: Floats
    """[R, J + S] ha"""
    mapped: Floats
    """[R, J + S] ha, by the class of highest probability"""
    raking_gap: Floats
    """[R]: largest |Σ p2 - n_k| / n_k of the region's declared classes"""
    raked: NDArray[np.bool_]
    """[R]: the gap is within tolerance"""
    assigned: Integers
    """[N] column of each parcel: declared, else the likeliest"""
    verdict: Integers
    """[N] position in VERDICTS"""
    doubt: Floats
    """[N] Σ_j q (1 - q) over the crops: how often a review of the parcel is expected to surprise"""
    mapped_parts: tuple[Integers, Integers, Floats]
    """(parcel, column, ha): what makes up `mapped`"""
    strata: ReviewedStrata
    reviewed_stratum: Integers
    """[n] stratum of each reviewed parcel"""
    reviewed_posterior: Floats
    """[n, J + S]"""
    reviewed_verdict: Integers


def totals(population: Population, probabilities: NDArray[Any], columns: Columns, *, reviewed: Integers) -> Totals:
    """`reviewed` are positions of reviewed parcels in the population, ascending."""
    shares = use_shares(population, columns)
    regions, width = len(population.nuts3), len(columns.names)
    cells = CellTotals(
        np.zeros((regions, len(VERDICTS))), *(np.zeros((regions, len(VERDICTS), width)) for _ in range(4))
    )
    gap, raked = np.zeros(regions), np.ones(regions, dtype=bool)
    assigned, verdicts = np.empty(len(population.area), dtype=np.intp), np.empty(len(population.area), dtype=np.intp)
    doubt = np.empty(len(population.area))
    parts: list[tuple[Integers, Integers, Floats]] = []
    sampled: list[tuple[Integers, Integers, Floats, Floats, Integers, Integers, Floats]] = []
    for region in range(regions):
        span = population.span(region)
        if span.start == span.stop:
            continue
        local = _Region.of(population, probabilities, shares[region], columns, span)
        gap[region], raked[region] = local.gap, local.raked
        assigned[span], verdicts[span] = local.assigned, local.verdict
        doubt[span] = local.variance[:, : len(columns.crops)].sum(axis=1)
        _add_cells(cells, region, local)
        parts.append((span.start + local.mapped[0], local.mapped[1], local.mapped[2]))
        here = reviewed[(reviewed >= span.start) & (reviewed < span.stop)] - span.start
        if len(here):
            crops, seen = len(columns.crops), (region, np.unique(local.verdict[here]))
            cells.variance[seen] = _never_impossible(cells.variance[seen], cells.area[seen], crops=crops)
            sampled.append(_strata(local, here, crops=crops))
    parcel, column, area = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else _no_parts()
    strata, stratum, q, verdict = _joined(sampled, population, reviewed, width)
    return Totals(
        cells=cells,
        declared=columns.with_sums(_by_column(population.region, population.column, population.area, regions, columns)),
        mapped=columns.with_sums(_by_column(population.region[parcel], column, area, regions, columns)),
        raking_gap=gap,
        raked=raked,
        assigned=assigned,
        verdict=verdicts,
        doubt=doubt,
        mapped_parts=(parcel, column, area),
        strata=strata,
        reviewed_stratum=stratum,
        reviewed_posterior=q,
        reviewed_verdict=verdict,
    )


@dataclass(frozen=True)
class _Region:
    area: Floats
    posterior: Floats
    """q [n, J + S]"""
    variance: Floats
    """q (1 - q), or ε (1 - ε) where only declared"""
    verdict: Integers
    assigned: Integers
    mapped: tuple[Integers, Integers, Floats]
    gap: float
    raked: bool

    @classmethod
    def of(
        cls, population: Population, probabilities: NDArray[Any], shares: Floats, columns: Columns, span: slice
    ) -> _Region:
        area, column, declared, row = (
            population.area[span],
            population.column[span],
            population.declared[span],
            population.row[span],
        )
        scored = (row != NONE) & ((column == NONE) | (declared != NONE))
        judged = declared[scored]
        p = np.clip(probabilities[row[scored]].astype(float), SMALLEST, None)
        raked = rake(p, judged)
        q = posterior(raked.probabilities, judged, shares=declared_shares(judged, classes=p.shape[1]))
        full = _without_model(column, area, len(columns.crops))
        full[scored] = _split(q, judged, column[scored], shares)
        verdict = np.where(column == NONE, UNDECLARED_CELL, DECLARED_ONLY)
        verdict[scored] = _verdict(raked.probabilities, q, judged)
        posteriors = columns.with_sums(full)
        spread = posteriors * (1 - posteriors)
        declared_only = verdict == DECLARED_ONLY
        spread[declared_only] = posteriors[declared_only] * DECLARATION_ERROR * (1 - DECLARATION_ERROR)
        # a posterior of 1 - 1e-17 is still no certainty
        spread = np.maximum(spread, SMALLEST * posteriors)
        missing = np.abs(raked.expected_counts - raked.declared_counts)
        return cls(
            area=area,
            posterior=posteriors,
            variance=spread,
            verdict=verdict,
            assigned=np.where(column == NONE, full.argmax(axis=1), column),
            mapped=_mapped(probabilities, row, area, declared, column, shares),
            gap=float(np.max(missing / np.maximum(raked.declared_counts, 1), initial=0)),
            raked=bool((missing <= RAKING_TOLERANCE * raked.declared_counts + RAKING_PARCELS).all()),
        )


def _without_model(column: Integers, area: Floats, crops: int) -> Floats:
    """[n, J]: the declaration as it is; undeclared parcels get the region's declared shares, else even ones."""
    known = column != NONE
    share = np.bincount(column[known], weights=area[known], minlength=crops)
    share = share / share.sum() if share.sum() > 0 else np.full(crops, 1 / crops)
    full = np.tile(share, (len(column), 1))
    full[known] = 0
    full[np.flatnonzero(known), column[known]] = 1
    return full


def _split(q: Floats, declared: Integers, column: Integers, shares: Floats) -> Floats:
    """[n, K] classes -> [n, J] columns: the declared class keeps its declared use, the others go by `shares` [K, J]."""
    full: Floats = q @ shares
    known = np.flatnonzero(declared != NONE)
    own = q[known, declared[known]]
    full[known] -= own[:, None] * shares[declared[known]]
    full[known, column[known]] += own
    return np.maximum(full, 0)


def _verdict(p: Floats, q: Floats, declared: Integers) -> Integers:
    agrees = p.argmax(axis=1) == declared
    sure = q.max(axis=1, initial=0) > CERTAIN
    chosen = np.select([declared == NONE, agrees & sure, agrees], [UNDECLARED_CELL, CONFIRMED, AGREES], CONFLICT)
    return chosen.astype(np.intp)


def _mapped(
    probabilities: NDArray[Any], row: Integers, area: Floats, declared: Integers, column: Integers, shares: Floats
) -> tuple[Integers, Integers, Floats]:
    """(parcel, column, ha) by the class of highest probability, split like the estimate; unseen parcels have none."""
    seen = np.flatnonzero(row != NONE)
    predicted = probabilities[row[seen]].argmax(axis=1)
    share = shares[predicted].copy()
    same = np.flatnonzero(predicted == declared[seen])
    share[same] = 0
    share[same, column[seen][same]] = 1
    parcel, target = np.nonzero(share)
    return seen[parcel], target, area[seen[parcel]] * share[parcel, target]


def _add_cells(cells: CellTotals, region: int, local: _Region) -> None:
    member = (np.arange(len(VERDICTS))[:, None] == local.verdict) * local.area  # (V, n)
    cells.area[region] = member.sum(axis=1)
    cells.synthetic[region] = member @ local.posterior
    cells.variance[region] = member @ local.variance
    cells.chance[region] = (member * local.area) @ local.variance
    cells.fourth[region] = (member * local.area**3) @ (local.variance * (1 - 6 * local.variance))


def _strata(
    local: _Region, here: Integers, *, crops: int
) -> tuple[Integers, Integers, Floats, Floats, Integers, Integers, Floats]:
    """Strata of the region's cells that hold a review: verdict, stratum size and variance; stratum, verdict and
    posterior of the reviewed parcels."""
    cell = local.verdict * crops + local.assigned
    names, stratum = np.unique(cell, return_inverse=True)
    area, variance = np.zeros(len(names)), np.zeros((len(names), local.variance.shape[1]))
    np.add.at(area, stratum, local.area)
    np.add.at(variance, stratum, local.area[:, None] * local.variance)
    variance = _never_impossible(variance, area, crops=crops)
    verdict = names // crops
    kept = np.isin(verdict, local.verdict[here])
    position = np.cumsum(kept) - 1
    mine = position[stratum[here]]
    return verdict[kept], here, area[kept], variance[kept], mine, local.verdict[here], local.posterior[here]


def _never_impossible(variance: Floats, area: Floats, *, crops: int) -> Floats:
    """V0 [., J + S] of reviewed cells and strata: a review may find a crop that no posterior allowed (q = 0), and then
    its variance is that of a wrong declaration, not zero."""
    surprise = DECLARATION_ERROR / crops * area[:, None]
    return np.where(variance > SMALLEST * area[:, None], variance, surprise)


def _joined(
    sampled: list[tuple[Integers, Integers, Floats, Floats, Integers, Integers, Floats]],
    population: Population,
    reviewed: Integers,
    width: int,
) -> tuple[ReviewedStrata, Integers, Floats, Integers]:
    none = np.empty(0, dtype=np.intp)
    if not sampled:
        empty = ReviewedStrata(none, none, np.empty(0), np.empty((0, width)))
        return empty, none, np.empty((0, width)), none
    regions = np.unique(population.region[reviewed])
    counts = [len(part[0]) for part in sampled]
    offset = np.concatenate([[0], np.cumsum(counts)[:-1]])
    verdict, _, area, variance, _, of_review, q = (np.concatenate(part) for part in zip(*sampled, strict=True))
    stratum = np.concatenate([part[4] + shift for part, shift in zip(sampled, offset, strict=True)])
    return ReviewedStrata(np.repeat(regions, counts), verdict, area, variance), stratum, q, of_review


def _by_column(region: Integers, column: Integers, area: Floats, regions: int, columns: Columns) -> Floats:
    known = column != NONE
    width = len(columns.crops)
    flat = np.bincount(region[known] * width + column[known], weights=area[known], minlength=regions * width)
    return flat.reshape(regions, width).astype(float)


def _no_parts() -> tuple[Integers, Integers, Floats]:
    return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
