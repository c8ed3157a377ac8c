"""What changed since an earlier release, as rows that may be shown: a cell that is hidden now shows no figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from cropmap.reports.areas import CropAreas
from cropmap.reports.numbers import NONE, hectares, percent, signed
from cropmap.reports.report import Revisions

SHOWN: Final = 60
"""rows; the others are counted"""


@dataclass(frozen=True)
class RevisedRow:
    nuts_id: str
    crop: str
    label: str
    hidden: bool
    previous_ha: str
    estimate_ha: str
    change_ha: str
    change_share: str
    outside_interval: bool
    state: str


@dataclass(frozen=True)
class RevisionSummary:
    caption: str
    compared: int
    outside: int
    rows: tuple[RevisedRow, ...]
    """outside the earlier interval first, then the largest changes; hidden cells last"""
    not_shown: int


def revision_summary(revisions: Revisions, areas: CropAreas) -> RevisionSummary:
    """Rows of the report's own regions and crops."""
    labels = {crop.code: crop.label for crop in areas.crops}
    table = revisions.table
    keys = list(zip(table["nuts_id"], table["crop"], strict=True))
    table = table[[key in areas.cells for key in keys]]
    rows = [_row(row, areas, labels) for row in table.to_dict("records")]
    share = [
        -1.0 if one.hidden or pd.isna(row["change_share"]) else abs(float(row["change_share"]))
        for one, row in zip(rows, table.to_dict("records"), strict=True)
    ]
    order = sorted(
        range(len(rows)), key=lambda i: (not rows[i].outside_interval, -share[i], rows[i].nuts_id, rows[i].crop)
    )
    ordered = [rows[place] for place in order]
    return RevisionSummary(
        revisions.caption,
        compared=len(rows),
        outside=sum(row.outside_interval for row in rows),
        rows=tuple(ordered[:SHOWN]),
        not_shown=max(len(ordered) - SHOWN, 0),
    )


def _row(row: dict[Any, Any], areas: CropAreas, labels: dict[str, str]) -> RevisedRow:
    nuts_id, crop = str(row["nuts_id"]), str(row["crop"])
    hidden = areas.at(nuts_id, crop) is None
    outside = not hidden and not pd.isna(row["outside_interval"]) and bool(row["outside_interval"])

    def figure(name: str) -> float | None:
        return None if hidden or pd.isna(row[name]) else float(row[name])

    return RevisedRow(
        nuts_id, crop, labels.get(crop, crop), hidden,
        previous_ha="C" if hidden else hectares(figure("previous_ha")),
        estimate_ha="C" if hidden else hectares(figure("estimate_ha")),
        change_ha=NONE if hidden else signed(hectares(figure("change_ha"))),
        change_share=NONE if hidden else signed(percent(figure("change_share"))),
        outside_interval=outside,
        state="" if pd.isna(row["state"]) else str(row["state"]),
    )  # fmt: skip
