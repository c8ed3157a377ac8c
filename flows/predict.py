"""Predict: probabilities, assessments and statistics from the trained artifact, published in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.costs import rates
from cropmap.progress import Counter
from cropmap.stages import products as stage
from cropmap.stages.open_season import OpenSeason
from flows.engine import Cluster, cluster_of
from flows.request import SeasonRequest
from flows.units import claimed, gather, gather_from_cluster, runner, unit, watch

score_part = unit("predict tile", "predict {job}")(stage.score_part)
scores = unit("predict tile", "predict {name}", retried=False)(watch)
join = unit("predict")(stage.join_predictions)
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


@flow(name="score", flow_run_name="score {request.label}")
def score(request: SeasonRequest) -> dict[str, object]:
    """The first step of `predict` alone: every parcel's probabilities."""
    return request.each_season(lambda season_request: _score(season_request, OpenSeason(season_request.open())))


def _score(request: SeasonRequest, season: OpenSeason) -> dict[str, object]:
    with claimed(season.context, "predict"), cluster_of(request.settings()) as cluster:
        run = stage.plan_run(season)
        with stage.logged_run(season.context, run, clock=lambda: datetime.now(UTC)):
            return {"run_id": run.run_id, "predict": _predictions(season, run, cluster)}


def _predict(request: SeasonRequest, season: OpenSeason) -> dict[str, object]:
    context = season.context
    with claimed(context, "predict"), cluster_of(request.settings()) as cluster:
        run = stage.plan_run(season)
        with stage.logged_run(context, run, clock=lambda: datetime.now(UTC)):
            work = {} if stage.is_published(season, run) else rates.season_units(season.data)
            with rates.measured(context.store, "predict") as done:
                _predictions(season, run, cluster)
                if cluster is None:  # what other machines take says nothing of this one
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


def _predictions(season: OpenSeason, run: stage.RunPlan, cluster: Cluster | None) -> dict[str, int]:
    """Each tile on its own, one after the other on all cores, or on a cluster each on a worker; then all as one."""
    jobs = stage.parts_to_score(season, run)
    total = sum(job.count for job in jobs.values())
    if cluster is None:
        with Counter("predict", total=total, unit="parcels") as counter, runner(1) as tasks:
            gather(
                {
                    tile: tasks.submit(score_part, {"season": season, "job": job, "on_done": counter.add})
                    for tile, job in jobs.items()
                },
                units="tiles",
                done=lambda *_: None,
            )
    elif jobs:
        from flows.worker import PredictUnit

        stage.share_series(season)
        units, groups = {tile: PredictUnit(job) for tile, job in jobs.items()}, {tile: [tile] for tile in jobs}
        with Counter("predict", total=total, unit="parcels") as counter:

            def told(tile: str, result: str | BaseException) -> None:
                if not isinstance(result, BaseException):
                    counter.add(jobs[tile].count)

            gather_from_cluster(cluster, season, units, watched=scores, groups=groups, of="tiles", done=told)
    return join(season, run)
