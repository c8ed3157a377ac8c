"""Declared and estimated area of the largest crops as bars with the estimate's interval, one small SVG per crop.

The drawing contains no text: names and figures are text of the page beside it, legible on a narrow screen too.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final

from markupsafe import Markup

from cropmap.reports.areas import Crop, CropAreas, Figures
from cropmap.reports.numbers import hectares

WIDTH: Final = 100.0
HEIGHT: Final = 16.0
DECLARED: Final = "#a8b3bb"
ESTIMATED: Final = "#2c7fb8"
INTERVAL: Final = "#14202b"


@dataclass(frozen=True)
class Bar:
    crop: Crop
    figures: Figures
    svg: Markup


def bars(areas: CropAreas, *, most: int) -> tuple[Bar, ...]:
    """The largest crops of the head region; hidden ones have no bar."""
    shown = [(crop, figures) for crop in areas.drawn if (figures := areas.at(areas.head.nuts_id, crop.code))][:most]
    longest = max(
        (
            end
            for _, figures in shown
            for end in (figures.declared_ha, figures.estimate_ha, figures.ci95_high_ha)
            if end
        ),
        default=1.0,
    )
    return tuple(Bar(crop, figures, _svg(crop, figures, longest)) for crop, figures in shown)


def _svg(crop: Crop, figures: Figures, longest: float) -> Markup:
    def rect(start: float, end: float, y: float, height: float, fill: str) -> str:
        x, width = start / longest * WIDTH, max((end - start) / longest * WIDTH, 0.0)
        return f'<rect x="{x:.3f}" y="{y:g}" width="{width:.3f}" height="{height:g}" fill="{fill}"/>'

    parts = [rect(0, figures.declared_ha or 0.0, 0, 6, DECLARED), rect(0, figures.estimate_ha, 7, 9, ESTIMATED)]
    low, high = figures.ci95_low_ha, figures.ci95_high_ha
    if low is not None and high is not None:
        cap = longest / 400
        parts += [
            rect(low, high, 11, 1, INTERVAL),
            rect(low, low + cap, 9, 5, INTERVAL),
            rect(high - cap, high, 9, 5, INTERVAL),
        ]
    label = f"{crop.label}: declared {hectares(figures.declared_ha)} ha, estimated {hectares(figures.estimate_ha)} ha"
    return Markup(  # noqa: S704  the only text is escaped
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
