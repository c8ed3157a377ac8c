"""Boxes near the parcels."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest

from cropmap.sources.catalogs.search_boxes import MAX_BOXES, search_boxes

PLACES = {
    "metropole": (1.7, 46.5),
    "guadeloupe": (-61.5, 16.2),
    "martinique": (-61.0, 14.6),
    "guyane": (-52.5, 4.5),
    "reunion": (55.5, -21.1),
    "mayotte": (45.1, -12.8),
    "canaries": (-15.6, 28.1),
    "azores": (-25.6, 37.8),
}


def around(places: list[str], n: int = 30) -> np.ndarray:
    random = np.random.default_rng(3)
    middle = np.repeat([PLACES[place] for place in places], n, axis=0) + random.uniform(-0.4, 0.4, (n * len(places), 2))
    return np.column_stack([middle - 0.01, middle + 0.01])


def holds(boxes: tuple[tuple[float, ...], ...], bounds: np.ndarray) -> bool:
    west, south, east, north = np.array(boxes).T
    inside = (bounds[:, [0]] >= west) & (bounds[:, [1]] >= south) & (bounds[:, [2]] <= east) & (bounds[:, [3]] <= north)
    return bool(inside.any(axis=1).all())


def test_one_region_is_one_box() -> None:
    bounds = around(["metropole"])
    assert search_boxes(bounds) == ((*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0)),)


def test_overseas_territories_are_searched_where_they_are() -> None:
    bounds = around(list(PLACES))
    boxes = search_boxes(bounds)
    assert holds(boxes, bounds)
    assert len(boxes) <= len(PLACES)
    assert sum((east - west) * (north - south) for west, south, east, north in boxes) < 12


@pytest.mark.parametrize("seed", range(5))
def test_parcels_anywhere_make_few_boxes_that_hold_them(seed: int) -> None:
    corner = np.random.default_rng(seed).uniform((-180, -85), (179, 85), (500, 2))
    bounds = np.column_stack([corner, corner + 0.01])
    boxes = search_boxes(bounds)
    assert 1 <= len(boxes) <= MAX_BOXES
    assert holds(boxes, bounds)


def test_no_parcels_no_box() -> None:
    assert search_boxes(np.empty((0, 4))) == ()
    assert search_boxes(np.full((2, 4), np.nan)) == ()


@pytest.mark.shared_data
def test_metropole_and_overseas(shared_data: Path) -> None:
    parcels = gpd.read_file(shared_data / "cases/input/37-metropole-and-overseas/fields.gpkg").to_crs(4326)
    boxes = search_boxes(parcels.bounds.to_numpy())
    assert holds(boxes, parcels.bounds.to_numpy())
    assert len(boxes) > 1
    assert all(east - west < 2 and north - south < 2 for west, south, east, north in boxes)
