"""Bytes and requests of the windows that a season reads: blocks of GeoTIFFs over the parcels, JPEG 2000 files whole.

In: acquisitions, and the window of each tile's parcels. What an item says of its files counts; else some files are
looked at: the directory of a GeoTIFF states the bytes of every block, and only its header is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from cropmap.errors import SceneError
from cropmap.observations.grids import Window
from cropmap.observations.ranges import requests_of_copy
from cropmap.observations.raster import stored_in_window
from cropmap.observations.scratch import EXPECTED_BYTES, is_jpeg2000
from cropmap.progress import Counter
from cropmap.schemas import BANDS, RESOLUTION_M
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset
from cropmap.sources.catalogs.places import local_file
from cropmap.sources.catalogs.providers import Provider
from cropmap.sources.catalogs.providers.in_use import provider_of

LOOKED_AT: Final = 24
"""acquisitions whose headers are read, spread over tiles and dates"""


@dataclass(frozen=True)
class TileWindows:
    fine: Window
    """10 m"""
    coarse: Window
    """20 m, of the bands"""
    scene: Window
    """20 m, of the scene classification"""

    def of(self, band: str) -> Window:
        if band == "SCL":
            return self.scene
        return self.fine if RESOLUTION_M[band] == 10 else self.coarse


@dataclass(frozen=True)
class Reading:
    bytes: float
    requests: float
    """to the host of the files; none for files of this machine"""
    looked_at: int
    """acquisitions whose headers were read for it"""
    largest_copy: float
    """bytes of the largest file that is kept whole while it is read"""
    remote: Mapping[Provider | None, float]
    """bytes of files elsewhere, by whose they are"""


class _Looked(NamedTuple):
    """Of a window."""

    stored: float
    """bytes of blocks for a pixel"""
    fetched: float
    """the same from another machine, with the header"""
    requests: float


UNSEEN: Final = _Looked(1.0, 1.0, 2.0)


def reading(acquisitions: Sequence[Acquisition], windows: Mapping[str, TileWindows]) -> Reading:
    """What reading the windows of these acquisitions takes; `windows` by tile."""
    samples = list(_spread(acquisitions))
    per_pixel = _bytes_per_pixel(samples, windows)
    n_bytes = requests = largest = 0.0
    elsewhere: dict[Provider | None, float] = defaultdict(float)
    for acquisition in acquisitions:
        of_tile = windows[acquisition.tile]
        for band, asset in acquisition.assets.items():
            remote = local_file(asset.href) is None
            if is_jpeg2000(asset.href):
                size = float(asset.size or EXPECTED_BYTES)
                requests += remote * requests_of_copy(size)
                largest = max(largest, size)
            else:
                looked = per_pixel.get((acquisition.tile, band)) or per_pixel.get(("", band), UNSEEN)
                size = (looked.fetched if remote else looked.stored) * of_tile.of(band).size
                requests += remote * looked.requests
            n_bytes += size
            if remote:
                elsewhere[provider_of(asset.href)] += size
    return Reading(n_bytes, requests, len(samples), largest, elsewhere)


def _spread(acquisitions: Sequence[Acquisition]) -> Iterator[Acquisition]:
    """Some whose bands are GeoTIFFs, evenly over the order of tile and time."""
    ordered = sorted(
        (a for a in acquisitions if not any(is_jpeg2000(asset.href) for asset in a.assets.values())),
        key=lambda a: (a.tile, a.sensed_at),
    )
    if ordered:
        for at in np.unique(np.linspace(0, len(ordered) - 1, min(LOOKED_AT, len(ordered))).round().astype(int)):
            yield ordered[at]


def _bytes_per_pixel(
    samples: Sequence[Acquisition], windows: Mapping[str, TileWindows]
) -> dict[tuple[str, str], _Looked]:
    """By (tile, band), and ("", band) for tiles without a sample."""
    seen: dict[tuple[str, str], list[_Looked]] = defaultdict(list)
    with Counter("look at headers", total=len(samples), unit="acquisitions") as counter:
        for acquisition in samples:
            of_tile = windows[acquisition.tile]
            for band in (*BANDS, "SCL"):
                if (looked := _look(acquisition.assets.get(band), of_tile.of(band))) is not None:
                    seen[acquisition.tile, band].append(looked)
                    seen["", band].append(looked)
            counter.add()
    return {key: _Looked(*np.mean(each, axis=0)) for key, each in seen.items()}


def _look(asset: BandAsset | None, window: Window) -> _Looked | None:
    if asset is None or not window.size:
        return None
    try:
        found = stored_in_window(asset.href, window)
    except SceneError:
        return None  # it will be quarantined; others tell what a file costs
    return _Looked(found.n_bytes / window.size, found.fetched.n_bytes / window.size, found.fetched.n_requests)
