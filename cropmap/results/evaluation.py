"""Out-of-fold accuracy, of an agency's season or of any table of parcel series, whole or cut at each fortnight.

What takes no part is counted by reason: rows of the table by RowReject, parcels by Exclusion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset, label_parcels
from cropmap.dataset.folds import from_file
from cropmap.dataset.series import TidySeries, read_tidy_series
from cropmap.errors import InputError, ModelError, ObservationFileError
from cropmap.model.early import fortnight_ends, score_by_date
from cropmap.model.fitting import OutOfFold, evaluate_out_of_fold
from cropmap.model.training_config import TrainingConfig
from cropmap.observations.tables import read_layout
from cropmap.schemas import Architecture, Exclusion
from cropmap.settings import Settings
from cropmap.sources.pairs import read_pairs
from cropmap.stages.champion import predicting_model, trained_model
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData, needed_dataset, written_folds
from cropmap.stages.findings import ReviewedLabels
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import left_out_of_training, training_config, training_key
from cropmap.store import Store

MIN_CLEAR_FRACTION: Final = 0.5
MIN_CLASS_PARCELS: Final = 2
"""a table comes with its own folds: its maker chose the classes"""
NUMERIC_IDS: Final = "parcel_id is a number in the observations: compared as text, leading zeros cannot be recovered"


@dataclass(frozen=True)
class Wanted:
    """What an evaluation reports on request, beside the figures of the whole season."""

    out: Path | None = None
    """Parquet file for the probabilities"""
    by_date: bool = False
    """also on series that are cut at the end of each fortnight"""
    plot: Path | None = None
    """PNG file for the accuracy by date"""


@dataclass(frozen=True)
class Judged:
    """What is evaluated, and what is not."""

    dataset: Dataset
    excluded: dict[str, int]
    notes: tuple[str, ...]


class ClassScores(TypedDict):
    n: int
    precision: float
    recall: float
    f1: float


class Confusion(TypedDict):
    crops: list[str]
    matrix: list[list[int]]
    """declared by predicted, in the order of `crops`"""


class NetworkScores(TypedDict):
    """Out of fold; see `model.evaluation.Evaluation`."""

    n: int
    oa: float
    kappa: float
    macro_f1: float
    ece: float
    ece_by_chance: float
    brier: float
    per_class: dict[str, ClassScores]
    per_fold: dict[str, float]
    """overall accuracy"""
    confusion: Confusion
    left_out_of_training: int


class Evaluated(TypedDict):
    folds: str
    """how they were made"""
    spatial: bool
    excluded: dict[str, int]
    """by RowReject or Exclusion"""
    notes: tuple[str, ...]
    networks: dict[str, NetworkScores]
    by_date: NotRequired[dict[str, list[Mapping[str, object]]]]
    """per network: the fields of `model.early.DateScore`"""


def evaluate_season(
    context: SeasonContext, *, folds: Path | None, architecture: Architecture | None, wanted: Wanted
) -> Evaluated:
    """Both networks, or one, on the agency's folds or on those of a CSV file; each as the season trains it, without the
    declarations that look wrong or that a review contradicts, so that its figures are those of the network that
    predicts. Only the network that the agency file publishes is cleaned of what looks wrong."""
    context = replace(context, architecture=context.agency.model.architecture)
    season = OpenSeason(context)
    data = season.data
    dataset = needed_dataset(data)
    if folds is not None:
        assigned = read_pairs(folds, value="fold", where="--folds")
        dataset = replace(
            dataset, folds=written_folds(context, data.parcels, data.outlines, dataset.label >= 0, assigned)
        )
        data = replace(data, dataset=dataset)
    reviewed = season.run_inputs.reviewed
    notes = [*_check_folds(dataset), *_predicting(context, data, reviewed, on_own_folds=folds is None)]
    if architecture not in (None, context.architecture):
        notes.append(f"the season publishes its {context.architecture}")
    judged = Judged(dataset, _excluded_declarations(context, data, dataset), tuple(notes))
    configs = {a: training_config(context, a) for a in ([architecture] if architecture else context.networks)}
    left_out = {a: left_out_of_training(context, data, a, reviewed) for a in configs}
    return _evaluate(context.store, judged, configs, context.agency.model.seed, context.threads, wanted, left_out)


def _predicting(
    context: SeasonContext, data: SeasonData, reviewed: ReviewedLabels, *, on_own_folds: bool
) -> tuple[str, ...]:
    """Where the season is predicted by another network than the one that is evaluated, which."""
    if not on_own_folds:
        return ("the season is predicted on other folds than these",)
    architecture = context.architecture
    key = training_key(context, data, architecture, reviewed=reviewed)
    own = trained_model(context, architecture, key)
    if own is None:
        return (f"the season's own {architecture} is not trained yet",)
    try:
        model = predicting_model(context, data, architecture, key=key)
    except InputError as error:
        return (f"nothing predicts the season: {error}",)
    if model.artifact_id == own.artifact_id:
        return ()
    return (
        f"the season is predicted by the {architecture} of {model.season} (artifact {model.artifact_id}), not by its "
        f"own, which is evaluated here: {own.reason}",
    )


def evaluate_table(
    settings: Settings,
    observations: Path,
    *,
    labels: Path,
    folds: Path,
    architecture: Architecture | None,
    seed: int,
    wanted: Wanted,
) -> Evaluated:
    """The same for parcel statistics in one Parquet file, labels (parcel_id, crop_code) and folds (parcel_id, fold)."""
    judged = read_judged(observations, labels, folds)
    configs = {a: TrainingConfig(architecture=a) for a in ([architecture] if architecture else list(Architecture))}
    return _evaluate(settings.open_store(), judged, configs, seed, settings.threads, wanted)


def read_judged(observations: Path, labels: Path, folds: Path) -> Judged:
    """Everything that is labelled stands in exactly one place: judged, or excluded for one reason."""
    crop_of = read_pairs(labels, value="crop_code", where="--labels")
    fold_of = read_pairs(folds, value="fold", where="--folds")
    table = _read(observations)
    in_table = set(pc.unique(pc.cast(table["parcel_id"], pa.string())).drop_null().to_pylist()) - {""}
    parcels = sorted(in_table & set(crop_of) & set(fold_of))
    if not parcels:
        raise InputError(
            f"no parcel stands in all three files: {len(in_table)} in the observations, {len(crop_of)} labelled, "
            f"{len(fold_of)} in a fold",
            where="--observations, --labels and --folds",
            mend="Check that they name the same parcels; numbers lose leading zeros, text keeps them",
        )
    tidy = read_tidy_series(table, parcel_ids=parcels, min_clear_fraction=MIN_CLEAR_FRACTION, where=str(observations))
    seen = tidy.series.lengths > 0
    try:
        known = label_parcels(
            [crop_of[p] if has else None for p, has in zip(parcels, seen, strict=True)],
            min_class_parcels=MIN_CLASS_PARCELS,
        )
    except ModelError as error:
        raise InputError(
            f"{int(seen.sum())} parcels have a label, a fold and an observation: {error.what}",
            where="--labels",
            mend="Accuracy needs two classes with two parcels or more each",
        ) from error
    dataset = Dataset(
        tidy.series, known.label, known.crops, from_file(fold_of, parcel_ids=parcels, labelled=known.label >= 0)
    )
    excluded = {
        Exclusion.PARCEL_NOT_IN_TABLE: len(set(crop_of) - in_table),
        Exclusion.PARCEL_WITHOUT_LABEL: len(in_table - set(crop_of)),
        Exclusion.PARCEL_WITHOUT_FOLD: len((in_table & set(crop_of)) - set(fold_of)),
        Exclusion.PARCEL_WITHOUT_OBSERVATION: int((~seen).sum()),
        Exclusion.CLASS_TOO_RARE: sum(known.too_rare.values()),
    }
    return Judged(dataset, _counted(excluded) | tidy.excluded, (*_table_notes(tidy), *_check_folds(dataset)))


def _read(path: Path) -> pa.Table:
    """The columns that are needed, and no others."""
    try:
        layout = read_layout(pq.read_schema(path), where=str(path))
        return pq.read_table(path, columns=layout.columns)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ObservationFileError(f"cannot be read as Parquet ({error})", where=str(path)) from error


def _table_notes(tidy: TidySeries) -> tuple[str, ...]:
    return (NUMERIC_IDS,) if tidy.numeric_ids else ()


def _excluded_declarations(context: SeasonContext, data: SeasonData, dataset: Dataset) -> dict[str, int]:
    labelled, seen = dataset.label >= 0, dataset.series.lengths > 0
    coded = data.parcels["crop"].notna().to_numpy()
    large = data.parcels["pixels"].to_numpy() >= context.agency.assessment.min_pixels
    excluded = {
        Exclusion.CROP_NOT_IN_LEGEND: int((~coded).sum()),
        Exclusion.PARCEL_WITHOUT_OBSERVATION: int((coded & ~seen).sum()),
        Exclusion.PARCEL_TOO_SMALL: int((coded & seen & ~large).sum()),
        Exclusion.CLASS_TOO_RARE: int((coded & seen & large & ~labelled).sum()),
        Exclusion.PARCEL_WITHOUT_FOLD: int((labelled & seen & (dataset.folds.fold < 0)).sum()),
    }
    return _counted(excluded)


def _counted(excluded: Mapping[Exclusion, int]) -> dict[str, int]:
    return {str(reason): n for reason, n in excluded.items() if n}


def _check_folds(dataset: Dataset) -> tuple[str, ...]:
    """Notes on classes that a fold's model cannot be trained on.

    Raises InputError, before any fold is trained, where one has fewer than two classes to train on.
    """
    notes = []
    for k, name in enumerate(dataset.folds.names):
        learnt = dataset.label[dataset.folds.training_mask(k) & dataset.judged]
        if len(np.unique(learnt)) < 2:
            raise InputError(
                f"the parcels outside of fold {name} have {len(np.unique(learnt))} class(es)",
                where="folds",
                mend="Every fold's model learns from the other folds: they must hold two classes or more",
            )
        here = dataset.label[dataset.judged & (dataset.folds.fold == k)]
        unknown = Counter(dataset.crops[c] for c in here if c not in learnt)
        notes += [f"{n} parcels of {crop} in fold {name}: no other fold has it" for crop, n in sorted(unknown.items())]
    return tuple(notes)


def _evaluate(
    store: Store,
    judged: Judged,
    configs: dict[Architecture, TrainingConfig],
    seed: int,
    workers: int,
    wanted: Wanted,
    left_out: Mapping[Architecture, NDArray[np.bool_]] | None = None,
) -> Evaluated:
    dataset, left_out = judged.dataset, left_out or {}
    results = {
        a: evaluate_out_of_fold(store, dataset, c, seed=seed, suspects=left_out.get(a), workers=workers)
        for a, c in configs.items()
    }
    if wanted.out is not None:
        target = wanted.out.absolute()
        Store(target.parent).write_table(target.name, _probabilities(dataset, results))
    answer: Evaluated = {
        "folds": dataset.folds.made_by,
        "spatial": dataset.folds.is_spatial,
        "excluded": judged.excluded,
        "notes": judged.notes,
        "networks": {
            str(a): _summary(result, left_out=int(left_out[a].sum()) if a in left_out else 0)
            for a, result in results.items()
        },
    }
    if wanted.by_date:
        answer["by_date"] = _by_date(dataset, results, wanted.plot)
    return answer


def _by_date(
    dataset: Dataset, results: Mapping[Architecture, OutOfFold], plot: Path | None
) -> dict[str, list[Mapping[str, object]]]:
    days = fortnight_ends(dataset.series)
    scores = {str(a): score_by_date(dataset, result, days) for a, result in results.items()}
    if plot is not None:
        from cropmap.model.pictures import by_date_picture

        target = plot.absolute()
        title = f"{int(dataset.judged.sum()):,} parcels, {len(dataset.crops)} crops, {dataset.folds.made_by} folds"
        Store(target.parent).write_bytes(target.name, by_date_picture(scores, title=title), digest=False)
    return {name: [asdict(row) for row in rows] for name, rows in scores.items()}


def _summary(result: OutOfFold, *, left_out: int) -> NetworkScores:
    e = result.evaluation
    per_class: dict[str, ClassScores] = {
        c.crop: {"n": c.support, "precision": c.precision, "recall": c.recall, "f1": c.f1} for c in e.per_class
    }
    return {
        "n": e.n,
        "oa": e.oa,
        "kappa": e.kappa,
        "macro_f1": e.macro_f1,
        "ece": e.ece,
        "ece_by_chance": e.ece_by_chance,
        "brier": e.brier,
        "per_class": per_class,
        "per_fold": dict(e.per_fold),
        "confusion": {"crops": list(e.crops), "matrix": [list(row) for row in e.confusion]},
        "left_out_of_training": left_out,
    }


def _probabilities(dataset: Dataset, results: Mapping[Architecture, OutOfFold]) -> pa.Table:
    """network, parcel_id, fold, label, and one column of probability per crop; judged parcels only."""
    parts: Sequence[pa.Table] = [_network_table(dataset, str(a), result) for a, result in results.items()]
    return pa.concat_tables(parts)


def _network_table(dataset: Dataset, network: str, result: OutOfFold) -> pa.Table:
    judged = np.flatnonzero(np.isfinite(result.probabilities).all(axis=1))
    columns: dict[str, Any] = {
        "network": [network] * len(judged),
        "parcel_id": dataset.series.parcel_ids[judged].tolist(),
        "fold": [dataset.folds.names[k] for k in dataset.folds.fold[judged]],
        "label": [dataset.crops[k] for k in dataset.label[judged]],
    }
    shares = {f"p:{crop}": result.probabilities[judged, k] for k, crop in enumerate(dataset.crops)}
    return pa.table(columns | shares)
