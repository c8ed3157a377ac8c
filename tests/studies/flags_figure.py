"""Precision against the number of flags: the list, P(declared), the same scores with the law of the mismatches known,
the reference, and two rules at their own number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cropmap.store import Store
from tests.studies.flags import COUNTS

LINES: Final = {
    "list": ("#1b6e3c", "-"),
    "p(declared)": ("#b3541e", "--"),
    "law known": ("#c9a227", "-."),
    "reference": ("#777777", ":"),
}
POINTS: Final = {"Sen4CAP": ("#33508a", "s"), "Flemish": ("#8a3372", "D")}


def draw(rows: Sequence[dict[str, Any]], settings: Sequence[str], out: Path) -> None:
    """One panel per setting, means over seeds; writes SVG or PNG by the name's ending, whole or not at all."""
    import io

    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "cropmap", "font.size": 9}):
        figure = Figure(figsize=(3.3 * len(settings), 3.0), layout="constrained")
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for panel, setting in zip(panels, settings, strict=True):
            _panel(panel, [one for one in rows if one["setting"] == setting], setting)
        panels[0].set_ylabel("share of the flags that are wrong")
        panels[0].legend(loc="lower left", frameon=False)
        data = io.BytesIO()
        kind = out.suffix.lstrip(".") or "svg"
        figure.savefig(data, format=kind, metadata={"Date": None} if kind == "svg" else None, dpi=150)
    Store(out.absolute().parent).write_bytes(out.name, data.getvalue(), digest=False)


def _panel(panel: Any, group: Sequence[dict[str, Any]], setting: str) -> None:
    counts = np.array(COUNTS)
    for name, (colour, style) in LINES.items():
        if name in group[0]["curves"]:
            hits = np.mean([one["curves"][name] for one in group], axis=0)
            panel.plot(counts, hits / counts, style, color=colour, label=name)
    for rule, (colour, mark) in POINTS.items():
        flags = np.array([one["peers"][rule]["flags"] for one in group])
        false = np.array([one["peers"][rule]["false"] for one in group])
        panel.plot(flags.mean(), 1 - false.sum() / max(flags.sum(), 1), mark, color=colour, label=rule, linestyle="")
    panel.set(title=setting, xlabel="flags per 25,000 declarations", xscale="log", ylim=(0, 1.02))
    panel.grid(color="#eeeeee")
