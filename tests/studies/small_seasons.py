"""Small random seasons through the statistics: none may stop, none may leave a table that gives a holding away.

A season has 200 to 2,000 parcels and a light classifier: probabilities are drawn around what grows, with any skill from
none to perfect. Rare crops, one region, one crop, one holding, parcels without area, without score, without
declaration or without holding come up again and again; every fourth season is released twice. The tables are held
against what the office does not always know: who really farms each parcel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.disclosure.tables import Floats
from cropmap.legends import Legend
from cropmap.progress import track
from cropmap.schemas import Confidentiality, Internal
from cropmap.statistics.areas import Estimated, estimate_areas
from cropmap.statistics.confidentiality import CONFIDENTIAL, NOT_FOR_PUBLICATION, internal_reasons
from cropmap.statistics.hiding import EarlierRelease
from cropmap.statistics.release import recovered

LEGEND: Final = "fr_breizhcrops13"
REGIONS: Final = ("FRH01", "FRH02", "FRH03", "FRH04", "FRI11", "FRI12", "DE21B", "BE100", "BE211", "LU000")
SIZES: Final = (200, 2_000)
KINDS: Final = (
    "ordinary",
    "ordinary",
    "ordinary",
    "one region",
    "one crop",
    "one holding",
    "no area",
    "no model",
    "undeclared",
    "some holdings missing",
    "all holdings missing",
    "one large holding",
)
RELEASED_TWICE: Final = 4
"""one season in so many"""
REVISION: Final = 0.05
"""areas move by up to this share between two releases"""


@dataclass(frozen=True)
class Scored:
    parcel_ids: np.ndarray
    crops: tuple[str, ...]
    probabilities: np.ndarray


@dataclass(frozen=True)
class SmallSeason:
    kind: str
    parcels: pd.DataFrame
    """as `estimate_areas` takes them"""
    farmed_by: pd.Series
    """the holding of every parcel, whatever the register says"""
    scored: Scored
    rules: dict[str, Any]


def small_season(seed: int, legend: Legend) -> SmallSeason:
    """The same seed gives the same season."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    n = int(rng.integers(*SIZES, endpoint=True))
    regions = rng.choice(REGIONS, size=1 if kind == "one region" else int(rng.integers(2, 6)), replace=False)
    crops = tuple(sorted({entry.crop for entry in legend.entries if entry.crop}))
    known = sorted(entry.crop_code for entry in legend.entries)
    codes = rng.choice(known, size=1 if kind == "one crop" else int(rng.integers(3, 9)), replace=False)
    share = rng.permutation(np.geomspace(1, rng.choice([0.3, 0.01, 0.002]), len(codes)))
    holdings = 1 if kind == "one holding" else int(n / rng.uniform(1.5, 12))
    holding = np.minimum((holdings * rng.random(n) ** rng.uniform(1, 3)).astype(int), holdings - 1)
    if kind == "one large holding":
        holding[rng.random(n) < rng.uniform(0.3, 0.9)] = 0
    home = rng.choice(len(regions), size=holdings, p=_uneven(rng, len(regions)))
    region = np.where(rng.random(n) < 0.9, home[holding], rng.integers(0, len(regions), n))
    habit = rng.choice(len(codes), size=(holdings, 3), p=share / share.sum())
    code = habit[holding, rng.integers(0, 3, n)]
    area = rng.lognormal(0.6, rng.uniform(0.3, 1.3), n).round(2) + 0.01
    if kind == "no area":
        area[(code == code[0]) | (rng.random(n) < 0.1)] = 0.0
    ids = np.array([f"p{number:05d}" for number in range(n)], dtype=object)
    farmed_by = pd.Series([f"h{number:05d}" for number in holding], dtype=object)
    declared = pd.Series(np.where(rng.random(n) < 0.03, rng.choice(codes, n), codes[code]), dtype=object)
    undeclared = rng.random(n) < (0.7 if kind == "undeclared" else rng.choice([0.0, 0.05]))
    missing = np.zeros(n, dtype=bool)
    if kind == "all holdings missing":
        missing[:] = True
    elif kind == "some holdings missing":
        gone = rng.random(holdings) < rng.uniform(0.02, 0.5)
        missing = gone[holding] | (rng.random(n) < 0.02)
    frame = pd.DataFrame(
        {
            "parcel_id": ids,
            "nuts_id": regions[region],
            "area_ha": area,
            "crop_code": declared.mask(undeclared, None),
            "holding_id": farmed_by.mask(missing, None),
        }
    )
    rules = {
        "min_holdings": int(rng.choice([3, 4, 5])),
        "min_holdings_nuts3": int(rng.choice([3, 4, 10])),
        "dominance": (2, 0.85) if rng.random() < 0.7 else (1, 0.75),
        "p_percent": 10.0 if rng.random() < 1 / 3 else None,
    }
    scored = Scored(ids, crops, _probabilities(rng, legend, codes[code], crops, model=kind != "no model"))
    return SmallSeason(kind, frame, farmed_by, scored, rules)


def _uneven(rng: np.random.Generator, size: int) -> Floats:
    share = rng.dirichlet(np.full(size, 1.5))
    return np.asarray(share / share.sum())


def _probabilities(
    rng: np.random.Generator, legend: Legend, grown: np.ndarray, crops: tuple[str, ...], *, model: bool
) -> np.ndarray:
    """[N, K] softmax of noise around what grows; NaN where nothing was seen."""
    logits = rng.normal(size=(len(grown), len(crops))) * rng.uniform(0.5, 2)
    skill = rng.choice([0.0, 2.0, 6.0, 12.0])
    for row, code in enumerate(grown):
        if (crop := legend.crop_of(code)) is not None:
            logits[row, crops.index(crop)] += skill
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    weight[rng.random(len(grown)) < (0.02 if model else 1.0)] = np.nan
    return np.asarray(weight, dtype=np.float32)


@dataclass(frozen=True)
class Outcome:
    kind: str
    stopped: str
    """the error that ended it; empty where none did"""
    unsafe: tuple[str, ...]
    """what a table that calls itself fit for publication gives away: `shown crop/region`, `follows crop/region`"""
    internal: tuple[Internal, ...]
    widened: int
    """how often more was hidden than the search had found"""
    cells: int
    hidden: int


def outcomes(seed: int, legend: Legend) -> list[Outcome]:
    """Of the season's table, and of its next release."""
    season = small_season(seed, legend)
    first, found = _outcome(season, legend, earlier=None)
    if seed % RELEASED_TWICE or first is None or found.internal:
        return [found]
    rng = np.random.default_rng(seed)
    lift = rng.uniform(1 - REVISION, 1 + REVISION, len(season.parcels))
    moved = season.parcels.assign(area_ha=season.parcels["area_ha"] * lift)
    earlier = EarlierRelease(f"season {seed}", first.table, first.report.disclosure.already_published)
    return [found, _outcome(replace(season, parcels=moved), legend, earlier=earlier)[1]]


def _outcome(
    season: SmallSeason, legend: Legend, *, earlier: EarlierRelease | None
) -> tuple[Estimated | None, Outcome]:
    try:
        made = estimate_areas(season.parcels, season.scored, legend, earlier=earlier, **season.rules)
    except Exception as error:  # whatever ends a season is counted
        return None, Outcome(season.kind, f"{type(error).__name__}: {error}", (), (), 0, 0, 0)
    internal = internal_reasons(made.report)
    unsafe = _given_away(season, legend, made, earlier) if not internal else _not_marked(made)
    hidden = int((made.table["conf_status"] == CONFIDENTIAL).sum())
    widened = len(made.report.disclosure.widened)
    return made, Outcome(season.kind, "", unsafe, internal, widened, len(made.table), hidden)


def _given_away(
    season: SmallSeason, legend: Legend, made: Estimated, earlier: EarlierRelease | None
) -> tuple[str, ...]:
    """Cells that are sensitive by who really farms them, and are shown or follow; hidden ones that follow."""
    true = estimate_areas(
        season.parcels.assign(holding_id=season.farmed_by),
        season.scored,
        legend,
        confidentiality=Confidentiality.PRIMARY,
        **season.rules,
    )
    names = made.table["crop"] + "/" + made.table["nuts_id"]
    assert (names == true.table["crop"] + "/" + true.table["nuts_id"]).all(), "the same table"
    sensitive = set(names[true.table["conf_status"] == CONFIDENTIAL])
    shown = set(names[made.table["conf_status"] != CONFIDENTIAL]) & sensitive
    follows = recovered(made.table, made.report.sum_members, earlier=earlier)
    given_up = set(made.report.disclosure.already_published)
    return (*(f"shown {name}" for name in sorted(shown)), *(f"follows {name}" for name in sorted(follows - given_up)))


def _not_marked(made: Estimated) -> tuple[str, ...]:
    """A table for internal use says so in every row."""
    open_ = ~made.table["conf_status"].isin([CONFIDENTIAL, NOT_FOR_PUBLICATION])
    return tuple(f"not marked {name}" for name in made.table["crop"][open_])


def measure_seasons(seeds: range) -> dict[str, Any]:
    legend = Legend.read(LEGEND)
    found: list[tuple[int, Outcome]] = []
    for seed in track(seeds, "seasons", total=len(seeds), unit="seasons"):
        found += [(seed, one) for one in outcomes(seed, legend)]
    every = [one for _, one in found]
    return {
        "seasons": len(seeds),
        "tables": len(every),
        "stopped": _count(one.stopped for one in every),
        "unsafe": _count(one.unsafe for one in every),
        "for_internal_use": _count(one.internal for one in every),
        "by_reason": dict(Counter(str(reason) for one in every for reason in one.internal)),
        "widened": _count(one.widened for one in every),
        "cells": sum(one.cells for one in every),
        "hidden": sum(one.hidden for one in every),
        "seeds_to_look_at": sorted(
            {seed for seed, one in found if one.stopped or one.unsafe or Internal.AUDIT_REFUSED in one.internal}
        ),
    }


def _count(found: Iterable[Any]) -> int:
    return sum(map(bool, found))
