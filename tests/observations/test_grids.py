"""Windows of a grid: which pixels hold a rectangle, and how windows join and coarsen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cropmap.observations.grids import Bounds, Grid, Window

GRID = Grid(32630, (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_300_000.0), width=8, height=6)
"""80 m from west to east, 60 m from north to south, from its upper left corner at (500000, 5300000)"""


def at(west: float, south: float, east: float, north: float) -> Bounds:
    """Metres from the upper left corner, to the east and to the north (so that inside is below 0)."""
    return 500_000 + west, 5_300_000 + south, 500_000 + east, 5_300_000 + north


def test_the_edges_of_a_grid() -> None:
    assert GRID.bounds == at(0, -60, 80, 0)


@pytest.mark.parametrize(
    ("bounds", "window"),
    [
        (at(20, -30, 40, -10), Window(1, 2, 2, 2)),  # on the edges of pixels: those alone
        (at(19.9, -30.1, 40.1, -9.9), Window(0, 1, 4, 4)),  # a hair more: the pixel beyond too
        (at(21, -19, 22, -18), Window(1, 2, 1, 1)),  # within one pixel
        (at(-50, -500, 15, 500), Window(0, 0, 6, 2)),  # over the edge: the part inside
        (at(70, -60, 500, -50), Window(5, 7, 1, 1)),
        (at(80, -30, 90, -10), Window(0, 0, 0, 0)),  # beside it
        (at(20, 0, 40, 10), Window(0, 0, 0, 0)),  # above it
        (at(20, -80, 40, -60), Window(0, 0, 0, 0)),  # below it
    ],
)
def test_the_smallest_window_that_holds_a_rectangle(bounds: Bounds, window: Window) -> None:
    assert GRID.window(bounds) == window


def test_a_window_lies_where_its_pixels_do() -> None:
    """Rows 1 and 2, columns 3 to 6: from 30 m to 70 m east, from 10 m to 30 m below the top."""
    window = Window(row_off=1, col_off=3, height=2, width=4)
    assert GRID.window_bounds(window) == at(30, -30, 70, -10)
    assert GRID.window(GRID.window_bounds(window)) == window


@pytest.mark.parametrize(
    ("window", "factor", "coarse"),
    [
        (Window(2, 4, 2, 6), 2, Window(1, 2, 1, 3)),  # on the coarse edges
        (Window(1, 3, 2, 2), 2, Window(0, 1, 2, 2)),  # rows 1-2 lie in 0 and 1, columns 3-4 in 1 and 2
        (Window(5, 5, 1, 1), 6, Window(0, 0, 1, 1)),
        (Window(2, 4, 2, 6), 1, Window(2, 4, 2, 6)),
    ],
)
def test_a_coarser_window_holds_the_fine_one(window: Window, factor: int, coarse: Window) -> None:
    assert window.coarsened(factor) == coarse


def test_two_windows_become_the_rectangle_around_both() -> None:
    one, other, nothing = Window(1, 5, 2, 1), Window(4, 0, 1, 3), Window(0, 0, 0, 0)
    assert one.union(other) == other.union(one) == Window(1, 0, 4, 6)
    assert one.union(nothing) == nothing.union(one) == one, "a window of no size has no place"


@pytest.mark.parametrize(
    ("changes", "halves"),
    [
        ({}, True),
        ({"width": 5}, False),
        ({"height": 4}, False),
        ({"epsg": 32631}, False),
        ({"transform": (20.0, 0.0, 500_010.0, 0.0, -20.0, 5_300_000.0)}, False),  # half a pixel aside
        ({"transform": (20.0, 0.0, 500_000.0, 0.0, -10.0, 5_300_000.0)}, False),  # only in one direction
    ],
)
def test_a_grid_halves_another_of_the_same_corner(changes: dict[str, Any], halves: bool) -> None:
    coarse = Grid(32630, (20.0, 0.0, 500_000.0, 0.0, -20.0, 5_300_000.0), width=4, height=3)
    assert GRID.halves(replace(coarse, **changes)) is halves


def test_a_key_is_another_where_anything_of_the_grid_is() -> None:
    others = [replace(GRID, width=9), replace(GRID, epsg=32631), replace(GRID, transform=(*GRID.transform[:5], 0.0))]
    assert len({GRID.key, *(other.key for other in others)}) == 4
    assert replace(GRID).key == GRID.key
