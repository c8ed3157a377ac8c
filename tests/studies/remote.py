"""Observing from an S3 server that enforces signatures, beside what the machine needs at least for the same files.

GeoTIFF: bare rasterio reads the same windows from the same server. JPEG 2000: bare rasterio decodes the same files from
a disk, and all that comes with fetching them is ours. Both in turn, on as many threads. Processor seconds are of this
process; on a machine with other work they say more than wall time.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import rasterio

from cropmap.bench.observe import cover, decode
from cropmap.bench.tile import JPEG2000, make_acquisitions, make_parcels
from cropmap.observations import scratch
from cropmap.observations.extract import observe
from cropmap.observations.raster_access import GDAL_OPTIONS
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store
from tests.s3_server import S3Server, running

TARGETS: Final = {"deflate": "<= 1.2", JPEG2000: "<= 1.15"}
PARCELS_PER_PIXEL: Final = 1.7e-4


def measure(*, size_px: int, repeats: int, threads: int = 2) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="cropmap-remote-") as folder, running() as server, _keys(server):
        scratch.use(Path(folder) / "scratch", scratch.DEFAULT_BYTES)
        bucket, fields = server.make_bucket(), make_parcels(size_px=size_px, count=int(size_px**2 * PARCELS_PER_PIXEL))
        for compress in ("deflate", JPEG2000):
            (here,) = made = make_acquisitions(Path(folder) / compress, size_px=size_px, dates=1, compress=compress)
            there = _uploaded(server, here, f"{bucket}/{compress}")
            floor = here if compress == JPEG2000 else _by_gdal(there)
            coverage = cover(Store(Path(folder) / "store"), fields, made)
            assert observe(there, coverage, threads=threads).equals(observe(here, coverage, threads=threads))

            def bare(floor: Acquisition = floor, coverage: Any = coverage) -> None:
                with rasterio.Env(**GDAL_OPTIONS):
                    decode(floor, coverage, threads)

            def ours(there: Acquisition = there, coverage: Any = coverage) -> None:
                observe(there, coverage, threads=threads)

            pairs = [(_timed(bare), _timed(ours)) for _ in range(repeats)]
            what = "the same windows from the server" if compress != JPEG2000 else "the same files, decoded from disk"
            rows.append(_row(compress, pairs, TARGETS[compress], f"{what}; {size_px} px, {threads} threads"))
    return rows


def _row(compress: str, pairs: list[tuple[Any, Any]], target: str, how: str) -> dict[str, Any]:
    wall, cpu = (statistics.median(o[k] / b[k] for b, o in pairs) for k in (0, 1))
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return {
        "files": compress,
        "bare s": round(statistics.median(b[0] for b, _ in pairs), 2),
        "ours s": round(statistics.median(o[0] for _, o in pairs), 2),
        "ratio": round(wall, 2),
        "ratio of processor s": round(cpu, 2),
        "target": target,
        "how": f"{how}; median of {len(pairs)}, load {load:.1f} per processor",
    }


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def _keys(server: S3Server) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(server.aws_environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _uploaded(server: S3Server, acquisition: Acquisition, prefix: str) -> Acquisition:
    client, assets = server.client(), {}
    for band, asset in acquisition.assets.items():
        path = Path(asset.href)
        with client.open_output_stream(f"{prefix}/{path.name}") as sink:
            sink.write(path.read_bytes())
        assets[band] = replace(asset, href=f"s3://{prefix}/{path.name}", size=path.stat().st_size)
    return replace(acquisition, assets=assets)


def _by_gdal(acquisition: Acquisition) -> Acquisition:
    """The same files by the name that GDAL has for them."""
    assets = {
        band: replace(asset, href=asset.href.replace("s3://", "/vsis3/")) for band, asset in acquisition.assets.items()
    }
    return replace(acquisition, assets=assets)
