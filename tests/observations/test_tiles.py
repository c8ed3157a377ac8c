from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from cropmap.errors import SceneError
from cropmap.observations.grids import Grid, Window
from cropmap.observations.tiles import candidate_tiles, home_tiles, tile_grids
from tests.data.make_scenes import flat_bands, make_acquisition

WEST_TILE = Grid(32630, (10, 0, 500_000, 0, -10, 5_300_040), width=1000, height=1000)
EAST_TILE = Grid(32630, (10, 0, 509_000, 0, -10, 5_300_040), width=1000, height=1000)
"""the tiles share the kilometre between x = 509 000 and 510 000"""
NEXT_ZONE = Grid(32631, (10, 0, 45_000, 0, -10, 5_320_000), width=3000, height=2500)


def home(*boxes: tuple[float, float, float, float], grids: dict[str, Grid]) -> list[str | None]:
    parcels = gpd.GeoDataFrame(
        geometry=[shapely.box(*box) for box in boxes], crs=32630, index=[*range(7, 7 + len(boxes))]
    )
    found = home_tiles(parcels.to_crs(4326), grids)
    assert found.index.tolist() == parcels.index.tolist()
    return found.to_list()


def test_the_tile_whose_edge_is_farthest() -> None:
    grids = {"west": WEST_TILE, "east": EAST_TILE}
    assert home(
        (505_000, 5_295_000, 505_100, 5_295_100),  # in the west alone
        (509_200, 5_295_000, 509_300, 5_295_100),  # 200 m inside the east, 700 m inside the west
        (509_800, 5_295_000, 509_900, 5_295_100),
        (509_950, 5_295_000, 510_050, 5_295_100),  # cut by the west tile
        (499_950, 5_295_000, 500_050, 5_295_100),  # cut by the only tile there
        (400_000, 5_295_000, 400_050, 5_295_100),
        grids=grids,
    ) == ["west", "west", "east", "east", None, None]


def test_a_rounded_edge_is_no_cut() -> None:
    assert home((500_000, 5_300_000, 500_050, 5_300_040.4), grids={"west": WEST_TILE}) == ["west"]


def test_each_tile_measures_in_its_own_metres() -> None:
    # the parcel lies 0.013 degrees east of the central meridian of zone 30, at 3 degrees west
    parcel = (501_000, 5_294_000, 501_100, 5_294_100)
    assert home(parcel, grids={"zone31": NEXT_ZONE}) == ["zone31"]
    assert home(parcel, grids={"zone31": NEXT_ZONE, "zone30": WEST_TILE}) == ["zone31"]
    assert home(parcel, grids={}) == [None]


def test_windows() -> None:
    assert WEST_TILE.window((500_015, 5_300_001, 500_031, 5_300_019)) == Window(2, 1, 2, 3)
    assert WEST_TILE.window((499_000, 5_299_999, 500_001, 5_400_000)) == Window(0, 0, 5, 1)
    assert WEST_TILE.window((400_000, 5_299_999, 400_001, 5_400_000)).size == 0
    assert Window(3, 5, 2, 4).coarsened(2) == Window(1, 2, 2, 3)
    assert Window(3, 5, 2, 4).union(Window(1, 7, 1, 9)) == Window(1, 5, 4, 11)


def test_only_tiles_near_a_parcel_are_candidates(tmp_path: Path) -> None:
    """Two parcels make a box whose other corners no parcel is in; the box of their tiles need not be opened."""
    parcels = gpd.GeoDataFrame(
        {"parcel_id": ["a", "b"]}, geometry=[shapely.box(0, 48, 0.1, 48.1), shapely.box(5, 43, 5.1, 43.1)], crs=4326
    )
    one = make_acquisition(tmp_path, flat_bands(rows=2, cols=2))
    found = [
        replace(one, tile=tile, bbox=bbox)
        for tile, bbox in {
            "30UXU": (-0.5, 47.5, 1.0, 48.5),
            "31TFJ": (4.5, 42.5, 5.5, 43.5),
            "31UFP": (4.5, 47.5, 5.5, 48.5),
            "30TXN": (-0.5, 42.5, 1.0, 43.5),
            "01VCG": (179.5, 47.5, -179.5, 48.5),
        }.items()
    ]
    candidates = candidate_tiles(parcels.bounds.to_numpy(), found)
    assert {tile: near.tolist() for tile, near in candidates.items()} == {
        "30UXU": [True, False],
        "31TFJ": [False, True],
    }


def test_a_header_of_an_absurd_extent_is_no_tile(tmp_path: Path) -> None:
    """It would lie farther around every parcel than the tile itself."""
    whole = make_acquisition(tmp_path, flat_bands(rows=6, cols=6), item_id="whole")
    absurd = make_acquisition(tmp_path, flat_bands(rows=6, cols=6), item_id="absurd")
    for band, pixel_m, side in (("B02", 10, 2**31 - 2), ("B05", 20, 2**30 - 1)):
        with rasterio.open(
            absurd.assets[band].href,
            "w",
            driver="GTiff",
            width=side,
            height=40,
            count=1,
            dtype="uint16",
            crs="EPSG:32630",
            transform=Affine(pixel_m, 0, 500_000, 0, -pixel_m, 5_300_040),
            tiled=True,
            blockxsize=65_520,
            blockysize=65_520,
            SPARSE_OK="TRUE",
        ):
            pass
    with pytest.raises(SceneError, match=r"absurd: its grids .*width=2147483646.* are not the 10 m and the 20 m grid"):
        tile_grids([absurd])
    assert tile_grids([absurd, whole]) == tile_grids([whole])
