"""Damaged scenes and tables of parcel statistics: used as they are, or one line that names them."""

from __future__ import annotations

import datetime as dt
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from rasterio.transform import Affine

from cropmap.errors import CropmapError, SceneError
from cropmap.observations.coverage import tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.raster import read_grid
from cropmap.observations.tidy import import_tidy
from cropmap.observations.tiles import tile_grids
from cropmap.results.evaluation import read_judged
from cropmap.schemas import BANDS
from cropmap.seasons import Season
from cropmap.store import Store
from tests.data.make_scenes import flat_bands, make_acquisition, parcels_at
from tests.data.odd_tables import with_odd_columns
from tests.fuzzing import chances, inputs, mutated_bytes, survives

SEASON: Final = Season(2018, dt.date(2018, 1, 1), dt.date(2018, 12, 31))
PARCELS: Final = ("007", "1", "2")


def observations() -> pa.Table:
    days = [dt.date(2018, 5, 7), dt.date(2018, 5, 17)] * len(PARCELS)
    return pa.table(
        {
            "parcel_id": sorted(PARCELS * 2),
            "datetime": days,
            "clear_fraction": [1.0, 0.5] * 3,
            "n_pixels": [40.0] * 6,
            **{band: np.linspace(0.02, 0.4, 6) for band in BANDS},
        }
    )


@pytest.mark.parametrize("kind", ["bytes", "columns"])
def test_a_damaged_table_of_statistics(store: Store, tmp_path: Path, kind: str) -> None:
    path, labels, folds = (tmp_path / name for name in ("t.parquet", "labels.csv", "folds.csv"))
    pd.DataFrame({"parcel_id": PARCELS, "crop_code": ["a", "a", "b"]}).to_csv(labels, index=False)
    pd.DataFrame({"parcel_id": PARCELS, "fold": ["x", "y", "x"]}).to_csv(folds, index=False)
    pq.write_table(observations(), path)
    whole = path.read_bytes()

    def taken() -> object:
        return import_tidy(store, path, agency="a", season=SEASON, parcel_ids=PARCELS)

    assert taken()
    for seed, chance in chances(kind, inputs("observations", 2)):
        if kind == "bytes":
            path.write_bytes(mutated_bytes(whole, chance))
        else:
            pq.write_table(with_odd_columns(observations(), chance), path)
        survives(taken, (kind, seed), names=path)
        survives(lambda: read_judged(path, labels, folds), (kind, seed), names=None)


WIDTH: Final = 12
"""of the scenes, at 20 m"""


def scene(path: Path, values: np.ndarray[Any, Any], driver: str, **options: Any) -> bytes:
    height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver=driver,
        width=width,
        height=height,
        count=1,
        dtype=values.dtype,
        crs="EPSG:32630",
        nodata=0,
        transform=Affine(10, 0, 500_000, 0, -10, 5_300_040),
        **options,
    ) as sink:
        sink.write(values, 1)
    return path.read_bytes()


def mutated_tags(data: bytes, chance: random.Random) -> bytes:
    """A TIFF whose entries say something else: sizes, bits, compressions, counts, places."""
    changed = bytearray(data)
    (directory,) = struct.unpack_from("<I", data, 4)
    (number,) = struct.unpack_from("<H", data, directory)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = directory + 2 + 12 * chance.randrange(number)
        field = chance.randrange(4)
        value = chance.choice(
            (0, 1, 2, 7, 8, 16, 255, 5, 8, 32_946, 34_712, 50_000, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 10_980)
        )
        if field == 0:
            struct.pack_into("<H", changed, at + 2, value & 0xFFFF)  # its type
        elif field == 1:
            struct.pack_into("<I", changed, at + 4, value)  # how many
        else:
            struct.pack_into("<I", changed, at + 8, value)  # what, or where
    return bytes(changed)


KINDS: Final = ("cog", "tiles", "strips", "tags", "jp2")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_a_damaged_scene_is_quarantined(store: Store, tmp_path: Path, kind: str) -> None:
    acquisition = make_acquisition(tmp_path, flat_bands(rows=WIDTH, cols=WIDTH))
    coverage = tile_coverage(
        store,
        parcels_at({"007": (20, 20, 120, 120)}),
        tile="30UVU",
        grids=tile_grids([acquisition]),
        inner_buffer_10m_m=0,
        inner_buffer_20m_m=0,
    )
    path = Path(acquisition.assets["B02"].href)
    if kind == "jp2":
        path = path.with_suffix(".jp2")
        b02 = replace(acquisition.assets["B02"], href=str(path))
        acquisition = replace(acquisition, assets={**acquisition.assets, "B02": b02})
    values = np.random.default_rng(1).integers(300, 900, (2 * WIDTH, 2 * WIDTH)).astype(np.uint16)
    of_kind: dict[str, dict[str, Any]] = {
        "cog": {"compress": "deflate"},
        "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "lzw"},
        "strips": {"compress": "deflate", "predictor": 2},
        "tags": {},
        "jp2": {"QUALITY": "100", "REVERSIBLE": "YES"},
    }
    whole = scene(path, values, {"cog": "COG", "jp2": "JP2OpenJPEG"}.get(kind, "GTiff"), **of_kind[kind])

    def read() -> object:
        grids: CropmapError | None = None
        try:
            read_grid(str(path))
        except SceneError as error:
            grids = error
        table = observe(acquisition, coverage)
        assert grids is None, "what has no grid has no pixels"
        return table

    assert read()
    for seed, chance in chances(f"scene {kind}", inputs("scenes", len(KINDS))):
        path.write_bytes(mutated_tags(whole, chance) if kind == "tags" else mutated_bytes(whole, chance))
        survives(read, (kind, seed), names=path.parent.name)
