"""Outlines that are mapped are those that were stored, by position, whatever part of them is decoded."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cropmap.database import declarations
from cropmap.database.connection import Connection
from cropmap.database.declarations import read_declarations, read_register
from cropmap.sources import mapped_outlines as outlines
from cropmap.sources.mapped_outlines import Outlines
from tests.database.seasons import KEY, load

SHAPES = gpd.GeoSeries([shapely.box(i / 100, 48, i / 100 + 0.001, 48.001 + i / 1000) for i in range(7)], crs=4326)


def test_centroids_bounds_and_parts_are_those_of_all_outlines_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "CHUNK", 3)
    found, parcels = Outlines.of(SHAPES), pd.DataFrame({"parcel_id": list("abcdefg")})
    centroids = SHAPES.to_crs(epsg=3035).centroid
    np.testing.assert_array_equal(found.centroids_m, np.column_stack([centroids.x, centroids.y]))
    np.testing.assert_array_equal(found.bounds, SHAPES.bounds.to_numpy())
    assert list(found.wkb()) == SHAPES.to_wkb().tolist()
    parts = list(found.parts(parcels))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert (pd.concat(parts).geometry == SHAPES).all()
    some = found.beside(parcels[parcels["parcel_id"].isin(["b", "f"])])
    assert some.geometry.tolist() == SHAPES[[1, 5]].tolist()


def test_nothing_and_what_is_missing() -> None:
    nothing = Outlines.of(SHAPES[:0])
    assert (len(nothing), nothing.bounds.shape, nothing.centroids_m.shape) == (0, (0, 4), (0, 2))
    assert len(next(nothing.parts(pd.DataFrame({"parcel_id": []})))) == 0
    missing = Outlines.of(gpd.GeoSeries([None, SHAPES[0]], crs=4326))
    assert missing.shapes(np.array([0, 1])).tolist() == [None, SHAPES[0]]


def test_a_register_is_streamed_with_its_outlines_in_a_nameless_file(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(connection)
    whole = read_declarations(connection, **KEY)
    monkeypatch.setattr(declarations, "CHUNK", 2)
    parcels, mapped = read_register(connection, **KEY, folder=tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    pd.testing.assert_frame_equal(parcels, pd.DataFrame(whole.drop(columns="geometry")))
    assert mapped.beside(parcels).geometry.tolist() == whole.geometry.tolist()
    none, empty = read_register(connection, agency="nobody", season=2018, folder=tmp_path)
    assert (len(none), len(empty)) == (0, 0)
    assert none.dtypes.equals(parcels.dtypes)
