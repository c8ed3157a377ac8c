"""The season's parcels as arrays, sorted by NUTS-3 region. Joins, checks, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.errors import InputError
from cropmap.legends import Legend
from cropmap.statistics.crops import Columns
from cropmap.statistics.posterior import Floats, Integers

NONE: Final = -1
NUTS3_LENGTH: Final = 5


class Probabilities(Protocol):
    """What is needed of a prediction: out-of-fold class probabilities, one row per parcel."""

    @property
    def parcel_ids(self) -> Sequence[str] | NDArray[Any] | pa.StringArray: ...
    @property
    def crops(self) -> Sequence[str]: ...
    @property
    def probabilities(self) -> NDArray[Any]:
        """[N, K]; NaN rows where a parcel was never observed"""
        ...


@dataclass(frozen=True)
class Population:
    """Parcels sorted by region; -1 stands for none."""

    nuts3: tuple[str, ...]
    """R region codes, sorted"""
    starts: Integers
    """[R + 1]: the parcels of region r are starts[r] : starts[r + 1]"""
    parcel_id: pd.Index[str]
    """a parcel that is divided at a border has a row in each of its regions"""
    parcel: Integers
    """the same as numbers"""
    region: Integers
    area: Floats
    """ha"""
    holding: Integers
    """NONE where it is not known"""
    column: Integers
    """declared crop as a published column"""
    declared: Integers
    """declared crop as a model class, whether or not the parcel was scored"""
    row: Integers
    """row of the probabilities"""

    def span(self, region: int) -> slice:
        return slice(int(self.starts[region]), int(self.starts[region + 1]))

    @property
    def holdings_known(self) -> bool:
        """Whether any parcel names its holding: where none does nothing can be said of who contributes."""
        return bool((self.holding != NONE).any()) or not len(self.holding)

    @property
    def learnt_from(self) -> int:
        """declared parcels that were scored: the model learnt from those of the other folds"""
        return len(np.unique(self.parcel[(self.row != NONE) & (self.declared != NONE)]))


def declared_codes(parcels: pd.DataFrame) -> set[str]:
    return set(map(str, parcels["crop_code"].dropna().unique()))


def population_of(
    parcels: pd.DataFrame, predictions: Probabilities, legend: Legend, columns: Columns, *, regions: Sequence[str]
) -> Population:
    """Joins parcels (parcel_id, nuts_id, area_ha, crop_code, holding_id) to predictions; parcels outside every region
    are left out. `regions` are NUTS-3 codes that exist even where they hold no parcel. Raises InputError."""
    inside = parcels[parcels["nuts_id"].notna()]
    nuts3 = sorted(set(inside["nuts_id"]) | set(regions))
    if wrong := [code for code in nuts3 if len(code) != NUTS3_LENGTH]:
        raise InputError(f"{wrong[0]!r} is not a NUTS-3 code", where="nuts_id", mend="Assign parcels to NUTS-3 regions")
    if not np.isfinite(inside["area_ha"].to_numpy(float)).all():
        raise InputError("a parcel has no area", where="area_ha", mend="Reject it when declarations are read")
    region = pd.Index(nuts3).get_indexer(pd.Index(inside["nuts_id"]))
    if not inside["parcel_id"].is_monotonic_increasing:
        by_id = inside["parcel_id"].argsort(kind="stable")
        inside, region = inside.iloc[by_id], region[by_id]
    order = np.argsort(region, kind="stable")
    inside, region = inside.iloc[order], region[order]
    code, names = pd.factorize(inside["crop_code"])  # NONE where there is none: the last of the looked-up values
    classes = {name: index for index, name in enumerate(predictions.crops)}
    class_of_code = {code: classes.get(legend.crop_of(code) or "", NONE) for code in columns.of_code}
    return Population(
        nuts3=tuple(nuts3),
        starts=np.searchsorted(region, np.arange(len(nuts3) + 1)),
        parcel_id=pd.Index(inside["parcel_id"]),
        region=region,
        area=inside["area_ha"].to_numpy(float),
        parcel=pd.factorize(inside["parcel_id"])[0].astype(np.intp),
        holding=_holdings(inside["holding_id"]),
        column=np.array([*(columns.of_code.get(str(name), NONE) for name in names), NONE], dtype=np.intp)[code],
        declared=np.array([*(class_of_code.get(str(name), NONE) for name in names), NONE], dtype=np.intp)[code],
        row=_scored_rows(inside["parcel_id"], predictions),
    )


def without_holding(holding_id: pd.Series[Any]) -> NDArray[np.bool_]:
    """[rows] no holding is named: missing, or a blank text."""
    blank = holding_id.astype(object).map(lambda name: isinstance(name, str) and not name.strip())
    return np.asarray(holding_id.isna() | blank.astype(bool))


def _holdings(holding_id: pd.Series[Any]) -> Integers:
    codes, _ = pd.factorize(holding_id.mask(without_holding(holding_id)))
    return codes.astype(np.intp)


def _scored_rows(parcel_id: pd.Series[Any], predictions: Probabilities) -> Integers:
    found = pc.index_in(pa.array(parcel_id, pa.string()), pa.array(predictions.parcel_ids, pa.string()))
    row = pc.fill_null(found, NONE).to_numpy().astype(np.intp)
    observed = np.append(np.isfinite(predictions.probabilities).all(axis=1), [False])
    return np.where(observed[row], row, NONE)


def ancestors(nuts3: Sequence[str], *, level: int) -> tuple[tuple[str, ...], Integers]:
    """Codes of a NUTS level (0-3), sorted, and for each NUTS-3 region the index of its own."""
    codes = [code[: level + 2] for code in nuts3]
    names = sorted(set(codes))
    index = {name: position for position, name in enumerate(names)}
    return tuple(names), np.array([index[code] for code in codes], dtype=np.intp)


def use_shares(population: Population, columns: Columns) -> Floats:
    """[R, K, J]: how a class is split into columns, by declared area in the region, else in the smallest parent that
    declared the class, else anywhere, else evenly. Rows of a class sum to 1."""
    classes, width = columns.links.shape
    known = population.declared != NONE
    flat = (population.region * classes + population.declared) * width + population.column
    size = len(population.nuts3) * classes * width
    area = np.bincount(flat[known], weights=population.area[known], minlength=size)
    area = area.reshape(len(population.nuts3), classes, width).astype(float)
    share = np.full_like(area, np.nan)
    for level in (3, 2, 1, 0, -2):  # -2: everything together
        names, parent = ancestors(population.nuts3, level=level)
        total = np.zeros((len(names), classes, width))
        np.add.at(total, parent, area)
        whole = total.sum(axis=2, keepdims=True)
        wider = np.divide(total, whole, out=np.full_like(total, np.nan), where=whole > 0)[parent]
        share = np.where(np.isnan(share), wider, share)
    evenly = columns.links / columns.links.sum(axis=1, keepdims=True)
    return np.where(np.isnan(share), evenly, share)
