"""From open figures to the table that is released: what is hidden, and the attack on what is left.

In: the rows of every NUTS level with their contributors. Out: one table, and what the report says about it. One mask
hides a cell in all figures. The audit starts from the released table and uses nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.disclosure import Axis, Contributions, Figure, Rules, Structure
from cropmap.disclosure.audit import recoverable, recoverable_from_both
from cropmap.disclosure.tables import Floats, Integers, Mask
from cropmap.errors import DisclosureError
from cropmap.schemas import Confidentiality, Internal
from cropmap.statistics.confidentiality import NOT_FOR_PUBLICATION, STATEMENT, suppress
from cropmap.statistics.crops import Columns
from cropmap.statistics.hiding import EarlierRelease, hide
from cropmap.statistics.report import Disclosure, StatisticsReport
from cropmap.statistics.rows import Level

FIGURES: Final = {"estimate_ha": "assigned", "declared_ha": "declared", "mapped_ha": "mapped"}
"""additive columns, and whose areas make them up; the first sets the price of hiding a cell"""
NAMED: Final = 5


@dataclass(frozen=True)
class Protection:
    confidentiality: Confidentiality
    min_holdings: int
    min_holdings_nuts3: int
    rules: Rules
    earlier: EarlierRelease | None = None

    def stated(self) -> Disclosure:
        """The rules alone."""
        return Disclosure(
            mode=self.confidentiality,
            min_holdings=self.min_holdings,
            min_holdings_nuts3=self.min_holdings_nuts3,
            dominance=self.rules.dominance,
            p_percent=self.rules.p_percent,
            earlier_release=self.earlier.run_id if self.earlier else None,
        )


@dataclass(frozen=True)
class OpenTable:
    """A table before anything is hidden: what the office knows. For protection and for attacks; it is never written."""

    rows: pd.DataFrame
    """STATISTIC_COLUMNS without conf_status, in the order of cells"""
    structure: Structure
    figures: tuple[Figure, ...]
    """FIGURES, with what each holding contributes"""
    needed: Integers
    """[cells] holdings below which a cell is sensitive"""
    holdings_known: bool
    sums: dict[str, tuple[str, ...]]
    """members of the crops that are sums"""


def open_table(levels: Iterable[Level], cols: Columns, protection: Protection) -> OpenTable:
    """Levels that come one after the other are forgotten when their contributions are stacked."""
    held = list(levels)
    rows = pd.concat([level.rows for level in held], ignore_index=True)
    structure = Structure(_crops(cols), region_axis([code for level in held for code in level.regions]))
    needed = np.concatenate(
        [
            np.full(len(level.rows), protection.min_holdings_nuts3 if level.level == 3 else protection.min_holdings)
            for level in held
        ]
    )
    holdings_known, cells = held[0].contributors.holdings_known, [level.contributors.cells for level in held]
    parts = {name: [getattr(level.contributors, of) for level in held] for name, of in FIGURES.items()}
    del held
    figures = tuple(Figure(name, rows[name].to_numpy(float), _stacked(parts.pop(name), cells)) for name in FIGURES)
    sums = {name: tuple(cols.crops[place] for place in members) for name, members in _named_sums(cols)}
    return OpenTable(rows, structure, figures, needed, holdings_known, sums)


def released(levels: Iterable[Level], cols: Columns, protection: Protection) -> tuple[pd.DataFrame, StatisticsReport]:
    """(STATISTIC_COLUMNS by level, region and crop; what the report says of its protection).

    A table that cannot be protected is hidden further until it passes its audit; where nothing helps, or where no
    parcel names its holding, every row is marked as not for publication and the report says why (`internal`).
    """
    table = open_table(levels, cols, protection)
    rows, structure, figures, needed, sums = table.rows, table.structure, table.figures, table.needed, table.sums
    mode, rules = protection.confidentiality, protection.rules
    disclosure = Disclosure()
    internal: list[Internal] = []
    if mode == Confidentiality.FULL:
        unknown = [] if table.holdings_known else [Internal.HOLDINGS_UNKNOWN]
        hiding = hide(
            structure,
            figures,
            needed,
            rules,
            earlier=protection.earlier,
            attack=lambda mask: recovered(_table(rows, mask), sums, earlier=protection.earlier),
        )
        hidden, internal = hiding.hidden, [*unknown, *hiding.internal]
        disclosure = hiding.report.joined(Disclosure(internal=tuple(internal)))
    else:
        hidden = np.zeros(structure.cells, dtype=bool)
        if mode == Confidentiality.PRIMARY:
            hidden = np.logical_or.reduce([rules.sensitive(figure.contributions, needed) for figure in figures])
            disclosure = Disclosure(primary_cells=int(hidden.sum()))
    public = mode == Confidentiality.FULL and not internal
    published = _table(rows, hidden, others=None if public else NOT_FOR_PUBLICATION)
    return published, StatisticsReport(
        confidentiality="; ".join(STATEMENT[reason] for reason in internal) or STATEMENT[mode],
        confidential_cells=int(hidden.sum()),
        sum_members=sums,
        disclosure=protection.stated().joined(disclosure),
    )


def _table(rows: pd.DataFrame, hidden: Mask, *, others: str | None = None) -> pd.DataFrame:
    table = suppress(rows, hidden, others=others)[list(STATISTIC_COLUMNS)]
    return table.sort_values(["level", "nuts_id", "crop"], kind="stable", ignore_index=True)


def audit(
    table: pd.DataFrame,
    sums: Mapping[str, Sequence[str]],
    *,
    earlier: EarlierRelease | None = None,
    known: Iterable[str] = (),
) -> None:
    """Attacks a released table, alone and together with an earlier release: raises DisclosureError where the figure of
    a hidden cell follows. `sums`: members of the crops that are sums. `known`: crop/region that cannot be kept."""
    if given_away := sorted(recovered(table, sums, earlier=earlier) - set(known)):
        raise DisclosureError(
            f"{len(given_away)} hidden cells can be recovered: {', '.join(given_away[:NAMED])}",
            where=f"the table together with release {earlier.run_id}" if earlier else "the table",
            mend="It is not for publication: hide more",
        )


def recovered(
    table: pd.DataFrame, sums: Mapping[str, Sequence[str]], *, earlier: EarlierRelease | None = None
) -> set[str]:
    """crop/region of every hidden cell of which a figure follows from the table, or from it and an earlier release.
    Knows the table alone. Raises DisclosureError where a programme is not solved."""
    names = sorted(set(table["crop"]))
    items = [name for name in names if name not in sums]
    crops = Axis.sums(items, [(name, [items.index(member) for member in sums[name]]) for name in names if name in sums])
    structure = Structure(crops, region_axis(sorted(set(table["nuts_id"]))))
    cells: set[int] = set()
    for figure in FIGURES:
        now = _published(structure, table, figure)
        cells |= set(recoverable(structure, now).tolist())
        if earlier is not None:
            cells |= set(recoverable_from_both(structure, now, _published(structure, earlier.table, figure)).tolist())
    return {structure.name(cell) for cell in cells}


def region_axis(codes: Sequence[str]) -> Axis:
    """NUTS codes of all levels; a code without its last letter is its parent."""
    inside = set(codes)
    return Axis.tree({code: code[:-1] if code[:-1] in inside else None for code in codes})


def _crops(cols: Columns) -> Axis:
    return Axis.sums(cols.crops, _named_sums(cols))


def _named_sums(cols: Columns) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(cols.sum_names, cols.sums, strict=True))


def _stacked(parts: Sequence[Contributions], cells: Sequence[int]) -> Contributions:
    """The contributions of all levels, each of so many cells, one below the other as the rows are."""
    offset = np.cumsum([0, *cells]).tolist()
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
