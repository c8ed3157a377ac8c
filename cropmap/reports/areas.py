"""Published rows as the report shows them: regions of a head region, crops by size, cells with or without figures.

Hidden cells lose their figures here. Crops are ordered by their estimate in the head region; crops that are hidden
there follow by name, because their position would reveal their size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.schemas import HIDDEN_STATUSES
from cropmap.statistics.crops import LOCAL, UNSPECIFIED

LEAST_DRAWN_HA: Final = 0.1
"""a crop with less has no bar that could be seen, and its map would compare noise"""


@dataclass(frozen=True)
class Figures:
    declared_ha: float | None
    estimate_ha: float
    se_ha: float | None
    ci95_low_ha: float | None
    ci95_high_ha: float | None
    cv: float | None
    """share of the estimate"""


@dataclass(frozen=True)
class Cell:
    nuts_id: str
    crop: str
    concept: str
    """SA, MA, HA or PA (EU 2023/1538)"""
    figures: Figures | None
    """None: confidential"""
    basis: str = ""
    flag: str = ""


@dataclass(frozen=True)
class Region:
    nuts_id: str
    name: str

    @property
    def level(self) -> int:
        return len(self.nuts_id) - 2


@dataclass(frozen=True)
class Crop:
    code: str
    label: str
    members: tuple[str, ...] = ()
    """labels of the crops that it is the sum of; none for a crop that is a part of the area itself"""


@dataclass(frozen=True)
class CropAreas:
    head: Region
    regions: tuple[Region, ...]
    """the head and all regions below it, by level and code"""
    crops: tuple[Crop, ...]
    """the largest in the head region first"""
    cells: Mapping[tuple[str, str], Cell]
    """(nuts_id, crop) -> cell; a crop that a region does not have is missing"""

    def at(self, nuts_id: str, crop: str) -> Figures | None:
        """None where the cell is hidden or there is none."""
        cell = self.cells.get((nuts_id, crop))
        return cell.figures if cell else None

    def of(self, region: Region) -> list[tuple[Crop, Cell]]:
        """The rows of one region: what is shown in the order of crops, then what is hidden."""
        rows = ((crop, self.cells.get((region.nuts_id, crop.code))) for crop in self.crops)
        return sorted([(crop, cell) for crop, cell in rows if cell is not None], key=lambda row: row[1].figures is None)

    @cached_property
    def hidden(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells.values() if cell.figures is None)

    @cached_property
    def finest(self) -> tuple[Region, ...]:
        """The regions of the lowest level, which a map shows."""
        lowest = max(region.level for region in self.regions)
        return tuple(region for region in self.regions if region.level == lowest)

    @cached_property
    def drawn(self) -> tuple[Crop, ...]:
        """Crops for maps and bars: shown in the head region with at least LEAST_DRAWN_HA, and no sum beside its
        parts."""
        shown = {crop.label for crop in self.crops if self._size(crop)}
        return tuple(crop for crop in self.crops if self._size(crop) and not shown & set(crop.members))

    def _size(self, crop: Crop) -> float:
        figures = self.at(self.head.nuts_id, crop.code)
        return figures.estimate_ha if figures and figures.estimate_ha >= LEAST_DRAWN_HA else 0.0


def head_region(codes: Collection[str], *, asked: str | None) -> str | None:
    """The region that a report is about: the one asked for, else the smallest that holds all others. None where the
    published regions have none in common."""
    if asked in codes:
        return asked
    lowest = max(len(code) for code in codes)
    finest = [code for code in codes if len(code) == lowest]
    holding = [code for code in codes if all(region.startswith(code) for region in finest)]
    return max(holding, key=len, default=None)


def crop_areas(
    rows: pd.DataFrame,
    *,
    head: str,
    names: Mapping[str, str],
    items: Mapping[str, str],
    sums: Mapping[str, Sequence[str]],
) -> CropAreas:
    """`rows`: STATISTIC_COLUMNS of regions of one season, each (nuts_id, crop) once. `names`: of regions, by code.
    `items`: labels of Eurostat's crop items. `sums`: members of the crops that are sums.

    Rows of regions outside `head` are left out. Figures of cells marked C or P are never read.
    """
    inside = rows[rows["nuts_id"].str.startswith(head)]
    cells = {(cell.nuts_id, cell.crop): cell for cell in map(_cell, inside.to_dict("records"))}
    codes = sorted({nuts_id for nuts_id, _ in cells}, key=lambda code: (len(code), code))

    def place(code: str) -> tuple[float, str]:
        cell = cells.get((head, code))
        return (-(cell.figures.estimate_ha if cell and cell.figures else -1.0), code)

    crops = sorted({crop for _, crop in cells}, key=place)
    return CropAreas(
        head=Region(head, names.get(head, "")),
        regions=tuple(Region(code, names.get(code, "")) for code in codes),
        crops=tuple(
            Crop(code, crop_label(code, items), tuple(crop_label(member, items) for member in sums.get(code, ())))
            for code in crops
        ),
        cells=cells,
    )


def crop_label(code: str, items: Mapping[str, str]) -> str:
    """A published crop in words: Eurostat's label, the labels of a sum, or the agency's own class."""
    if "+" in code:
        return " + ".join(crop_label(part, items) for part in code.split("+"))
    if code.startswith(LOCAL):
        name = code.removeprefix(LOCAL)
        use = ", use not specified" if name.endswith(UNSPECIFIED) else ""
        name = name.removesuffix(UNSPECIFIED)
        words = items.get(name) or name.replace("_", " ")
        return f"{words[:1].upper()}{words[1:]}{use}"
    return items.get(code) or code


def _cell(row: Mapping[Any, Any]) -> Cell:
    words = {"nuts_id": str(row["nuts_id"]), "crop": str(row["crop"]), "concept": str(row["concept"] or "")}
    if row["conf_status"] in HIDDEN_STATUSES:
        return Cell(**words, figures=None)
    names = ("declared_ha", "se_ha", "ci95_low_ha", "ci95_high_ha", "cv")
    values = {name: None if pd.isna(row[name]) else float(row[name]) for name in names}
    if pd.isna(row["estimate_ha"]) or not np.isfinite(row["estimate_ha"]):
        return Cell(**words, figures=None)
    figures = Figures(estimate_ha=float(row["estimate_ha"]), **values)
    flag = row["obs_flag"]
    return Cell(**words, figures=figures, basis=str(row["basis"] or ""), flag="" if pd.isna(flag) else str(flag))
