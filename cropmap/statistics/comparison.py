"""The estimate beside simpler and classical estimators, on the same parcels, scores and reviews.

In: what `estimate_areas` takes. Out: ha and standard error per NUTS-3 region, crop and estimator. A statistician sees
here what the model and the shrinking change; nothing of it is published. Sources: Cochran, Sampling Techniques, 1977,
chapters 6 and 7; Angelopoulos, Duchi and Zrnic 2023 (PPI++); Olofsson et al. 2014 with parcels as units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from cropmap.legends import Legend
from cropmap.statistics.crops import columns
from cropmap.statistics.difference import Reviews, add_up, correct, prior_size
from cropmap.statistics.population import Population, Probabilities, ancestors, declared_codes, population_of
from cropmap.statistics.posterior import Floats, Integers
from cropmap.statistics.reviewed import match_reviews, with_finding
from cropmap.statistics.totals import VERDICTS, Totals, totals

COMPARED: Final = ("nuts_id", "crop", "estimator", "area_ha", "se_ha")
POOLED_OVER: Final = 2
"""NUTS level whose regions share the rows of the ratio estimator"""


def compare_estimators(
    parcels: pd.DataFrame, predictions: Probabilities, legend: Legend, *, reviews: pd.DataFrame | None = None
) -> pd.DataFrame:
    """COMPARED for every NUTS-3 region and published crop; se_ha is missing where an estimator claims none.

    `register`: declared ha; `register scaled`: times the region's ha over its declared ha; `mapped`; `posterior`:
    Σ a q. With reviews besides `difference`: the posterior plus the expanded errors of the sample; `PPI++`: the same
    with the posterior weighted by region and crop; `parcel ratio`: shares of what was found among parcels of the same
    assigned crop, pooled over NUTS-2. Raises InputError.
    """
    visited = with_finding(reviews)
    cols = columns(legend, tuple(predictions.crops), declared_codes(parcels) | set(visited["found_code"]))
    population = population_of(parcels, predictions, legend, cols, regions=())
    position, truth, inclusion = match_reviews(visited, population, cols)
    sums = totals(population, np.asarray(predictions.probabilities), cols, reviewed=position)
    area = np.bincount(population.region, weights=population.area, minlength=len(population.nuts3))[:, None]
    declared = sums.declared[:, : len(cols.crops)].sum(axis=1, keepdims=True)
    scale = np.divide(area, declared, out=np.zeros_like(area), where=declared > 0)
    figures: dict[str, tuple[Floats, Floats | None]] = {
        "register": (sums.declared, None),
        "register scaled": (sums.declared * scale, None),
        "mapped": (sums.mapped, None),
        "posterior": (sums.cells.synthetic.sum(axis=1), None),
    }
    if len(position):
        seen = Reviews(sums.reviewed_stratum, population.area[position], inclusion, truth, sums.reviewed_posterior)
        region, crops, prior = population.region[position], len(cols.crops), prior_size(population.learnt_from)
        figures["difference"] = _difference(sums, seen, crops=crops, prior=prior)
        figures["PPI++"] = _weighted_difference(sums, seen, region, crops=crops, prior=prior)
        figures["parcel ratio"] = (_parcel_ratio(population, sums, seen, position), None)
    return pd.concat(
        [_rows(population.nuts3, cols.names, name, *both) for name, both in figures.items()], ignore_index=True
    )


def _difference(sums: Totals, seen: Reviews, *, crops: int, prior: float) -> tuple[Floats, Floats]:
    """([R, J + S] ha, standard error): every reviewed cell uses the sample alone, variances have the floor.
    Cells without a review have the prior variance of ν = `prior`."""
    alone = correct(
        sums.cells,
        sums.strata,
        seen,
        overconfidence=np.ones(len(VERDICTS)),
        crops=crops,
        design_based=np.ones(len(sums.cells.area), dtype=bool),
        prior_size=prior,
        unadjusted=True,
    )
    regions = len(sums.cells.area)
    estimate = add_up(alone, np.arange(regions), parents=regions)
    return estimate.area, estimate.se


def _weighted_difference(
    sums: Totals, seen: Reviews, region: Integers, *, crops: int, prior: float
) -> tuple[Floats, Floats]:
    """([R, J + S] ha, standard error): λ q instead of q, λ [R, J + S] of the least variance in the sample."""
    weight = (seen.area / seen.inclusion)[:, None]
    regions = len(sums.cells.area)

    def total(values: Floats) -> Floats:
        out = np.zeros((regions, values.shape[1]))
        np.add.at(out, region, values)
        return out

    size = np.maximum(total(weight), np.finfo(float).tiny)
    mean_y, mean_q = total(weight * seen.truth) / size, total(weight * seen.posterior) / size
    joint = total(weight * (seen.truth - mean_y[region]) * (seen.posterior - mean_q[region]))
    spread = total(weight * (seen.posterior - mean_q[region]) ** 2)
    trust = np.clip(np.divide(joint, spread, out=np.ones_like(joint), where=spread > 0), 0, 1)
    cells = replace(sums.cells, synthetic=sums.cells.synthetic * trust[:, None])
    weighted = replace(seen, posterior=seen.posterior * trust[region])
    return _difference(replace(sums, cells=cells), weighted, crops=crops, prior=prior)


def _parcel_ratio(population: Population, sums: Totals, seen: Reviews, position: Integers) -> Floats:
    """[R, J + S] ha: a region's area by assigned crop times what was found under that crop; rows without a review keep
    their crop."""
    width = seen.truth.shape[1]
    names, parent = ancestors(population.nuts3, level=POOLED_OVER)
    row = sums.assigned[position]
    shares = np.zeros((len(names), width, width))
    np.add.at(shares, (parent[population.region[position]], row), (seen.area / seen.inclusion)[:, None] * seen.truth)
    size = np.zeros((len(names), width))
    np.add.at(size, (parent[population.region[position]], row), seen.area / seen.inclusion)
    unseen = np.eye(width)[None]
    shares = np.where(size[..., None] > 0, shares / np.where(size > 0, size, 1)[..., None], unseen)
    regions = len(population.nuts3)
    flat = np.bincount(population.region * width + sums.assigned, weights=population.area, minlength=regions * width)
    return np.asarray(np.einsum("rh,rhj->rj", flat.reshape(regions, width), shares[parent]))


def _rows(
    nuts3: tuple[str, ...], crops: tuple[str, ...], estimator: str, area: Floats, se: Floats | None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "nuts_id": np.repeat(np.array(nuts3, dtype=object), len(crops)),
            "crop": np.tile(np.array(crops, dtype=object), len(nuts3)),
            "estimator": estimator,
            "area_ha": area.ravel(),
            "se_ha": np.full(area.size, np.nan) if se is None else se.ravel(),
        }
    )
