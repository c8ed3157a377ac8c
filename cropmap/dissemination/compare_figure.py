"""The comparison as a figure: our areas against Eurostat's, and the series of the outliers."""

from __future__ import annotations

import io
from typing import Any, Final, Literal

import numpy as np

from cropmap.dissemination.compare import BREAK, Comparison

PANELS: Final = 8
"""series that are drawn: what stands out, else what is farthest from 1"""
COLUMNS: Final = 3
OURS: Final = "#b3541e"
THEIRS: Final = "#33508a"
INTERVAL: Final = 1.96


def draw(comparison: Comparison, *, kind: Literal["svg", "png"]) -> bytes:
    """One panel with all pairs on logarithmic axes, then up to PANELS series; the same comparison, the same bytes."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    shown = comparison.rows[:PANELS]
    lines = -(-(len(shown) + 1) // COLUMNS)
    with mpl.rc_context({"svg.hashsalt": "cropmap", "font.size": 8}):
        figure = Figure(figsize=(3.6 * COLUMNS, 2.7 * lines), layout="constrained")
        panels = list(figure.subplots(lines, COLUMNS, squeeze=False).ravel())
        _pairs(panels[0], comparison)
        for panel, row in zip(panels[1:], shown, strict=False):
            _series(panel, comparison, row)
        for panel in panels[len(shown) + 1 :]:
            panel.set_visible(False)
        sink = io.BytesIO()
        figure.savefig(sink, format=kind, metadata={"Date": None} if kind == "svg" else None, dpi=150)
    return sink.getvalue()


def _pairs(panel: Any, comparison: Comparison) -> None:
    pairs = [row for row in comparison.rows if row["ratio"] and row["ours"] > 0]
    for stands_out, colour, label in ((False, "#999999", "compared"), (True, OURS, "stands out")):
        points = [(row["eurostat"], row["ours"]) for row in pairs if bool(row["outlier"]) is stands_out]
        if points:
            panel.plot(*np.array(points).T, "o", color=colour, markersize=3, label=f"{label} ({len(points)})")
    if pairs:
        both = [value for row in pairs for value in (row["eurostat"], row["ours"])]
        ends = [min(both), max(both)]
        panel.plot(ends, ends, "-", color="#333333", linewidth=0.7)
        panel.set(xscale="log", yscale="log")
        panel.legend(frameon=False)
    panel.set(title="all regions and crops", xlabel="Eurostat, 1000 ha", ylabel="ours, 1000 ha")
    panel.grid(color="#eeeeee")


def _series(panel: Any, comparison: Comparison, row: dict[str, Any]) -> None:
    series = comparison.series[row["geo"], row["crops"]]
    years, values = series["TIME_PERIOD"].to_numpy(int), series["OBS_VALUE"].to_numpy(float)
    broken = series["OBS_FLAG"].str.contains(BREAK).to_numpy(bool)
    panel.plot(years, values, "o-", color=THEIRS, markersize=2.5, linewidth=1, label=f"Eurostat ({row['strucpro']})")
    if broken.any():
        panel.plot(years[broken], values[broken], "s", color=THEIRS, markersize=6, fillstyle="none", label="break (b)")
    error = [INTERVAL * row["se"]] if row["se"] is not None else None
    panel.errorbar([row["year"]], [row["ours"]], yerr=error, fmt="D", color=OURS, markersize=4, label="ours")
    reasons = f", {row['outlier']}" if row["outlier"] else ""
    panel.set(title=f"{row['geo']} {row['crops']}{reasons}", ylabel="1000 ha")
    panel.set_ylim(bottom=0)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(color="#eeeeee")
    panel.legend(frameon=False, fontsize=6)
