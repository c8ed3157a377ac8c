"""The chart of a parcel's season: its NDVI with the bands of two crops, and below it the clear share of each
observation.

Colours are Okabe and Ito's blue and vermilion, which nearly everybody can distinguish; the medians differ in their
dashes too, and every line carries its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.evidence.bands import Band
from cropmap.evidence.canvas import Canvas, Points, measure
from cropmap.evidence.sheet import RunFacts, Sheet
from cropmap.evidence.words import band_words, crop_words, day_words

DECLARED: Final = "#0072B2"
PREDICTED: Final = "#D55E00"
INK: Final = "#1a1a1a"
QUIET: Final = "#5f6b73"
PALE: Final = "#b9c1c7"
GRID: Final = "#e6eaed"
LOWEST, HIGHEST = -0.1, 1.0
"""the same axis on every page, so that pages can be laid side by side"""
TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LABEL_WIDTH: Final = 206.0
LABEL_INDENT: Final = 16.0
LABEL_TEXT_WIDTH: Final = LABEL_WIDTH - LABEL_INDENT - 4
LABEL_GAP: Final = 5.0
LINE: Final = 13.0
"""from one line of a label to the next"""
ELLIPSIS: Final = "…"
STRIP_HEIGHT: Final = 40.0
DASHES: Final = (7.0, 4.0)
CUT_DAYS: Final = 20
"""a season that ends this long after its last data is said to be cut"""


@dataclass(frozen=True)
class Box:
    """A place on a canvas."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class _Axes:
    """The part of a box that holds the curves."""

    box: Box
    first: int
    last: int
    """days at its edges"""

    def x(self, day: NDArray[np.generic] | float) -> NDArray[np.float64]:
        share = (np.asarray(day, float) - self.first) / max(self.last - self.first, 1)
        x: NDArray[np.float64] = self.box.x + share * self.box.width
        return x

    def y(self, value: NDArray[np.generic] | float) -> NDArray[np.float64]:
        share = (np.clip(np.asarray(value, float), LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
        y: NDArray[np.float64] = self.box.y + (1 - share) * self.box.height
        return y

    def points(self, day: NDArray[np.generic], value: NDArray[np.generic]) -> Points:
        return np.column_stack([self.x(day), self.y(value)])


def draw_chart(canvas: Canvas, box: Box, sheet: Sheet) -> None:
    plot = Box(box.x + 36, box.y + 22, box.width - 36 - LABEL_WIDTH, box.height - STRIP_HEIGHT - 66)
    axes = _axes(plot, sheet.facts)
    _grid(canvas, axes, sheet.facts)
    named = [(sheet.declared_band, DECLARED, ()), (sheet.predicted_band, PREDICTED, DASHES)]
    for band, colour, _ in named:
        if band:
            _area(canvas, axes, band, colour)
    for band, colour, dash in named:
        if band:
            for run in _runs(band.median):
                canvas.line(axes.points(band.day_of_year[run], band.median[run]), stroke=colour, width=2, dash=dash)
    _observations(canvas, axes, sheet)
    _labels(canvas, axes, sheet)
    _strip(canvas, Box(plot.x, box.y + box.height - STRIP_HEIGHT - 6, plot.width, STRIP_HEIGHT), axes, sheet)


def draw_thumbnail(canvas: Canvas, box: Box, sheet: Sheet) -> None:
    """Bands and curve alone, for an overview."""
    axes = _axes(box, sheet.facts)
    for band, colour in ((sheet.declared_band, DECLARED), (sheet.predicted_band, PREDICTED)):
        if band:
            _area(canvas, axes, band, colour)
    day, value = sheet.shown.curve
    canvas.line(axes.points(day, value), stroke=INK, width=1.4)


def describe(sheet: Sheet) -> str:
    """Description of the chart for screen readers."""
    day, value = sheet.shown.curve
    if not len(day):
        return "No clear observation."
    top = int(np.argmax(value))
    when = sheet.facts.day_zero + timedelta(days=int(day[top]))
    bands = [
        f"{role} {crop_words(band.crop)}: median and 10 to 90 percent band of {band_words(band)}"
        for role, band in (("declared", sheet.declared_band), ("predicted", sheet.predicted_band))
        if band
    ]
    return (
        f"NDVI on {len(day)} clear dates; highest {value[top]:.2f} on {day_words(when)}, lowest {value.min():.2f}. "
        f"{int((~sheet.shown.used).sum())} observations were not used. {'; '.join(bands)}."
    )


def _axes(plot: Box, facts: RunFacts) -> _Axes:
    return _Axes(plot, (facts.start - facts.day_zero).days, (facts.end - facts.day_zero).days)


def _grid(canvas: Canvas, axes: _Axes, facts: RunFacts) -> None:
    box = axes.box
    for value in TICKS:
        y = float(axes.y(value))
        canvas.line(np.array([[box.x, y], [box.x + box.width, y]]), stroke=GRID)
        canvas.text(box.x - 6, y + 4, f"{value:.1f}", size=11, fill=QUIET, anchor="end")
    canvas.text(box.x - 30, box.y - 10, "NDVI", size=11, fill=QUIET)
    for start, end in _months(facts.start, facts.end):
        left, right = (float(axes.x((day - facts.day_zero).days)) for day in (start, end))
        canvas.line(np.array([[left, box.y + box.height], [left, box.y + box.height + 5]]), stroke=PALE)
        if right - left > 18:
            canvas.text(
                (left + right) / 2, box.y + box.height + 16, f"{start:%b}", size=11, fill=QUIET, anchor="middle"
            )
    if (facts.end - facts.as_of).days > CUT_DAYS:
        x = float(axes.x((facts.as_of - facts.day_zero).days))
        canvas.line(np.array([[x, box.y], [x, box.y + box.height]]), stroke=QUIET, dash=(2, 3))
        canvas.text(x - 4, box.y + 10, f"data until {facts.as_of:%-d %b}", size=10, fill=QUIET, anchor="end", halo=True)


def _months(start: date, end: date) -> list[tuple[date, date]]:
    firsts = [start]
    while (following := (firsts[-1].replace(day=1) + timedelta(days=32)).replace(day=1)) <= end:
        firsts.append(following)
    return list(zip(firsts, [*firsts[1:], end], strict=True))


def _runs(values: NDArray[np.float32]) -> list[NDArray[np.intp]]:
    """Positions of each stretch without a gap."""
    seen = np.flatnonzero(np.isfinite(values))
    return [run for run in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1) if len(run) > 1]


def _area(canvas: Canvas, axes: _Axes, band: Band, colour: str) -> None:
    for run in _runs(band.median):
        day = band.day_of_year[run]
        edge = np.vstack([axes.points(day, band.high[run]), axes.points(day, band.low[run])[::-1]])
        canvas.shape([edge], fill=colour, opacity=0.17)


def _observations(canvas: Canvas, axes: _Axes, sheet: Sheet) -> None:
    shown = sheet.shown
    dropped = ~shown.used & np.isfinite(shown.ndvi)
    pale = axes.points(shown.day_of_year[dropped], shown.ndvi[dropped])
    canvas.dots(pale, radius=2.6, fill="#ffffff", stroke=PALE, width=1.2)
    points = axes.points(*shown.curve)
    canvas.line(points, stroke=INK, width=1.6)
    canvas.dots(points, radius=3.1, fill=INK, stroke="#ffffff", width=0.8)


def _labels(canvas: Canvas, axes: _Axes, sheet: Sheet) -> None:
    """Names at the right end of their lines, moved apart where they would touch."""
    named: list[tuple[float, str, str, str]] = []
    for role, band, colour in (
        ("declared", sheet.declared_band, DECLARED),
        ("predicted", sheet.predicted_band, PREDICTED),
    ):
        if band and (runs := _runs(band.median)):
            same = role == "declared" and sheet.judged.predicted_crop == band.crop
            heading = f"{crop_words(band.crop)} ({'declared, predicted' if same else role})"
            ending = float(axes.y(band.median[runs[-1][-1]]))
            named.append((ending, heading, f"median, 10-90 % of {band.parcels:,} parcels", colour))
    _, value = sheet.shown.curve
    if len(value):
        named.append((float(axes.y(value[-1])), "this parcel", f"{len(value)} clear dates", INK))
    named.sort()
    labels = [
        [
            *((line, 12.0, colour) for line in wrapped(heading, LABEL_TEXT_WIDTH, size=12, bold=True)),
            *((line, 10.0, QUIET) for line in wrapped(detail, LABEL_TEXT_WIDTH, size=10)),
        ]
        for _, heading, detail, colour in named
    ]
    places = _apart(
        [curve[0] for curve in named],
        [LINE * len(label) + LABEL_GAP for label in labels],
        lowest=axes.box.y + 10,
        highest=axes.box.y + axes.box.height,
    )
    right = axes.box.x + axes.box.width
    for y, label, (end, _, _, stroke) in zip(places, labels, named, strict=True):
        canvas.line(np.array([[right + 2, end], [right + 12, y]]), stroke=stroke)
        for number, (line, size, colour) in enumerate(label):
            canvas.text(right + LABEL_INDENT, y + 3 + LINE * number, line, size=size, fill=colour, bold=size > 10)


def wrapped(text: str, width: float, *, size: float, bold: bool = False) -> list[str]:
    """The text in lines that are no wider; a single word that is too long ends in an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer, size=size, bold=bold) <= width:
            lines[-1] = longer
            continue
        while measure(word, size=size, bold=bold) > width and len(word) > 1:
            word = word.removesuffix(ELLIPSIS)[:-1] + ELLIPSIS
        lines.append(word)
    return lines


def _apart(wanted: list[float], heights: list[float], *, lowest: float, highest: float) -> list[float]:
    """Ascending places as near to the wanted ones as the labels' heights let, none below `highest` if they fit."""
    places: list[float] = []
    end = lowest
    for y, height in zip(wanted, heights, strict=True):
        places.append(max(y, end))
        end = places[-1] + height
    limit = highest
    for i in range(len(places) - 1, -1, -1):  # push back up what left the box
        limit -= heights[i]
        places[i] = min(places[i], max(limit, lowest))
        limit = places[i]
    return places


def _strip(canvas: Canvas, box: Box, axes: _Axes, sheet: Sheet) -> None:
    """A bar per observation, as high as the clear share of the parcel; pale bars were not used."""
    bottom = box.y + box.height
    limit = bottom - sheet.facts.min_clear_fraction * box.height
    canvas.line(np.array([[box.x, bottom], [box.x + box.width, bottom]]), stroke=PALE)
    canvas.line(np.array([[box.x, limit], [box.x + box.width, limit]]), stroke=PALE, dash=(2, 3))
    canvas.text(box.x - 6, box.y + 8, "100 %", size=10, fill=QUIET, anchor="end")
    canvas.text(box.x - 6, bottom, "0", size=10, fill=QUIET, anchor="end")
    shown = sheet.shown
    for used, colour in ((False, PALE), (True, "#3d474e")):
        for day, clear in zip(
            shown.day_of_year[shown.used == used], shown.clear_fraction[shown.used == used], strict=True
        ):
            x, top = float(axes.x(float(day))), bottom - max(float(clear) * box.height, 2.0)
            canvas.shape([_rectangle(x - 1.2, top, 2.4, bottom - top)], fill=colour)
    for day in shown.quarantined:
        x = float(axes.x(float(day)))
        for lean in (-3.0, 3.0):
            canvas.line(np.array([[x - lean, bottom - 9], [x + lean, bottom - 3]]), stroke=QUIET)
    right = box.x + box.width + 16
    canvas.text(right, box.y + 10, "clear share of the parcel", size=11, fill=INK)
    canvas.text(right, box.y + 23, "pale: dropped; dotted: the limit", size=10, fill=QUIET)
    if shown.quarantined:
        canvas.text(right, box.y + 36, "×: whole acquisition set aside", size=10, fill=QUIET)


def _rectangle(x: float, y: float, width: float, height: float) -> Points:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], float)
