"""Revisions since an earlier release, as rows that may be shown: a hidden cell shows no figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from cropmap.reports.areas import CropAreas
from cropmap.reports.numbers import NONE, hectares, percent, signed
from cropmap.reports.report import Revisions
from cropmap.schemas import Revision

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
    """cells that both releases show"""
    hidden: int
    """cells that one of the two hides, or both: counted, not listed"""
    outside: int
    rows: tuple[RevisedRow, ...]
    """what differs: outside the earlier interval first, then the largest changes"""
    not_shown: int


def revision_summary(revisions: Revisions, areas: CropAreas) -> RevisionSummary:
    """Rows of the report's own regions and crops."""
    labels = {crop.code: crop.label for crop in areas.crops}
    keys = zip(revisions.table["nuts_id"], revisions.table["crop"], strict=True)
    table = revisions.table[[key in areas.cells for key in keys]].to_dict("records")
    rows = [_row(row, areas, labels) for row in table]
    apart = (Revision.UNCHANGED, Revision.CONFIDENTIAL)
    changed = [
        (row, -_size(change, row))
        for row, change in zip(rows, table, strict=True)
        if row.state not in apart and not row.hidden
    ]
    changed.sort(key=lambda pair: (not pair[0].outside_interval, pair[1], pair[0].nuts_id, pair[0].crop))
    return RevisionSummary(
        revisions.caption,
        compared=sum(not (row.hidden or pd.isna(change["change_ha"])) for row, change in zip(rows, table, strict=True)),
        hidden=sum(row.state == Revision.CONFIDENTIAL or row.hidden for row in rows),
        outside=sum(row.outside_interval for row in rows),
        rows=tuple(row for row, _ in changed[:SHOWN]),
        not_shown=max(len(changed) - SHOWN, 0),
    )


def _size(change: dict[Any, Any], row: RevisedRow) -> float:
    """Sort key of a row: the share that changed; rows that are hidden or unknown come after all others."""
    return -1.0 if row.hidden or pd.isna(change["change_share"]) else abs(float(change["change_share"]))


def _row(row: dict[Any, Any], areas: CropAreas, labels: dict[str, str]) -> RevisedRow:
    nuts_id, crop = str(row["nuts_id"]), str(row["crop"])
    hidden = areas.at(nuts_id, crop) is None
    outside = not hidden and not pd.isna(row["outside_interval"]) and bool(row["outside_interval"])

    def figure(name: str) -> float | None:
        return None if hidden or pd.isna(row[name]) else float(row[name])

    return RevisedRow(
        nuts_id,
        crop,
        labels.get(crop, crop),
        hidden,
        previous_ha="C" if hidden else hectares(figure("previous_ha")),
        estimate_ha="C" if hidden else hectares(figure("estimate_ha")),
        change_ha=NONE if hidden else signed(hectares(figure("change_ha"))),
        change_share=NONE if hidden else signed(percent(figure("change_share"))),
        outside_interval=outside,
        state="" if pd.isna(row["state"]) else str(row["state"]),
    )
