"""One simulated season on disk: scenes, declarations, regions and an agency file, with the truth kept apart.

The folder is finished when `simulation.json` says so. A killed simulation goes on where it stopped when it is asked
for again with the same arguments; other arguments are refused, so that no folder mixes two simulations.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rasterio.transform import Affine

from cropmap.progress import Counter
from cropmap.schemas import RESOLUTION_M
from cropmap.simulation import painting, phenology, register
from cropmap.simulation.folder import check_arguments, claim, finish
from cropmap.simulation.landscape import CENTRE, Landscape, lay_out
from cropmap.simulation.passes import OLD_BASELINE, TILES, Pass, passes
from cropmap.simulation.population import Population, settle
from cropmap.simulation.randomness import stream
from cropmap.simulation.scenes import (
    COLLECTION,
    Frame,
    Scene,
    build_item,
    stored,
    write_catalog,
    write_item,
    write_raster,
    write_whole,
)

THREADS: Final = 2
OVERLAP_M: Final = 800.0
"""Least width of the strip that both tiles see: wider than any field."""


@dataclass(frozen=True)
class SimulationSummary:
    agency_file: str
    """what `cropmap season run` is given"""
    truth: str
    """what really grows; no stage reads it"""
    season: int
    parcels: int
    holdings: int
    wrong_declarations: int
    scenes: int
    label: str = "simulation"


def simulate_season(
    out: Path, *, parcels: int, seed: int, season: int = 2018, wrong_share: float = 0.03, dates: int = 40
) -> SimulationSummary:
    """Writes a simulated season into `out`: agency.yaml, scenes/, declarations.gpkg, nuts.geojson and truth/.

    `dates` is the number of acquisition dates of each of the two tiles. Equal arguments give equal files; a finished
    folder is left as it is. Raises ConfigurationError for arguments out of range, and for a folder that holds
    something else or another simulation.
    """
    arguments = {"parcels": parcels, "seed": seed, "season": season, "wrong_share": wrong_share, "dates": dates}
    check_arguments(parcels=parcels, seed=seed, season=season, wrong_share=wrong_share)
    plan = passes(season=season, dates=dates, seed=seed)
    figures = claim(out, arguments)
    if figures is None:
        figures = _simulate(out, plan, parcels=parcels, seed=seed, wrong_share=wrong_share)
        finish(out, arguments, figures)
    return SimulationSummary(
        agency_file=str(out / "agency.yaml"), truth=str(out / "truth" / "truth.parquet"), season=season, **figures
    )


def _simulate(out: Path, plan: tuple[Pass, ...], *, parcels: int, seed: int, wrong_share: float) -> dict[str, int]:
    """Writes everything but the marker; the figures of the summary."""
    land = lay_out(parcels=parcels, seed=seed)
    population = settle(land.region, seed=seed, wrong_share=wrong_share)
    scenes = _write_scenes(out / "scenes", land, population, plan, seed=seed)
    table = register.parcel_table(land, population, seed=seed)
    register.write_vector(out / "declarations.gpkg", register.declaration_table(table), layer="declarations")
    register.write_vector(out / "nuts.geojson", register.region_table(land), layer="nuts")
    register.write_parquet(out / "truth" / "truth.parquet", register.truth_table(table))
    write_whole(out / "README.txt", register.README.encode())
    write_whole(out / "agency.yaml", register.agency_file(declarations="declarations.gpkg").encode())
    return {
        "parcels": parcels,
        "holdings": int(population.holding.max()) + 1,
        "wrong_declarations": int(population.wrong.sum()),
        "scenes": scenes,
    }


def _write_scenes(folder: Path, land: Landscape, population: Population, plan: tuple[Pass, ...], *, seed: int) -> int:
    """Paints pass after pass; a pass whose items are all there is not painted again. Returns the number of items."""
    ground = painting.canvas(land, seed=seed)
    stand = phenology.draw(population.variety, land.region, population.holding, stream(seed, "stand"))
    frames = _frames(ground)
    scenes = [scene for overpass in plan for scene in _scenes_of(overpass)]
    with ThreadPoolExecutor(THREADS) as pool, Counter("simulate", total=len(scenes), unit="scenes") as counter:
        for overpass in plan:
            wanted = [scene for scene in _scenes_of(overpass) if not _item_path(folder, scene).is_file()]
            if wanted:
                _write_pass(folder / COLLECTION, ground, stand, overpass, wanted, frames, pool, seed=seed)
            counter.add(len(_scenes_of(overpass)))
    boxes = np.array([frame.bbox for frame, _ in frames.values()])
    bbox = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    days = plan[0].sensed_at, plan[-1].sensed_at
    write_catalog(folder, [scene.item_id for scene in scenes], bbox=bbox, days=days)
    return len(scenes)


def _item_path(folder: Path, scene: Scene) -> Path:
    return folder / COLLECTION / scene.item_id / f"{scene.item_id}.json"


def _scenes_of(overpass: Pass) -> list[Scene]:
    scenes = [Scene(overpass, tile, overpass.baseline) for tile in overpass.tiles]
    return scenes + [
        Scene(overpass, tile, OLD_BASELINE) for tile in overpass.tiles if tile == overpass.reprocessed_tile
    ]


def _frames(ground: painting.Canvas) -> dict[str, tuple[Frame, slice]]:
    """Grid of each tile's window and its columns of the canvas: west and east halves with a strip in common."""
    height, width = ground.shape
    left, top = ground.transform.c, ground.transform.f
    middle = round((CENTRE[0] - left) / 10)
    strip = max(OVERLAP_M / 10, 0.15 * width) / 2
    first, last = 2 * round((middle - strip) / 2), 2 * round((middle + strip) / 2)
    columns = {TILES[0]: slice(0, min(last, width)), TILES[1]: slice(max(first, 0), width)}
    return {
        tile: (Frame(Affine(10, 0, left + 10 * part.start, 0, -10, top), height, part.stop - part.start), part)
        for tile, part in columns.items()
    }


def _write_pass(
    folder: Path,
    ground: painting.Canvas,
    stand: phenology.Stand,
    overpass: Pass,
    wanted: list[Scene],
    frames: dict[str, tuple[Frame, slice]],
    pool: ThreadPoolExecutor,
    *,
    seed: int,
) -> None:
    for scene in wanted:
        (folder / scene.item_id).mkdir(parents=True, exist_ok=True)
    survey = painting.survey(ground, stand, overpass, seed=seed)
    writing: list[Future[None]] = []
    for band, values in _layers(ground, survey, overpass, seed=seed):
        for scene in wanted:
            frame, part = frames[scene.tile]
            times = RESOLUTION_M[band] // 10
            window = values[:, part.start // times : part.stop // times]
            numbers = window if band == "SCL" else stored(window, baseline=scene.baseline)
            path = folder / scene.item_id / f"{band}.tif"
            writing.append(pool.submit(write_raster, path, numbers, frame.grid(RESOLUTION_M[band])[0]))
    for future in writing:
        future.result()
    for scene in wanted:
        frame, part = frames[scene.tile]
        cloudy = survey.scl[:, part.start // 2 : part.stop // 2] >= 8
        write_item(folder, build_item(scene, frame, cloud_cover=100 * float(cloudy.mean())))


def _layers(
    ground: painting.Canvas, survey: painting.Painting, overpass: Pass, *, seed: int
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield "SCL", survey.scl
    yield from painting.bands(ground, survey, overpass, seed=seed)
