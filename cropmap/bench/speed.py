"""What a unit of work takes on this machine, in some seconds: for the plan of a season where none has run.

Bands are decoded and averaged over parcels, and each network is trained for some steps on short and on long series, by
as many processes at once as a season would have. Nothing is kept.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from cropmap.bench.tile import make_acquisitions, make_parcels
from cropmap.costs.rates import Measured, scene_units
from cropmap.observations.coverage import tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.tiles import tile_grids
from cropmap.processes import worker_pool
from cropmap.progress import Counter
from cropmap.schemas import Architecture
from cropmap.store import Store

SIZE_PX: Final = 1_024
DATES: Final = 4
PARCELS: Final = 200
INNER_BUFFER_M: Final = 10.0
LENGTHS: Final = (6, 60)
"""observations of a parcel: a step's own time and that of its observations are told apart"""
STEPS: Final = 12
LOADING: Final = 2
"""first steps, in which code is loaded"""
CLASSES: Final = 12


def measure_speed(networks: Sequence[Architecture], *, processors: int) -> dict[str, list[Measured]]:
    """By stage, as if a season had left them. Memory is not measured."""
    found: dict[str, list[Measured]] = {}
    with Counter("measure this machine", total=1 + len(networks), unit="stages") as counter:
        found["observe"] = [_observing(processors)]
        counter.add()
        with worker_pool(processors) as pool:
            for network in networks:
                found[f"train {network}"] = [_training(pool, network, length, processors) for length in LENGTHS]
                counter.add()
    return found


def _observing(processors: int) -> Measured:
    """As many acquisitions at once as there are processors, each on one thread."""
    with tempfile.TemporaryDirectory(prefix="cropmap-speed-") as folder, ThreadPoolExecutor(processors) as pool:
        made = make_acquisitions(Path(folder), size_px=SIZE_PX, dates=DATES)
        coverage = tile_coverage(
            Store(Path(folder) / "store"),
            make_parcels(size_px=SIZE_PX, count=PARCELS),
            tile=made[0].tile,
            grids=tile_grids(made),
            inner_buffer_10m_m=INNER_BUFFER_M,
            inner_buffer_20m_m=2 * INNER_BUFFER_M,
        )
        observe(made[0], coverage, threads=1)  # code is loaded
        wall, cpu = time.monotonic(), time.process_time()
        list(pool.map(lambda acquisition: observe(acquisition, coverage, threads=1), made))
        taken = time.monotonic() - wall, time.process_time() - cpu
    units = {**scene_units(coverage, len(made)), "acquisitions": 0.0}  # of the ledger and the store nothing is measured
    return Measured(units, *taken, peak_bytes=0.0)


def _training(pool: ProcessPoolExecutor, network: Architecture, length: int, processors: int) -> Measured:
    each = [job.result() for job in [pool.submit(_steps, network, length) for _ in range(processors)]]
    steps = sum(steps for steps, _, _ in each)
    units = {"trainings": 0.0, "kilosteps": steps / 1e3, "megaobservations": steps * _batch(network, length)}
    return Measured(units, max(wall for _, wall, _ in each), sum(cpu for _, _, cpu in each), peak_bytes=0.0)


def _batch(network: Architecture, length: int) -> float:
    """Megaobservations of a batch."""
    from cropmap.model.training_config import TrainingConfig

    return TrainingConfig(architecture=network).batch_size * length / 1e6


def _steps(network: Architecture, length: int) -> tuple[int, float, float]:
    """(steps, seconds, processor seconds) of training on one thread, as a fold is trained."""
    from cropmap.bench.predict import make_series
    from cropmap.dataset.dataset import Dataset
    from cropmap.dataset.folds import at_random
    from cropmap.model.training import threads, train
    from cropmap.model.training_config import TrainingConfig

    config = TrainingConfig(architecture=network, epochs=1, min_steps=STEPS, max_steps=STEPS, validation_share=0)
    count = 4 * config.batch_size
    drawn = make_series(count, seed=1)
    kept = (drawn.offsets[:-1, None] + np.arange(length)).ravel()
    series = replace(
        drawn,
        offsets=np.arange(count + 1, dtype=np.int64) * length,
        day_of_year=np.tile(np.linspace(60, 300, length).astype(drawn.day_of_year.dtype), count),
        reflectance=drawn.reflectance[kept % len(drawn.reflectance)],
        clear_fraction=drawn.clear_fraction[kept % len(drawn.reflectance)],
    )
    label = (np.arange(count) % CLASSES).astype(np.int16)
    heard: list[tuple[float, float]] = []
    with threads(1):
        train(
            Dataset(
                series, label, tuple(f"class {k}" for k in range(CLASSES)), at_random(label=label, count=2, seed=1)
            ),
            np.ones(count, bool),
            config,
            seed=1,
            on_step=lambda _: heard.append((time.monotonic(), time.process_time())),
        )
    first, last = heard[LOADING], heard[-1]
    return len(heard) - 1 - LOADING, last[0] - first[0], last[1] - first[1]
