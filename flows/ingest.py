"""Ingest: declarations in, new acquisitions found, each observed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.costs import rates
from cropmap.progress import Counter
from cropmap.stages import ingest as stage
from cropmap.stages import offsets
from cropmap.stages.context import SeasonContext
from cropmap.stages.first_check import check_parcels
from cropmap.stages.open_season import OpenSeason
from flows.engine import Cluster, cluster_of
from flows.request import SeasonRequest
from flows.units import claimed, gather, gather_from_cluster, runner, unit, watch

load_declarations = unit("load declarations")(stage.load_declarations)
search_catalog = unit("search catalogue")(stage.search_catalog)
cover_tile = unit("cover tile", "cover {tile}")(stage.cover_tile)
observe = unit("observe", "observe {item_id}")(stage.observe_acquisition)
covers = unit("cover tile", "cover {name}", retried=False)(watch)
observes = unit("observe tile", "observe {name}", retried=False)(watch)
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
    with claimed(context, "observe"), cluster_of(request.settings()) as cluster:
        declarations = load_declarations(context, loaded_at=datetime.now(UTC), accept=request.accept)
        check_parcels(season)
        searched = search_catalog(season)
        sets = season.parcel_sets
        pending = stage.pending_acquisitions(season, sets)
        note_bytes_read(context, begins=True)
        with rates.measured(context.store, "observe") as done:
            _cover(season, cluster, sorted(set(pending.values())))
            _observe(season, cluster, pending, sets)
            while back := stage.settle_rivals(season, sets):
                _observe(season, cluster, back, sets)
                pending |= back
            if cluster is None:  # what other machines take says nothing of this one
                done.update(rates.observed_units(season, pending))
        stage.note_observed(season, sets, pending)
        judge_offsets(season)
        note_bytes_read(context)
        summary = {"declarations": declarations, "acquisitions": {**searched, **stage.acquisition_counts(context)}}
    rows = [{"of": part, "what": name, "count": n} for part, counts in summary.items() for name, n in counts.items()]
    create_table_artifact(key=request.artifact_key("ingest"), table=rows, description=f"Ingested: {request.label}")
    return summary


def _cover(season: OpenSeason, cluster: Cluster | None, tiles: Sequence[str]) -> None:
    """Of tiles that were covered before, the coverage is read here."""
    words = "cover parcels"
    if cluster is None:
        gather({tile: cover_tile.submit(season, tile=tile) for tile in tiles}, description=words, units="tiles")
        return
    from flows.worker import CoverUnit

    sent, groups = {tile: CoverUnit(tile) for tile in tiles}, {tile: [tile] for tile in tiles}
    gather_from_cluster(cluster, season, sent, watched=covers, groups=groups, description=words, of="tiles")


def _observe(season: OpenSeason, cluster: Cluster | None, pending: Mapping[str, str], sets: Mapping[str, str]) -> None:
    """Observes each pending acquisition (item_id -> tile) of the tiles' parcel sets."""
    if cluster is None:
        units = {item: observe.submit(season, item_id=item, parcel_set=sets[tile]) for item, tile in pending.items()}
        with Counter("observe", total=len(units), unit="acquisitions") as counter:

            def ended(*_: object) -> None:
                counter.add()
                note_bytes_read(season.context)

            gather(units, units="acquisitions", done=ended)
        return
    from flows.worker import ObserveUnit

    by_tile: dict[str, list[str]] = {}
    for item, tile in pending.items():
        by_tile.setdefault(tile, []).append(item)
    sent = {item: ObserveUnit(item, tile, sets[tile]) for tile, items in by_tile.items() for item in items}
    gather_from_cluster(
        cluster, season, sent, watched=observes, groups=by_tile, description="observe", of="acquisitions"
    )


def note_bytes_read(context: SeasonContext, *, begins: bool = False) -> None:
    """What a provider's quota is held against; a killed process loses what it was reading."""
    stage.note_bytes_read(context, at=datetime.now(UTC), begins=begins)
