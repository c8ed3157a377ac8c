"""Which parcels people review: a simple random sample inside the list, a stratified random control of all the rest.

In: a run's assessments and a budget. Out: `Sample`, with the probability that each parcel had, and the list lengths
that certification will test. Everything follows from scores, regions and the seed; no finding is used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments.channel import Floats
from cropmap.schemas import ReviewPart, Verdict

SAMPLE_COLUMNS: Final = ("parcel_id", "part", "stratum", "stratum_size", "list_rank", "inclusion_probability")
GRID_POINTS: Final = 10
GRID_START: Final = 0.4
"""the shortest list that is tested, as a share of the whole: shorter ones hold too few reviews"""
GRID_STRICT: Final = 0.3
"""or the list at this share of the target, where that is longer (`declaration-flags.md` §5)"""
STRATIFIED_BY: Final = ("verdict", "crop_group", "nuts_id")
"""of the control, the coarsest first: cells too small for their minimum join over the last, then over the last two"""
MIN_PER_STRATUM: Final = 2
OTHER: Final = "other"


@dataclass(frozen=True)
class Sample:
    table: pd.DataFrame
    """SAMPLE_COLUMNS, sorted by parcel_id; list_rank (1: the likeliest mismatch) is missing in the control"""
    list_size: int
    grid: tuple[int, ...]
    """ascending list lengths, the last is the whole list; empty where there is none"""


def draw_sample(assessed: pd.DataFrame, *, budget: int, list_share: float, target: float | None, seed: int) -> Sample:
    """Draws `budget` parcels of `assessed` (parcel_id, verdict, right_probability, crop_group, nuts_id).

    A list shorter than its share is reviewed whole and leaves the difference to the control. The order of the rows does
    not matter; the same seed draws the same parcels.
    """
    rng = np.random.default_rng([seed, budget])
    ordered = assessed if assessed["parcel_id"].is_monotonic_increasing else assessed.sort_values("parcel_id")
    on_list = ordered["verdict"].to_numpy() == str(Verdict.MISMATCH)
    listed = by_rank(ordered[on_list])
    drawn = min(round(budget * list_share), len(listed))
    rest = ordered[~on_list]
    parts = [_list_part(listed, drawn, rng), _control_part(rest, min(budget - drawn, len(rest)), rng)]
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table["list_rank"] = table["list_rank"].astype("Int64")
    grid = list_grid(listed["right_probability"].to_numpy(float), target) if target and len(listed) else ()
    return Sample(table.sort_values("parcel_id", ignore_index=True)[list(SAMPLE_COLUMNS)], len(listed), grid)


def by_rank(listed: pd.DataFrame) -> pd.DataFrame:
    """A list (parcel_id, right_probability) in the order of `list_rank`: the likeliest mismatch first."""
    ordered = listed.sort_values("parcel_id")
    return ordered.sort_values("right_probability", kind="stable", ignore_index=True)


def list_grid(right: Floats, target: float) -> tuple[int, ...]:
    """List lengths to test, from the list's own P(right) in ascending order."""
    mean = np.cumsum(right) / np.arange(1, len(right) + 1)
    strict = int(np.searchsorted(mean, GRID_STRICT * target, side="right"))
    first = max(int(np.ceil(GRID_START * len(right))), strict, 1)
    return tuple(np.unique(np.linspace(first, len(right), GRID_POINTS).round().astype(int)).tolist())


def control_strata(rest: pd.DataFrame, draws: int) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """([N] stratum, names): the finest of verdict / crop group / region that gets the minimum of the draws."""
    enough = MIN_PER_STRATUM * len(rest) / max(draws, 1)
    coded = [_coded(rest[column]) for column in STRATIFIED_BY]
    names: list[str] = []
    stratum, open_ = np.zeros(len(rest), np.intp), np.arange(len(rest))
    for width in range(len(coded), 0, -1):
        shape = [len(words) for _, words in coded[:width]]
        cell = np.ravel_multi_index(tuple(codes[open_] for codes, _ in coded[:width]), shape)
        size = np.bincount(cell, minlength=1)
        large = np.flatnonzero((size >= enough) & (size > 0))
        number = np.full(len(size), -1)
        number[large] = len(names) + np.arange(len(large))
        stratum[open_] = number[cell]
        names += [_stratum_name(coded, np.unravel_index(flat, shape)) for flat in large]
        open_ = open_[number[cell] < 0]
    if len(open_):
        stratum[open_] = len(names)
        names.append(_stratum_name(coded, ()))
    return stratum, tuple(names)


def _coded(column: pd.Series[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """(code, words): what has no word is OTHER."""
    codes, words = pd.factorize(column, sort=True)
    return np.where(codes < 0, len(words), codes), [*words, OTHER]


def _stratum_name(coded: Sequence[tuple[Any, Any]], place: Sequence[Any]) -> str:
    words = [str(words[at]) for (_, words), at in zip(coded, place, strict=False)]
    return " / ".join([*words, *[OTHER] * (len(coded) - len(words))])


def allocate(sizes: NDArray[np.int64], draws: int) -> NDArray[np.int64]:
    """[H] draws per stratum: proportional to its size, at least the minimum where the draws suffice, never more than it
    has; they add up."""
    quota = draws * sizes / sizes.sum()
    drawn: NDArray[np.int64] = np.minimum(np.maximum(np.floor(quota).astype(np.int64), MIN_PER_STRATUM), sizes)
    while drawn.sum() < draws:
        drawn[np.where(drawn < sizes, quota - drawn, -np.inf).argmax()] += 1
    while drawn.sum() > draws:
        spared = MIN_PER_STRATUM if (drawn > MIN_PER_STRATUM).any() else 1
        drawn[np.where(drawn > spared, drawn - quota, -np.inf).argmax()] -= 1
    return drawn


def _list_part(listed: pd.DataFrame, drawn: int, rng: np.random.Generator) -> pd.DataFrame:
    place = np.sort(rng.permutation(len(listed))[:drawn])
    return pd.DataFrame(
        {
            "parcel_id": listed["parcel_id"].iloc[place].to_numpy(),
            "part": str(ReviewPart.LIST),
            "stratum": "list",
            "stratum_size": len(listed),
            "list_rank": place + 1,
            "inclusion_probability": drawn / max(len(listed), 1),
        }
    )


def _control_part(rest: pd.DataFrame, drawn: int, rng: np.random.Generator) -> pd.DataFrame:
    if drawn == 0:
        return pd.DataFrame(columns=list(SAMPLE_COLUMNS))
    stratum, names = control_strata(rest, drawn)
    sizes = np.bincount(stratum, minlength=len(names))
    per_stratum = allocate(sizes, drawn)
    shuffled = rng.permutation(len(rest))
    shuffled = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    first = np.cumsum(sizes) - sizes
    place = np.concatenate([shuffled[start : start + n] for start, n in zip(first, per_stratum, strict=True)])
    here = stratum[place]
    return pd.DataFrame(
        {
            "parcel_id": rest["parcel_id"].iloc[place].to_numpy(),
            "part": str(ReviewPart.CONTROL),
            "stratum": np.array(names, dtype=object)[here],
            "stratum_size": sizes[here],
            "list_rank": pd.NA,
            "inclusion_probability": (per_stratum / sizes)[here],
        }
    )
