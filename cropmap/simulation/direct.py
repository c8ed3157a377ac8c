"""Parcel observations without painted scenes, for scale: the same phenology, passes and sky as the scenes.

Out: observation files in the layout of `observations`, declarations as GeoParquet, regions, and the truth apart. One
acquisition is in memory at a time. Fields are rectangles, and a cloud covers a whole field or none of it but for some.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.observations.extract import OBSERVATION_VERSION
from cropmap.observations.files import observation_name, write_observation
from cropmap.progress import Counter
from cropmap.provenance import value_hash
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE
from cropmap.simulation import phenology, register
from cropmap.simulation.folder import check_arguments, claim, finish
from cropmap.simulation.landscape import Landscape, lay_out
from cropmap.simulation.passes import OFFSET, TILES, Pass, passes
from cropmap.simulation.phenology import Array, Stand
from cropmap.simulation.population import Population, settle
from cropmap.simulation.randomness import stream
from cropmap.simulation.scenes import SCALE, Scene, write_whole
from cropmap.simulation.sky import sky, through
from cropmap.store import Store

FINEST_SKY_M: Final = 20.0
WIDEST_SKY: Final = 500
"""Cells across the landscape: a larger landscape has a coarser sky."""


@dataclass(frozen=True)
class DirectSummary:
    declarations: str
    boundaries: str
    truth: str
    """what really grows; no stage reads it"""
    season: int
    parcels: int
    holdings: int
    wrong_declarations: int
    acquisitions: int
    """observation files in the store"""
    label: str = "simulation"


def simulate_observations(
    store: Store,
    out: Path,
    *,
    agency: str,
    season: int = 2018,
    parcels: int = 500_000,
    seed: int,
    wrong_share: float = 0.03,
    dates: int = 40,
) -> DirectSummary:
    """Writes observations/<agency>/<season>/… into `store`, and declarations.parquet, nuts.geojson, truth/ into `out`.

    Equal arguments give equal files; a killed run goes on with the acquisitions that are missing. Raises
    ConfigurationError for arguments out of range, and for a folder that holds something else.
    """
    arguments = {
        "agency": agency,
        "parcels": parcels,
        "seed": seed,
        "season": season,
        "wrong_share": wrong_share,
        "dates": dates,
        "store": store.root,
    }
    check_arguments(parcels=parcels, seed=seed, season=season, wrong_share=wrong_share)
    plan = passes(season=season, dates=dates, seed=seed)
    figures = claim(out, arguments)
    if figures is None:
        land = lay_out(parcels=parcels, seed=seed, irregular=False)
        population = settle(land.region, seed=seed, wrong_share=wrong_share)
        _write_register(out, land, population, seed=seed)
        name, parcel_set = partial(observation_name, agency, season), value_hash(arguments)
        written = _write_observations(store, name, parcel_set, land, population, plan, seed=seed)
        figures = {
            "parcels": parcels,
            "holdings": int(population.holding.max()) + 1,
            "wrong_declarations": int(population.wrong.sum()),
            "acquisitions": written,
        }
        finish(out, arguments, figures)
    return DirectSummary(
        declarations=str(out / "declarations.parquet"),
        boundaries=str(out / "nuts.geojson"),
        truth=str(out / "truth" / "truth.parquet"),
        season=season,
        **figures,
    )


def _write_register(out: Path, land: Landscape, population: Population, *, seed: int) -> None:
    table = register.parcel_table(land, population, seed=seed)
    register.write_parquet(out / "declarations.parquet", register.declaration_table(table))
    register.write_parquet(out / "truth" / "truth.parquet", register.truth_table(table))
    register.write_vector(out / "nuts.geojson", register.region_table(land), layer="nuts")
    write_whole(out / "README.txt", register.README.encode())


def _write_observations(
    store: Store,
    name: Callable[[str, str], str],
    parcel_set: str,
    land: Landscape,
    population: Population,
    plan: tuple[Pass, ...],
    *,
    seed: int,
) -> int:
    """One file per tile and pass; `name` is of tile and item_id. Returns the number of files."""
    stand = phenology.draw(population.variety, land.region, population.holding, stream(seed, "stand"))
    ids = np.array([f"{number:07d}" for number in range(1, len(land.fields) + 1)], object)
    wanted = {}
    for overpass in plan:
        for tile in overpass.tiles:
            scene = Scene(overpass, tile, overpass.baseline)
            file = name(tile, scene.item_id)
            if not _is_written(store, file, parcel_set):
                wanted[overpass.number, tile] = scene, file
    with Counter("simulate", total=len(wanted), unit="acquisitions") as counter:
        for observed in tile_observations(land, stand, plan, seed=seed, only=set(wanted)):
            scene, file = wanted[observed.overpass.number, observed.tile]
            write_observation(store, file, observation_table(observed, scene, ids, parcel_set=parcel_set))
            counter.add()
    return sum(len(overpass.tiles) for overpass in plan)


def _is_written(store: Store, file: str, parcel_set: str) -> bool:
    return store.exists(file) and (store.read_schema(file).metadata or {}).get(b"parcel_set") == parcel_set.encode()


def observation_table(
    observed: TileObservations, scene: Scene, ids: npt.NDArray[np.object_], *, parcel_set: str
) -> pa.Table:
    """OBSERVATION_SCHEMA with the metadata that `observe` writes; `ids` by position of the parcel."""
    hidden = np.isnan(observed.reflectance)
    numbers = np.rint(np.where(hidden, 0, observed.reflectance) * REFLECTANCE_SCALE)
    values = np.where(hidden, REFLECTANCE_NODATA, numbers).astype(np.int16)
    metadata = {
        "item_id": scene.item_id,
        "datetime": observed.overpass.sensed_at.isoformat(),
        "tile": observed.tile,
        "processing_baseline": scene.baseline,
        "offset": json.dumps(dict.fromkeys(BANDS, OFFSET[scene.baseline])),
        "scale": json.dumps(dict.fromkeys(BANDS, SCALE)),
        "parcel_set": parcel_set,
        "observation_version": OBSERVATION_VERSION,
        "simulation": "true",
    }
    return pa.table(
        [
            pa.array(ids[observed.parcels], pa.string()),
            pa.array(observed.clear_pixels),
            pa.array(observed.total_pixels),
            *(pa.array(np.ascontiguousarray(column)) for column in values.T),
        ],
        schema=OBSERVATION_SCHEMA.with_metadata(metadata),
    )


@dataclass(frozen=True)
class TileObservations:
    """What one pass shows of the parcels of one tile."""

    overpass: Pass
    tile: str
    parcels: npt.NDArray[np.int64]
    """positions of the parcels, ascending"""
    clear_pixels: Array
    total_pixels: Array
    reflectance: Array
    """(n, BANDS), NaN where no pixel is clear"""


@dataclass(frozen=True)
class _Home:
    """The parcels of one tile."""

    parcels: npt.NDArray[np.int64]
    stand: Stand
    pixels: Array
    row: npt.NDArray[np.int64]
    """of the sky"""
    column: npt.NDArray[np.int64]


def tile_observations(
    land: Landscape, stand: Stand, plan: tuple[Pass, ...], *, seed: int, only: set[tuple[int, str]] | None = None
) -> Iterator[TileObservations]:
    """Every pass over every tile in time, or `only` some (number of the pass, tile).

    A parcel has one home tile, the west or the east one.
    """
    pixel_m = max(FINEST_SKY_M, (land.bounds[2] - land.bounds[0]) / WIDEST_SKY)
    shape = int((land.bounds[3] - land.bounds[1]) / pixel_m) + 2, int((land.bounds[2] - land.bounds[0]) / pixel_m) + 2
    homes = _homes(land, stand, pixel_m)
    for overpass in plan:
        tiles = [tile for tile in overpass.tiles if only is None or (overpass.number, tile) in only]
        if not tiles:
            continue
        above = sky(overpass, shape=shape, pixel_m=pixel_m, seed=seed)
        for tile in tiles:
            home = homes[tile]
            cells = home.row, home.column
            # the stream keeps its name: under another the same seed gives other data
            rng = stream(seed, "look", overpass.number, tile)
            yield _observed(overpass, tile, home, above.opacity[cells], above.shadow[cells], above.seen[cells] > 0, rng)


def _homes(land: Landscape, stand: Stand, pixel_m: float) -> dict[str, _Home]:
    left, _, right, top = land.bounds
    east = land.xy[:, 0] > (left + right) / 2
    inner = shapely.area(shapely.buffer(land.fields, -10.0, join_style="mitre")) / 100
    homes = {}
    for tile, mask in zip(TILES, (~east, east), strict=True):
        here = np.flatnonzero(mask)
        part = Stand(**{name: values[here] for name, values in vars(stand).items()})
        row, column = (
            ((top - land.xy[here, 1]) / pixel_m).astype(int),
            ((land.xy[here, 0] - left) / pixel_m).astype(int),
        )
        homes[tile] = _Home(here, part, inner[here].astype(np.float32), row, column)
    return homes


def _observed(
    overpass: Pass,
    tile: str,
    home: _Home,
    opacity: Array,
    shadow: Array,
    hidden: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> TileObservations:
    surface = phenology.reflectance(home.stand, overpass.day_of_year, wetness=overpass.wetness)
    # the mean of n pixels, and what a field's own unevenness leaves of it
    spread = (0.004 + 0.012 / np.sqrt(np.maximum(home.pixels, 1)))[:, None]
    surface += rng.standard_normal(surface.shape, dtype=np.float32) * spread.astype(np.float32)
    shown = through(surface, overpass, opacity[:, None], shadow[:, None], band=slice(None))
    part = np.where(rng.random(len(surface)) < 0.12, rng.random(len(surface)), 1.0)  # a cloud's edge crosses some
    clear = np.where(hidden, 0.0, home.pixels * part).astype(np.float32)
    shown[clear <= 0] = np.nan
    return TileObservations(overpass, tile, home.parcels, clear, home.pixels, shown)
