"""Comparison of our areas with Eurostat's: the ratio of the year, the series before it, and outliers.

Input: two long forms. Output: `Comparison`. A figure is marked as an outlier for up to three reasons:

RATIO   Eurostat's figure of the year is more than TOLERANCE away, lies outside our 95 % interval, and the difference is
        more than SMALL
SERIES  the step from Eurostat's last earlier year is more than LIMIT times the usual step of the series in as many
        years: 1.4826 x the median absolute yearly step of the logarithm since the last break (flag b), at least FLOOR
REGION  the logarithm of the ratio is more than LIMIT robust standard deviations away from the median of the crop's
        regions

An outlier is a reason to check both sources. A register without small farms, another NUTS version or another reference
date cause real differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd

from cropmap.dissemination.long_form import LongForm, count
from cropmap.dissemination.vocabulary import AREA, MAIN_AREA, crop_items
from cropmap.errors import InputError
from cropmap.schemas import HIDDEN_STATUSES, LeftOut

TOLERANCE: Final = 0.25
SMALL: Final = 0.05
"""1000 ha: a difference below it may be rounding, whatever the ratio"""
STEADY: Final = 0.5
"""1000 ha: below it, rounding to 0.01 alone moves a ratio by a percent or more"""
LIMIT: Final = 3.0
FLOOR: Final = 0.05
"""on the scale of the logarithm: nothing counts as steadier than 5 % a year"""
MIN_STEPS: Final = 4
MIN_REGIONS: Final = 5
TO_SIGMA: Final = 1.4826
"""median absolute deviation to standard deviation, normal distribution"""
BREAK: Final = "b"
MEASURES: Final = (AREA, MAIN_AREA)


class ComparedFigure(TypedDict):
    """A figure of ours beside Eurostat's series; areas in 1000 ha."""

    geo: str
    crops: str
    """code of the crop"""
    label: str
    year: int
    ours: float
    se: float | None
    eurostat: float | None
    """of the same year"""
    flags: str
    strucpro: str
    """measure of Eurostat's series"""
    ratio: float | None
    """ours / eurostat"""
    last_year: int | None
    """the last year before"""
    last: float | None
    """Eurostat's figure then"""
    change: float | None
    """ours / last"""
    outlier: str
    """why it stands out: RATIO, SERIES, REGION, joined by +; empty where it does not"""


@dataclass(frozen=True)
class Comparison:
    rows: list[ComparedFigure]
    """what stands out first, then by how far the ratio is from 1"""
    series: Mapping[tuple[str, str], pd.DataFrame]
    """(geo, crops) -> TIME_PERIOD, OBS_VALUE, OBS_FLAG of Eurostat's series, years ascending"""
    left_out: Mapping[LeftOut, Mapping[str, int]]
    simulated: bool = False
    """our figures describe no real land"""

    @property
    def outliers(self) -> list[ComparedFigure]:
        return [row for row in self.rows if row["outlier"]]


def compare(ours: LongForm, eurostat: LongForm, *, where: str = "--eurostat") -> Comparison:
    """Matches region, crop and year. Raises InputError, naming `where`, if nothing matches at all."""
    left_out = {reason: dict(names) for reason, names in ours.left_out.items()}
    for unread, names in eurostat.left_out.items():
        count(left_out, unread, (name for name, times in names.items() for _ in range(times)))
    theirs = eurostat.table[eurostat.table["strucpro"].isin(MEASURES)]
    groups = {(str(geo), str(crops)): group for (geo, crops), group in theirs.groupby(["geo", "crops"], sort=False)}
    regions = {geo for geo, _ in groups}
    rows: list[ComparedFigure] = []
    series = {}
    for figure in ours.table[ours.table["strucpro"].isin(MEASURES)].to_dict("records"):
        key = str(figure["geo"]), str(figure["crops"])
        reason = _why_not(figure, key, regions, groups)
        chosen = None if reason else _measure(groups[key], figure)
        if chosen is None:
            count(left_out, reason or _without_value(groups[key], figure), [f"{key[0]} {key[1]}"])
            continue
        series[key] = chosen
        rows.append(_row(figure, chosen))
    if not rows:
        raise InputError(
            "no figure matches Eurostat's file",
            where=where,
            mend="; ".join(f"{reason}: {sum(names.values())}" for reason, names in left_out.items()),
        )
    _mark_regions(rows)
    rows.sort(key=lambda row: (not row["outlier"], -_distance(row["ratio"]), row["geo"], row["crops"]))
    simulated = "COMMENT_OBS" in ours.table and bool((ours.table["COMMENT_OBS"] != "").any())
    return Comparison(rows, series, left_out, simulated)


def _why_not(
    figure: Mapping[Any, Any], key: tuple[str, str], regions: set[str], groups: Mapping[tuple[str, str], Any]
) -> LeftOut | None:
    if figure["CONF_STATUS"] in HIDDEN_STATUSES or math.isnan(figure["OBS_VALUE"]):
        return LeftOut.HIDDEN_HERE
    if key[0] not in regions:
        return LeftOut.REGION_NOT_IN_FILE
    return None if key in groups else LeftOut.CROP_NOT_IN_FILE


def _without_value(group: pd.DataFrame, figure: Mapping[Any, Any]) -> LeftOut:
    this_year = group[group["TIME_PERIOD"] == figure["TIME_PERIOD"]]
    return LeftOut.HIDDEN_THERE if this_year["CONF_STATUS"].isin(HIDDEN_STATUSES).any() else LeftOut.NO_VALUE


def _measure(group: pd.DataFrame, figure: Mapping[Any, Any]) -> pd.DataFrame | None:
    """The series of one measure with values up to the year: our own measure, else area, else main area; one that has
    the year itself goes first."""
    known = group[group["OBS_VALUE"].notna()]
    order = dict.fromkeys((str(figure["strucpro"]), *MEASURES))
    by_measure = [known[known["strucpro"] == measure].sort_values("TIME_PERIOD") for measure in order]
    year = figure["TIME_PERIOD"]
    with_year = [series for series in by_measure if (series["TIME_PERIOD"] == year).any()]
    earlier = [series for series in by_measure if (series["TIME_PERIOD"] < year).any()]
    return next(iter([*with_year, *earlier]), None)


def _row(figure: Mapping[Any, Any], series: pd.DataFrame) -> ComparedFigure:
    year, ours = str(figure["TIME_PERIOD"]), float(figure["OBS_VALUE"])
    this = series[series["TIME_PERIOD"] == year]
    before = series[series["TIME_PERIOD"] < year]
    theirs = float(this["OBS_VALUE"].iloc[0]) if len(this) else None
    last = float(before["OBS_VALUE"].iloc[-1]) if len(before) else None
    low, high = figure.get("CI95_LOW", math.nan), figure.get("CI95_HIGH", math.nan)
    reasons = [
        *(["RATIO"] if theirs is not None and _far(ours, theirs, low, high) else []),
        *(["SERIES"] if not this["OBS_FLAG"].str.contains(BREAK).any() and _jumps(ours, int(year), before) else []),
    ]
    return {
        "geo": str(figure["geo"]),
        "crops": str(figure["crops"]),
        "label": crop_items().get(str(figure["crops"]), ""),
        "year": int(year),
        "ours": ours,
        "se": _known(figure.get("STD_ERR", math.nan)),
        "eurostat": theirs,
        "flags": str(this["OBS_FLAG"].iloc[0]) if len(this) else "",
        "strucpro": str(series["strucpro"].iloc[0]),
        "ratio": ours / theirs if theirs else None,
        "last_year": int(before["TIME_PERIOD"].iloc[-1]) if len(before) else None,
        "last": last,
        "change": ours / last if last else None,
        "outlier": "+".join(reasons),
    }


def _far(ours: float, theirs: float, low: float, high: float) -> bool:
    if abs(ours - theirs) <= SMALL or low <= theirs <= high:
        return False
    return min(ours, theirs) <= 0 or abs(math.log(ours / theirs)) > math.log1p(TOLERANCE)


def _jumps(ours: float, year: int, before: pd.DataFrame) -> bool:
    breaks = np.flatnonzero(before["OBS_FLAG"].str.contains(BREAK))
    since = before.iloc[breaks[-1] if len(breaks) else 0 :]
    since = since[since["OBS_VALUE"] > 0]
    years, values = since["TIME_PERIOD"].to_numpy(int), since["OBS_VALUE"].to_numpy(float)
    if len(values) <= MIN_STEPS or ours <= 0 or abs(ours - values[-1]) <= SMALL:
        return False
    steps = np.diff(np.log(values)) / np.sqrt(np.diff(years))
    usual = max(TO_SIGMA * float(np.median(np.abs(steps))), FLOOR)
    return abs(math.log(ours / values[-1])) > LIMIT * usual * math.sqrt(year - years[-1])


def _mark_regions(rows: list[ComparedFigure]) -> None:
    by_crop: dict[tuple[str, int], list[tuple[float, ComparedFigure]]] = {}
    for row in rows:
        if row["ratio"] and row["eurostat"] is not None and row["eurostat"] >= STEADY:
            by_crop.setdefault((row["crops"], len(row["geo"])), []).append((row["ratio"], row))
    for group in by_crop.values():
        logs = np.log([ratio for ratio, _ in group])
        away = np.abs(logs - np.median(logs))
        sigma = max(TO_SIGMA * float(np.median(away)), FLOOR)
        for (_, row), distance in zip(group, away, strict=True):
            if len(group) >= MIN_REGIONS and distance > LIMIT * sigma:
                row["outlier"] = "+".join(filter(None, [row["outlier"], "REGION"]))


def _distance(ratio: float | None) -> float:
    return abs(math.log(ratio)) if ratio else 0.0


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
