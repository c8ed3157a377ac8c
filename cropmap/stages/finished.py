"""A season run, or an observing, that finds nothing to do, without the cost of a scheduler.

Every step of a season finds what it has finished before. Where all of them do, the run is the sum of their answers. It
takes the same steps as `flows.season`, and stops before the first that would do work.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cropmap.stages import ingest
from cropmap.stages.first_check import check_parcels
from cropmap.stages.last_load import load_key, unchanged_load
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason


def finished_ingest(season: OpenSeason) -> dict[str, dict[str, object]] | None:
    """What `flows.ingest` would answer where all of its work is done; None where some is to be done.

    As in `finished_season`, what was read is the season as it stands, and needs the claim on the agency.
    """
    context = season.context
    declarations = unchanged_load(context, key=load_key(context))
    if declarations is None:
        return None
    check_parcels(season)
    acquisitions = ingest.search_catalog(season)
    sets = season.parcel_sets
    if ingest.UNREADABLE_TILES in acquisitions or ingest.pending_acquisitions(season, sets):
        return None
    if ingest.settle_rivals(season, sets):
        return None
    judge_offsets(season)
    return {"declarations": declarations, "acquisitions": {**acquisitions, **ingest.acquisition_counts(context)}}


def finished_season(season: OpenSeason, *, clock: Callable[[], datetime]) -> dict[str, object] | None:
    """What `flows.season` would answer where all of its work is done; None where some is to be done.

    Needs the claim on the agency. Where the declarations are to be loaded, nothing of the season is read; else what was
    read is the season as it stands, for the flow to go on with. The run log counts the attempt. Raises what the steps
    raise.
    """
    # these take a second to import, and an observing needs none of them
    from cropmap.stages import products, training
    from cropmap.stages.nothing_to_learn import why_no_model

    context = season.context
    ingested = finished_ingest(season)
    if ingested is None:
        return None
    networks = training.networks_to_train(season)
    if not all(training.is_trained(season, network) for network in networks):
        return None
    plan = products.plan_run(season)
    if not products.is_published(season, plan):
        return None
    with products.logged_run(context, plan, clock=clock):
        answer = products.publish(season, plan, published_at=clock())
    why = why_no_model(season)
    return {
        "ingest": ingested,
        "networks": {str(network): training.train_network(season, network) for network in networks},
        **answer,
        **({"no model": why} if why else {}),
    }
