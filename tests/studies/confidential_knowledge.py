"""What somebody has read of every run, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.studies.confidential_attack import ContradictionError, Edition
from tests.studies.confidential_reading import Rows, Tells, is_number, meaning

CLOSE: Final = 1e-9


@dataclass
class Knowledge:
    editions: dict[str, Edition] = field(default_factory=dict)
    """by run"""
    texts: dict[str, set[str]] = field(default_factory=dict)
    figures: int = 0
    """how many were read"""
    _latest: str = ""

    def take(self, rows: Rows, *, read: bool = True) -> None:
        """Raises NotThoughtOfError for a column that nobody has said the meaning of. `read`: the rows reach the role
        as they are; else the API answers from them."""
        of_cells = {"nuts_id", "crop"} <= set(rows.columns)
        told = {name: meaning(name, of_cells=of_cells) for name in rows.columns}
        if not read or not set(told.values()) & {Tells.FIGURE, Tells.TOTAL, Tells.TEXT}:
            return
        for record in rows.records():
            run_id = str(record.get("run_id") or self._latest)
            self._latest = run_id
            edition = self.editions.setdefault(run_id, Edition()) if of_cells else self.editions.get(run_id)
            if of_cells:
                assert edition is not None
                self._take_cell(edition, record, told)
                continue
            for name, tells in told.items():
                if tells is Tells.TEXT and record[name]:
                    self.texts.setdefault(run_id, set()).add(str(record[name]))
                elif tells is Tells.TOTAL and is_number(record[name]):
                    self.figures += 1
                    self.editions.setdefault(run_id, Edition()).totals[name] = float(record[name])

    def _take_cell(self, edition: Edition, record: dict[str, Any], told: dict[str, Tells]) -> None:
        cell = (str(record["nuts_id"]), str(record["crop"]))
        shown = edition.cells.setdefault(cell, {})
        words = edition.words.setdefault(cell, {})
        for name, tells in told.items():
            value = record[name]
            if tells is Tells.FIGURE and is_number(value):
                self.figures += 1
                known = shown.setdefault(name, float(value))
                if abs(known - float(value)) > CLOSE * max(abs(known), 1.0):
                    raise ContradictionError(f"{name} of {cell} is {known} and {value}")
            elif tells is Tells.WORD and value is not None:
                words[name] = str(value)

    def take_shares(self, run_id: str, shares: dict[str, tuple[float, float]]) -> None:
        if run_id in self.editions:
            self.editions[run_id].shares |= shares
