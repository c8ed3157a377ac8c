"""Ingest: declarations in, new acquisitions found, each observed once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.costs import rates
from cropmap.stages import ingest as stage
from cropmap.stages import offsets
from cropmap.stages.first_check import check_parcels
from cropmap.stages.open_season import OpenSeason
from flows.request import SeasonRequest
from flows.units import claimed, gather, runner, unit

load_declarations = unit("load declarations")(stage.load_declarations)
search_catalog = unit("search catalogue")(stage.search_catalog)
cover_tile = unit("cover tile", "cover {tile}")(stage.cover_tile)
observe = unit("observe", "observe {item_id}")(stage.observe_acquisition)
judge_offsets = unit("judge offsets")(offsets.judge_offsets)


@flow(name="ingest", flow_run_name="ingest {request.label}", task_runner=runner())
def ingest(request: SeasonRequest, *, season: OpenSeason | None = None) -> dict[str, Any]:
    """Idempotent: an unchanged file changes nothing, an acquisition that was observed is not touched again.

    Where a tile that parcels need could not be read, everything else is done first. A longer flow hands its `season`
    over, and says so at its own end.
    """
    if season is not None:
        return _ingest(request, season)
    return request.each_season(_ingest_to_the_end)


def _ingest_to_the_end(request: SeasonRequest) -> dict[str, Any]:
    summary = _ingest(request, OpenSeason(request.open(observing=True)))
    stage.raise_unreadable(summary["acquisitions"])
    return summary


def _ingest(request: SeasonRequest, season: OpenSeason) -> dict[str, Any]:
    context = season.context
    with claimed(context, "observe"):
        declarations = load_declarations(context, loaded_at=datetime.now(UTC), accept=request.accept)
        check_parcels(season)
        searched = search_catalog(season)
        sets = season.parcel_sets
        pending = stage.pending_acquisitions(season, sets)
        with rates.measured(context.store, "observe") as done:
            tiles = {tile: cover_tile.submit(season, tile=tile) for tile in sorted(set(pending.values()))}
            gather(tiles, description="cover parcels", units="tiles")
            units = {
                item: observe.submit(season, item_id=item, parcel_set=sets[tile]) for item, tile in pending.items()
            }
            gather(units, description="observe", units="acquisitions")
            done.update(rates.observed_units(season, pending))
        stage.note_observed(season, sets, pending)
        judge_offsets(season)
        summary = {"declarations": declarations, "acquisitions": {**searched, **stage.acquisition_counts(context)}}
    rows = [{"of": part, "what": name, "count": n} for part, counts in summary.items() for name, n in counts.items()]
    create_table_artifact(key=request.artifact_key("ingest"), table=rows, description=f"Ingested: {request.label}")
    return summary
