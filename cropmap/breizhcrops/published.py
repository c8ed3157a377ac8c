"""Published BreizhCrops figures, and the table that puts a run beside them.

Blank where a figure belongs to another legend, level, year or region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from cropmap.breizhcrops.columns import Level
from cropmap.model.evaluation import Evaluation
from cropmap.schemas import Architecture

FOUR: Final = 4
"""regions of the published splits"""
FIGURES: Final = ("oa", "kappa", "mean_f1", "mean_precision", "mean_recall")
ALL: Final = "mean of the four regions"


class ResultRow(TypedDict):
    """Means are over the classes that have parcels; None where they were not published, or are not comparable."""

    result: str
    comparable: bool
    """False: of another legend, level, year or region"""
    n: int | None
    """parcels"""
    oa: float | None
    kappa: float | None
    mean_f1: float | None
    mean_precision: float | None
    mean_recall: float | None


@dataclass(frozen=True)
class Published:
    """Figures that others printed; None where they printed none."""

    source: str
    architecture: Architecture
    classes: int
    test: str
    """a region, or ALL"""
    oa: float
    kappa: float
    mean_f1: float | None = None

    def row(self, *, comparable: bool) -> ResultRow:
        """A line of the table: without figures where they belong to another legend, level, year or region."""
        return {
            "result": f"{self.source}: {self.classes} classes, L1C 2017, {self.test}",
            "comparable": comparable,
            "n": None,
            "oa": self.oa if comparable else None,
            "kappa": self.kappa if comparable else None,
            "mean_f1": self.mean_f1 if comparable else None,
            "mean_precision": None,
            "mean_recall": None,
        }


PAPER, TALK = "Russwurm et al. 2020", "talk and poster 2019"
PUBLISHED: Final = (
    Published(PAPER, Architecture.TRANSFORMER, 9, ALL, 0.80, 0.74),
    Published(PAPER, Architecture.LSTM, 9, ALL, 0.79, 0.72),
    Published(PAPER, Architecture.TRANSFORMER, 9, "frh04", 0.799, 0.738),
    Published(PAPER, Architecture.LSTM, 9, "frh04", 0.803, 0.740),
    Published(TALK, Architecture.TRANSFORMER, 13, "frh04", 0.69, 0.63, 0.57),
    Published(TALK, Architecture.LSTM, 13, "frh04", 0.68, 0.62, 0.59),
)
"""All trained on the other three regions of 2017, L1C. The spread over the four is .01 and .03 of OA."""


def compare(
    evaluations: dict[str, Evaluation], architecture: Architecture, *, level: Level, year: int, classes: int
) -> list[ResultRow]:
    """Lines of this run, and of every published figure of the network: blank where it is not comparable."""
    own = {name: _figures(e) for name, e in evaluations.items()}
    rows = [_row(name, evaluations[name].n, figures) for name, figures in own.items()]
    if len(evaluations) == FOUR:
        mean = {name: _mean([figures[name] for figures in own.values()]) for name in FIGURES}
        rows.append(_row(ALL, sum(e.n for e in evaluations.values()), mean))
    judged = {*evaluations, *([ALL] if len(evaluations) == FOUR else [])}
    for known in PUBLISHED:
        if known.architecture is architecture:
            alike = (level, year, classes) == ("L1C", 2017, known.classes) and known.test in judged
            rows.append(known.row(comparable=alike))
    return rows


def _row(judged: str, n: int, figures: Mapping[str, float]) -> ResultRow:
    return {
        "result": f"this run, {judged}",
        "comparable": True,
        "n": n,
        "oa": figures["oa"],
        "kappa": figures["kappa"],
        "mean_f1": figures["mean_f1"],
        "mean_precision": figures["mean_precision"],
        "mean_recall": figures["mean_recall"],
    }


def _figures(evaluation: Evaluation) -> dict[str, float]:
    """Means are over the classes that have parcels."""
    scores = [score for score in evaluation.per_class if score.support]
    return {
        "oa": evaluation.oa,
        "kappa": evaluation.kappa,
        "mean_f1": evaluation.macro_f1,
        "mean_precision": _mean([s.precision for s in scores]),
        "mean_recall": _mean([s.recall for s in scores]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
