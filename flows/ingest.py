"""Ingest: declarations in, new acquisitions found, each observed once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.stages import ingest as stage
from cropmap.stages import offsets
from cropmap.stages.first_check import check_parcels
from flows.request import SeasonRequest
from flows.units import claimed, gather, runner, unit

load_declarations = unit("load declarations")(stage.load_declarations)
search_catalog = unit("search catalogue")(stage.search_catalog)
cover_tile = unit("cover tile", "cover {tile}")(stage.cover_tile)
observe = unit("observe", "observe {item_id}")(stage.observe_acquisition)
judge_offsets = unit("judge offsets")(offsets.judge_offsets)


@flow(name="ingest", flow_run_name="ingest {request.label}", task_runner=runner())
def ingest(request: SeasonRequest, *, to_the_end: bool = True) -> dict[str, Any]:
    """Idempotent: an unchanged file changes nothing, an acquisition that was observed is not touched again.

    Where a tile that parcels need could not be read, everything else is done first. `to_the_end` is False inside a
    longer flow, which says so at its own end.
    """
    return request.each_season(lambda one: _ingest(one, to_the_end=to_the_end))


def _ingest(request: SeasonRequest, *, to_the_end: bool) -> dict[str, Any]:
    context = request.open(observing=True)
    with claimed(context, "observe"):
        declarations = load_declarations(context, loaded_at=datetime.now(UTC), accept=request.accept)
        check_parcels(context)
        found = search_catalog(context)
        tiles = {tile: cover_tile.submit(context, tile=tile) for tile in stage.season_tiles(context)}
        sets = gather(tiles, description="cover parcels", units="tiles")
        pending = stage.pending_acquisitions(context, sets)
        units = {item: observe.submit(context, item_id=item, parcel_set=sets[tile]) for item, tile in pending.items()}
        gather(units, description="observe", units="acquisitions")
        judge_offsets(context)
        summary = {"declarations": declarations, "acquisitions": {**found, **stage.acquisition_counts(context)}}
    rows = [{"of": part, "what": name, "count": n} for part, counts in summary.items() for name, n in counts.items()]
    create_table_artifact(key=request.artifact_key("ingest"), table=rows, description=f"Ingested: {request.label}")
    if to_the_end:
        stage.raise_unreadable(found)
    return summary
