"""Ingestion: declarations into the database, acquisitions from the catalogue, one observation file per acquisition."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pyarrow as pa

from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.database.runs import ensure_season
from cropmap.errors import CatalogError, DeclarationFileError, SceneError
from cropmap.observations import extract, files, tiles
from cropmap.observations.amend import amended
from cropmap.observations.coverage import TileCoverage, read_outlines, tile_coverage
from cropmap.observations.grids import Grid
from cropmap.schemas import AcquisitionStatus, QuarantineReason
from cropmap.sources.acquisition import Acquisition
from cropmap.sources.catalog import find_acquisitions, nothing_usable
from cropmap.sources.catalog_access import CatalogAccess
from cropmap.sources.crop_codes import codes_answer
from cropmap.sources.search_boxes import search_boxes
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import declarations_path, exclude_hint, read_declared
from cropmap.stages.forecast import is_carried
from cropmap.stages.load_guard import against_doubles, against_losses, refuse
from cropmap.stages.parcels import declared_until, season_parcels

log = logging.getLogger(__name__)
_coverages: dict[tuple[str, str, str], TileCoverage] = {}


def load_declarations(context: SeasonContext, *, loaded_at: datetime, accept: str | None = None) -> dict[str, Any]:
    """Reads the declarations file, assigns NUTS-3 regions and stores what is accepted and what is rejected.

    The same file again changes nothing. Returns the counts, by reason for the rejections, and notes for a person. Where
    the file is still to come and an earlier season's parcels were carried forward, they stay. Raises
    DeclarationFileError, and writes nothing, for a load that takes too much from the register or declares much land
    twice; the message says the word (`accept`) with which this very file passes.
    """
    agency = context.agency
    path = declarations_path(agency, season=context.season.year)
    if not path.exists() and (carried := _carried_forward(context)):
        return {"carried_forward": carried}
    read = read_declared(agency, season=context.season.year)
    if read.accepted.empty:
        reasons = read.rejected["reason"].value_counts().to_dict()
        raise DeclarationFileError(
            f"no declaration could be accepted ({reasons or 'the file has no rows'})", where=str(path)
        )
    twice = against_doubles(read.doubles, exclude_hint(read.separator), agency.declarations)

    def check(losses: register.Losses) -> None:
        found = [*against_losses(losses, agency.declarations), *twice]
        refuse(found, accepted=accept, source_hash=read.source_hash, where=str(path))

    with context.connect() as connection, connection.transaction():
        ensure_season(connection, **context.key, simulated=agency.simulated, document=agency.model_dump(mode="json"))
        counts = register.store_declarations(
            connection, **context.key, accepted=read.accepted, rejected=read.rejected, notices=read.notices,
            source_file=path.name, source_hash=read.source_hash, loaded_at=loaded_at, check=check,
        )  # fmt: skip
    noticed = {str(kind): int(rows) for kind, rows in read.notices["notice"].value_counts().sort_index().items()}
    return {
        "rows": read.row_count, **counts, "merged": read.merged, "notices": noticed, "notes": list(read.notes),
        **codes_answer(read.codes),
    }  # fmt: skip


def _carried_forward(context: SeasonContext) -> int:
    """How many of an earlier season's outlines stand in for declarations that are still to come."""
    with context.connect() as connection:
        known = register.read_declarations(connection, **context.key)
    return len(known) if is_carried(known) else 0


def search_catalog(context: SeasonContext) -> dict[str, Any]:
    """Finds the season's acquisitions over the declared parcels, records them, and gives each parcel its home tile.

    Outlines of an earlier day keep the home tile that they had then. Without a catalogue there is nothing to find: the
    season's observations are imported.
    """
    section = context.agency.acquisitions
    if section.catalog is None:
        return {"found": 0}
    parcels, earlier = season_parcels(context), declared_until(context) is not None
    found = find_acquisitions(
        context.agency.resolve(section.catalog, season=context.season.year),
        collection=section.collection, bbox=search_boxes(parcels.bounds.to_numpy()), season=context.season,
        access=_catalog_access(context), offset_by_baseline=section.offset == "baseline",
    )  # fmt: skip
    if not found.acquisitions:
        with context.connect() as connection:
            ledger.record_found(connection, **context.key, acquisitions=(), unusable=found.unusable)
        raise nothing_usable(found, season=context.season, where=section.catalog)
    grids = {tile: tile_grids(context, tile, found.acquisitions)[10] for tile in {a.tile for a in found.acquisitions}}
    homeless = parcels[parcels["home_tile"].isna()] if earlier else parcels
    home = tiles.home_tiles(homeless, grids)
    with context.connect() as connection:
        ledger.record_found(connection, **context.key, acquisitions=found.acquisitions, unusable=found.unusable)
        register.set_home_tiles(
            connection, **context.key, home_tiles=dict(zip(homeless["parcel_id"], home, strict=True))
        )
    return {
        "found": len(found.acquisitions),
        "unusable": len(found.unusable),
        "parcels outside all tiles": int(home.isna().sum()),
    }


def _catalog_access(context: SeasonContext) -> CatalogAccess:
    agency = context.agency
    return CatalogAccess(
        headers=context.catalog_headers,
        trusted=agency.acquisitions.trusted,
        folders=[folder.absolute() for folder in (agency.data, agency.file.parent) if folder is not None],
    )


def season_tiles(context: SeasonContext) -> list[str]:
    """Tiles that are home to a parcel."""
    return sorted(season_parcels(context)["home_tile"].dropna().unique())


def cover_tile(context: SeasonContext, tile: str) -> str:
    """Computes (or finds in the store) which pixels the tile's parcels cover. Returns the name of the parcel set."""
    parcels = season_parcels(context)
    section = context.agency.observations
    coverage = tile_coverage(
        context.store, parcels.loc[parcels["home_tile"] == tile, ["parcel_id", "geometry"]],
        tile=tile, grids=tile_grids(context, tile, ()),
        inner_buffer_10m_m=section.inner_buffer_10m_m, inner_buffer_20m_m=section.inner_buffer_20m_m,
    )  # fmt: skip
    _coverages[context.store.root, tile, coverage.parcel_set] = coverage
    return coverage.parcel_set


def pending_acquisitions(context: SeasonContext, parcel_sets: Mapping[str, str]) -> dict[str, str]:
    """item_id -> tile of every acquisition without an observation of the tile's parcels as they are now.

    One that was quarantined because a file could not be read is tried again: it may have been the network.
    """
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key)
    pending, earlier = {}, declared_until(context) is not None
    for entry in known:
        if entry.tile is None or entry.tile not in parcel_sets:
            continue
        if entry.sensed_at is None or entry.sensed_at.date() > context.season.end:
            continue
        if entry.status == AcquisitionStatus.QUARANTINED:
            due = entry.reason == QuarantineReason.UNREADABLE_FILE
        else:
            coverage = _coverage(context, entry.tile, parcel_sets[entry.tile])
            name = _name(context, entry, coverage, earlier=earlier)
            done = files.is_observed(context.store, name, entry.acquisition, coverage)
            due = not done or entry.status != AcquisitionStatus.OBSERVED
        if due:
            pending[entry.item_id] = entry.tile
    return pending


def observe_acquisition(context: SeasonContext, item_id: str, parcel_set: str) -> str:
    """Observes one acquisition, or quarantines it with its reason. Returns the status it ends in.

    Where it was observed before the declarations were amended, only parcels without rows of their outline are read.
    """
    with context.connect() as connection:
        entry = ledger.read_acquisition(connection, **context.key, item_id=item_id)
    coverage = _coverage(context, entry.acquisition.tile, parcel_set)
    earlier = declared_until(context) is not None
    name = _name(context, entry, coverage, earlier=earlier)
    try:
        if not files.is_observed(context.store, name, entry.acquisition, coverage):
            files.write_observation(context.store, name, _observed(context, entry, coverage))
    except SceneError as error:
        log.warning("quarantined %s: %s (%s)", item_id, error, error.reason)
        with context.connect() as connection:
            ledger.mark_quarantined(connection, **context.key, item_id=item_id, reason=error.reason, detail=str(error))
        return AcquisitionStatus.QUARANTINED
    if entry.status == AcquisitionStatus.OBSERVED and earlier:
        return AcquisitionStatus.OBSERVED  # the ledger names the observations of the register as it stands
    with context.connect() as connection:
        ledger.mark_observed(
            connection, **context.key, item_id=item_id, object_name=name, n_parcels=len(coverage.parcel_ids),
            parcel_set=coverage.parcel_set,
        )  # fmt: skip
    return AcquisitionStatus.OBSERVED


def _observed(context: SeasonContext, entry: ledger.LedgerEntry, coverage: TileCoverage) -> pa.Table:
    """All parcels, or where an earlier file has rows of the same outlines, those and the others."""
    store, acquisition = context.store, entry.acquisition
    kept = entry.object_name or _own_name(context, entry)
    before = files.amendable(store, kept, acquisition, coverage)
    outlines, now = (read_outlines(store, name) if name else None for name in (before, coverage.parcel_set))
    if outlines is None or now is None:
        return extract.observe(acquisition, coverage, threads=1)
    return amended(acquisition, coverage, kept=store.read_table(kept), kept_outlines=outlines, outlines=now, threads=1)


def acquisition_counts(context: SeasonContext) -> dict[str, int]:
    """Acquisitions by status, and the quarantined ones by reason."""
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key)
    counts = Counter(str(entry.status) for entry in known)
    counts.update(f"{entry.status}: {entry.reason}" for entry in known if entry.reason)
    return dict(sorted(counts.items()))


def tile_grids(context: SeasonContext, tile: str, acquisitions: Sequence[Acquisition]) -> dict[int, Grid]:
    """The 10 m and 20 m grid of a tile: what most of its first readable files say, kept so that it never changes."""
    name = f"grids/{context.agency.agency}/{context.season.year}/{tile}.json"
    if context.store.exists(name):
        kept = json.loads(context.store.read_bytes(name))
        return {int(resolution): Grid(**{**g, "transform": tuple(g["transform"])}) for resolution, g in kept.items()}
    try:
        grids = tiles.tile_grids([a for a in acquisitions if a.tile == tile])
    except SceneError as error:
        raise CatalogError(f"no acquisition of tile {tile} can be read ({error})", where="acquisitions") from error
    context.store.write_bytes(name, json.dumps({r: asdict(grid) for r, grid in grids.items()}).encode())
    return grids


def _coverage(context: SeasonContext, tile: str, parcel_set: str) -> TileCoverage:
    """The tile's coverage, in memory between the acquisitions of one run; another process finds it in the store."""
    if (context.store.root, tile, parcel_set) not in _coverages:
        cover_tile(context, tile)
    return _coverages[context.store.root, tile, parcel_set]


def _name(context: SeasonContext, entry: ledger.LedgerEntry, coverage: TileCoverage, *, earlier: bool) -> str:
    """Of the observation file. An `earlier` register has files of its own, for outlines that are others by now."""
    name = _own_name(context, entry)
    if not earlier:
        return name
    if entry.object_name and entry.parcel_set == coverage.parcel_set:
        return entry.object_name
    return files.earlier_name(name, coverage.parcel_set)


def _own_name(context: SeasonContext, entry: ledger.LedgerEntry) -> str:
    acquisition = entry.acquisition
    return files.observation_name(context.agency.agency, context.season.year, acquisition.tile, acquisition.item_id)
