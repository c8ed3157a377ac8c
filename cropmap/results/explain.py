"""The whole way of one parcel, from a row of a file to a published row, and the same once more to the same bits.

Reads what is stored; writes nothing. Where the parcel was lost on the way, it says where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments.explanation import Path, explain_declaration
from cropmap.contracts.tables import ASSESSMENT_COLUMNS, PREDICTION_COLUMNS
from cropmap.database import acquisitions as ledger
from cropmap.database import audit, history, queries
from cropmap.dataset.batches import by_length
from cropmap.dataset.series import Series
from cropmap.errors import ArtifactError, InputError
from cropmap.evidence.observations import USED, observation_table, use_in_words
from cropmap.observations.files import read_observations
from cropmap.observations.tidy import IMPORTED
from cropmap.predictions.parts import chunk_of
from cropmap.predictions.predict import BATCH_SIZE, Artifact, load_artifact, predict, run_session
from cropmap.predictions.predictions import Predictions
from cropmap.provenance import code_version
from cropmap.results.published import PublishedRun, open_published, separation
from cropmap.schemas import AcquisitionStatus, AuditAction, Reason
from cropmap.stages.champion import judging_folds
from cropmap.stages.context import SeasonContext
from cropmap.stages.forecast import is_carried
from cropmap.stages.products import UNTRAINED, parts_of

IDENTICAL: Final = "identical"


@dataclass(frozen=True)
class Explanation:
    """A section per step, each JSON-like; what the parcel never reached is not there."""

    sections: Mapping[str, object]
    differences: tuple[str, ...]
    """between what was published and what the store gives now; empty where there is nothing to compare too"""


class Seen(TypedDict):
    """An acquisition that could have shown the parcel."""

    sensed_at: datetime | None
    item_id: str
    clear_fraction: float | None
    """of the parcel; None where it was not seen"""
    ndvi: float | None
    fate: str
    """used, or in words why it was not"""


ClassScore = TypedDict(
    "ClassScore", {"crop": str, "raw logit": float | None, "calibrated": float | None, "probability": float | None}
)


def explain(context: SeasonContext, parcel_id: str) -> Explanation:
    """Raises InputError for an id that no file of the season has named."""
    with context.connect() as connection:
        versions = history.declaration_versions(connection, **context.key, parcel_id=parcel_id)
        rejected = history.rejections_of(connection, **context.key, parcel_id=parcel_id)
        published = queries.published_seasons(connection, agency=context.agency.agency)
    if not versions and not rejected:
        raise InputError(
            f"no file of season {context.season.year} names parcel {parcel_id}",
            where="--parcel",
            mend="Leading zeros count; `cropmap season status` shows what is loaded",
        )
    with context.connect() as connection:
        audit.note(connection, **context.key, action=AuditAction.READ, subject="explain", parcel_ids=[parcel_id])
    sections: dict[str, object] = {
        "parcel": {**context.key, "parcel_id": parcel_id, "state": _state(versions, rejected)},
        "declarations": versions,
        "rejected rows": rejected,
    }
    if not versions or not any(row["season"] == context.season.year for row in published):
        return Explanation(sections, ())
    run = open_published(context)
    ids = run.data.series.parcel_ids
    place = int(np.searchsorted(ids, parcel_id))
    if place == len(ids) or ids[place] != parcel_id:
        return Explanation(sections | {"run": _run(run)}, ())
    return _judged(run, place, parcel_id, sections)


def _state(versions: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]]) -> str:
    if not versions:
        return "rejected: " + ", ".join(sorted({row["reason"] for row in rejected}))
    return "declared" if versions[-1]["valid_to"] is None else f"withdrawn {versions[-1]['valid_to']:%Y-%m-%d}"


def _judged(run: PublishedRun, place: int, parcel_id: str, sections: dict[str, object]) -> Explanation:
    seen, series = _acquisitions(run, place, parcel_id), run.data.series.take(np.array([place]))
    differences = _series_differences(seen, series)
    artifact, folds = None, None
    try:
        if (artifact := _artifact(run)) is not None:
            folds = _folds(run, artifact)
    except ArtifactError as error:
        differences.append(f"the model cannot judge the season's data any more: {error}")
    sections |= {"acquisitions": seen, "series": _series(series, seen)}
    if artifact is not None and folds is not None:
        sections["judge"] = _judge(run, artifact, folds, place)
        sections["scores"], more = _scores(run, artifact, folds, place, parcel_id)
        differences += more
    if parcel_id in run.assessments.index:
        path, more = _assessment(run, parcel_id)
        differences += more
        sections["gates"] = [asdict(gate) for gate in path.gates]
        sections["channel"] = asdict(path.channel) if path.channel else None
    rows, more = _published_rows(run, parcel_id)
    sections |= {**rows, "list": _list(run), "run": _run(run)}
    differences += more
    if differences and run.run.code_version != code_version():
        differences.append(f"the run was made by code {run.run.code_version}, this is {code_version()}")
    return Explanation(sections | {"recomputed": differences or IDENTICAL}, tuple(differences))


def _acquisitions(run: PublishedRun, place: int, parcel_id: str) -> list[Seen]:
    """Every acquisition that could have shown the parcel, and what became of it."""
    context, tile = run.context, run.data.parcels["home_tile"].iloc[place]
    with context.connect() as connection:
        entries = ledger.read_acquisitions(connection, **context.key)
    observed = [e for e in entries if e.status == AcquisitionStatus.OBSERVED and e.sensed_at]
    names = [item.name for item in run.season.objects(observed)]
    table = observation_table(
        read_observations(context.store, names, parcel_ids=[parcel_id]),
        season=context.season,
        min_clear_fraction=context.agency.observations.min_clear_fraction,
    )
    by_item = {row["item_id"]: row for row in table.to_dict("records")}
    rows: list[Seen] = []
    for entry in entries:
        seen = by_item.get(entry.item_id)
        if seen is None and entry.tile not in {tile, None, IMPORTED}:
            continue
        fate = use_in_words(seen["reject"], seen["clear_fraction"]) if seen else _unseen(entry, run)
        rows.append(
            {
                "sensed_at": entry.sensed_at,
                "item_id": entry.item_id,
                "clear_fraction": float(seen["clear_fraction"]) if seen else None,
                "ndvi": _number(seen["ndvi"]) if seen else None,
                "fate": fate,
            }
        )
    return rows


def _unseen(entry: ledger.LedgerEntry, run: PublishedRun) -> str:
    if entry.status == AcquisitionStatus.QUARANTINED:
        return f"quarantined, {entry.reason}: {entry.detail}"
    if entry.sensed_at and entry.sensed_at.date() > run.context.season.end:
        return f"after {run.context.season.end}, the run's last day"
    if entry.status == AcquisitionStatus.FOUND:
        return "not observed yet"
    return (
        "no row of the parcel in the imported table"
        if entry.tile == IMPORTED
        else "the parcel is outside its footprint"
    )


def _series(series: Series, seen: Sequence[Seen]) -> dict[str, object]:
    days = [str(np.datetime64(series.day_zero, "D") + int(day)) for day in series.day_of_year]
    fates = pd.Series([row["fate"].split(",")[0] for row in seen], dtype=object).value_counts()
    return {"length": len(days), "dates": days, "acquisitions by fate": {str(k): int(n) for k, n in fates.items()}}


def _series_differences(seen: Sequence[Seen], series: Series) -> list[str]:
    """What the files of the acquisitions say now must give the series that was built of them."""
    used = sorted(row["sensed_at"].date().isoformat() for row in seen if row["sensed_at"] and row["fate"] == USED)
    dates = [str(np.datetime64(series.day_zero, "D") + int(day)) for day in series.day_of_year]
    return [] if used == dates else [f"acquisitions used ({len(used)}) and series ({len(dates)} dates) disagree"]


def _artifact(run: PublishedRun) -> Artifact | None:
    version = run.run.model_version or UNTRAINED
    return None if version == UNTRAINED else load_artifact(run.context.store, version.rpartition("-")[2])


def _folds(run: PublishedRun, artifact: Artifact) -> NDArray[np.int16]:
    """(N,) which model judged each parcel, -1 where their mean did."""
    if is_carried(run.data.parcels) or run.data.dataset is None:
        return np.full(len(run.data.series), -1, np.int16)
    return judging_folds(run.context, run.data, artifact)


def _judge(run: PublishedRun, artifact: Artifact, folds: NDArray[np.int16], place: int) -> dict[str, object]:
    """Who judged, and how far away everything lies that this model learnt from."""
    k, manifest, dataset = int(folds[place]), artifact.manifest, run.data.dataset
    about: dict[str, object] = {
        "fold": manifest.fold_names[k] if k >= 0 else f"none: mean of {len(manifest.fold_names)} models",
        "folds made by": manifest.folds_made_by,
        "trained in": manifest.about.get("season", "-"),
        "left out of training as suspect": manifest.about.get("left_out_of_training", "-"),
    }
    if k < 0 or dataset is None or dataset.hash != manifest.dataset_hash:
        return about
    learnt, holding = dataset.folds.training_mask(k), dataset.folds.holding
    distance = np.hypot(*(run.data.outlines.centroids_m - run.data.outlines.centroids_m[place]).T)
    return about | {
        "why nobody near": separation(run.context.agency.model.folds),
        "parcels to learn from": int(learnt.sum()),
        "of the same holding among them": int((learnt & (holding == holding[place])).sum()),
        "nearest of them, m": float(distance[learnt].min()) if learnt.any() else None,
        "kept out for their holding or nearness": int(dataset.folds.excluded[k].sum()),
    }


def scored_together(
    series: Series, folds: NDArray[np.int16], part_of: NDArray[np.integer], place: int
) -> NDArray[np.intp]:
    """Ascending positions of the parcels in one batch with this one, as `PartJob.score` makes its batches: the bits of
    a score may depend on the padding. part_of (N,): the part that each parcel is in."""
    same = folds == folds[place] if folds[place] >= 0 else folds < 0
    chunk = chunk_of(part_of, place)
    own = chunk[(same & (series.lengths > 0))[chunk]]
    for part in by_length(series.lengths[own], batch_size=BATCH_SIZE):
        if place in own[part]:
            return np.sort(own[part])
    return np.array([place])


def _scores(
    run: PublishedRun, artifact: Artifact, folds: NDArray[np.int16], place: int, parcel_id: str
) -> tuple[list[ClassScore], list[str]]:
    """Raw and calibrated logits and the probability of every class; and what differs from the run's prediction."""
    _, part_of = parts_of(run.data.parcels["home_tile"])
    batch = scored_together(run.data.series, folds, part_of, place)
    series, here = run.data.series.take(batch), int(np.searchsorted(batch, place))
    again = predict(artifact, series, fold=folds[batch], threads=1)
    raw = np.full(len(artifact.manifest.crops), np.nan)
    if folds[place] >= 0 and series.lengths[here]:
        session = artifact.sessions[int(folds[place])]
        raw = run_session(session, series, np.arange(len(series)), threads=1)[here]
    kept = int(np.searchsorted(run.predictions.parcel_ids, parcel_id))
    rows: list[ClassScore] = [
        {
            "crop": crop,
            "raw logit": _number(raw[c]),
            "calibrated": _number(again.logits[here, c]),
            "probability": _number(again.probabilities[here, c]),
        }
        for c, crop in enumerate(again.crops)
    ]
    rows.sort(key=lambda row: -(row["probability"] or 0))
    return rows, _prediction_differences(again, here, run.predictions, kept)


def _prediction_differences(again: Predictions, here: int, stored: Predictions, kept: int) -> list[str]:
    if not np.array_equal(again.logits[here], stored.logits[kept], equal_nan=True):
        far = float(np.nanmax(np.abs(again.logits[here] - stored.logits[kept])))
        return [f"prediction: logits differ by up to {far:.3g}"]
    ours, theirs = again.table().iloc[here], stored.table().iloc[kept]
    by_run = str(theirs["scored_by"]).endswith(str(ours["scored_by"]))  # a forecast says more of its model
    names = [name for name in PREDICTION_COLUMNS if name != "scored_by" and not _same(ours[name], theirs[name])]
    return [f"prediction: {name}" for name in names] + ([] if by_run else ["prediction: scored_by"])


def _assessment(run: PublishedRun, parcel_id: str) -> tuple[Path, list[str]]:
    """The way through gates and channel; and what differs from the run's assessment."""
    data, section = run.data, run.context.agency.assessment
    confirmed, not_learnt = (
        run.assessments.index[run.assessments["reason"] == reason]
        for reason in (Reason.CONFIRMED_BY_REVIEW, Reason.CROP_NOT_LEARNT)
    )
    assessed, path = explain_declaration(
        data.parcels.assign(
            has_geometry=True,
            confirmed=data.parcels["parcel_id"].isin(confirmed),
            not_learnt=data.parcels["parcel_id"].isin(not_learnt),
        ),
        run.predictions,
        data.legend,
        parcel_id,
        false_alarm_rate=section.false_alarm_rate,
        seed=run.context.agency.model.seed,
        limits=section.limits,
    )
    ours = assessed.table.set_index("parcel_id").loc[parcel_id]
    theirs = run.assessments.loc[parcel_id]
    return path, [
        f"assessment: {name} is {ours[name]}, was {theirs[name]}"
        for name in ASSESSMENT_COLUMNS
        if name != "parcel_id" and not _same(ours[name], theirs[name])
    ]


def _published_rows(run: PublishedRun, parcel_id: str) -> tuple[dict[str, object], list[str]]:
    """The database's rows; and whether they say what the run's objects say."""
    with run.context.connect() as connection:
        row = queries.parcel(connection, **run.context.key, parcel_id=parcel_id, run_id=run.run.run_id)
    prediction, assessment = (row[what] if row else None for what in ("prediction", "assessment"))
    stored = run.predictions.table().set_index("parcel_id").loc[parcel_id]
    pairs = [("prediction", prediction, stored)]
    if parcel_id in run.assessments.index:
        pairs.append(("assessment", assessment, run.assessments.loc[parcel_id]))
    differences = []
    for what, there, here in pairs:
        if there is None:
            differences.append(f"no published {what}")
            continue
        names = [str(name) for name in here.index if name in there and name != "last_observation"]
        differences += [f"published {what}: {name}" for name in names if not _same(there[name], here[name])]
    return {"published prediction": prediction, "published assessment": assessment}, differences


def _list(run: PublishedRun) -> dict[str, object]:
    wanted = ("flags", "target", "estimated_rate", "reliability", "assumption")
    return {name: getattr(run.report, name) for name in wanted if name in run.report.model_fields_set}


def _run(run: PublishedRun) -> dict[str, object]:
    r = run.run
    return {
        "run_id": r.run_id,
        "as_of": r.as_of,
        "published_at": run.published_at,
        "model": r.model_version,
        "code": r.code_version,
        "code now": code_version(),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _same(ours: Any, theirs: Any) -> bool:
    """Equal to the last bit; missing values equal each other, however they are written."""
    if pd.isna(ours) or pd.isna(theirs):
        return bool(pd.isna(ours) and pd.isna(theirs))
    return bool(ours == theirs)
