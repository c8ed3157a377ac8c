"""Canvases with one interface: SVG text for a page, pixels for a PNG.

Coordinates are page units (CSS pixels), y downwards. Lines are drawn by matplotlib's Agg renderer
without figure and axes, text by Pillow, which is ten times as fast: a page takes a fifth of the time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Literal, Protocol
from xml.sax.saxutils import escape

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Points = NDArray[np.float64]
Anchor = Literal["start", "middle", "end"]
SCALE: Final = 1.25
"""pixels of the PNG per page unit"""
COMPRESSION: Final = 1
"""zlib level: flat colours are small at any level, and higher ones take most of a page's time"""
POINT: Final = 1 / 72
WIDE_FONT: Final = 0.92
"""DejaVu is wider than what a browser takes: as much smaller"""
FONT: Final = "DejaVu Sans"
"""ships with matplotlib: the same picture on every machine"""


class Canvas(Protocol):
    def shape(
        self,
        rings: Sequence[Points],
        *,
        fill: str | None = None,
        opacity: float = 1.0,
        stroke: str | None = None,
        width: float = 1.0,
    ) -> None:
        """Closed rings (n, 2); holes run the other way round."""
        ...

    def line(self, points: Points, *, stroke: str, width: float = 1.0, dash: tuple[float, ...] = ()) -> None: ...

    def dots(
        self, points: Points, *, radius: float, fill: str, stroke: str | None = None, width: float = 1.0
    ) -> None: ...

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12.0,
        fill: str = "#1a1a1a",
        anchor: Anchor = "start",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """On the baseline y; a halo keeps it legible on lines."""
        ...


class SvgCanvas:
    """Collects elements; `svg` is the whole picture with its description for screen readers."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def shape(
        self,
        rings: Sequence[Points],
        *,
        fill: str | None = None,
        opacity: float = 1.0,
        stroke: str | None = None,
        width: float = 1.0,
    ) -> None:
        path = "".join(f"M{_pairs(ring)}Z" for ring in rings)
        faint = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
        self._parts.append(f'<path d="{path}" fill="{fill or "none"}"{faint}{_stroke(stroke, width)}/>')

    def line(self, points: Points, *, stroke: str, width: float = 1.0, dash: tuple[float, ...] = ()) -> None:
        dashed = f' stroke-dasharray="{" ".join(f"{d:g}" for d in dash)}"' if dash else ""
        self._parts.append(f'<polyline points="{_pairs(points)}" fill="none"{_stroke(stroke, width)}{dashed}/>')

    def dots(self, points: Points, *, radius: float, fill: str, stroke: str | None = None, width: float = 1.0) -> None:
        look = f'r="{radius:g}" fill="{fill}"{_stroke(stroke, width)}'
        self._parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" {look}/>' for x, y in points]

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12.0,
        fill: str = "#1a1a1a",
        anchor: Anchor = "start",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        place = f' text-anchor="{anchor}"' if anchor != "start" else ""
        weight = ' font-weight="600"' if bold else ""
        paint = ' stroke="#fff" stroke-width="3" paint-order="stroke" stroke-linejoin="round"' if halo else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{place}{weight}{paint}>'
            f"{escape(words)}</text>"
        )

    def svg(self, *, title: str, description: str, standalone: bool = False) -> str:
        """`standalone` adds the namespace that a file of its own needs; a page needs none."""
        space = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
        return (
            f'<svg{space} viewBox="0 0 {self.width:g} {self.height:g}" role="img" font-family="{SVG_FONTS}">'
            f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(self._parts)}</svg>"
        )


SVG_FONTS: Final = "system-ui, sans-serif"


class PixelCanvas:
    """Draws at once; `png` is the picture."""

    def __init__(self, width: float, height: float) -> None:
        agg: Any = RendererAgg  # untyped
        self._renderer = agg(round(width * SCALE), round(height * SCALE), SCALE / POINT)
        self._texts: list[tuple[float, float, str, ImageFont.FreeTypeFont, str, bool]] = []
        self._place = Affine2D().scale(SCALE, -SCALE).translate(0, round(height * SCALE))
        frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
        self.shape([frame], fill="#ffffff")

    def shape(
        self,
        rings: Sequence[Points],
        *,
        fill: str | None = None,
        opacity: float = 1.0,
        stroke: str | None = None,
        width: float = 1.0,
    ) -> None:
        path = Path.make_compound_path(*(Path(np.vstack([ring, ring[:1]]), closed=True) for ring in rings))
        if fill:
            self._renderer.draw_path(self._pen(None, 0, opacity), path, self._place, to_rgb(fill))
        if stroke:
            self._renderer.draw_path(self._pen(stroke, width), path, self._place)

    def line(self, points: Points, *, stroke: str, width: float = 1.0, dash: tuple[float, ...] = ()) -> None:
        if len(points) > 1:
            self._renderer.draw_path(self._pen(stroke, width, dash=dash), Path(points), self._place)

    def dots(self, points: Points, *, radius: float, fill: str, stroke: str | None = None, width: float = 1.0) -> None:
        marker = Path.unit_circle(), Affine2D().scale(radius * SCALE)
        pen = self._pen(stroke, width if stroke else 0)
        self._renderer.draw_markers(pen, *marker, Path(points.reshape(-1, 2)), self._place, to_rgb(fill))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12.0,
        fill: str = "#1a1a1a",
        anchor: Anchor = "start",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        if anchor != "start":
            x -= measure(words, size=size, bold=bold) * (0.5 if anchor == "middle" else 1)
        self._texts.append((x * SCALE, y * SCALE, words, _font(size, bold), fill, halo))

    def png(self) -> bytes:
        pixels = np.asarray(self._renderer.buffer_rgba())
        image = Image.frombuffer("RGBA", (pixels.shape[1], pixels.shape[0]), pixels).convert("RGB")
        draw = ImageDraw.Draw(image)
        for x, y, words, font, fill, halo in self._texts:  # words lie on top of every line
            draw.text(
                (x, y), words, fill=fill, font=font, anchor="ls", stroke_width=2 if halo else 0, stroke_fill="#ffffff"
            )
        sink = io.BytesIO()
        image.save(sink, format="png", compress_level=COMPRESSION)
        return sink.getvalue()

    def _pen(self, colour: str | None, width: float, opacity: float = 1.0, dash: tuple[float, ...] = ()) -> Any:
        pen = self._renderer.new_gc()
        pen.set_linewidth(width * SCALE)
        pen.set_alpha(opacity)
        if colour:
            pen.set_foreground(colour)
        if dash:
            pen.set_dashes(0, [part * SCALE for part in dash])
        return pen


def measure(words: str, *, size: float, bold: bool = False) -> float:
    """Width of a text in a PNG, in page units."""
    return sum(_advance(word, size, bold) for word in words.split(" ")) + words.count(" ") * _advance(" ", size, bold)


@cache
def _advance(word: str, size: float, bold: bool) -> float:
    width: float = _font(size, bold).getlength(word)
    return width / SCALE


@cache
def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    file = findfont(FontProperties(family=FONT, weight="bold" if bold else "normal"))
    return ImageFont.truetype(file, size * WIDE_FONT * SCALE)


def _pairs(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _stroke(stroke: str | None, width: float) -> str:
    return f' stroke="{stroke}" stroke-width="{width:g}" stroke-linejoin="round"' if stroke else ""
