"""Pictures of an evaluation, as PNG: for MLflow and `cropmap evaluate`.

A module of its own, because matplotlib takes a second to import and most commands draw nothing.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cropmap.model.evaluation import ECE_BINS, Evaluation

if TYPE_CHECKING:
    from cropmap.model.early import DateScore

COLOURS: Final = ("#1f6f8b", "#d1603d", "#6b8f3a", "#7a4f9a")


def confusion_picture(evaluation: Evaluation, *, title: str) -> bytes:
    """PNG: each row's shares as colour, counts as text."""
    matrix = np.array(evaluation.confusion)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.52 * len(matrix)
    figure = Figure(figsize=(size + 0.6, size), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="YlGnBu", vmin=0, vmax=1)
    axes.set_xticks(range(len(matrix)), evaluation.crops, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(matrix)), [f"{s.crop}  ({s.support})" for s in evaluation.per_class])
    axes.set_xlabel("predicted")
    axes.set_ylabel("declared (parcels)")
    axes.set_title(
        f"{title}\nn {evaluation.n}   OA {evaluation.oa:.3f}   κ {evaluation.kappa:.3f}   "
        f"macro F1 {evaluation.macro_f1:.3f}",
        fontsize=10,
    )
    for row, column in zip(*np.nonzero(matrix), strict=True):
        colour = "white" if share[row, column] > 0.55 else "#24323d"
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_xticks(np.arange(len(matrix)) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(matrix)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of declared class")
    return _png(figure)


def reliability_picture(evaluation: Evaluation, *, title: str) -> bytes:
    """PNG: how often the best class is right against how sure it was, and below it the parcels of each bin."""
    bins = evaluation.reliability
    confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
    figure = Figure(figsize=(5.2, 5.8), dpi=120, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color="#9aa5ad", linewidth=1, linestyle="--", label="says what it is worth")
    axes.vlines(confidence, confidence, accuracy, color="#c8553d", linewidth=3, alpha=0.5, label="gap")
    axes.plot(confidence, accuracy, marker="o", color="#1f6f8b", label="out-of-fold")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share that is right")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.set_title(f"{title}\nn {evaluation.n}   ECE {evaluation.ece:.3f}   Brier {evaluation.brier:.3f}", fontsize=10)
    below.bar(confidence, [b.n for b in bins], width=0.8 / ECE_BINS, color="#1f6f8b")
    for b in bins:
        below.annotate(f"{b.n:,}", (b.confidence, b.n), ha="center", va="bottom", fontsize=6.5, color="#24323d")
    below.set_xlim(0, 1.02)
    below.margins(y=0.25)
    below.set_xlabel("probability of the best class")
    below.set_ylabel("parcels")
    for part in (axes, below):
        part.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def by_date_picture(scores: Mapping[str, Sequence[DateScore]], *, title: str) -> bytes:
    """PNG: overall accuracy (solid) and macro-F1 (dashed) of each network over the season."""
    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for (name, rows), colour in zip(scores.items(), COLOURS, strict=False):
        days = np.array([row.date for row in rows], "datetime64[D]")
        for kind, field, line in (("OA", "oa", "-"), ("macro F1", "macro_f1", "--")):
            heights = np.array([getattr(row, field) for row in rows], np.float64)  # NaN, no point, where none was seen
            axes.plot(days, heights, color=colour, marker="o", ms=3, ls=line, label=f"{name}: {kind}")
    axes.set_ylim(0, 1)
    axes.set_ylabel("out-of-fold accuracy")
    axes.set_xlabel("acquired until")
    axes.set_title(title, fontsize=10)
    axes.grid(color="#dfe4e8", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.autofmt_xdate()
    return _png(figure)


def _png(figure: Figure) -> bytes:
    sink = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # a crop named in letters that the font lacks is drawn as boxes; the tables beside the picture have its name
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(sink, format="png")
    return sink.getvalue()
