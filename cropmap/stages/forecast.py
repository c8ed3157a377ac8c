"""A season before anything is declared: last season's outlines, and last season's champion.

The outlines are carried forward as claims whose crop code is CARRIED_FORWARD, which no legend lists: nothing can be
learnt from them, nothing is assessed and no area is estimated. The first declarations file takes their place as any
later version of a register does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pandas as pd

from cropmap.assessments.report import AssessmentReport
from cropmap.contracts.tables import ASSESSMENT_COLUMNS, REJECTION_COLUMNS, STATISTIC_COLUMNS
from cropmap.database import declarations as register
from cropmap.database.runs import ensure_season
from cropmap.errors import ArtifactError, InputError
from cropmap.model.artifact import Manifest
from cropmap.model.gate import knows_classes
from cropmap.predictions.predict import load_artifact
from cropmap.schemas import CARRIED_FORWARD
from cropmap.stages.champion import TrainedModel, legend_key, succession
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData
from cropmap.statistics.report import StatisticsReport

NO_ASSESSMENTS: Final = AssessmentReport(
    forecast=True, verdicts={}, reliability="forecast: nothing is declared yet", estimated_rate=None
)
NO_STATISTICS: Final = StatisticsReport(forecast=True)
"""what a forecast's run says of assessments and statistics"""


def carry_forward(context: SeasonContext, *, from_season: int, loaded_at: datetime) -> dict[str, int]:
    """Copies the parcels of an earlier season into this one. The same again changes nothing.

    Raises InputError where that season has no parcels, or this one has declarations already.
    """
    if from_season >= context.season.year:
        raise InputError(f"season {from_season} is not before {context.season.year}", where="--from")
    agency = context.agency.agency
    with context.connect() as connection:
        known, _ = register.read_register(connection, **context.key, folder=context.datasets)
        parcels, outlines = register.read_register(
            connection, agency=agency, season=from_season, folder=context.datasets
        )
        if len(known) and not is_carried(known):
            raise InputError(f"season {context.season.year} of {agency} has declarations already", where="--season")
        if parcels.empty:
            raise InputError(f"season {from_season} of {agency} has no parcels to carry forward", where="--from")
        ensure_season(
            connection,
            **context.key,
            simulated=context.agency.simulated,
            document=context.agency.model_dump(mode="json"),
        )
        counts = register.store_declarations(
            connection,
            **context.key,
            accepted=parcels.assign(crop_code=CARRIED_FORWARD, declared_area_ha=float("nan")),
            outlines=outlines,
            rejected=pd.DataFrame(columns=list(REJECTION_COLUMNS)),
            source_file=f"season {from_season}",
            source_hash="",
            loaded_at=loaded_at,
        )
    return {"carried_forward": counts["accepted"], "from": from_season, "new": counts["new"]}


def is_carried(parcels: pd.DataFrame) -> bool:
    """Whether these are outlines of an earlier season and no declarations."""
    return bool(len(parcels)) and bool((parcels["crop_code"] == CARRIED_FORWARD).all())


def forecasting_model(context: SeasonContext, data: SeasonData) -> TrainedModel:
    """The champion, or where it does not fit this season the last former one that does. Raises InputError where there
    is none, or each was made for other bands, classes or a later time."""
    line = succession(context, context.architecture)
    if not line:
        raise InputError(
            f"no {context.architecture} is trained: a season without declarations needs a champion",
            mend="Run an earlier season first",
        )
    obstacles = [_unfit(context, data, model) for model in line]
    for model, unfit in zip(reversed(line), reversed(obstacles), strict=True):
        if not unfit:
            return model
    why = ", ".join(obstacles[-1])
    raise InputError(
        f"the champion ({context.architecture}, {line[-1].season}) does not fit this season: {why}",
        mend=f"Run an earlier season first; `cropmap models list {context.agency.file}` shows the versions",
    )


def _unfit(context: SeasonContext, data: SeasonData, model: TrainedModel) -> list[str]:
    """What stands between a model and a season before its declarations."""
    try:
        manifest = load_artifact(context.store, model.artifact_id).manifest
    except ArtifactError as error:
        return [str(error)]
    legend = legend_key(data.legend)
    fits = {
        "bands": manifest.bands == data.series.bands,
        "legend": knows_classes(manifest, declared=(), legend=legend, classes=data.legend.crops),
        "time": manifest.about.get("last_acquisition", "unknown") < context.season.end.isoformat(),
    }
    return [name for name, fine in fits.items() if not fine]


def forecast_words(manifest: Manifest) -> str:
    """What stands before the models that score a parcel: the mean of the champion's, because last season's folds say
    nothing about this season's crops."""
    return f"forecast from {manifest.about.get('season', 'an earlier season')}, "


def no_assessments() -> pd.DataFrame:
    return pd.DataFrame(columns=list(ASSESSMENT_COLUMNS))


def no_statistics() -> pd.DataFrame:
    return pd.DataFrame(columns=list(STATISTIC_COLUMNS))
