"""BreizhCrops on its published splits: train on three regions of Brittany, judge the fourth.

In: a folder of genuine files. Out: the table of the talk (overall accuracy, κ, mean F1, precision and recall, and each
class) for our networks or, with a CompatConfig, for the published ones, beside the published figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from cropmap.breizhcrops.columns import Level
from cropmap.breizhcrops.files import REGIONS, YEARS, BreizhCropsData, find_regions, read_breizhcrops
from cropmap.breizhcrops.index import read_class_mapping
from cropmap.breizhcrops.published import ResultRow, compare
from cropmap.breizhcrops.training import CompatConfig, compat_fold
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import by_region
from cropmap.dataset.series import Series
from cropmap.errors import InputError
from cropmap.model.evaluation import Evaluation, evaluate
from cropmap.model.fold import train_fold
from cropmap.model.training import choose_device
from cropmap.model.training_config import TrainingConfig
from cropmap.progress import Counter
from cropmap.seasons import Season
from cropmap.settings import Settings
from cropmap.store import Store

EPOCH: Final = np.datetime64("1970-01-01", "D")


class RegionFacts(TypedDict):
    series: int
    rows: int
    classes: int
    column_order: str
    left_out: Mapping[str, int]
    """by reason"""


class ClassRow(TypedDict):
    crop: str
    n: int
    precision: float
    recall: float
    f1: float


class Inspected(TypedDict):
    year: int
    level: str
    bands: tuple[str, ...]
    dates: bool
    """the arrays have dates"""
    crops: list[str]
    regions: dict[str, RegionFacts]


class Judged(TypedDict):
    year: int
    level: str
    network: str
    compat: bool
    seed: int
    table: list[ResultRow]
    per_class: dict[str, list[ClassRow]]
    """by region, as `confusion`"""
    confusion: dict[str, list[list[int]]]
    crops: list[str]
    regions: dict[str, RegionFacts]


def inspect_breizhcrops(root: Path, *, year: int, level: Level, legend: str | None) -> Inspected:
    """What the regions of a year and level hold, and what of it cannot be used, by reason."""
    regions = find_regions(root, year=year, level=level)
    if not regions:
        raise InputError(
            f"no region of {year}, level {level}",
            where=str(root),
            mend=f"Regions lie in {root / str(year) / level}: <region>.csv and <region>.h5, or <region>/csv/*.csv",
        )
    data = read_breizhcrops(root, year=year, level=level, regions=regions, mapping=read_class_mapping(root, legend))
    return {
        "year": year,
        "level": level,
        "bands": data.bands,
        "dates": data.has_dates,
        "crops": list(data.crops),
        "regions": _regions(data),
    }


def evaluate_breizhcrops(
    settings: Settings,
    root: Path,
    config: TrainingConfig | CompatConfig,
    *,
    year: int,
    level: Level,
    test: str | None,
    legend: str | None,
    seed: int,
) -> Judged:
    """Scores on `test`, or on each region in turn. Raises InputError where a region of the split is missing."""
    compat = isinstance(config, CompatConfig)
    data = _read_split(root, year=year, level=level, legend=legend)
    if not data.has_dates and not compat:
        raise InputError(
            "these arrays have no dates",
            where=f"{root} {year} {level}",
            mend="Our networks need them: take the newer release, whose arrays have 14 columns, or --compat",
        )
    dataset = as_dataset(data, year=year)
    tests = [test] if test else list(dataset.folds.names)
    with Counter(f"train {config.architecture}", total=len(tests), unit="regions") as counter:
        evaluations = {
            name: _judge(settings.open_store(), dataset, name, config, seed=seed, counter=counter) for name in tests
        }
    return {
        "year": year,
        "level": level,
        "network": str(config.architecture),
        "compat": compat,
        "seed": seed,
        "table": compare(evaluations, config.architecture, level=level, year=year, classes=len(data.crops)),
        "per_class": {name: _per_class(e) for name, e in evaluations.items()},
        "confusion": {name: [list(row) for row in e.confusion] for name, e in evaluations.items()},
        "crops": list(data.crops),
        "regions": _regions(data),
    }


def as_dataset(data: BreizhCropsData, *, year: int) -> Dataset:
    """Series with every row that was kept, none dropped for cloud (a test parcel must not vanish): the networks are
    told how clear each is. Each region is a fold."""
    zero = Season.from_window(year, ("{season}-01-01", "{season}-12-31")).day_zero
    days = data.day - int((np.datetime64(zero, "D") - EPOCH).astype(int)) if data.has_dates else data.day
    series = Series(
        data.parcel_ids, data.offsets, days.astype(np.int16), data.reflectance, data.clear_fraction, data.bands, zero
    )
    folds = by_region([data.regions[k] for k in data.region], labelled=data.label >= 0)
    return Dataset(series, data.label, data.crops, folds)


def _read_split(root: Path, *, year: int, level: Level, legend: str | None) -> BreizhCropsData:
    if year not in YEARS:
        raise InputError(f"there is no BreizhCrops of {year}", where="--year", mend=f"Choose one of {list(YEARS)}")
    missing = sorted(set(REGIONS) - set(find_regions(root, year=year, level=level)))
    if missing:
        raise InputError(
            f"{', '.join(missing)} missing",
            where=str(root / str(year) / level),
            mend=f"The published splits need {', '.join(REGIONS)}, each as <region>.csv and <region>.h5",
        )
    return read_breizhcrops(root, year=year, level=level, regions=REGIONS, mapping=read_class_mapping(root, legend))


def _judge(
    store: Store, dataset: Dataset, region: str, config: TrainingConfig | CompatConfig, *, seed: int, counter: Counter
) -> Evaluation:
    """Scores of one region's parcels by a network that saw the other three."""
    if region not in dataset.folds.names:
        raise InputError(f"{region} has no series with a class", where="--test")
    fold = dataset.folds.names.index(region)
    judged: NDArray[np.int64]
    if isinstance(config, CompatConfig):
        published = compat_fold(store, dataset, fold, config, seed=seed, on_step=counter.add)
        judged, logits = published.judged, published.logits
    else:
        own = train_fold(store, dataset, fold, config, seed=seed, device=choose_device("auto"), on_step=counter.add)
        judged, logits = own.judged, own.logits
    probabilities = softmax(logits, axis=1)
    return evaluate(dataset.label[judged], probabilities, dataset.crops)


def _per_class(evaluation: Evaluation) -> list[ClassRow]:
    return [
        {"crop": s.crop, "n": s.support, "precision": s.precision, "recall": s.recall, "f1": s.f1}
        for s in evaluation.per_class
    ]


def _regions(data: BreizhCropsData) -> dict[str, RegionFacts]:
    rows = np.diff(data.offsets)
    return {
        region: {
            "series": int((data.region == k).sum()),
            "rows": int(rows[data.region == k].sum()),
            "classes": len(np.unique(data.label[data.region == k])),
            "column_order": data.order[region],
            "left_out": data.left_out[region],
        }
        for k, region in enumerate(data.regions)
    }
