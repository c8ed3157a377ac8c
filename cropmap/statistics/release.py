"""From open figures to the table that is released: what is hidden, and the attack on what is left.

In: the rows of every NUTS level with their contributors. Out: one table, and what the report says about it. One mask
hides a cell in all figures. The audit starts from the released table and knows nothing of how it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.disclosure import Axis, Contributions, Earlier, Figure, Rules, Structure, check, protect
from cropmap.disclosure.audit import Track, recoverable, recoverable_from_both
from cropmap.disclosure.tables import Floats, Integers, Mask
from cropmap.errors import DisclosureError
from cropmap.progress import track
from cropmap.schemas import STATISTIC_COLUMNS, Confidentiality
from cropmap.statistics.confidentiality import CONFIDENTIAL, NOT_FOR_PUBLICATION, STATEMENT, suppress
from cropmap.statistics.crops import Columns
from cropmap.statistics.rows import Level

FIGURES: Final = {"estimate_ha": "assigned", "declared_ha": "declared", "mapped_ha": "mapped"}
"""additive columns, and whose areas make them up; the first sets the price of hiding a cell"""
INTERVAL_CELLS: Final = 12_000
"""up to here every sensitive cell's interval is solved for: how long that takes is measured so far"""
TRACKED_CELLS: Final = 1_000
"""smaller tables are done before a bar is drawn"""
NAMED: Final = 5


@dataclass(frozen=True)
class EarlierRelease:
    """What was published of this season before."""

    run_id: str
    table: pd.DataFrame
    """nuts_id, crop, conf_status, and the figures of FIGURES"""
    known: tuple[str, ...] = ()
    """crop/region that it hid although a still earlier release showed them"""

    def on(self, structure: Structure) -> Earlier:
        hidden = {
            (crop, region): status == CONFIDENTIAL and f"{crop}/{region}" not in self.known
            for crop, region, status in zip(
                self.table["crop"], self.table["nuts_id"], self.table["conf_status"], strict=True
            )
        }
        return Earlier.of(structure, hidden)


@dataclass(frozen=True)
class Protection:
    confidentiality: Confidentiality
    min_holdings: int
    min_holdings_nuts3: int
    rules: Rules
    earlier: EarlierRelease | None = None

    def parameters(self) -> dict[str, Any]:
        return {
            "mode": str(self.confidentiality),
            "min_holdings": self.min_holdings,
            "min_holdings_nuts3": self.min_holdings_nuts3,
            "dominance": list(self.rules.dominance),
            "p_percent": self.rules.p_percent,
            "earlier_release": self.earlier.run_id if self.earlier else None,
        }


def released(levels: Sequence[Level], cols: Columns, protection: Protection) -> tuple[pd.DataFrame, dict[str, Any]]:
    """(STATISTIC_COLUMNS by level, region and crop; what the report says). Raises DisclosureError."""
    rows = pd.concat([level.rows for level in levels], ignore_index=True)
    structure = Structure(_crops(cols), region_axis([code for level in levels for code in level.regions]))
    needed = np.concatenate(
        [
            np.full(len(level.rows), protection.min_holdings_nuts3 if level.level == 3 else protection.min_holdings)
            for level in levels
        ]
    )
    figures = [Figure(name, rows[name].to_numpy(float), _stacked(levels, of)) for name, of in FIGURES.items()]
    hidden, found = _hidden(structure, figures, needed, protection)
    open_status = None if protection.confidentiality == Confidentiality.FULL else NOT_FOR_PUBLICATION
    table = suppress(rows, hidden, others=open_status)[list(STATISTIC_COLUMNS)]
    table = table.sort_values(["level", "nuts_id", "crop"], kind="stable", ignore_index=True)
    sums = {name: [cols.crops[place] for place in members] for name, members in _named_sums(cols)}
    if protection.confidentiality == Confidentiality.FULL:
        audit(table, sums, earlier=protection.earlier, known=found["already_published"])
    return table, {
        "confidentiality": STATEMENT[protection.confidentiality],
        "confidential_cells": int(hidden.sum()),
        "sum_members": sums,
        "disclosure": protection.parameters() | found,
    }


def audit(
    table: pd.DataFrame,
    sums: dict[str, list[str]],
    *,
    earlier: EarlierRelease | None = None,
    known: Iterable[str] = (),
) -> None:
    """Attacks a released table, alone and together with an earlier release: raises DisclosureError where the figure of
    a hidden cell follows. `sums`: members of the crops that are sums. `known`: crop/region that cannot be kept."""
    names = sorted(set(table["crop"]))
    items = [name for name in names if name not in sums]
    crops = Axis.sums(items, [(name, [items.index(one) for one in sums[name]]) for name in names if name in sums])
    structure = Structure(crops, region_axis(sorted(set(table["nuts_id"]))))
    for figure in FIGURES:
        now = _published(structure, table, figure)
        found = set(recoverable(structure, now).tolist())
        if earlier is not None:
            found |= set(recoverable_from_both(structure, now, _published(structure, earlier.table, figure)).tolist())
        if given_away := sorted({structure.name(cell) for cell in found} - set(known)):
            shown = ", ".join(given_away[:NAMED])
            raise DisclosureError(
                f"{figure} of {len(given_away)} hidden cells can be recovered: {shown}",
                where=f"the table together with release {earlier.run_id}" if earlier else "the table",
                mend="It is not released. Set statistics.confidentiality to primary for internal use, and report the "
                "cells",
            )  # fmt: skip


def region_axis(codes: Sequence[str]) -> Axis:
    """NUTS codes of all levels; a code without its last letter is its parent."""
    inside = set(codes)
    return Axis.tree({code: code[:-1] if code[:-1] in inside else None for code in codes})


def _hidden(
    structure: Structure, figures: Sequence[Figure], needed: Integers, protection: Protection
) -> tuple[Mask, dict[str, Any]]:
    rules, mode = protection.rules, protection.confidentiality
    if mode == Confidentiality.OFF:
        return np.zeros(structure.cells, dtype=bool), {}
    if mode == Confidentiality.PRIMARY:
        masks = [rules.sensitive(figure.contributions, needed) for figure in figures]
        mask = np.logical_or.reduce(masks)
        return mask, {"primary_cells": int(mask.sum())}
    earlier = protection.earlier.on(structure) if protection.earlier else None
    solved = structure.cells <= INTERVAL_CELLS
    pattern = protect(structure, figures, needed, rules, earlier=earlier, track=_shown("suppress"))
    checked = check(structure, figures, pattern, needed, rules, intervals=solved, track=_shown("audit"))
    if not checked.safe:
        worst = {name: cells for name, cells in vars(checked).items() if cells}
        raise DisclosureError(
            "; ".join(f"{name}: {', '.join(cells[:NAMED])}" for name, cells in worst.items()),
            where="secondary suppression",
            mend="It is not released. Set statistics.confidentiality to primary for internal use, and report the cells",
        )
    reasons, counts = np.unique(pattern.reason[pattern.primary].astype(str), return_counts=True)
    return pattern.hidden, {
        "primary_cells": int(pattern.primary.sum()),
        "primary_by_rule": dict(zip(reasons.tolist(), counts.tolist(), strict=True)),
        "secondary_cells": int(pattern.secondary.sum()),
        "already_published": [structure.name(cell) for cell in np.flatnonzero(pattern.already_published).tolist()],
        "weakened": [structure.name(cell) for cell in np.flatnonzero(pattern.weakened).tolist()],
        "known_to_one": [structure.name(cell) for cell in np.flatnonzero(pattern.known_to_one).tolist()],
        "audit": checked.counts() | {"intervals_solved": solved},
    }


def _shown(step: str) -> Track:
    def shown(cells: Iterable[int], total: int) -> Iterable[int]:
        return track(cells, step, total=total, unit="cells") if total > TRACKED_CELLS else cells

    return shown


def _crops(cols: Columns) -> Axis:
    return Axis.sums(cols.crops, _named_sums(cols))


def _named_sums(cols: Columns) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(cols.sum_names, cols.sums, strict=True))


def _stacked(levels: Sequence[Level], of: str) -> Contributions:
    """The contributions of all levels, one below the other as the rows are."""
    offset = np.cumsum([0] + [level.contributors.cells for level in levels])
    parts: list[Contributions] = [getattr(level.contributors, of) for level in levels]
    cell = np.concatenate([part.cell + shift for part, shift in zip(parts, offset, strict=False)])
    return Contributions(
        cell, np.concatenate([part.holding for part in parts]), np.concatenate([part.area for part in parts])
    )


def _published(structure: Structure, table: pd.DataFrame, figure: str) -> Floats:
    """[cells] the figure where the table shows it, NaN elsewhere."""
    shown = pd.Series(
        table[figure].to_numpy(float, na_value=np.nan),
        index=pd.MultiIndex.from_arrays([table["nuts_id"], table["crop"]]),
    )
    cells = pd.MultiIndex.from_product([structure.regions.codes, structure.crops.codes])
    return shown.reindex(cells).to_numpy(float)
