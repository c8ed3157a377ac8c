"""What the stages of a season took on this machine: units of work, seconds, processor seconds, memory.

The installation remembers the latest measurements of each stage, and a season is planned with them.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from cropmap.agency import Agency
from cropmap.model.training_config import TrainingConfig
from cropmap.observations.coverage import TileCoverage
from cropmap.schemas import BANDS_10M, BANDS_20M, Architecture
from cropmap.stages.dataset import SeasonData
from cropmap.stages.ingest import covered
from cropmap.stages.open_season import OpenSeason
from cropmap.store import Store

KEPT: Final = 12
"""measurements of a stage"""
STAGES: Final = ("observe", *(f"train {each}" for each in Architecture), "predict", "assess", "aggregate", "publish")


@dataclass(frozen=True)
class Measured:
    units: Mapping[str, float]
    """what was done, by unit"""
    wall_s: float
    cpu_s: float
    """of this process and of those that it started"""
    peak_bytes: float
    """of one process, the largest"""


@contextmanager
def measured(store: Store, stage: str) -> Iterator[dict[str, float]]:
    """Remembers what the block took, where it says in the dictionary that it gets what it did."""
    units: dict[str, float] = {}
    wall, cpu = time.monotonic(), _cpu_s()
    yield units
    if any(units.values()):
        done = Measured(units, time.monotonic() - wall, _cpu_s() - cpu, _peak_bytes())
        known = [*remembered(store, stage), done][-KEPT:]
        store.write_bytes(_name(stage), json.dumps([asdict(each) for each in known]).encode())


def remembered(store: Store, stage: str) -> list[Measured]:
    """Of this machine, the oldest first."""
    return [Measured(**each) for each in store.recall(_name(stage), json.loads) or []]


def scene_units(coverage: TileCoverage, acquisitions: int) -> dict[str, float]:
    """Of `acquisitions` of one tile: pixels of the windows that are decoded, and covered pixels."""
    return scene_units_of(
        acquisitions,
        fine_px=coverage.fine.window.size,
        coarse_px=coverage.coarse.window.size,
        parcels=len(coverage.parcel_ids),
    )


def scene_units_of(acquisitions: int, *, fine_px: float, coarse_px: float, parcels: int) -> dict[str, float]:
    """The same of a tile's windows at 10 m and 20 m; the scene classification is one more band at 20 m."""
    pixels = len(BANDS_10M) * fine_px + (len(BANDS_20M) + 1) * coarse_px
    return {
        "acquisitions": float(acquisitions),
        "megapixels": acquisitions * pixels / 1e6,
        "kiloparcels x dates": acquisitions * parcels / 1e3,
    }


def season_units(data: SeasonData) -> dict[str, float]:
    """Of what runs over all parcels once."""
    return parcel_units(len(data.parcels), observations=int(data.series.lengths.sum()))


def parcel_units(parcels: int, *, observations: float) -> dict[str, float]:
    return {"runs": 1.0, "kiloparcels": parcels / 1e3, "megaobservations": observations / 1e6}


def observed_units(season: OpenSeason, items: Mapping[str, str]) -> dict[str, float]:
    """Of these acquisitions (item -> tile), over the parcels of their tiles."""
    units: dict[str, float] = {}
    for tile, n in Counter(items.values()).items():
        add(units, scene_units(covered(season, tile, season.parcel_sets[tile]), n))
    return units


def training_units(season: OpenSeason, architecture: Architecture) -> dict[str, float]:
    """Of all folds and rounds of one network; nothing where there is nothing to learn."""
    agency, data, published = season.context.agency, season.data, architecture == season.context.architecture
    if data.dataset is None:
        return {}
    folds = len(data.dataset.folds.names)
    labelled = data.dataset.label >= 0
    length = float(data.series.lengths[labelled].mean())
    return training_units_of(
        agency, architecture, labelled=int(labelled.sum()), length=length, folds=folds, published=published
    )


def training_units_of(
    agency: Agency, architecture: Architecture, *, labelled: int, length: float, folds: int, published: bool
) -> dict[str, float]:
    """`length` observations of each labelled parcel. Every fold learns from the parcels of the others; the published
    network learns again without suspects. A training may stop early."""
    section = agency.model
    config = TrainingConfig(architecture=architecture)
    rounds = 1 + (agency.assessment.clean_up_rounds if published else 0)
    per_epoch = math.ceil(labelled * (folds - 1) / folds / config.batch_size)
    steps = min(max(section.epochs * per_epoch, section.min_steps), config.max_steps)
    trainings = folds * rounds
    return {
        "trainings": float(trainings),
        "kilosteps": trainings * section.members * steps / 1e3,
        "megaobservations": trainings * section.members * steps * config.batch_size * length / 1e6,
    }


def add(total: dict[str, float], units: Mapping[str, float]) -> None:
    for name, amount in units.items():
        total[name] = total.get(name, 0.0) + amount


def _cpu_s() -> float:
    return sum(os.times()[:4])


def _peak_bytes() -> float:
    return 1024.0 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _name(stage: str) -> str:
    machine = re.sub(r"\W", "", platform.node())[:32] or "machine"
    return f"rates/{machine}-{os.cpu_count()}/{stage.replace(' ', '-')}.json"
