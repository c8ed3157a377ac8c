"""Real acquisitions dates and parcels: every zonal mean against the recorded one."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from cropmap.observations.coverage import TileCoverage, tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.files import observation_name, read_observations, write_observation
from cropmap.observations.tiles import home_tiles, tile_grids
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.catalog import find_acquisitions
from cropmap.store import Store

pytestmark = pytest.mark.shared_data


def opened(folder: Path, store: Store, window: tuple[str, str]) -> tuple[list[Acquisition], TileCoverage]:
    parcels = gpd.read_file(folder / "declarations.gpkg").to_crs(4326)
    west, south, east, north = parcels.total_bounds.tolist()
    found = find_acquisitions(
        str(folder / "scenes" / "catalog.json"),
        collection="sentinel-2-l2a",
        bbox=(west, south, east, north),
        season=Season.from_window(2018, window),
    )
    acquisitions = list(found.acquisitions)
    grids = tile_grids(acquisitions)
    tile = acquisitions[0].tile
    assert set(home_tiles(parcels, {tile: grids[10]})) == {tile}
    return acquisitions, tile_coverage(
        store, parcels, tile=tile, grids=grids, inner_buffer_10m_m=10, inner_buffer_20m_m=20
    )


@pytest.mark.slow
def test_bavaria_equals_its_oracle(shared_data: Path, store: Store) -> None:
    folder = shared_data / "bavaria"
    acquisitions, coverage = opened(folder, store, ("2018-01-01", "2018-12-31"))
    assert len(acquisitions) == 142
    assert {a.processing_baseline: a.assets["B02"].offset for a in acquisitions} == {"02.06": 0.0, "05.00": -0.1}
    names = []
    for acquisition in acquisitions:
        names.append(observation_name("bavaria", 2018, coverage.tile, acquisition.item_id))
        write_observation(store, names[-1], observe(acquisition, coverage))
    seen = (
        read_observations(store, names)
        .to_pandas()
        .melt(["parcel_id", "sensed_at", "clear_pixels"], BANDS, var_name="band", value_name="stored")
    )
    assert len(seen) == 301 * 142 * 10
    seen["date"] = seen["sensed_at"].dt.date
    oracle = pd.read_parquet(folder / "oracle.parquet").astype({"parcel_id": str, "band": str})
    both = seen.astype({"parcel_id": str}).merge(oracle, on=["parcel_id", "date", "band"], validate="one_to_one")
    assert len(both) == len(oracle)

    has = both["stored"] != REFLECTANCE_NODATA
    assert (np.abs(both["stored"] / REFLECTANCE_SCALE - both["reflectance"])[has]).max() <= 1e-4
    # seen where, and only where, the provider's mask leaves a parcel clear and the buffer leaves it a pixel
    left = {10: 301 - 18, 20: 301 - 48}
    assert {10: int((coverage.fine.total_pixels > 0).sum()), 20: int((coverage.coarse.total_pixels > 0).sum())} == left
    total = both["parcel_id"].map(dict(zip(coverage.parcel_ids, coverage.fine.total_pixels, strict=True)))
    mostly_clear = (both["clear_pixels"] / total > 0.5)[total > 0]
    agree = (mostly_clear == (both["cloud_fraction"] < 0.5)[total > 0]).mean()
    assert agree > 0.99  # a 20 m pixel of the scene classification can belong to the neighbour
    for offset_applied in (False, True):
        later = pd.to_datetime(both["date"]) >= "2018-07-01"
        assert has[later == offset_applied].sum() > 30_000


@pytest.mark.slow
def test_flanders_reads(shared_data: Path, store: Store) -> None:
    acquisitions, coverage = opened(shared_data / "flanders", store, ("{previous}-08-01", "{season}-12-31"))
    assert len(acquisitions) == 118
    clear = np.sum([np.asarray(observe(a, coverage)["clear_pixels"]) > 0 for a in acquisitions], axis=0)
    assert len(clear) == 19
    total = coverage.fine.total_pixels
    assert clear[total > 0].min() >= 40  # 54 of 118 acquisitions are more than 80 % clear
