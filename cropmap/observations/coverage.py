"""Which pixels a parcel covers, and how much of each: computed once per tile, grid and parcel set, then kept.

In: parcels (EPSG:4326), a grid, an inner buffer in metres. Out: coverage fractions by exact polygon-cell
intersection (exactextract), in the order of parcel_id. Never reads a pixel.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from exactextract import exact_extract
from exactextract.feature import Feature, FeatureSource
from exactextract.raster import NumPyRasterSource
from scipy import sparse

from cropmap.observations.grids import Grid, Window
from cropmap.provenance import content_hash
from cropmap.store import Store

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Coverage:
    """Parcels x pixels of one grid, sparse and by parcel: parcel p covers `cells[starts[p]:starts[p + 1]]`."""

    grid: Grid
    window: Window
    """the part of the grid that the parcels cover; nothing else need be read"""
    parcel_ids: Array
    """str (n,), sorted; a parcel that vanishes under the inner buffer is there and covers no cell"""
    starts: Array
    """int64 (n + 1,)"""
    cells: Array
    """intp (cells,), position of the pixel in the window, row by row"""
    fractions: Array
    """float32 (cells,), covered share of the pixel, 0 < fraction <= 1"""

    @cached_property
    def total_pixels(self) -> Array:
        """float32 (n,), sum of the coverage fractions."""
        return parcel_sums(self.fractions.astype(np.float64), self.starts).astype(np.float32)

    def part(self, keep: Array) -> Coverage:
        """The coverage of some parcels, `keep` bool (n,); its window is only as large as they need."""
        counts = np.diff(self.starts)
        kept = np.repeat(keep, counts)
        row, col = np.divmod(self.cells[kept], max(self.window.width, 1))
        window, cells = Window(0, 0, 0, 0), row
        if row.size:
            top, left = int(row.min()), int(col.min())
            height, width = int(row.max()) - top + 1, int(col.max()) - left + 1
            window = Window(self.window.row_off + top, self.window.col_off + left, height, width)
            cells = ((row - top) * width + col - left).astype(np.intp)
        return Coverage(
            grid=self.grid,
            window=window,
            parcel_ids=self.parcel_ids[keep],
            starts=np.concatenate([[0], np.cumsum(counts[keep])]),
            cells=cells,
            fractions=self.fractions[kept],
        )

    @property
    def matrix(self) -> sparse.csr_array:
        """The same as a sparse matrix, float32 (n, window pixels)."""
        return sparse.csr_array(
            (self.fractions, self.cells, self.starts), shape=(len(self.parcel_ids), self.window.size)
        )


def parcel_sums(values: Array, starts: Array) -> Array:
    """Sum of the values of each parcel's cells: float64 (cells,) -> float64 (n,), 0 for a parcel without cells."""
    sums = np.zeros(len(starts) - 1)
    filled = np.flatnonzero(np.diff(starts))
    if filled.size:
        sums[filled] = np.add.reduceat(values, starts[filled])
    return sums


@dataclass(frozen=True, eq=False)
class TileCoverage:
    """The parcels of one tile on its 10 m and its 20 m grid, each with its own inner buffer."""

    tile: str
    parcel_set: str
    """hash of the parcels' ids and outlines and of both inner buffers"""
    fine: Coverage
    """10 m"""
    coarse: Coverage
    """20 m; the grid of the scene classification too"""

    def __post_init__(self) -> None:
        assert self.fine.grid.halves(self.coarse.grid), "the 10 m grid must split the 20 m grid"
        assert np.array_equal(self.fine.parcel_ids, self.coarse.parcel_ids)

    @property
    def parcel_ids(self) -> Array:
        return self.fine.parcel_ids

    def part(self, keep: Array) -> TileCoverage:
        """The same of some parcels, `keep` bool (n,)."""
        return replace(self, fine=self.fine.part(keep), coarse=self.coarse.part(keep))

    @cached_property
    def scene_window(self) -> Window:
        """The part of the 20 m grid under all covered pixels of both grids."""
        return self.coarse.window.union(self.fine.window.coarsened(2))

    @cached_property
    def fine_scene_cells(self) -> Array:
        """intp, position in `scene_window` of the 20 m pixel under each covered 10 m pixel."""
        return _moved(self.fine.cells, self.fine.window, self.scene_window, factor=2)

    @cached_property
    def coarse_scene_cells(self) -> Array:
        return _moved(self.coarse.cells, self.coarse.window, self.scene_window, factor=1)


def _moved(cells: Array, source: Window, target: Window, *, factor: int) -> Array:
    """Positions in `source` as positions in `target`, a window of a `factor` times coarser grid of equal origin."""
    if not cells.size:
        return cells
    rows = (np.arange(source.height) + source.row_off) // factor - target.row_off
    cols = (np.arange(source.width) + source.col_off) // factor - target.col_off
    row, col = np.divmod(cells, source.width)
    moved: Array = (rows[row] * target.width + cols[col]).astype(np.intp)
    return moved


class _Outline(Feature):  # type: ignore[misc]  # exactextract is untyped
    def __init__(self, position: int, wkb: bytes) -> None:
        super().__init__()
        self._position, self._wkb = position, wkb

    def get(self, name: str) -> int:
        assert name == "position"
        return self._position

    def geometry(self) -> bytes:
        return self._wkb

    def fields(self) -> list[str]:
        return ["position"]


class _Outlines(FeatureSource):  # type: ignore[misc]
    """Polygons handed to exactextract as WKB: its own GeoPandas source goes through GeoJSON, at twice the time."""

    def __init__(self, geometries: Array) -> None:
        super().__init__()
        self._wkb = shapely.to_wkb(geometries)

    def count(self) -> int:
        return len(self._wkb)

    def __iter__(self) -> Any:
        return (_Outline(position, wkb) for position, wkb in enumerate(self._wkb))

    def srs_wkt(self) -> None:
        return None


def build_coverage(parcels: gpd.GeoDataFrame, grid: Grid, *, inner_buffer_m: float) -> Coverage:
    """Exact coverage of the inner-buffered parcels on a grid.

    Parameters: `parcels` with parcel_id and geometry; the buffer is applied in the grid's own metres. A parcel that
    vanishes keeps its place and covers nothing; the part of a parcel outside the grid is not covered.
    """
    parcels = parcels.sort_values("parcel_id")
    shrunk = parcels.geometry.to_crs(epsg=grid.epsg).buffer(-inner_buffer_m).to_numpy()
    left = np.flatnonzero(~(shapely.is_empty(shrunk) | shapely.is_missing(shrunk)))
    window = grid.window(tuple(shapely.total_bounds(shrunk[left]))) if left.size else Window(0, 0, 0, 0)
    counts = np.zeros(len(parcels), dtype=np.int64)
    cells, fractions = [np.empty(0, np.intp)], [np.empty(0, np.float32)]
    if window.size:
        for position, cell, fraction in _covered_cells(shrunk[left], grid, window):
            counts[left[position]] = len(cell)
            cells.append(cell.astype(np.intp))
            fractions.append(fraction.astype(np.float32))
    return Coverage(
        grid=grid,
        window=window,
        parcel_ids=np.array(parcels["parcel_id"].to_list(), dtype=np.str_),
        starts=np.concatenate([[0], np.cumsum(counts)]),
        cells=np.concatenate(cells),
        fractions=np.concatenate(fractions),
    )


def _covered_cells(polygons: Array, grid: Grid, window: Window) -> list[tuple[int, Array, Array]]:
    """Per polygon, in their order: its position, the covered cells of the window and their fractions."""
    xmin, ymin, xmax, ymax = grid.window_bounds(window)
    nothing = np.broadcast_to(np.uint8(1), (window.height, window.width))  # only its shape is asked for
    raster = NumPyRasterSource(nothing, xmin, ymin, xmax, ymax)
    covered = exact_extract(
        raster, _Outlines(polygons), ["cell_id", "coverage"], include_cols=["position"], output="pandas"
    ).sort_values("position")
    return list(zip(covered["position"], covered["cell_id"], covered["coverage"], strict=True))


def parcel_set_hash(parcels: gpd.GeoDataFrame) -> str:
    """Hash of the parcels' ids and outlines, whatever their order."""
    return content_hash(*(part for pair in _outlines(parcels) for part in pair))


def outline_hashes(parcels: gpd.GeoDataFrame) -> dict[str, str]:
    """parcel_id -> hash of its outline."""
    return {parcel: content_hash(wkb) for parcel, wkb in _outlines(parcels)}


def _outlines(parcels: gpd.GeoDataFrame) -> list[tuple[str, bytes]]:
    """(parcel_id, WKB in degrees), sorted by parcel_id."""
    parcels = parcels.sort_values("parcel_id")
    outlines = shapely.to_wkb(parcels.geometry.to_crs(epsg=4326).to_numpy())
    return [(str(parcel), wkb or b"") for parcel, wkb in zip(parcels["parcel_id"], outlines, strict=True)]


def parcel_set_name(parcels: gpd.GeoDataFrame, *, inner_buffer_10m_m: float, inner_buffer_20m_m: float) -> str:
    """What `tile_coverage` calls these parcels under these buffers."""
    return _named(parcel_set_hash(parcels), inner_buffer_10m_m, inner_buffer_20m_m)


def _named(outlines: str, inner_buffer_10m_m: float, inner_buffer_20m_m: float) -> str:
    return content_hash(outlines, repr(float(inner_buffer_10m_m)), repr(float(inner_buffer_20m_m)))


def read_outlines(store: Store, parcel_set: str) -> dict[str, str] | None:
    """parcel_id -> outline hash of a parcel set that was covered before; None for one that is not known."""
    return store.recall(_outlines_name(parcel_set), _outlines_from)


def _outlines_from(data: bytes) -> dict[str, str]:
    return {str(parcel): str(outline) for parcel, outline in json.loads(data).items()}


def _outlines_name(parcel_set: str) -> str:
    return f"parcel_sets/{parcel_set}.json"


def tile_coverage(
    store: Store,
    parcels: gpd.GeoDataFrame,
    *,
    tile: str,
    grids: Mapping[int, Grid],
    inner_buffer_10m_m: float,
    inner_buffer_20m_m: float,
) -> TileCoverage:
    """The coverage of a tile's parcels, from the store where it was computed before, else computed and kept.

    Parameters: the parcels whose home this tile is; `grids` by resolution in metres, 10 and 20.
    """
    outlines, buffers = parcel_set_hash(parcels), {10: inner_buffer_10m_m, 20: inner_buffer_20m_m}
    fine, coarse = (
        _kept_coverage(store, parcels, grids[r], outlines=outlines, inner_buffer_m=buffers[r]) for r in (10, 20)
    )
    parcel_set = _named(outlines, inner_buffer_10m_m, inner_buffer_20m_m)
    if read_outlines(store, parcel_set) is None:
        kept = json.dumps(outline_hashes(parcels), ensure_ascii=False)
        store.write_bytes(_outlines_name(parcel_set), kept.encode())
    return TileCoverage(tile=tile, parcel_set=parcel_set, fine=fine, coarse=coarse)


def _kept_coverage(
    store: Store, parcels: gpd.GeoDataFrame, grid: Grid, *, outlines: str, inner_buffer_m: float
) -> Coverage:
    name = f"coverage/{content_hash(outlines, grid.key, repr(float(inner_buffer_m)))}.npz"
    if (kept := store.recall(name, _from_bytes)) is not None:
        return kept
    coverage = build_coverage(parcels, grid, inner_buffer_m=inner_buffer_m)
    store.write_bytes(name, _to_bytes(coverage))
    return coverage


def _to_bytes(coverage: Coverage) -> bytes:
    sink = io.BytesIO()
    np.savez(
        sink,
        frame=np.array(json.dumps({"grid": asdict(coverage.grid), "window": asdict(coverage.window)})),
        parcel_ids=coverage.parcel_ids,
        starts=coverage.starts,
        cells=coverage.cells.astype(np.int32),  # a tile has 1.2e8 pixels
        fractions=coverage.fractions,
    )
    return sink.getvalue()


def _from_bytes(data: bytes) -> Coverage:
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        frame = json.loads(str(kept["frame"]))
        grid = Grid(**{**frame["grid"], "transform": tuple(frame["grid"]["transform"])})
        return Coverage(
            grid=grid,
            window=Window(**frame["window"]),
            parcel_ids=kept["parcel_ids"],
            starts=kept["starts"],
            cells=kept["cells"].astype(np.intp),
            fractions=kept["fractions"],
        )
