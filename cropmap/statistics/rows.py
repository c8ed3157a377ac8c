"""The rows of the published table, one NUTS level at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.schemas import Basis
from cropmap.statistics.contributors import Contributors
from cropmap.statistics.crops import Columns, concept, strucpro
from cropmap.statistics.difference import AreaEstimate, Corrected, add_up, benchmark
from cropmap.statistics.population import ancestors
from cropmap.statistics.posterior import Floats, Integers
from cropmap.statistics.precision import precision
from cropmap.statistics.totals import Totals

SYNTHETIC_SHARE: Final = 0.2
"""a region of which a larger share lies in cells without a review is `synthetic`"""


@dataclass(frozen=True)
class Nuts3Figures:
    """Everything that is known per NUTS-3 region and is added up from there."""

    nuts3: tuple[str, ...]
    columns: Columns
    sums: Totals
    corrected: Corrected
    area: Floats
    """estimate [R, J + S], ha, without negatives"""
    contributors: Contributors
    forecast: bool


def benchmarked(corrected: Corrected, cols: Columns) -> Floats:
    """Estimates [R, J + S] per NUTS-3 region without negatives; crops still add up to the region."""
    crops = len(cols.crops)
    regions = len(corrected.omega)
    estimate = add_up(corrected, np.arange(regions), parents=regions)
    total = corrected.synthetic[..., :crops].sum(axis=(1, 2))
    return cols.with_sums(benchmark(estimate.area[:, :crops], estimate.variance[:, :crops], total))


@dataclass(frozen=True)
class Level:
    """One NUTS level of the table with every figure open, in the order of cells: region * (J + S) + crop."""

    level: int
    regions: tuple[str, ...]
    rows: pd.DataFrame
    """STATISTIC_COLUMNS without conf_status"""
    contributors: Contributors
    """of holdings: `rows` have the parcels"""


def level_rows(figures: Nuts3Figures, *, level: int) -> Level:
    """Every region of a level and every published crop."""
    names, parent = ancestors(figures.nuts3, level=level)
    crops = figures.columns.names
    upper = add_up(figures.corrected, parent, parents=len(names))
    estimate = AreaEstimate(over(figures.area, parent, len(names)), upper.variance, upper.df)
    low, high = estimate.interval()
    cv, unreliable = precision(estimate.area, estimate.se)
    declared = over(figures.sums.declared, parent, len(names))
    basis = _basis(figures, parent, estimate.area, declared)
    unraked = over((~figures.sums.raked).astype(float), parent, len(names)) > 0
    contributors = figures.contributors.above(parent, parents=len(names))
    table = pd.DataFrame(
        {
            "nuts_id": np.repeat(np.array(names, dtype=object), len(crops)),
            "level": level,
            "crop": _across(crops, len(names)),
            "strucpro": _across([strucpro(crop) for crop in crops], len(names)),
            "concept": _across([concept(crop) for crop in crops], len(names)),
            "basis": basis.ravel(),
            "declared_ha": declared.ravel(),
            "mapped_ha": over(figures.sums.mapped, parent, len(names)).ravel(),
            "estimate_ha": estimate.area.ravel(),
            "se_ha": estimate.se.ravel(),
            "ci95_low_ha": low.ravel(),
            "ci95_high_ha": high.ravel(),
            "cv": cv.ravel(),
            "n_parcels": pd.array(contributors.parcels, dtype="Int64"),
            "n_holdings": _holdings(contributors),
            "obs_flag": pd.Series(_flags(unreliable, basis, unraked, forecast=figures.forecast).ravel(), dtype=object),
        }
    )
    return Level(level, names, table[list(STATISTIC_COLUMNS[:-1])], contributors.of_holdings())


def _holdings(contributors: Contributors) -> pd.Series[Any]:
    """How many contribute at least; missing where no parcel names its holding."""
    counts = pd.Series(contributors.assigned.holdings(contributors.cells), dtype="Int64")
    return counts if contributors.holdings_known else counts.mask(counts >= 0)


def over(values: Floats, parent: Integers, parents: int) -> Floats:
    """Adds rows [R, ...] up to their parents."""
    out = np.zeros((parents, *values.shape[1:]))
    np.add.at(out, parent, values)
    return out


def _across(values: list[str] | tuple[str, ...], times: int) -> NDArray[np.object_]:
    return np.tile(np.array(values, dtype=object), times)


def _basis(figures: Nuts3Figures, parent: Integers, estimate: Floats, declared: Floats) -> NDArray[np.object_]:
    """`register` where the estimate is the declared area; else by how much of the region was reviewed."""
    area = figures.sums.cells.area
    unreviewed = over((area * (figures.corrected.omega == 0)).sum(axis=1), parent, len(declared))
    whole = over(area.sum(axis=1), parent, len(declared))
    synthetic = unreviewed >= np.maximum(SYNTHETIC_SHARE * whole, np.finfo(float).tiny)
    model = np.where(synthetic, str(Basis.SYNTHETIC), str(Basis.MODEL_ASSISTED)).astype(object)
    same = (declared > 0) & np.isclose(estimate, declared, rtol=1e-12, atol=0)
    return np.where(same, str(Basis.REGISTER), model[:, None])


def _flags(
    unreliable: NDArray[np.bool_], basis: NDArray[np.object_], unraked: NDArray[np.bool_], *, forecast: bool
) -> NDArray[np.object_]:
    """OBS_FLAG: f forecast; u low reliability (CV above 25 %, or probabilities that miss the declared counts);
    e estimated; none on a register figure."""
    flag = np.full(unreliable.shape, "f" if forecast else "e", dtype=object)
    if not forecast:
        flag[basis == Basis.REGISTER] = None
        flag[unreliable | unraked[:, None]] = "u"
    return flag
