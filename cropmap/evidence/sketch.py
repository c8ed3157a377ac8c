"""The map sketch: the parcel, its neighbours and what is declared on them, a scale bar; no tile, no other source."""

from __future__ import annotations

from typing import Final

import numpy as np

from cropmap.evidence.canvas import Canvas, Points
from cropmap.evidence.chart import DECLARED, INK, PREDICTED, QUIET, Box
from cropmap.evidence.sheet import Outline, Sheet
from cropmap.evidence.words import crop_words

GROUND: Final = "#fafbfb"
OTHER: Final = "#e9edef"
EDGE: Final = "#8a959c"
LETTER: Final = 6.4
"""page units of a letter at the labels' size, about"""
BAR_LENGTHS_M: Final = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


def draw_sketch(canvas: Canvas, box: Box, sheet: Sheet) -> None:
    """The neighbours' colours are those of the chart: declared with this parcel's crop, or with the predicted one."""
    canvas.shape([_frame(box)], fill=GROUND)
    drawn = [(outline, _placed(outline, box, sheet.sketch.half_width_m)) for outline in sheet.sketch.outlines]
    for outline, rings in sorted(drawn, key=lambda pair: pair[0].is_subject):
        if outline.is_subject:
            canvas.shape(rings, fill="#ffffff")
            canvas.shape(rings, fill=DECLARED, opacity=0.25, stroke=INK, width=3)
        else:
            colour, opacity = _paint(outline, sheet)
            canvas.shape(rings, fill="#ffffff")
            canvas.shape(rings, fill=colour, opacity=opacity, stroke=EDGE, width=0.8)
    for outline, rings in drawn:
        _label(canvas, outline, rings)
    canvas.shape([_frame(box)], stroke=EDGE, width=1)
    _scale_bar(canvas, box, sheet.sketch.half_width_m)


def describe(sheet: Sheet) -> str:
    others = [outline.crop for outline in sheet.sketch.outlines if not outline.is_subject]
    names, counts = np.unique([crop_words(crop) for crop in others], return_counts=True)
    crops = ", ".join(f"{n} {name}" for n, name in sorted(zip(counts, names, strict=True), key=lambda p: (-p[0], p[1])))
    return (
        f"The parcel among {len(others)} neighbours within {sheet.sketch.half_width_m:.0f} m, declared: {crops or '-'}."
    )


def caption(sheet: Sheet) -> str:
    judged = sheet.judged
    predicted = (
        f"; orange: {crop_words(judged.predicted_crop)}" if judged.predicted_crop != judged.declared_crop else ""
    )
    return (
        f"Outlines as declared. Thick: this parcel. Blue: declared {crop_words(judged.declared_crop)}{predicted}; "
        f"grey: other crops. Metres in EPSG:{sheet.sketch.epsg}, grid north up."
    )


def _paint(outline: Outline, sheet: Sheet) -> tuple[str, float]:
    if outline.crop and outline.crop == sheet.judged.declared_crop:
        return DECLARED, 0.25
    if outline.crop and outline.crop == sheet.judged.predicted_crop:
        return PREDICTED, 0.25
    return OTHER, 1.0


def _placed(outline: Outline, box: Box, half_width_m: float) -> list[Points]:
    scale = box.width / (2 * half_width_m)
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2])
    return [middle + ring * [scale, -scale] for ring in outline.rings]


def _label(canvas: Canvas, outline: Outline, rings: list[Points]) -> None:
    """The declared crop, where there is room for it."""
    ring = max(rings, key=lambda r: float(np.ptp(r[:, 0]) * np.ptp(r[:, 1])))
    words = "this parcel" if outline.is_subject else crop_words(outline.crop)
    if np.ptp(ring[:, 0]) > LETTER * len(words) + 4 and np.ptp(ring[:, 1]) > 12:
        x, y = (ring.min(axis=0) + ring.max(axis=0)) / 2
        canvas.text(
            x,
            y + 3.5,
            words,
            size=10,
            fill=INK if outline.is_subject else "#3d474e",
            anchor="middle",
            bold=outline.is_subject,
            halo=True,
        )


def _scale_bar(canvas: Canvas, box: Box, half_width_m: float) -> None:
    per_metre = box.width / (2 * half_width_m)
    metres = max((m for m in BAR_LENGTHS_M if m * per_metre <= box.width * 0.3), default=BAR_LENGTHS_M[0])
    length, x, y = metres * per_metre, box.x + 12, box.y + box.height - 12
    canvas.shape([_rectangle(x - 5, y - 20, length + 10, 27)], fill="#ffffff", opacity=0.8)
    canvas.line(np.array([[x, y - 5], [x, y], [x + length, y], [x + length, y - 5]]), stroke=INK, width=1.5)
    canvas.text(x + length / 2, y - 6, f"{metres:,} m", size=10, fill=QUIET, anchor="middle")
    top = np.array([box.x + box.width - 16, box.y + 10])
    canvas.shape([top + np.array([[0, 0], [5, 16], [0, 12], [-5, 16]], float)], fill=INK)
    canvas.text(top[0], top[1] + 28, "N", size=10, fill=INK, anchor="middle", halo=True)


def _frame(box: Box) -> Points:
    return _rectangle(box.x, box.y, box.width, box.height)


def _rectangle(x: float, y: float, width: float, height: float) -> Points:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], float)
