"""When a quarantined acquisition is tried again: when anything that an attempt depends on is another."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cropmap.observations.attempts import depends_on
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset


def acquisition(folder: Path, *, href: str | None = None) -> Acquisition:
    red = BandAsset("B04", href or str(folder / "B04.tif"), 1e-4, 0.0, 0, 10)
    return Acquisition(
        item_id="S2A_30UVU_20180607",
        collection="sentinel-2-l2a",
        tile="30UVU",
        sensed_at=datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC),
        platform="sentinel-2a",
        relative_orbit=137,
        processing_baseline="02.06",
        datatake="S2A_20180607T110621",
        cloud_cover=12.5,
        epsg=32630,
        bbox=(-3.2, 47.8, -3.0, 48.0),
        footprint_wkt="POLYGON ((-3.2 47.8, -3 47.8, -3 48, -3.2 47.8))",
        assets={"B04": red},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "B04.tif"
    path.write_bytes(b"pixels")
    os.utime(path, ns=(1_000, 1_000))
    return path


def test_the_same_item_files_and_parcels_are_the_same_attempt(tmp_path: Path, file: Path) -> None:
    one = depends_on(acquisition(tmp_path), "parcels-1")
    assert depends_on(acquisition(tmp_path), "parcels-1") == one
    file.touch()
    os.utime(file, ns=(2_000, 1_000))  # it was read, and not changed
    assert depends_on(acquisition(tmp_path), "parcels-1") == one


def test_another_item_other_parcels_or_another_file_are_another(tmp_path: Path, file: Path) -> None:
    plain = acquisition(tmp_path)
    keys = {depends_on(plain, "parcels-1"), depends_on(plain, "parcels-2")}
    keys.add(depends_on(replace(plain, processing_baseline="05.00"), "parcels-1"))
    os.utime(file, ns=(1_000, 1_001))
    keys.add(depends_on(plain, "parcels-1"))  # written anew
    os.utime(file, ns=(1_000, 1_000))
    file.write_bytes(b"more pixels")
    os.utime(file, ns=(1_000, 1_000))
    keys.add(depends_on(plain, "parcels-1"))  # of another size at the same time
    file.unlink()
    keys.add(depends_on(plain, "parcels-1"))  # gone
    assert len(keys) == 6


def test_of_a_file_elsewhere_nothing_is_known_without_asking(tmp_path: Path) -> None:
    far = acquisition(tmp_path, href="https://example.org/B04.tif")
    assert depends_on(far, "parcels-1") == depends_on(far, "parcels-1")
