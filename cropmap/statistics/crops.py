"""From model classes and declared codes to the crops that are published.

In: the legend, the model's classes, what was declared. Out: `Columns`, the published crops that partition the area,
and the sums beside them.

A class with several Eurostat items (corn: C1500 grain, G3000 green) is split by declared use: a parcel declared in
the class keeps its own item, everything else is split by the declared area shares of its region. Each item is
published, and their sum as `C1500+G3000`, whose error does not depend on the split. Where nobody declared a use (a
forecast), only the sum exists. A class without a Eurostat item is published as `local:<class>` so that crops add up to
the region; Eurostat's own catch-all items are never guessed.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.errors import InputError
from cropmap.legends import Legend, LegendEntry

LOCAL: Final = "local:"
AGGREGATES: Final = frozenset({"UAA", "ARA", "G0000", "J0000", "Q0000", "PECR"})
"""items whose area measure is the main area (strucpro MAR_THS_HA)"""
AREA: Final = "AR_THS_HA"
MAIN_AREA: Final = "MAR_THS_HA"
CONCEPTS: Final = Path(__file__).with_name("eurostat_concepts.csv")


@dataclass(frozen=True)
class Columns:
    crops: tuple[str, ...]
    """published crops that partition the area [J], sorted"""
    sums: tuple[tuple[int, ...], ...]
    """[S] members of each sum that is published besides"""
    links: NDArray[np.bool_]
    """[K, J]: which columns a model class feeds"""
    of_code: dict[str, int]
    """national code -> column"""

    @property
    def names(self) -> tuple[str, ...]:
        """All published crops: columns, then sums [J + S]."""
        return (*self.crops, *("+".join(self.crops[member] for member in sum_) for sum_ in self.sums))

    def with_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[..., J] -> [..., J + S]."""
        totals = [values[..., list(members)].sum(axis=-1, keepdims=True) for members in self.sums]
        return np.concatenate([values, *totals], axis=-1)


def columns(legend: Legend, classes: Sequence[str], used_codes: Collection[str]) -> Columns:
    """Columns for the model's `classes` and the national codes that were declared or reviewed."""
    entries = [_entry(legend, code) for code in sorted(used_codes)]
    used: dict[str, set[str]] = {name: set() for name in classes}
    for entry in entries:
        if entry.crop in used:
            used[entry.crop].add(_item(entry))
    feeds = {name: sorted(items) or [_sum_of_items(legend, name)] for name, items in used.items()}
    crops = tuple(sorted({_item(entry) for entry in entries} | {item for items in feeds.values() for item in items}))
    links = np.array([[crop in feeds[name] for crop in crops] for name in classes], dtype=bool)
    sums = sorted({tuple(np.flatnonzero(row).tolist()) for row in links if row.sum() > 1})
    return Columns(crops, tuple(sums), links, {entry.crop_code: crops.index(_item(entry)) for entry in entries})


def _entry(legend: Legend, code: str) -> LegendEntry:
    if code not in legend.by_code:
        raise InputError(
            f"crop code {code!r} is not in the legend", where=f"legend {legend.name}", mend="Add the code to the legend"
        )
    return legend.by_code[code]


def _item(entry: LegendEntry) -> str:
    return entry.eurostat_code or f"{LOCAL}{entry.crop or 'other'}"


def _sum_of_items(legend: Legend, name: str) -> str:
    return "+".join(legend.eurostat_codes_of(name)) or f"{LOCAL}{name}"


def concept(crop: str) -> str:
    """Area concept of EU 2023/1538: SA sown, MA main, HA harvested, PA production area. A sum of items has the
    concept its members share, else the main area."""
    found = {_concept(item) for item in crop.split("+")}
    return found.pop() if len(found) == 1 else "MA"


def strucpro(crop: str) -> str:
    """Eurostat's measure: area, or main area for aggregates and for what has no item."""
    return MAIN_AREA if crop in AGGREGATES or crop.startswith(LOCAL) else AREA


def _concept(item: str) -> str:
    if item.startswith(LOCAL):
        return "MA"
    table = _concepts()
    prefix = max((prefix for prefix in table if item.startswith(prefix)), key=len, default="")
    return table.get(prefix, "MA")


@cache
def _concepts() -> dict[str, str]:
    """Longest prefix wins; from the annexes of EU 2022/2379 and 2023/1538."""
    with CONCEPTS.open(encoding="utf-8") as file:
        return {row["prefix"]: row["concept"] for row in csv.DictReader(file)}
