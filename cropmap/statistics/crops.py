"""From model classes and declared codes to the crops that are published.

In: the legend, the model's classes, what was declared. Out: `Columns`, the published crops that partition the area,
and the sums beside them.

A class with several Eurostat items (corn: C1500 grain, G3000 green) is split by declared use: a parcel declared in
the class keeps its own item, everything else is split by the declared area shares of its region. Each item is
published, and the class besides, whose error does not depend on the split: as `C1500+G3000` up to three items, else
as `local:<class>`. Where no use is declared (a forecast), only the class exists.

Items are nested by their code (C1110 holds C1111). Where codes are declared at both depths, C1110 is published as the
sum of all of them, and what was declared no finer as `local:C1110_unspecified`. Codes without an item are published
as `local:<class>`, `local:<class>_unspecified` beside items of the class, or `local:other` without a class, so that
crops add up to the region; Eurostat's own catch-all items are never guessed.
"""

from __future__ import annotations

import csv
import re
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
UNSPECIFIED: Final = "_unspecified"
"""ends the name of what was declared no finer than a class"""
AGGREGATES: Final = frozenset({"UAA", "ARA", "G0000", "J0000", "Q0000", "PECR"})
"""items whose area measure is the main area (strucpro MAR_THS_HA)"""
AREA: Final = "AR_THS_HA"
MAIN_AREA: Final = "MAR_THS_HA"
JOINED_ITEMS: Final = 3
NESTED: Final = re.compile(r"[A-Z]\d{4}")
"""item codes that are nested by their digits"""
CONCEPTS: Final = Path(__file__).with_name("eurostat_concepts.csv")


@dataclass(frozen=True)
class Columns:
    crops: tuple[str, ...]
    """published crops that partition the area [J], sorted"""
    sums: tuple[tuple[int, ...], ...]
    """[S] members of each sum that is published besides"""
    sum_names: tuple[str, ...]
    """[S]"""
    links: NDArray[np.bool_]
    """[K, J]: which columns a model class feeds"""
    of_code: dict[str, int]
    """national code -> column"""

    @property
    def names(self) -> tuple[str, ...]:
        """All published crops: columns, then sums [J + S]."""
        return (*self.crops, *self.sum_names)

    def with_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[..., J] -> [..., J + S]."""
        totals = [values[..., list(members)].sum(axis=-1, keepdims=True) for members in self.sums]
        return np.concatenate([values, *totals], axis=-1)


def columns(legend: Legend, classes: Sequence[str], used_codes: Collection[str]) -> Columns:
    """Columns for the model's `classes` and the national codes that were declared or reviewed."""
    entries = [_entry(legend, code) for code in sorted(used_codes)]
    item = {entry.crop_code: _item(legend, entry) for entry in entries}
    used: dict[str, set[str]] = {name: set() for name in classes}
    for entry in entries:
        if entry.crop in used:
            used[entry.crop].add(item[entry.crop_code])
    feeds = {name: items or {_class_name(name, legend.eurostat_codes_of(name))} for name, items in used.items()}
    items = set(item.values()).union(*feeds.values())
    column = {label: _unspecified(label) if _narrower(label, items) else label for label in items}
    crops = tuple(sorted(column.values()))
    position = {label: crops.index(name) for label, name in column.items()}
    links = np.zeros((len(classes), len(crops)), dtype=bool)
    for row, name in zip(links, classes, strict=True):
        row[[position[label] for label in feeds[name]]] = True
    sums = {
        tuple(np.flatnonzero(row).tolist()): _class_name(name, [crops[place] for place in np.flatnonzero(row)])
        for row, name in zip(links, classes, strict=True)
        if row.sum() > 1
    } | {
        tuple(sorted(position[label] for label in {wide, *narrower})): wide
        for wide in sorted(items)
        if (narrower := _narrower(wide, items))
    }
    of_code = {code: position[label] for code, label in item.items()}
    return Columns(crops, tuple(sorted(sums)), tuple(sums[members] for members in sorted(sums)), links, of_code)


def _entry(legend: Legend, code: str) -> LegendEntry:
    if code not in legend.by_code:
        raise InputError(
            f"crop code {code!r} is not in the legend", where=f"legend {legend.name}", mend="Add the code to the legend"
        )
    return legend.by_code[code]


def _item(legend: Legend, entry: LegendEntry) -> str:
    if entry.eurostat_code:
        return entry.eurostat_code
    name = entry.crop or "other"
    return _unspecified(name) if entry.crop and legend.eurostat_codes_of(name) else f"{LOCAL}{name}"


def _unspecified(name: str) -> str:
    return f"{LOCAL}{name}{UNSPECIFIED}"


def _class_name(name: str, items: Sequence[str]) -> str:
    """A whole class: its items joined, or its own name where it has none, too many, or parts without an item."""
    named = 0 < len(items) <= JOINED_ITEMS and not any(item.startswith(LOCAL) for item in items)
    return "+".join(items) if named else f"{LOCAL}{name}"


def _narrower(wide: str, items: Collection[str]) -> set[str]:
    """Items of the code list that are nested in `wide`: its code without closing zeros begins theirs."""
    if not NESTED.fullmatch(wide):
        return set()
    return {item for item in items if item != wide and NESTED.fullmatch(item) and item.startswith(wide.rstrip("0"))}


def concept(crop: str) -> str:
    """Area concept of EU 2023/1538: SA sown, MA main, HA harvested, PA production area. A sum of items has the
    concept its members share, else the main area."""
    concepts = {_concept(item) for item in crop.split("+")}
    return concepts.pop() if len(concepts) == 1 else "MA"


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
