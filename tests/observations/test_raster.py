"""Scenes are GeoTIFF or JPEG 2000; no scene makes a reader open another file or call a host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from cropmap.errors import SceneError
from cropmap.observations.grids import Window
from cropmap.observations.raster import read_grid, read_window
from tests.data.make_hostile import listening


def scene(path: Path, *, driver: str = "GTiff", **tags: str) -> Path:
    with rasterio.open(
        path,
        "w",
        driver=driver,
        width=64,
        height=64,
        count=1,
        dtype="uint16",
        crs="EPSG:32630",
        transform=Affine(10, 0, 500_000, 0, -10, 5_400_000),
    ) as file:
        file.write(np.full((1, 64, 64), 700, "uint16"))
        if tags:
            file.update_tags(ns="OVERVIEWS", **tags)
    return path


@pytest.mark.parametrize(("name", "driver"), [("s.tif", "GTiff"), ("s.jp2", "JP2OpenJPEG"), ("noending", "GTiff")])
def test_scenes_are_read_by_their_content(tmp_path: Path, name: str, driver: str) -> None:
    path = scene(tmp_path / name, driver=driver)
    grid = read_grid(str(path))
    assert (grid.epsg, grid.width) == (32630, 64)
    assert read_window(str(path), grid, Window(0, 0, 3, 3)).shape == (3, 3)


@pytest.mark.parametrize("name", ["b.vrt", "b.tif", "b.jp2", "b"])
@pytest.mark.parametrize("target", ["{}", "/vsicurl/{}/x.tif"])
def test_a_description_of_another_file_is_no_scene(tmp_path: Path, name: str, target: str) -> None:
    other = scene(tmp_path / "other.tif")
    with listening() as host:
        source = target.format(host.url if "vsicurl" in target else other)
        (tmp_path / name).write_text(
            f'<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32630</SRS><GeoTransform>500000,10,0,5400000,0,'
            f'-10</GeoTransform><VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename>{source}'
            f"</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
        )
        with pytest.raises(SceneError, match="not recognized"):
            read_grid(str(tmp_path / name))
        assert not host.calls


def test_a_scene_that_names_overviews_elsewhere_is_read_without_them(tmp_path: Path) -> None:
    with listening() as host:
        path = scene(tmp_path / "s.tif", OVERVIEW_FILE=f"/vsicurl/{host.url}/overviews.tif")
        (tmp_path / "s.tif.aux.xml").write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{host.url}/aux.tif</MDI>'
            "</Metadata></PAMDataset>"
        )
        grid = read_grid(str(path))
        assert (read_window(str(path), grid, Window(0, 0, 64, 64)) == 700).all()
        assert not host.calls


def test_a_block_of_gigabytes_is_not_decoded(tmp_path: Path) -> None:
    """Two megabytes on disk, 64 wide, in one block of 65,536 by 16,384 pixels."""
    with rasterio.open(
        tmp_path / "b.tif",
        "w",
        width=64,
        height=64,
        count=1,
        dtype="uint16",
        crs="EPSG:32630",
        tiled=True,
        transform=Affine(10, 0, 500_000, 0, -10, 5_400_000),
        blockxsize=65_536,
        blockysize=16_384,
        SPARSE_OK="TRUE",
    ):
        pass
    path = str(tmp_path / "b.tif")
    with pytest.raises(SceneError, match=r"b\.tif: declares blocks of 65536 x 16384 pixels in 1 bands, 2,048 MB"):
        read_window(path, read_grid(path), Window(0, 0, 3, 3))
