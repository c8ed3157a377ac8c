"""A whole season: ingest, retrain, predict."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow

from cropmap.stages.ingest import raise_unreadable
from cropmap.stages.nothing_to_learn import why_no_model
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.products import logged_run, plan_run, replace_plan
from flows.engine import cluster_of
from flows.ingest import ingest
from flows.predict import predict
from flows.request import SeasonRequest
from flows.retrain import retrain
from flows.units import claimed


@flow(name="season", flow_run_name="season {request.label}")
def season(request: SeasonRequest, *, season: OpenSeason | None = None) -> dict[str, object]:
    """Run again after anything, a kill -9 too: what is finished is found and not done twice.

    A command that opened the season hands it over.
    """
    return request.each_season(
        lambda season_request: _season(season_request, season or OpenSeason(season_request.open(observing=True)))
    )


def _season(request: SeasonRequest, season: OpenSeason) -> dict[str, object]:
    context = season.context
    with claimed(context, "season run"), cluster_of(request.settings()):  # one for its flows
        ingested = ingest(request, season=season)
        plan = plan_run(season, retrain=True)
        with logged_run(context, plan, clock=lambda: datetime.now(UTC)):
            networks = retrain(request, season=season)
            season = season.as_it_stands()  # networks train for hours
            decided = plan_run(season)
        replace_plan(context, plan, by=decided, finished_at=datetime.now(UTC))
        published = predict(request, season=season)
    raise_unreadable(ingested["acquisitions"])
    why = why_no_model(season)
    return {"ingest": ingested, "networks": networks, **published, **({"no model": why} if why else {})}
