"""Region by region: rake, combine with the declarations, and add parcels up into cells.

Verdict cells of a region: `confirmed` (declared, the classifier agrees, max q > 0.995), `agrees`, `conflict`,
`undeclared`, and `declared_only`: parcels that the model cannot judge (never observed, or a crop without training).
The last keep their declaration, with the variance of a declaration that is wrong with probability ε; an undeclared
parcel that was never observed gets the declared shares of its region. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
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
PART: Final = 25_000
"""parcels that are judged at a time"""


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
    mapped: list[tuple[Integers, Integers, Floats]] = []
    sampled: list[_ReviewedRegion] = []
    for region in range(regions):
        span = population.span(region)
        if span.start == span.stop:
            continue
        local = _Region.of(population, probabilities, shares[region], columns, span)
        gap[region], raked[region] = local.gap, local.raked
        review = _ReviewedRegion(region, reviewed[(reviewed >= span.start) & (reviewed < span.stop)], columns)
        for part in local.parts():
            assigned[part.span], verdicts[part.span] = part.assigned, part.verdict
            doubt[part.span] = part.variance[:, : len(columns.crops)].sum(axis=1)
            _add_cells(cells, region, part)
            mapped.append(part.mapped)
            review.add(part)
        if len(review.position):
            seen = (region, np.unique(verdicts[review.position]))
            cells.variance[seen] = _never_impossible(cells.variance[seen], cells.area[seen], crops=len(columns.crops))
            sampled.append(review)
    parcel, column, area = (np.concatenate(part) for part in zip(*mapped, strict=True)) if mapped else _no_parts()
    strata, stratum, q = _joined(sampled, width)
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
        reviewed_verdict=verdicts[reviewed],
    )


@dataclass(frozen=True)
class _Region:
    """A region that is raked. Its parcels are judged a part at a time: what is known of each crop for each of them is
    never held of a whole region."""

    population: Population
    probabilities: NDArray[Any]
    shares: Floats
    """[K, J] how a class is split into columns"""
    columns: Columns
    span: slice
    scored: NDArray[np.bool_]
    """[n] parcels of the span that the model judges"""
    p: Floats
    """[of them, K] raked"""
    declared_shares: Floats
    """[K] by count"""
    declared_area: Floats
    """[J] shares of the columns"""
    gap: float
    raked: bool

    @classmethod
    def of(
        cls, population: Population, probabilities: NDArray[Any], shares: Floats, columns: Columns, span: slice
    ) -> _Region:
        column, declared, row = population.column[span], population.declared[span], population.row[span]
        scored = (row != NONE) & ((column == NONE) | (declared != NONE))
        judged = declared[scored]
        raked = rake(np.clip(probabilities[row[scored]], SMALLEST, None, dtype=float), judged)
        missing = np.abs(raked.expected_counts - raked.declared_counts)
        return cls(
            population=population,
            probabilities=probabilities,
            shares=shares,
            columns=columns,
            span=span,
            scored=scored,
            p=raked.probabilities,
            declared_shares=declared_shares(judged, classes=raked.probabilities.shape[1]),
            declared_area=_declared_area(column, population.area[span], len(columns.crops)),
            gap=float(np.max(missing / np.maximum(raked.declared_counts, 1), initial=0)),
            raked=bool((missing <= RAKING_TOLERANCE * raked.declared_counts + RAKING_PARCELS).all()),
        )

    def parts(self) -> Iterator[_Part]:
        done = 0
        for start in range(self.span.start, self.span.stop, PART):
            span = slice(start, min(start + PART, self.span.stop))
            scored = self.scored[start - self.span.start : span.stop - self.span.start]
            yield self._part(span, scored, self.p[done : done + int(scored.sum())])
            done += int(scored.sum())

    def _part(self, span: slice, scored: NDArray[np.bool_], p: Floats) -> _Part:
        area, column = self.population.area[span], self.population.column[span]
        declared, row = self.population.declared[span], self.population.row[span]
        judged = declared[scored]
        q = posterior(p, judged, shares=self.declared_shares)
        full = _without_model(column, self.declared_area)
        full[scored] = _split(q, judged, column[scored], self.shares)
        verdict = np.where(column == NONE, UNDECLARED_CELL, DECLARED_ONLY)
        verdict[scored] = _verdict(p, q, judged)
        posteriors = self.columns.with_sums(full)
        spread = posteriors * (1 - posteriors)
        declared_only = verdict == DECLARED_ONLY
        spread[declared_only] = posteriors[declared_only] * DECLARATION_ERROR * (1 - DECLARATION_ERROR)
        parcel, target, ha = _mapped(self.probabilities, row, area, declared, column, self.shares)
        return _Part(
            span=span,
            area=area,
            posterior=posteriors,
            # a posterior of 1 - 1e-17 is still no certainty
            variance=np.maximum(spread, SMALLEST * posteriors),
            verdict=verdict,
            assigned=np.where(column == NONE, full.argmax(axis=1), column),
            mapped=(span.start + parcel, target, ha),
        )


@dataclass(frozen=True)
class _Part:
    """Some of a region's parcels."""

    span: slice
    """of the population"""
    area: Floats
    posterior: Floats
    """q [n, J + S]"""
    variance: Floats
    """q (1 - q), or ε (1 - ε) where only declared"""
    verdict: Integers
    assigned: Integers
    mapped: tuple[Integers, Integers, Floats]


class _ReviewedRegion:
    """Strata of a region, of the reviews at these positions of the population: verdict and assigned crop. Without
    reviews nothing is added up."""

    def __init__(self, region: int, position: Integers, columns: Columns) -> None:
        self.region, self.position, self._crops = region, position, len(columns.crops)
        cells = len(VERDICTS) * self._crops
        self._parcels, self._area = np.zeros(cells, np.intp), np.zeros(cells)
        self._variance = np.zeros((cells, len(columns.names)))
        self._reviewed: list[Integers] = []
        self._posterior: list[Floats] = []

    def add(self, part: _Part) -> None:
        if not len(self.position):
            return
        cell = part.verdict * self._crops + part.assigned
        self._parcels += np.bincount(cell, minlength=len(self._parcels))
        np.add.at(self._area, cell, part.area)
        np.add.at(self._variance, cell, part.area[:, None] * part.variance)
        here = self.position[(self.position >= part.span.start) & (self.position < part.span.stop)] - part.span.start
        self._reviewed.append(cell[here])
        self._posterior.append(part.posterior[here])

    @property
    def posterior(self) -> Floats:
        """[n, J + S] of the reviewed parcels"""
        return np.concatenate(self._posterior)

    def strata(self) -> tuple[ReviewedStrata, Integers]:
        """Those of the verdicts that hold a review, and which of them each reviewed parcel is in."""
        reviewed = np.concatenate(self._reviewed)
        verdict = np.arange(len(self._parcels)) // self._crops
        kept = np.flatnonzero((self._parcels > 0) & np.isin(verdict, reviewed // self._crops))
        area = self._area[kept]
        variance = _never_impossible(self._variance[kept], area, crops=self._crops)
        strata = ReviewedStrata(np.full(len(kept), self.region), verdict[kept], area, variance)
        return strata, np.searchsorted(kept, reviewed)


def _declared_area(column: Integers, area: Floats, crops: int) -> Floats:
    """[J] the region's declared shares of the columns, even ones where nothing is declared."""
    known = column != NONE
    share = np.bincount(column[known], weights=area[known], minlength=crops)
    return share / share.sum() if share.sum() > 0 else np.full(crops, 1 / crops)


def _without_model(column: Integers, declared_area: Floats) -> Floats:
    """[n, J]: the declaration as it is; undeclared parcels get the region's declared shares."""
    known = column != NONE
    full = np.tile(declared_area, (len(column), 1))
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


def _add_cells(cells: CellTotals, region: int, part: _Part) -> None:
    member = (np.arange(len(VERDICTS))[:, None] == part.verdict) * part.area  # (V, n)
    cells.area[region] += member.sum(axis=1)
    cells.synthetic[region] += member @ part.posterior
    cells.variance[region] += member @ part.variance
    cells.chance[region] += (member * part.area) @ part.variance
    cells.fourth[region] += (member * part.area**3) @ (part.variance * (1 - 6 * part.variance))


def _never_impossible(variance: Floats, area: Floats, *, crops: int) -> Floats:
    """V0 [., J + S] of reviewed cells and strata: a review may find a crop that no posterior allowed (q = 0), and then
    its variance is that of a wrong declaration, not zero."""
    surprise = DECLARATION_ERROR / crops * area[:, None]
    return np.where(variance > SMALLEST * area[:, None], variance, surprise)


def _joined(sampled: Sequence[_ReviewedRegion], width: int) -> tuple[ReviewedStrata, Integers, Floats]:
    """The strata of all regions, which of them each reviewed parcel is in, and its posterior."""
    if not sampled:
        none = np.empty(0, dtype=np.intp)
        return ReviewedStrata(none, none, np.empty(0), np.empty((0, width))), none, np.empty((0, width))
    each, stratum = zip(*(region.strata() for region in sampled), strict=True)
    offset = np.concatenate([[0], np.cumsum([len(strata.area) for strata in each])[:-1]])
    strata = ReviewedStrata(
        *(np.concatenate([getattr(strata, name.name) for strata in each]) for name in fields(ReviewedStrata))
    )
    posteriors = np.concatenate([region.posterior for region in sampled])
    return strata, np.concatenate([mine + shift for mine, shift in zip(stratum, offset, strict=True)]), posteriors


def _by_column(region: Integers, column: Integers, area: Floats, regions: int, columns: Columns) -> Floats:
    known = column != NONE
    width = len(columns.crops)
    flat = np.bincount(region[known] * width + column[known], weights=area[known], minlength=regions * width)
    return flat.reshape(regions, width).astype(float)


def _no_parts() -> tuple[Integers, Integers, Floats]:
    return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
