"""A published run as it lies in the store, beside the data that it was made from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from cropmap.agency.sections import FoldsSection
from cropmap.assessments.report import AssessmentReport
from cropmap.database import queries, runs
from cropmap.database.connection import Connection
from cropmap.errors import InputError
from cropmap.predictions.predictions import Predictions
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData
from cropmap.stages.open_season import OpenSeason


@dataclass(frozen=True)
class PublishedRun:
    season: OpenSeason
    """cut at the run's last day"""
    run: runs.Run
    predictions: Predictions
    assessments: pd.DataFrame
    """ASSESSMENT_COLUMNS by parcel_id"""
    report: AssessmentReport
    published_at: datetime

    @property
    def context(self) -> SeasonContext:
        return self.season.context

    @property
    def data(self) -> SeasonData:
        return self.season.data


def published_run(connection: Connection, *, agency: str, season: int) -> runs.Run:
    """The run that is published of this season. Raises InputError, which says what is, where there is none."""
    run_id = queries.published_run(connection, agency=agency, season=season)
    run = runs.read_run(connection, run_id) if run_id else None
    if run is None:
        known = [f"{row['agency']} {row['season']}" for row in queries.published_seasons(connection)]
        raise InputError(
            "the season is not published",
            where=f"{agency} {season}",
            mend=f"Run `cropmap season run` first. Published: {', '.join(known) or 'nothing'}",
        )
    return run


def open_published(context: SeasonContext) -> PublishedRun:
    """The season's published run with its objects. Raises InputError where nothing is published, or they are gone."""
    with context.connect() as connection, connection.transaction():
        run = published_run(connection, **context.key)
        known = queries.published_seasons(connection, agency=context.agency.agency)
    published_at = next(row["published_at"] for row in known if row["season"] == context.season.year)
    name = f"runs/{run.run_id}"
    try:
        predictions = Predictions.read(context.store, f"{name}/predictions.parquet")
        assessments = context.store.read_table(f"{name}/assessments.parquet").to_pandas().set_index("parcel_id")
        document = context.store.read(f"{name}/assessments.json", json.loads)
    except (OSError, KeyError) as error:
        raise InputError(
            f"the run's objects are not in the store, or were made by an earlier version ({error})",
            where=f"{context.store.root}/{name}",
            mend="Run `cropmap season run` again",
        ) from error
    report = AssessmentReport.read(document, where=f"{context.store.root}/{name}/assessments.json")
    return PublishedRun(_as_then(context, run, assessments), run, predictions, assessments, report, published_at)


def separation(folds: FoldsSection) -> str:
    """What the model that judges a parcel was trained without, in words."""
    where = {"region": ", its whole region", "block": ", its block"}.get(folds.by, "")
    near = f" and every parcel within {folds.neighbour_distance_m:g} m" if where and folds.neighbour_distance_m else ""
    return f"a model that was trained without this parcel{where}, the rest of its holding{near}"


def _as_then(context: SeasonContext, run: runs.Run, assessments: pd.DataFrame) -> OpenSeason:
    """The season up to the run's last day, with the register that the run assessed where it can be had again: as it
    stands, else as it stood on that day."""
    cut = OpenSeason(replace(context, season=context.season.until(run.as_of)))
    if run.as_of is None or _is_assessed(cut.data, assessments):
        return cut
    earlier = OpenSeason(replace(cut.context, as_of=run.as_of))
    return earlier if _is_assessed(earlier.data, assessments) else cut


def _is_assessed(data: SeasonData, assessments: pd.DataFrame) -> bool:
    declared = dict(zip(data.parcels["parcel_id"], data.parcels["crop_code"], strict=True))
    return assessments["declared_code"].to_dict() == declared
