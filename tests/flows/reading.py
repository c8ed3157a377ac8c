"""Reading on a worker of a cluster, without a season: what a test submits."""

from __future__ import annotations

from functools import cache

from cropmap.observations.grids import Window
from cropmap.observations.raster import read_grid, read_window
from cropmap.sources.catalogs.providers import Provider, in_use
from cropmap.sources.catalogs.sign_in import pace
from flows.leases import Leases


@cache
def _leases() -> Leases:
    return Leases()


def read_shared(provider: str, hrefs: list[str], readers: int) -> int:
    """The sum of the smallest pixels of files that are read whole, as the pipeline reads them."""
    pace.share(_leases().lease, readers=readers)
    in_use.use(Provider.model_validate_json(provider))
    total = 0
    for href in hrefs:
        grid = read_grid(href)
        total += int(read_window(href, grid, Window(0, 0, grid.width, grid.height)).min())
    return total
