"""Predict: probabilities, assessments and statistics from the trained artifact, published in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.costs import rates
from cropmap.stages import products as stage
from cropmap.stages.open_season import OpenSeason
from flows.request import SeasonRequest
from flows.units import claimed, runner, unit

score = unit("predict")(stage.predict)
assess = unit("assess")(stage.assess)
aggregate = unit("aggregate")(stage.aggregate)
publish = unit("publish")(stage.publish)


@flow(name="predict", flow_run_name="predict {request.label}", task_runner=runner())
def predict(request: SeasonRequest, *, season: OpenSeason | None = None) -> dict[str, object]:
    """Publishes nothing when a step fails; what was published before stays readable. A longer flow hands its `season`
    over."""
    return request.each_season(
        lambda season_request: _predict(season_request, season or OpenSeason(season_request.open()))
    )


def _predict(request: SeasonRequest, season: OpenSeason) -> dict[str, object]:
    context = season.context
    with claimed(context, "predict"):
        run = stage.plan_run(season)
        with stage.logged_run(context, run, clock=lambda: datetime.now(UTC)):
            work = {} if stage.is_published(season, run) else rates.season_units(season.data)
            with rates.measured(context.store, "predict") as done:
                score(season, run)
                done.update(work)
            with rates.measured(context.store, "assess") as done:
                assessed = assess(season, run)
                done.update(work)
            with rates.measured(context.store, "aggregate") as done:
                areas = aggregate(season, run)
                done.update(work)
            with rates.measured(context.store, "publish") as done:
                published = publish(season, run, published_at=datetime.now(UTC))
                done.update(work)
    create_table_artifact(
        key=request.artifact_key("assessments"), table=assessed, description=f"Verdicts: {request.label}"
    )
    create_table_artifact(
        key=request.artifact_key("statistics"), table=areas, description=f"Largest crops: {request.label}"
    )
    return published
