"""Damaged products and benchmark files: SAFE folders, BreizhCrops arrays, indexes, class mappings and raw exports."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pytest

from cropmap.breizhcrops.evaluation import inspect_breizhcrops
from cropmap.seasons import Season
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions
from cropmap.sources.catalogs.safe import PRODUCT_METADATA, TILE_METADATA
from tests.data.make_breizhcrops import CLASSES_9, make_breizhcrops, write_raw
from tests.data.make_sources_safe import GRANULE, OFFSETS, make_safe, zip_product
from tests.fuzzing import chances, inputs, mutated_bytes, mutated_text, survives

SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))
WORLD = (-180.0, -90.0, 180.0, 90.0)


def read(folder: Path) -> CatalogSearch:
    """Whatever is found is of one line and fit to be stored."""
    found = find_acquisitions(str(folder), collection="sentinel-2-l2a", bbox=WORLD, season=SEASON)
    assert all(acquisition.to_json() for acquisition in found.acquisitions)
    places = [asset.href for acquisition in found.acquisitions for asset in acquisition.assets.values()]
    assert all(str(folder) in place and ".." not in place for place in places)
    assert all(item.detail and "\n" not in item.detail for item in found.unusable)
    return found


@pytest.mark.parametrize("file", [PRODUCT_METADATA, f"{GRANULE}/{TILE_METADATA}", "zip"])
def test_a_damaged_product_is_an_acquisition_or_set_aside(tmp_path: Path, file: str) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    folder, path = tmp_path, product / file
    if file == "zip":
        folder = tmp_path / "zips"
        folder.mkdir()
        path = zip_product(product, folder / f"{product.stem}.zip")
    whole = path.read_bytes()
    assert read(folder).acquisitions[0].tile == "30UVU"
    mutated = mutated_bytes if file == "zip" else mutated_text
    for seed, chance in chances(file, inputs("products", 3)):
        path.write_bytes(mutated(whole, chance))
        survives(lambda: read(folder), (file, seed), names=folder)


KINDS = ("h5", "index", "mapping", "raw", "arrays")


def odd_arrays(path: Path, chance: random.Random) -> None:
    """A sound HDF5 file whose arrays are not those of the benchmark."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        for name in chance.sample(names, chance.randint(1, len(names))):
            shape, data = file[name].shape, file[name][()]
            del file[name]
            kind = chance.randrange(9)
            if kind == 0:
                file.create_dataset(name, shape=(2**31, 17), dtype="f8", chunks=(1024, 17), compression="gzip")
            elif kind == 1:
                file.create_dataset(name, data=np.full(shape, np.nan))
            elif kind == 2:
                file.create_dataset(name, data=[b"a", b"b"])
            elif kind == 3:
                file.create_dataset(name, data=np.zeros((3, 3, 3)))
            elif kind == 4:
                file.create_dataset(name, data=np.zeros(3, [("a", "f4"), ("b", "S3")]))
            elif kind == 5:
                file.create_dataset(name, data=h5py.Empty("f8"))
            elif kind == 6:
                file.create_group(name)
            elif kind == 7:
                file[name] = h5py.ExternalLink("/etc/passwd", "/x")
            else:
                file.create_dataset(name, data=np.where(np.random.default_rng(1).random(shape) < 0.3, 1e308, data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_benchmark_folder(tmp_path: Path, kind: str) -> None:
    classes = dict(list(CLASSES_9.items())[:3])
    folder = make_breizhcrops(tmp_path, regions=["frh01"], parcels=4, classes=classes) / "2017" / "L1C"
    path = {
        "h5": folder / "frh01.h5",
        "arrays": folder / "frh01.h5",
        "index": folder / "frh01.csv",
        "mapping": tmp_path / "classmapping.csv",
        "raw": folder / "frh02" / "csv" / "100.csv",
    }[kind]
    if kind == "raw":
        write_raw(tmp_path, "frh02", classes=classes)
    whole = path.read_bytes()

    def read() -> object:
        return inspect_breizhcrops(tmp_path, year=2017, level="L1C", legend=None)

    assert read()
    mutated = mutated_bytes if kind == "h5" else mutated_text
    for seed, chance in chances(kind, inputs("benchmark", len(KINDS))):
        path.write_bytes(whole if kind == "arrays" else mutated(whole, chance))
        if kind == "arrays":
            odd_arrays(path, chance)
        survives(read, (kind, seed), names=tmp_path)
