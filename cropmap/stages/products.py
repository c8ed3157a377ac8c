"""From a trained artifact to published rows: predict, assess, aggregate, publish.

Each step leaves its result as objects of the run in the store; publishing copies them into the database in one
transaction. A run's id is the hash of everything that can change its rows, so the same work has the same id.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.assessments.assess import assess as assess_declarations
from cropmap.assessments.report import AssessmentReport
from cropmap.database import publishing, queries, runs
from cropmap.database.code_lists import region_edition, store_names, store_regions
from cropmap.database.connection import database_errors
from cropmap.dataset.shared import place_of, share_dataset
from cropmap.errors import InputError
from cropmap.model.artifact import read_manifest
from cropmap.predictions.parts import PartJob, join_parts, write_unscored
from cropmap.predictions.predict import Artifact, load_artifact
from cropmap.predictions.predictions import ROW_GROUP, Predictions, StoredProbabilities, read_logits, read_rows
from cropmap.processes import return_unused_memory
from cropmap.progress import Counter
from cropmap.provenance import code_version, content_hash
from cropmap.records import Record
from cropmap.schemas import Architecture, Reason
from cropmap.sources.regions import Regions
from cropmap.stages.champion import TrainedModel, is_whole, judging_folds, predicting_model, trained_model
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData
from cropmap.stages.declared import read_boundaries
from cropmap.stages.earlier_release import earlier_release
from cropmap.stages.findings import run_statement
from cropmap.stages.forecast import (
    NO_ASSESSMENTS,
    NO_STATISTICS,
    forecast_words,
    forecasting_model,
    is_carried,
    no_assessments,
    no_statistics,
)
from cropmap.stages.ingest import acquisition_counts
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.run_inputs import RunInputs, refuse
from cropmap.stages.run_report import RunReport
from cropmap.stages.training import training_key
from cropmap.stages.work import claim_of
from cropmap.statistics.areas import estimate_areas
from cropmap.statistics.coverage import partial_regions
from cropmap.statistics.report import StatisticsReport

log = logging.getLogger(__name__)

UNTRAINED: Final = "no model"
SHOWN_ROWS: Final = 12
PREDICTIONS: Final = "predictions.parquet"
PARTS: Final = "parts"
"""of predictions that are not joined yet"""
NO_TILE: Final = "no-tile"
"""the part of the parcels without a home tile"""
ARTIFACT: Final = "artifact"


@dataclass(frozen=True)
class RunPlan:
    run_id: str
    as_of: date
    """explicit, else the day of the last observed acquisition"""
    artifact_id: str
    """of the model that predicts; empty where nothing could be trained, or is still to be"""
    planned_parts: Mapping[str, str] = field(default_factory=dict)
    """hash of each part of the season that it was planned on: every step works on these, or stops"""

    def name(self, what: str) -> str:
        return f"runs/{self.run_id}/{what}"


def plan_run(season: OpenSeason, *, retrain: bool = False) -> RunPlan:
    """What is about to be published: by the model that may predict, or with `retrain` by the one that training will
    give; where that training is done already the gate has said which of the two it is.

    Raises InputError where no model may predict.
    """
    context, run_inputs = season.context, season.run_inputs
    architecture = context.architecture
    data = run_inputs.data
    key, artifact_id = training_key(context, data, architecture, reviewed=run_inputs.reviewed), ""
    if is_carried(data.parcels):
        forecasting = forecasting_model(context, data)
        key, artifact_id = forecasting.training_key, forecasting.artifact_id
    elif key and (model := _predicts(context, data, architecture, key, retrain=retrain)):
        key, artifact_id = model.training_key, model.artifact_id
    as_of = context.as_of or date.fromisoformat(data.last_acquisition)
    state = (part for item in sorted(run_inputs.parts.items()) for part in item)
    digest = content_hash(*state, str(as_of), architecture, key, code_version(), length=12)
    return RunPlan(f"{context.agency.agency}-{context.season.year}-{digest}", as_of, artifact_id, run_inputs.parts)


def _predicts(
    context: SeasonContext, data: SeasonData, architecture: Architecture, key: str, *, retrain: bool
) -> TrainedModel | None:
    """The model that may predict; None where training comes first and makes it, anew or once more after damage."""
    own = trained_model(context, architecture, key)
    if retrain and own is None:
        return None
    try:
        return predicting_model(context, data, architecture, key=key)
    except InputError:
        if retrain and own is not None and not is_whole(context, own):
            return None
        raise


def _planned(season: OpenSeason, plan: RunPlan) -> RunInputs:
    return_unused_memory()  # of the step before
    return season.planned(plan.planned_parts, run_id=plan.run_id)


@contextmanager
def logged_run(context: SeasonContext, plan: RunPlan, *, clock: Callable[[], datetime]) -> Iterator[None]:
    """The run stands in the run log while the block works, and as failed, with the reason, when the block raises.

    It began when this process began to work on the season, which is before its inputs, and so its id, were known.
    """
    claim = claim_of(context)
    with context.connect() as connection:
        runs.begin_run(
            connection,
            run_id=plan.run_id,
            **context.key,
            as_of=plan.as_of,
            code_version=code_version(),
            started_at=claim.work.since if claim else clock(),
        )
    if claim:
        claim.planned = True
    try:
        yield
    except Exception as error:
        try:
            with context.connect() as connection:
                runs.fail_run(connection, run_id=plan.run_id, detail=str(error), finished_at=clock())
        except Exception as second:  # the first error is the one to report, whatever else is broken
            log.warning("the failure could not be entered in the run log: %s", second)
        raise
    with context.connect() as connection:
        runs.finish_run(connection, run_id=plan.run_id, finished_at=clock())


def replace_plan(context: SeasonContext, plan: RunPlan, *, by: RunPlan, finished_at: datetime) -> None:
    """Notes in the run log that a run planned on a challenger is not carried out: the gate kept another model."""
    if plan.run_id != by.run_id:
        with context.connect() as connection:
            detail = f"the new model was not promoted; {by.run_id} is published with artifact {by.artifact_id}"
            if plan.planned_parts != by.planned_parts:
                detail = f"the season changed while its networks were trained; {by.run_id} takes its place"
            runs.fail_run(connection, run_id=plan.run_id, detail=detail, finished_at=finished_at)


def predict(season: OpenSeason, plan: RunPlan) -> dict[str, int]:
    """Scores every parcel by the model that never saw it. Returns counts."""
    jobs = parts_to_score(season, plan)
    with Counter("predict", total=sum(job.count for job in jobs.values()), unit="parcels") as counter:
        for job in jobs.values():
            score_part(season, job, on_done=counter.add)
    return join_predictions(season, plan)


def parts_to_score(season: OpenSeason, plan: RunPlan) -> dict[str, PartJob]:
    """The parts of a run's predictions: one for each home tile, by its name, and one for parcels without any. No part
    where the predictions are there, or no model is; damaged predictions are removed."""
    context, data = season.context, _planned(season, plan).data
    if _is_kept(context, plan.name(PREDICTIONS)):
        return {}
    context.store.remove(plan.name(PREDICTIONS))
    if not plan.artifact_id:
        return {}
    artifact = _artifact(season, plan.artifact_id)
    if is_carried(data.parcels):
        fold, words = np.full(len(data.series), -1, np.int16), forecast_words(artifact.manifest)
    else:
        fold, words = judging_folds(context, data, artifact), ""
    tiles, part_of = parts_of(data.parcels["home_tile"])
    return {
        tile: PartJob.of(
            tile,
            _part_name(plan, tile),
            dataset=place_of(data.shared, owner=context.agency.agency),
            artifact_id=plan.artifact_id,
            here=part_of == number,
            fold=fold,
            words=words,
        )
        for number, tile in enumerate(tiles)
    }


def share_series(season: OpenSeason) -> None:
    """The series are in the store afterwards, for processes that score parts elsewhere."""
    share_dataset(season.context.store, season.data.shared, owner=season.context.agency.agency)


def score_part(season: OpenSeason, job: PartJob, *, on_done: Callable[[float], None] = lambda _: None) -> str:
    """Scores the parcels of a part into the store. `on_done` is told how many are done. Returns what was done."""
    context, artifact = season.context, _artifact(season, job.artifact_id)
    return job.score(context.store, season.data.series, artifact, threads=context.threads, on_done=on_done)


def join_predictions(season: OpenSeason, plan: RunPlan) -> dict[str, int]:
    """One object of a run's parts, which are removed then; unless `parts_to_score` found it there. Returns counts."""
    data, store, name = _planned(season, plan).data, season.context.store, plan.name(PREDICTIONS)
    if not store.exists(name):
        if plan.artifact_id:
            crops = _artifact(season, plan.artifact_id).manifest.crops
            tiles, part_of = parts_of(data.parcels["home_tile"])
            parts = [_part_name(plan, tile) for tile in tiles]
            join_parts(store, name, parts, part_of=part_of, parcel_ids=data.series.parcel_ids, crops=crops)
        else:
            assert data.dataset is None, "a run with a dataset is planned after training"
            write_unscored(store, name, data.series, data.legend.crops, scored_by=UNTRAINED)
    season.forget(ARTIFACT)
    for part in store.names(plan.name(PARTS)):
        store.remove(part)
    counts = {"parcels": 0, "scored": 0}
    for logits in read_logits(store, name):
        counts["parcels"] += len(logits)
        counts["scored"] += int(np.isfinite(logits).all(axis=1).sum())
    return counts


def _artifact(season: OpenSeason, artifact_id: str) -> Artifact:
    """Read once for all parts."""
    return season.once(ARTIFACT, lambda: load_artifact(season.context.store, artifact_id))


def parts_of(home_tile: pd.Series[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """What the parts are called, and (N,) the position of the part that each parcel is in."""
    part_of, tiles = pd.factorize(home_tile.fillna(NO_TILE), sort=True)
    return [str(tile) for tile in tiles], part_of.astype(np.int64)


def _part_name(plan: RunPlan, tile: str) -> str:
    return plan.name(f"{PARTS}/{tile}.parquet")


def assess(season: OpenSeason, plan: RunPlan) -> list[dict[str, object]]:
    """Assesses every declaration; a forecast has none. Returns the number of declarations by verdict and reason."""
    context, run_inputs = season.context, _planned(season, plan)
    data, section = run_inputs.data, context.agency.assessment
    if is_carried(data.parcels):
        _write(context, plan, "assessments", no_assessments(), NO_ASSESSMENTS)
        return []
    if not _is_kept(context, plan.name("assessments.json"), plan.name("assessments.parquet")):
        predictions = _kept_predictions(context, plan)
        assessed = assess_declarations(
            data.parcels.assign(
                has_geometry=True,
                confirmed=data.parcels["parcel_id"].isin(run_inputs.reviewed.right),
                not_learnt=_not_learnt(context, plan, data, predictions),
            ),
            predictions,
            data.legend,
            false_alarm_rate=section.false_alarm_rate,
            seed=context.agency.model.seed,
            limits=section.limits,
        )
        not_learnt = AssessmentReport(crops_not_learnt=_counted(assessed.table))
        _write(context, plan, "assessments", assessed.table, assessed.report.joined(not_learnt))
    table = context.store.read_table(plan.name("assessments.parquet"), columns=["verdict", "reason"]).to_pandas()
    counts = table.value_counts().reset_index(name="declarations")
    return [{str(key): value for key, value in row.items()} for row in counts.to_dict("records")]


def _not_learnt(context: SeasonContext, plan: RunPlan, data: SeasonData, predictions: Predictions) -> NDArray[np.bool_]:
    """(N,) parcels that are scored by one fold's model which was trained without any parcel of the declared crop, or of
    a crop that is never held against it."""
    if not plan.artifact_id:
        return np.zeros(len(data.parcels), bool)
    manifest, group = read_manifest(context.store, plan.artifact_id), data.legend.group_of
    unknown: dict[str, set[str]] = {}
    for k in range(len(manifest.fold_names)):
        missing = manifest.not_learnt(k)
        unknown[f"fold {k}"] = {group(c) for c in missing} - {group(c) for c in set(manifest.crops) - missing}
    if not any(unknown.values()):
        return np.zeros(len(data.parcels), bool)
    judge = dict(zip(predictions.parcel_ids.tolist(), predictions.scored_by, strict=True))
    declared = zip(data.parcels["parcel_id"], data.parcels["crop"], strict=True)
    return np.array([c is not None and group(c) in unknown.get(judge.get(p, ""), ()) for p, c in declared], bool)


def _counted(assessed: pd.DataFrame) -> dict[str, int]:
    """Declarations by crop that no model which judges them was trained on; said in the log too."""
    rows = assessed[assessed["reason"] == str(Reason.CROP_NOT_LEARNT)]
    counts = {str(crop): int(n) for crop, n in rows["declared_crop"].value_counts().sort_index().items()}
    for crop, n in counts.items():
        log.warning(
            "%d declarations of %s are not assessed: it grows in one fold alone, so that the model which judges them "
            "never saw it; other folds (model.folds) divide it",
            n,
            crop,
        )
    return counts


def aggregate(season: OpenSeason, plan: RunPlan) -> list[dict[str, object]]:
    """Estimates crop areas per region; a forecast has none. Returns the largest rows."""
    context, run_inputs = season.context, _planned(season, plan)
    data, section = run_inputs.data, context.agency.statistics
    if is_carried(data.parcels):
        _write(context, plan, "statistics", no_statistics(), NO_STATISTICS)
        return []
    if not _is_kept(context, plan.name("statistics.json"), plan.name("statistics.parquet")):
        estimated = estimate_areas(
            season.counted_parcels(run_id=plan.run_id),
            _kept_probabilities(context, plan),
            data.legend,
            min_holdings=section.min_holdings,
            min_holdings_nuts3=section.min_holdings_nuts3,
            dominance=section.dominance,
            p_percent=section.p_percent,
            confidentiality=section.confidentiality,
            earlier=earlier_release(context, plan.run_id),
            reviews=run_inputs.areas.table,
        )
        regions = context.agency.regions
        partial = partial_regions(
            estimated.table["nuts_id"],
            codes=regions.codes,
            complete=regions.complete,
            nuts_version=regions.nuts_version,
        )
        about = StatisticsReport(review_sample=run_inputs.areas.report, partial_regions=partial)
        _write(context, plan, "statistics", estimated.table, estimated.report.joined(about))
    table = context.store.read_table(plan.name("statistics.parquet")).to_pandas()
    shown = ["nuts_id", "crop", "declared_ha", "mapped_ha", "estimate_ha", "se_ha", "basis"]
    largest = table[table["level"] == table["level"].max()].nlargest(SHOWN_ROWS, "estimate_ha")[shown].round(1)
    return [{str(key): value for key, value in row.items()} for row in largest.to_dict("records")]


def is_published(season: OpenSeason, plan: RunPlan) -> bool:
    """Whether this run is the season's published one, and its objects are whole."""
    context = season.context
    with context.connect() as connection:
        published = queries.published_run(connection, **context.key)
    objects = (PREDICTIONS, "assessments.parquet", "assessments.json", "statistics.parquet", "statistics.json")
    return published == plan.run_id and _is_kept(context, *map(plan.name, objects))


def publish(season: OpenSeason, plan: RunPlan, *, published_at: datetime) -> dict[str, object]:
    """Writes the run's rows and moves the pointer, in one transaction; the same run again changes nothing.

    What codes are called in the agency's languages is written each time: it is no part of a run. A season that was
    not loaded from a file, or by a version without maps of regions, gets its regions here.
    Raises InputError, and publishes nothing, where the season is no longer what it was when it was read.
    """
    data, context, store = _planned(season, plan).data, season.context, season.context.store
    _require_written(context, plan, PREDICTIONS)
    made = ("assessments", "statistics")
    for what in made:
        _require_written(context, plan, f"{what}.json")
    documents = {what: store.read(plan.name(f"{what}.json"), json.loads) for what in made}
    documents["acquisitions"] = acquisition_counts(context)
    report = RunReport.read(documents, where=f"{store.root}/{plan.name('')}")
    assessed = report.assessments
    model_version = f"{context.architecture}-{plan.artifact_id}" if plan.artifact_id else UNTRAINED
    statistics = store.read_table(plan.name("statistics.parquet")).to_pandas()
    regions, names = _missing_regions(context), context.agency.read_names()
    with context.connect() as connection, database_errors(), connection.transaction():
        refuse(season.changed(connection, hold=True), run_id=plan.run_id)
        if regions is not None:
            store_regions(connection, **context.key, regions=regions, language=context.agency.region_language)
        store_names(connection, agency=context.agency.agency, names=names)
        publishing.publish(
            connection,
            run_id=plan.run_id,
            **context.key,
            parcels=data.parcels,
            predictions=read_rows(store, plan.name(PREDICTIONS)),
            assessments=store.read_rows(plan.name("assessments.parquet")),
            statistics=statistics,
            model_version=model_version,
            published_at=published_at,
            nuts_version=context.agency.regions.nuts_version,
            n_acquisitions=data.n_acquisitions,
            report=report.as_json(),
        )
    return {
        "run_id": plan.run_id,
        "as_of": plan.as_of,
        "model": model_version,
        "verdicts": assessed.verdicts,
        "reliability": assessed.reliability,
        "estimated_false_alarms": assessed.estimated_rate,
        **({"crops_not_learnt": missing} if (missing := assessed.crops_not_learnt) else {}),
        "certification": run_statement(context, plan.run_id),
        "statistics": len(statistics),
    }


def _missing_regions(context: SeasonContext) -> Regions | None:
    """The season's regions, where the load of its declarations did not store them: outlines were carried forward, or it
    was an earlier version's."""
    with context.connect() as connection:
        stored = region_edition(connection, **context.key)
    if stored == context.agency.regions.nuts_version:
        return None
    return read_boundaries(context.agency, season=context.season.year)


def _is_kept(context: SeasonContext, *names: str) -> bool:
    """Whether a step's objects are there as they were written; a damaged one is made again, also one that lost its
    digest with its end."""
    store = context.store
    return all(
        (store.recall(name, json.loads) if name.endswith(".json") else store.count_rows(name)) is not None
        for name in names
    )


def _kept_predictions(context: SeasonContext, plan: RunPlan) -> Predictions:
    _require_written(context, plan, PREDICTIONS)
    return Predictions.read(context.store, plan.name(PREDICTIONS))


def _kept_probabilities(context: SeasonContext, plan: RunPlan) -> StoredProbabilities:
    _require_written(context, plan, PREDICTIONS)
    return StoredProbabilities.read(context.store, plan.name(PREDICTIONS))


def _require_written(context: SeasonContext, plan: RunPlan, what: str) -> None:
    """The steps are commands of their own too, and what the season was may have changed between two of them."""
    if not context.store.exists(plan.name(what)):
        raise InputError(
            f"run {plan.run_id}, which is the season as it stands now, has no {what.partition('.')[0]} yet",
            mend="Run `cropmap predict`, `assess`, `aggregate` and `publish` in this order, or `cropmap season run`",
        )


def _write(context: SeasonContext, plan: RunPlan, what: str, table: pd.DataFrame, report: Record) -> None:
    """The table, then the report: whoever finds the report finds the table."""
    rows = pa.Table.from_pandas(table, preserve_index=False)
    context.store.write_table(plan.name(f"{what}.parquet"), rows, row_group_size=ROW_GROUP)
    text = json.dumps(report.as_json(), ensure_ascii=False, allow_nan=False)
    context.store.write_bytes(plan.name(f"{what}.json"), text.encode())
