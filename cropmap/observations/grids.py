"""The pixel grid of a file, and rectangles of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cropmap.provenance import value_hash

Bounds = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax in the grid's own coordinate reference system"""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels."""

    row_off: int
    col_off: int
    height: int
    width: int

    def union(self, other: Window) -> Window:
        if not other.size or not self.size:
            return other if other.size else self
        row, col = min(self.row_off, other.row_off), min(self.col_off, other.col_off)
        bottom = max(self.row_off + self.height, other.row_off + other.height)
        right = max(self.col_off + self.width, other.col_off + other.width)
        return Window(row, col, bottom - row, right - col)

    def coarsened(self, factor: int) -> Window:
        """The smallest window of a `factor` times coarser grid of the same origin that holds this one."""
        row, col = self.row_off // factor, self.col_off // factor
        bottom = -(-(self.row_off + self.height) // factor)
        right = -(-(self.col_off + self.width) // factor)
        return Window(row, col, bottom - row, right - col)

    @property
    def size(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class Grid:
    """A north-up grid in a projected coordinate reference system in metres."""

    epsg: int
    transform: tuple[float, float, float, float, float, float]
    """affine coefficients a to f: x = a * col + b * row + c, y = d * col + e * row + f, at the pixel's upper left"""
    width: int
    """columns"""
    height: int
    """rows"""

    @property
    def bounds(self) -> Bounds:
        a, _, c, _, e, f = self.transform
        return c, f + e * self.height, c + a * self.width, f

    @property
    def key(self) -> str:
        return value_hash([self.epsg, list(self.transform), self.width, self.height])

    def window(self, bounds: Bounds) -> Window:
        """The smallest window that holds the part of `bounds` inside the grid; of no size where there is none."""
        a, _, c, _, e, f = self.transform
        xmin, ymin, xmax, ymax = bounds
        left, right = max(math.floor((xmin - c) / a), 0), min(math.ceil((xmax - c) / a), self.width)
        top, bottom = max(math.floor((ymax - f) / e), 0), min(math.ceil((ymin - f) / e), self.height)
        if left >= right or top >= bottom:
            return Window(0, 0, 0, 0)
        return Window(top, left, bottom - top, right - left)

    def window_bounds(self, window: Window) -> Bounds:
        a, _, c, _, e, f = self.transform
        x, y = c + a * window.col_off, f + e * window.row_off
        return x, y + e * window.height, x + a * window.width, y

    def halves(self, coarse: Grid) -> bool:
        """Whether every pixel of `coarse` is exactly two by two pixels of this grid."""
        a, b, c, d, e, f = self.transform
        return (
            self.epsg == coarse.epsg
            and coarse.transform == (2 * a, b, c, d, 2 * e, f)
            and (2 * coarse.width, 2 * coarse.height) == (self.width, self.height)
        )
