"""What GDAL is expected to take for a window, beside what an S3 server was asked for."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from cropmap.observations.grids import Window
from cropmap.observations.ranges import HEADER_BYTES, fetched, requests_of_copy
from cropmap.observations.raster import read_grid, read_window, stored_in_window
from cropmap.observations.raster_access import fetch
from tests.hostile_s3 import answering
from tests.s3_server import S3Server

PIXELS = 4_200


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """35 MB that cannot be packed, in blocks of two sizes; and one that a header's bytes hold whole."""
    folder, chance = tmp_path_factory.mktemp("rasters"), np.random.default_rng(0)
    whole = {"driver": "GTiff", "count": 1, "dtype": "uint16", "crs": "EPSG:32630", "compress": "deflate"}
    paths = {}
    for name, pixels, block in (("large", PIXELS, 1024), ("fine", PIXELS, 512), ("small", 96, 96)):
        values = chance.integers(0, 65_536, (pixels, pixels), "uint16")
        shape = {"width": pixels, "height": pixels, "transform": Affine(10, 0, 500_000, 0, -10, 5_300_000)}
        blocks = {"tiled": True, "blockxsize": block, "blockysize": block}
        paths[name] = folder / f"{name}.tif"
        with rasterio.open(paths[name], "w", **whole, **shape, **blocks) as target:
            target.write(values, 1)
    return paths


@pytest.fixture
def sent(
    rasters: dict[str, Path], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, list[int]]]:
    """A bucket with the rasters, and the bytes of each answer."""
    bucket, answers, client = s3_server.make_bucket(), list[int](), s3_server.client()
    for name, path in rasters.items():
        with client.open_output_stream(f"{bucket}/{name}.tif") as sink:
            sink.write(path.read_bytes())
    with answering(s3_server.endpoint, sent=answers) as endpoint:
        for variable, value in dataclasses.replace(s3_server, endpoint=endpoint).aws_environment().items():
            monkeypatch.setenv(variable, value)
        yield bucket, answers


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("small", Window(0, 0, 96, 96)),
        ("large", Window(0, 0, PIXELS, PIXELS)),
        ("large", Window(1100, 0, 2000, PIXELS)),
        ("large", Window(600, 600, 100, 100)),
        ("large", Window(600, 600, 100, 1500)),
        ("large", Window(600, 600, 2000, 100)),
        ("large", Window(600, 600, 2000, 2000)),
        ("large", Window(2100, 1100, 2000, 3000)),
        ("fine", Window(0, 0, PIXELS, PIXELS)),
        ("fine", Window(300, 300, 1000, 1000)),
        ("fine", Window(300, 300, 3500, 800)),
        ("fine", Window(300, 300, 3000, 3000)),
    ],
    ids=str,
)
def test_what_is_expected_is_what_the_server_sends(
    sent: tuple[str, list[int]], rasters: dict[str, Path], name: str, window: Window
) -> None:
    bucket, answers = sent
    expected = stored_in_window(str(rasters[name]), window).fetched
    values = read_window(f"s3://{bucket}/{name}.tif", read_grid(str(rasters[name])), window)
    assert values.shape == (window.height, window.width)
    assert expected.n_bytes == pytest.approx(sum(answers), rel=0.3)  # of the later rows GDAL fetches some blocks twice
    assert expected.n_requests == pytest.approx(len(answers), rel=0.3, abs=1)


def test_blocks_that_are_not_stored_are_not_fetched() -> None:
    assert fetched([[(0, 0), (0, 0)]], file_bytes=900).n_requests == 1
    alone = fetched([[(0, 0), (HEADER_BYTES, 100)], [(0, 0)]], file_bytes=HEADER_BYTES + 100)
    assert (alone.n_bytes, alone.n_requests) == (HEADER_BYTES + 100, 2)


def test_what_lies_between_the_blocks_of_a_row_is_not_fetched() -> None:
    """Of a file whose blocks were written in another order."""
    row = [(90 << 20, 1_000_000), (1 << 20, 1_000_000), (40 << 20, 1_000_000)]
    scattered = fetched([row], file_bytes=100 << 20)
    assert scattered.n_bytes == pytest.approx(3e6, rel=0.1)
    assert scattered.n_requests == 4


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_copy_comes_in_growing_pieces(
    sent: tuple[str, list[int]], rasters: dict[str, Path], tmp_path: Path, name: str
) -> None:
    bucket, answers = sent
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        fresh.submit(fetch, f"s3://{bucket}/{name}.tif", tmp_path / "copy").result()
    size = rasters[name].stat().st_size
    assert sum(answers) == pytest.approx(size, rel=0.01)
    assert len(answers) == pytest.approx(requests_of_copy(size), rel=0.3)
