"""Out-of-fold accuracy, of an agency's season or of any table of parcel series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cropmap.dataset.dataset import Dataset, label_parcels
from cropmap.dataset.folds import from_file
from cropmap.dataset.series import build_tidy_series, calendar_season
from cropmap.errors import InputError, ModelError, ObservationFileError
from cropmap.model.fitting import OutOfFold, evaluate_out_of_fold
from cropmap.model.training import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset, read_folds, read_pairs, season_data
from cropmap.stages.training import training_config
from cropmap.store import Store

MIN_CLEAR_FRACTION: Final = 0.5
MIN_CLASS_PARCELS: Final = 2
"""a table comes with its own folds: whoever made them chose the classes"""


def evaluate_season(
    context: SeasonContext, *, folds: Path | None, architecture: Architecture | None, out: Path | None
) -> dict[str, Any]:
    """Both networks, or one, on the agency's folds or on those of a CSV file."""
    data = season_data(context)
    dataset = needed_dataset(data)
    if folds is not None:
        holding = [h if isinstance(h, str) else None for h in data.parcels["holding_id"]]
        given = from_file(
            read_folds(folds), parcel_ids=dataset.series.parcel_ids, labelled=dataset.label >= 0, holding_id=holding
        )
        dataset = replace(dataset, folds=given)
    configs = {a: training_config(context, a) for a in ([architecture] if architecture else context.networks)}
    return _evaluate(context.store, dataset, configs, seed=context.agency.model.seed, workers=context.threads, out=out)


def evaluate_table(
    settings: Settings,
    observations: Path,
    *,
    labels: Path,
    folds: Path,
    architecture: Architecture | None,
    seed: int,
    out: Path | None,
) -> dict[str, Any]:
    """The same for parcel statistics in one Parquet file, labels (parcel_id, crop_code) and folds (parcel_id, fold)."""
    crop_of, fold_of = read_pairs(labels, key="parcel_id", value="crop_code", where="--labels"), read_folds(folds)
    table = _read(observations)
    parcel_ids = sorted(set(crop_of) & set(fold_of))
    series = build_tidy_series(
        table, parcel_ids=parcel_ids, season=calendar_season(table, where=str(observations)),
        min_clear_fraction=MIN_CLEAR_FRACTION, where=str(observations),
    )  # fmt: skip
    try:
        known = label_parcels([crop_of[p] for p in parcel_ids], min_class_parcels=MIN_CLASS_PARCELS)
    except ModelError as error:
        raise InputError(
            f"{len(parcel_ids)} parcels stand in both files: {error.what}", where="--labels and --folds",
            mend="Check that both name the same parcels",
        ) from error  # fmt: skip
    judged = from_file(fold_of, parcel_ids=parcel_ids, labelled=known.label >= 0)
    dataset = Dataset(series, known.label, known.crops, judged)
    configs = {a: TrainingConfig(architecture=a) for a in ([architecture] if architecture else list(Architecture))}
    return _evaluate(settings.open_store(), dataset, configs, seed=seed, workers=settings.threads, out=out)


def _evaluate(
    store: Store,
    dataset: Dataset,
    configs: dict[Architecture, TrainingConfig],
    *,
    seed: int,
    workers: int,
    out: Path | None,
) -> dict[str, Any]:
    found = {a: evaluate_out_of_fold(store, dataset, c, seed=seed, workers=workers) for a, c in configs.items()}
    if out is not None:
        target = out.absolute()
        Store(target.parent).write_table(target.name, _probabilities(dataset, found))
    return {
        "folds": dataset.folds.made_by,
        "spatial": dataset.folds.is_spatial,
        "networks": {str(a): _summary(result) for a, result in found.items()},
    }


def _summary(result: OutOfFold) -> dict[str, Any]:
    e = result.evaluation
    per_class = {
        c.crop: {"n": c.support, "precision": c.precision, "recall": c.recall, "f1": c.f1} for c in e.per_class
    }
    return {
        "n": e.n, "oa": e.oa, "kappa": e.kappa, "macro_f1": e.macro_f1, "ece": e.ece, "brier": e.brier,
        "per_class": per_class, "per_fold": dict(e.per_fold),
        "confusion": {"crops": list(e.crops), "matrix": [list(row) for row in e.confusion]},
    }  # fmt: skip


def _probabilities(dataset: Dataset, found: dict[Architecture, OutOfFold]) -> pa.Table:
    """network, parcel_id, fold, label, and one column of probability per crop; judged parcels only."""
    parts = []
    for architecture, result in found.items():
        judged = np.flatnonzero(np.isfinite(result.probabilities).all(axis=1))
        columns: dict[str, Any] = {
            "network": [str(architecture)] * len(judged),
            "parcel_id": dataset.series.parcel_ids[judged].tolist(),
            "fold": [dataset.folds.names[k] for k in dataset.folds.fold[judged]],
            "label": [dataset.crops[k] for k in dataset.label[judged]],
        }
        shares = {f"p:{crop}": result.probabilities[judged, k] for k, crop in enumerate(dataset.crops)}
        parts.append(pa.table(columns | shares))
    return pa.concat_tables(parts)


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ObservationFileError(f"cannot be read as Parquet ({error})", where=str(path)) from error
