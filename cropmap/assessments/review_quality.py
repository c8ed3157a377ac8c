"""What reviews say of the verdicts: false alarms inside the list, misses outside, each with an interval or not at all.

In: the run's assessments and the drawn parcels with their findings. Out: figures, and the reason where the sample is
too small for one. False alarms come from a simple random sample, so that each group inside the list is one too and its
interval is exact; misses are weighted by the design (Hájek), with the weights of the parcels that were judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments.intervals import exact_share, weighted_share
from cropmap.legends import Legend
from cropmap.schemas import Finding, ReviewPart, Verdict

MIN_REVIEWED: Final = 20
"""judged parcels of a group, below: no figure"""
MIN_CONTROL: Final = 300
"""judged controls for the share of the wrong declarations that the list holds: with fewer its interval says nothing"""
FALSE_ALARMS: Final = "false_alarms"
MISSES: Final = "misses"
SIZE_CLASSES: Final = ((0.0, "below 0.5 ha"), (0.5, "0.5 to 2 ha"), (2.0, "2 to 5 ha"), (5.0, "5 ha and more"))
DRAWN: Final = ("parcel_id", "part", "stratum", "stratum_size", "inclusion_probability", "outcome")
GROUPS: Final = {"crop": "declared_crop", "size": "size_class", "region": "nuts_id"}


@dataclass(frozen=True)
class Figure:
    what: str
    """FALSE_ALARMS: rightly declared parcels on the list; MISSES: wrongly declared ones off it"""
    by: str
    """all, crop, size, region"""
    group: str
    parcels: int
    """of the group, on the list or off it"""
    drawn: int
    judged: int
    """drawn, visited, and found right or wrong"""
    found: int
    """false alarms or misses among the judged"""
    rate: float | None
    """None: the sample cannot support a figure"""
    low: float | None
    """95 % interval"""
    high: float | None
    worst: float | None
    """the rate if every drawn parcel that was not judged counted against us"""
    note: str


def outcomes(reviewed: pd.DataFrame, legend: Legend) -> pd.Series[Any]:
    """The finding per row of `reviewed` (finding, found_code, declared_crop), as it counts: a crop that the legend
    calls inseparable from the declared one is not counted as a mistake."""
    found_crops = [legend.crop_of(code) if isinstance(code, str) else None for code in reviewed["found_code"]]
    same = [
        crop is not None and isinstance(declared, str) and legend.group_of(crop) == legend.group_of(declared)
        for crop, declared in zip(found_crops, reviewed["declared_crop"], strict=True)
    ]
    return reviewed["finding"].where(~np.array(same, dtype=bool), str(Finding.RIGHT))


def figures(assessed: pd.DataFrame, sample: pd.DataFrame) -> list[Figure]:
    """False alarms and misses, of all and by declared crop, size and region.

    `assessed`: the whole run (parcel_id, verdict, declared_crop, area_ha, nuts_id); `sample`: parcel_id, part, stratum,
    stratum_size, inclusion_probability and `outcome` (Finding, None where the parcel was not visited).
    """
    known = assessed.assign(size_class=_size_class(assessed["area_ha"]))
    on_list = known["verdict"] == str(Verdict.MISMATCH)
    drawn = sample[list(DRAWN)].merge(known[["parcel_id", *GROUPS.values()]], on="parcel_id", validate="one_to_one")
    drawn = drawn.assign(weight=_weights(drawn))
    listed, control = (drawn[drawn["part"] == str(part)] for part in (ReviewPart.LIST, ReviewPart.CONTROL))
    return [*_figures(FALSE_ALARMS, known[on_list], listed), *_figures(MISSES, known[~on_list], control)]


class ShareFound(TypedDict):
    """Of all wrong declarations, the share that the list holds."""

    share: float | None
    low: NotRequired[float]
    high: NotRequired[float]
    note: str


class EstimateAgainstFound(TypedDict):
    """Shares of rightly declared parcels in the list."""

    estimated: float | None
    """by the run"""
    found: float | None
    """by reviews"""
    low: float | None
    high: float | None
    verdict: str
    """in words"""


def share_found(alarms: Figure, misses: Figure) -> ShareFound:
    """The share of all wrong declarations that the list holds; its interval adds the risks of both samples."""
    if misses.judged < MIN_CONTROL or alarms.rate is None or misses.rate is None:
        return {"share": None, "note": f"{misses.judged} controls are judged, {MIN_CONTROL} are needed"}
    assert alarms.low is not None
    assert alarms.high is not None
    assert misses.low is not None
    assert misses.high is not None
    false_alarms, low, high = (alarms.parcels * (1 - rate) for rate in (alarms.rate, alarms.high, alarms.low))
    missed, few, many = (misses.parcels * rate for rate in (misses.rate, misses.low, misses.high))
    return {
        "share": false_alarms / max(false_alarms + missed, 1e-12),
        "low": low / max(low + many, 1e-12),
        "high": high / max(high + few, 1e-12),
        "note": "at least 90 % interval: both 95 % intervals at once",
    }


def estimate_against_found(estimated: float | None, alarms: Figure) -> EstimateAgainstFound:
    """What the run said of its list beside what reviews found there."""
    if estimated is None or alarms.low is None or alarms.high is None:
        verdict = "cannot be compared"
    elif estimated < alarms.low:
        verdict = "more of the list is right than was estimated"
    else:
        verdict = "agrees" if estimated <= alarms.high else "less of the list is right than estimated"
    return {"estimated": estimated, "found": alarms.rate, "low": alarms.low, "high": alarms.high, "verdict": verdict}


def _figures(what: str, population: pd.DataFrame, drawn: pd.DataFrame) -> Iterator[Figure]:
    yield _figure(what, "all", "all", len(population), drawn)
    for by, column in GROUPS.items():
        for group, parcels in population[column].value_counts().sort_index().items():
            yield _figure(what, by, str(group), int(parcels), drawn[drawn[column] == group])


def _figure(what: str, by: str, group: str, parcels: int, drawn: pd.DataFrame) -> Figure:
    judged = drawn[drawn["outcome"].isin([str(Finding.RIGHT), str(Finding.WRONG)])]
    against = Finding.RIGHT if what == FALSE_ALARMS else Finding.WRONG
    against_it = (judged["outcome"] == str(against)).to_numpy()
    counts = (what, by, group, parcels, len(drawn), len(judged), int(against_it.sum()))
    if len(judged) < min(MIN_REVIEWED, max(parcels, 1)):
        return Figure(*counts, None, None, None, None, f"no figure: {len(judged)} judged, {MIN_REVIEWED} are needed")
    weight = judged["weight"].to_numpy(float)
    if what == FALSE_ALARMS:
        low, high = exact_share(int(against_it.sum()), sampled=len(judged), population=parcels)
    else:
        low, high = weighted_share(weight, against_it, judged["stratum"].to_numpy())
    rate, worst = float(np.average(against_it, weights=weight)), _worst(drawn, against)
    return Figure(*counts, rate, low, high, worst, _note(drawn, judged))


def _worst(drawn: pd.DataFrame, against: Finding) -> float:
    favourable = Finding.WRONG if against == Finding.RIGHT else Finding.RIGHT
    return float(np.average(drawn["outcome"] != str(favourable), weights=1 / drawn["inclusion_probability"]))


def _note(drawn: pd.DataFrame, judged: pd.DataFrame) -> str:
    lost = len(drawn) - len(judged)
    return f"{lost} of {len(drawn)} drawn parcels are not judged; taken as like the others" if lost else ""


def _weights(drawn: pd.DataFrame) -> pd.Series[Any]:
    """Parcels that a judged parcel stands for: its stratum's, shared among those that were judged there."""
    judged = drawn["outcome"].isin([str(Finding.RIGHT), str(Finding.WRONG)])
    return drawn["stratum_size"] / judged.groupby(drawn["stratum"]).transform("sum").clip(lower=1)


def _size_class(area_ha: pd.Series[Any]) -> NDArray[np.object_]:
    edges = np.array([edge for edge, _ in SIZE_CLASSES[1:]])
    return np.array([name for _, name in SIZE_CLASSES], dtype=object)[np.searchsorted(edges, area_ha, side="right")]
