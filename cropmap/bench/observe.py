"""How long an acquisition takes, over the time to merely decode its pixels, and beside exactextract and rasterstats.

The floor decodes the same windows of the same files with bare rasterio on as many threads. Peers read the files
themselves, with the inner-buffered parcels; exactextract weighs with the clear mask, rasterstats cannot.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from exactextract import exact_extract
from rasterio.windows import Window as RasterWindow

from cropmap.bench import Row
from cropmap.bench.tile import EPSG, JPEG2000, make_acquisitions, make_parcels
from cropmap.observations.coverage import TileCoverage, tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.grids import Window
from cropmap.observations.tiles import tile_grids
from cropmap.schemas import BANDS, BANDS_10M, BANDS_20M, SCL_CLEAR
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store

INNER_BUFFER_M = {10: 10.0, 20: 20.0}


def measure(*, quick: bool = False, jp2: bool = False) -> list[Row]:
    """A whole tile, or with `quick` a small one that only shows that it works; of GeoTIFFs, or with `jp2` of lossless
    JPEG 2000, beside decoding alone."""
    if jp2:
        if quick:
            return against_decoding(size_px=1098, parcels=200, repeats=1)
        return against_decoding(size_px=5_490, parcels=5_000)
    if quick:
        return run(size_px=1098, parcels=200, rasterstats_parcels=20, repeats=1)
    return run()


def against_decoding(
    *, size_px: int, parcels: int, threads: int = 2, repeats: int = 5, workdir: Path | None = None
) -> list[Row]:
    """Observing JPEG 2000 beside bare rasterio on the same windows of the same files, in turn."""
    with tempfile.TemporaryDirectory(dir=workdir, prefix="cropmap-bench-") as folder:
        (acquisition,) = made = make_acquisitions(Path(folder), size_px=size_px, dates=1, compress=JPEG2000)
        coverage = cover(Store(Path(folder) / "store"), make_parcels(size_px=size_px, count=parcels), made)
        observe(acquisition, coverage, threads=threads)
        floor, ours, rest = _beside_decoding(acquisition, coverage, threads=threads, repeats=repeats)
    size = f"{size_px} x {size_px} px, {parcels} parcels, {len(BANDS)} bands, lossless JPEG 2000, {threads} threads"
    return [
        _row("decode the same pixels", floor, "", "", f"bare rasterio, median of {repeats}; {size}"),
        _row("observe", ours, f"{rest:.2f} x decoding", "<= 1.15", f"median of {repeats}, in turn"),
    ]


def run(
    *,
    size_px: int = 10_980,
    parcels: int = 20_000,
    dates: int = 2,
    workdir: Path | None = None,
    threads: int = 2,
    repeats: int = 5,
    rasterstats_parcels: int = 200,
    compress: str = "deflate",
) -> list[Row]:
    """Rows of a table: what was done, seconds per acquisition, ratio, target, and how it was measured.

    Needs about 1 GB of disk per date at full size, under `workdir` (default: the system's temporary folder).
    """
    assert dates >= 2, "the first date pays for the coverage, the second shows the steady state"
    with tempfile.TemporaryDirectory(dir=workdir, prefix="cropmap-bench-") as folder:
        acquisitions = make_acquisitions(Path(folder), size_px=size_px, dates=dates, compress=compress)
        fields = make_parcels(size_px=size_px, count=parcels)
        store = Store(Path(folder) / "store")
        coverage, building = timed(cover, store, fields, acquisitions)
        _, first = timed(observe, acquisitions[0], coverage, threads=threads)
        last = acquisitions[-1]
        floor, ours, rest = _beside_decoding(last, coverage, threads=threads, repeats=repeats)
        exact = exactextract_seconds(last, fields)
        stats = rasterstats_seconds(last, fields, parcels_read=rasterstats_parcels)
    size = f"{size_px} x {size_px} px, {parcels} parcels, {len(BANDS)} bands, {compress}, {threads} threads"
    return [
        _row("decode the same pixels", floor, "", "", f"bare rasterio, median of {repeats}; {size}"),
        _row("first date", building + first, "", "", f"coverage {building:.1f} s, then kept"),
        _row("from the second date on", ours, f"{rest:.2f} x decoding", "<= 1.5", f"median of {repeats}"),
        _row(
            "exactextract",
            exact,
            f"{exact / ours:.1f} x ours",
            ">= 3",
            "B02 and B05 whole, times 4 and 6 bands; one process",
        ),
        _row(
            "rasterstats",
            stats,
            f"{stats / ours:.0f} x ours",
            ">= 100",
            f"B02 and B05 of {rasterstats_parcels} neighbouring parcels, extrapolated; no mask",
        ),
    ]


def _beside_decoding(
    acquisition: Acquisition, coverage: TileCoverage, *, threads: int, repeats: int
) -> tuple[float, float, float]:
    """Medians of both in turn: seconds of decoding, seconds of observing, and their ratio of each turn."""
    pairs = [
        (timed(decode, acquisition, coverage, threads)[1], timed(observe, acquisition, coverage, threads=threads)[1])
        for _ in range(repeats)
    ]
    floor, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    return floor, ours, statistics.median(mine / bare for bare, mine in pairs)


def _row(what: str, seconds: float, ratio: str, target: str, how: str) -> Row:
    return {"what": what, "seconds": round(seconds, 2), "ratio": ratio, "target": target, "how": how}


def timed(work: Callable[..., Any], *inputs: Any, **options: Any) -> tuple[Any, float]:
    """What `work(*inputs, **options)` returns, and its seconds."""
    started = time.perf_counter()
    result = work(*inputs, **options)
    return result, time.perf_counter() - started


def cover(store: Store, parcels: gpd.GeoDataFrame, acquisitions: list[Acquisition]) -> TileCoverage:
    return tile_coverage(
        store,
        parcels,
        tile=acquisitions[0].tile,
        grids=tile_grids(acquisitions),
        inner_buffer_10m_m=INNER_BUFFER_M[10],
        inner_buffer_20m_m=INNER_BUFFER_M[20],
    )


def decode(acquisition: Acquisition, coverage: TileCoverage, threads: int) -> None:
    """Reads every window that `observe` reads, and drops it."""
    windows = {
        **dict.fromkeys(BANDS_10M, coverage.fine.window),
        **dict.fromkeys(BANDS_20M, coverage.coarse.window),
        "SCL": coverage.scene_window,
    }

    def read(band: str) -> None:
        w: Window = windows[band]
        with rasterio.open(acquisition.assets[band].href) as source:
            source.read(1, window=RasterWindow(w.col_off, w.row_off, w.width, w.height))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, ("SCL", *BANDS)))


def shrunk(parcels: gpd.GeoDataFrame, *, resolution_m: int) -> gpd.GeoDataFrame:
    """The inner-buffered parcels in the tile's own reference system; those that vanish are left out."""
    inner = parcels.to_crs(epsg=EPSG)
    inner = inner.set_geometry(inner.geometry.buffer(-INNER_BUFFER_M[resolution_m]))
    return inner[~inner.geometry.is_empty]


def clear_mask(acquisition: Acquisition) -> Path:
    """The scene classification as a file of 0 and 1, beside it."""
    path = Path(acquisition.assets["SCL"].href).with_name("clear.tif")
    with rasterio.open(acquisition.assets["SCL"].href) as source:
        clear = np.isin(source.read(1), SCL_CLEAR).astype(np.uint8)
        with rasterio.open(path, "w", **{**source.profile, "nodata": None}) as sink:
            sink.write(clear, 1)
    return path


def exactextract_means(acquisition: Acquisition, band: str, parcels: gpd.GeoDataFrame, mask: Path) -> Any:
    """DataFrame(parcel_id, weighted_mean): mean DN over the clear pixels, from the files."""
    return exact_extract(
        acquisition.assets[band].href,
        parcels,
        ["weighted_mean"],
        weights=str(mask),
        include_cols=["parcel_id"],
        output="pandas",
        strategy="raster-sequential",  # twice as fast as by feature
    )


def exactextract_seconds(acquisition: Acquisition, parcels: gpd.GeoDataFrame) -> float:
    """Seconds for all bands: one band of each grid over all parcels, times the bands of that grid."""
    mask, seconds = clear_mask(acquisition), 0.0
    for bands, resolution in ((BANDS_10M, 10), (BANDS_20M, 20)):
        inner = shrunk(parcels, resolution_m=resolution)
        seconds += len(bands) * timed(exactextract_means, acquisition, bands[0], inner, mask)[1]
    return seconds


def rasterstats_seconds(acquisition: Acquisition, parcels: gpd.GeoDataFrame, *, parcels_read: int) -> float:
    """Seconds for all bands and parcels, extrapolated from one band of each grid over some parcels."""
    from rasterstats import zonal_stats

    seconds = 0.0
    for bands, resolution in ((BANDS_10M, 10), (BANDS_20M, 20)):
        inner = shrunk(parcels, resolution_m=resolution)
        # neighbours: parcels spread over the tile would each decode a block that their neighbours share
        order = inner.geometry.distance(inner.geometry.iloc[len(inner) // 2]).sort_values(kind="stable").index
        some = inner.loc[order[:parcels_read]].sort_index()
        _, spent = timed(zonal_stats, some, acquisition.assets[bands[0]].href, stats=["mean"])
        seconds += spent * len(bands) * len(inner) / len(some)
    return seconds
