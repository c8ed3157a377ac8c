"""Overall, user's and producer's accuracy with standard errors, from predictions beside declarations.

The unit is the parcel. The declaration is the reference, so a wrong declaration counts as an error of the prediction.
Each accuracy is a ratio of counts; parcels of one holding are alike, so its variance is that of a ratio over holdings
as clusters (Cochran, Sampling Techniques, 1977, chapter 6: linearised, without correction for a finite population).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.legends import Legend
from cropmap.statistics.crops import LOCAL, UNSPECIFIED

Floats = NDArray[np.float64]

AGREEMENT_COLUMNS: Final = ("cluster", "declared_crop", "predicted_crop", "parcels")
MIN_HOLDINGS: Final = 10
"""a class that fewer holdings declare, or are predicted to grow, has no accuracy of its own: its standard error would
be unreliable, and its holdings could be identified"""
SE_DECIMALS: Final = 3


@dataclass(frozen=True)
class Ratio:
    value: float
    se: float | None
    """None with fewer than two holdings"""

    def rounded(self, decimals: int) -> Ratio:
        """The value as it may be shown: more digits would reveal counts of parcels."""
        return Ratio(round(self.value, decimals), None if self.se is None else round(self.se, SE_DECIMALS))


@dataclass(frozen=True)
class ClassAccuracy:
    crop: str
    """model class"""
    users: Ratio
    """share of the parcels predicted as the crop that declare it"""
    producers: Ratio
    """share of the parcels that declare the crop that are predicted so"""


@dataclass(frozen=True)
class Accuracy:
    overall: Ratio
    parcels: str
    """number of compared parcels as a power of ten: a count over all crops is not published"""
    classes: tuple[ClassAccuracy, ...]
    """by name"""
    not_shown: int
    """classes that are too small, or whose area is confidential"""


def accuracy(agreement: pd.DataFrame, *, hidden: Collection[str]) -> Accuracy | None:
    """`agreement`: AGREEMENT_COLUMNS, counts of parcels per holding. `hidden`: classes with a confidential area.
    None where nothing was compared."""
    if agreement.empty:
        return None
    cluster, names = pd.factorize(agreement["cluster"])
    declared, predicted = (agreement[name].to_numpy(object) for name in ("declared_crop", "predicted_crop"))
    count = agreement["parcels"].to_numpy(float)
    right = declared == predicted

    def total(chosen: NDArray[np.bool_]) -> Floats:
        return np.bincount(cluster[chosen], weights=count[chosen], minlength=len(names)).astype(float)

    classes = []
    crops = sorted({str(crop) for crop in declared} | {str(crop) for crop in predicted})
    for crop in crops:
        claimed, seen = total(declared == crop), total(predicted == crop)
        if crop in hidden or min((claimed > 0).sum(), (seen > 0).sum()) < MIN_HOLDINGS:
            continue
        both = total(right & (declared == crop))
        classes.append(ClassAccuracy(crop, ratio(both, seen).rounded(2), ratio(both, claimed).rounded(2)))
    everywhere = np.ones(len(count), dtype=bool)
    overall = ratio(total(right), total(everywhere)).rounded(3)
    return Accuracy(overall, magnitude(count.sum()), tuple(classes), len(crops) - len(classes))


def confidential_classes(legend: Legend, hidden: Mapping[str, bool]) -> set[str]:
    """Model classes whose area is confidential. `hidden`: the published crops of the season's top region, and whether
    each is. What counts is the class as a whole where that is published, else each of its items."""
    return {name for name in legend.crops if any(hidden[crop] for crop in _published_as(name, legend, hidden))}


def _published_as(name: str, legend: Legend, crops: Collection[str]) -> list[str]:
    items = set(legend.eurostat_codes_of(name))
    whole = [crop for crop in crops if crop == f"{LOCAL}{name}" or ("+" in crop and set(crop.split("+")) <= items)]
    return whole or [crop for crop in crops if crop in items or crop == f"{LOCAL}{name}{UNSPECIFIED}"]


def ratio(part: Floats, whole: Floats) -> Ratio:
    """Σ part / Σ whole over clusters, with the linearised standard error."""
    present = whole > 0
    part, whole = part[present], whole[present]
    value = float(part.sum() / whole.sum())
    clusters = len(whole)
    if clusters < 2:
        return Ratio(value, None)
    residual = part - value * whole
    variance = clusters / (clusters - 1) * float((residual**2).sum()) / float(whole.sum()) ** 2
    return Ratio(value, float(np.sqrt(variance)))


def magnitude(count: float) -> str:
    """750 -> "100 to 1 000"."""
    if count < 100:
        return "fewer than 100"
    power = int(np.floor(np.log10(count)))
    return f"{10**power:,} to {10 ** (power + 1):,}".replace(",", "\u202f")
