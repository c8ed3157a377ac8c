"""Crop areas per NUTS region: declared, mapped and estimated, with standard error, interval and confidentiality.

In: parcels with their declarations and regions, out-of-fold probabilities, the legend, reviews if there are any.
Out: `Estimated`: one row per region (NUTS-3 and all parents) and published crop, and a report. Crops that partition
the area add up to the region and children to parents; sums such as `C1500+G3000` stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cropmap.disclosure import Rules
from cropmap.legends import Legend
from cropmap.schemas import Confidentiality
from cropmap.statistics.confidentiality import DOMINANCE, MIN_HOLDINGS, MIN_HOLDINGS_NUTS3
from cropmap.statistics.contributors import Contributors
from cropmap.statistics.crops import columns
from cropmap.statistics.difference import OVERCONFIDENT, Corrected, Reviews, correct, overconfidence, prior_size
from cropmap.statistics.hiding import EarlierRelease
from cropmap.statistics.population import (
    NONE,
    Population,
    Probabilities,
    declared_codes,
    population_of,
    without_holding,
)
from cropmap.statistics.posterior import DECLARATION_ERROR, Floats, Integers
from cropmap.statistics.release import OpenTable, Protection, open_table, released
from cropmap.statistics.report import StatisticsReport
from cropmap.statistics.reviewed import match_reviews, with_finding
from cropmap.statistics.rows import Level, Nuts3Figures, benchmarked, level_rows
from cropmap.statistics.totals import RAKING_TOLERANCE, VERDICTS, Totals, totals


@dataclass(frozen=True)
class Estimated:
    table: pd.DataFrame
    """STATISTIC_COLUMNS, by level, region and crop"""
    report: StatisticsReport


def estimate_areas(
    parcels: pd.DataFrame,
    predictions: Probabilities,
    legend: Legend,
    *,
    reviews: pd.DataFrame | None = None,
    regions: Sequence[str] = (),
    min_holdings: int = MIN_HOLDINGS,
    min_holdings_nuts3: int = MIN_HOLDINGS_NUTS3,
    dominance: tuple[int, float] = DOMINANCE,
    p_percent: float | None = None,
    confidentiality: Confidentiality = Confidentiality.FULL,
    earlier: EarlierRelease | None = None,
) -> Estimated:
    """Areas of every region that holds a parcel, of `regions` (NUTS-3 codes) besides, and of all their parents.

    `parcels`: parcel_id, nuts_id (NUTS-3), area_ha (EPSG:3035), crop_code, holding_id; undeclared parcels have no
    crop_code, and a parcel that is divided at a border has a row for each of its regions. `reviews`: parcel_id,
    found_code, inclusion_probability; rows without a found_code were not visited. At NUTS-3 a cell needs
    max(min_holdings, min_holdings_nuts3) holdings. `earlier`: what is already published of the season. A table that
    cannot be protected is for internal use: every row says so, and the report why. Raises InputError.

    Parcels without a holding may be any holding's: the rules take the worst case. Where no parcel names one, the table
    is for internal use.
    """
    season = _worked(parcels, predictions, legend, reviews=reviews, regions=regions)
    protection = Protection(
        confidentiality, min_holdings, max(min_holdings, min_holdings_nuts3), Rules(dominance, p_percent), earlier
    )
    table, protected = released(season.levels(), season.figures.columns, protection)
    reviewed = len(np.unique(season.population.parcel[season.position]))
    estimated = StatisticsReport(
        reviews=reviewed,
        reviews_outside=season.visited - reviewed,
        prior_size=season.trust,
        declaration_error=DECLARATION_ERROR,
        sums_published=tuple(season.figures.columns.names[len(season.figures.columns.crops) :]),
        forecast=season.figures.forecast,
        cells=len(table),
    )
    report = _report(parcels, season.population, season.figures.sums, season.figures.corrected, season.phi)
    report = report.joined(estimated).joined(protected)
    if season.population.holdings_known and (unknown := report.parcels_without_holding):
        nameless = f"; {unknown} parcels name no holding and count in each cell as the largest one's"
        report = report.joined(StatisticsReport(confidentiality=report.confidentiality + nameless))
    return Estimated(table, report)


def open_areas(
    parcels: pd.DataFrame,
    predictions: Probabilities,
    legend: Legend,
    *,
    reviews: pd.DataFrame | None = None,
    regions: Sequence[str] = (),
    min_holdings: int = MIN_HOLDINGS,
    min_holdings_nuts3: int = MIN_HOLDINGS_NUTS3,
) -> OpenTable:
    """The table of `estimate_areas` with nothing hidden, and who contributes to it: what an attack is held against."""
    season = _worked(parcels, predictions, legend, reviews=reviews, regions=regions)
    off = Protection(Confidentiality.OFF, min_holdings, max(min_holdings, min_holdings_nuts3), Rules())
    return open_table(season.levels(), season.figures.columns, off)


@dataclass(frozen=True)
class _Worked:
    """A season's figures per NUTS-3 region, and what its report says of them."""

    figures: Nuts3Figures
    population: Population
    phi: Floats
    position: Integers
    """of the reviewed parcels in the population"""
    visited: int
    trust: float

    def levels(self) -> Iterator[Level]:
        return (level_rows(self.figures, level=level) for level in range(4))


def _worked(
    parcels: pd.DataFrame,
    predictions: Probabilities,
    legend: Legend,
    *,
    reviews: pd.DataFrame | None,
    regions: Sequence[str],
) -> _Worked:
    visited = with_finding(reviews)
    cols = columns(legend, tuple(predictions.crops), declared_codes(parcels) | set(visited["found_code"]))
    population = population_of(parcels, predictions, legend, cols, regions=regions)
    position, truth, inclusion = match_reviews(visited, population, cols)
    sums = totals(population, np.asarray(predictions.probabilities), cols, reviewed=position)
    crops, trust = len(cols.crops), prior_size(population.learnt_from)
    phi = overconfidence(
        truth[:, :crops], sums.reviewed_posterior[:, :crops], sums.reviewed_verdict, verdicts=len(VERDICTS)
    )
    reviewed_parcels = Reviews(
        sums.reviewed_stratum, population.area[position], inclusion, truth, sums.reviewed_posterior
    )
    corrected = _corrected(sums, reviewed_parcels, phi, crops=crops, trust=trust)
    figures = Nuts3Figures(
        nuts3=population.nuts3,
        columns=cols,
        sums=sums,
        corrected=corrected,
        area=benchmarked(corrected, cols),
        contributors=Contributors.of(population, sums, cols),
        forecast=not (population.column != NONE).any(),
    )
    return _Worked(figures, population, phi, position, len(visited), trust)


def _corrected(sums: Totals, reviews: Reviews, phi: Floats, *, crops: int, trust: float) -> Corrected:
    return correct(
        sums.cells,
        sums.strata,
        reviews,
        overconfidence=np.where(phi > OVERCONFIDENT, phi, 1.0),
        # overconfident parcel by parcel, but raked to the declared counts: it widens intervals, and moves no estimate
        trusted=np.ones_like(phi),
        crops=crops,
        design_based=~sums.raked,
        prior_size=trust,
    )


def _report(
    parcels: pd.DataFrame, population: Population, sums: Totals, corrected: Corrected, phi: Floats
) -> StatisticsReport:
    area = sums.cells.area
    unseen = population.row == NONE
    divided = np.bincount(population.parcel) > 1
    return StatisticsReport(
        parcels=len(divided),
        parcels_divided_at_borders=int(divided.sum()),
        parcels_outside_regions=int(parcels["nuts_id"].isna().sum()),
        parcels_without_prediction=len(np.unique(population.parcel[unseen])),
        area_share_without_prediction=float(population.area[unseen].sum() / max(population.area.sum(), 1e-12)),
        parcels_without_holding=int(without_holding(parcels["holding_id"]).sum()),
        # shares: the whole area would be one more published sum, from which a crop hidden at the top follows
        area_share_by_verdict=dict(zip(VERDICTS, (area.sum(axis=0) / max(area.sum(), 1e-12)).tolist(), strict=True)),
        area_in_reviewed_cells=float((area * (corrected.omega > 0)).sum() / max(area.sum(), 1e-12)),
        overconfidence=dict(zip(VERDICTS, phi.tolist(), strict=True)),
        overconfident=tuple(name for name, value in zip(VERDICTS, phi, strict=True) if value > OVERCONFIDENT),
        contradiction=dict(zip(VERDICTS, corrected.contradiction.tolist(), strict=True)),
        raking_tolerance=RAKING_TOLERANCE,
        largest_raking_gap=float(sums.raking_gap.max(initial=0.0)),
        regions_not_raked=tuple(population.nuts3[region] for region in np.flatnonzero(~sums.raked)),
    )
