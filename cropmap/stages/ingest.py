"""Ingestion: declarations into the database, acquisitions from the catalogue, one observation file per acquisition."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from cropmap.agency import Agency
from cropmap.database import acquisitions as ledger
from cropmap.database import audit
from cropmap.database import declarations as register
from cropmap.database.bytes_read import add_bytes_read, bytes_read
from cropmap.database.code_lists import store_regions
from cropmap.database.erasure import erased_holdings, season_erased_at
from cropmap.database.runs import ensure_season
from cropmap.errors import (
    CatalogError,
    CropmapError,
    DatabaseError,
    DeclarationFileError,
    InputError,
    PartialFailureError,
    SceneError,
)
from cropmap.observations import extract, files, tiles
from cropmap.observations.amend import amended
from cropmap.observations.attempts import depends_on
from cropmap.observations.checked import CheckedFiles
from cropmap.observations.corrections import with_correction
from cropmap.observations.coverage import TileCoverage, read_outlines, tile_coverage
from cropmap.observations.extract import observation_metadata
from cropmap.observations.grids import Grid
from cropmap.processes import return_unused_memory
from cropmap.schemas import AcquisitionStatus, AuditAction, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions, nothing_usable
from cropmap.sources.catalogs.known_items import KnownItems
from cropmap.sources.catalogs.places import CatalogAccess
from cropmap.sources.catalogs.providers.in_use import in_use
from cropmap.sources.catalogs.search_boxes import search_boxes
from cropmap.sources.catalogs.sensings import best_of, replaced
from cropmap.sources.catalogs.sign_in.pace import used_of
from cropmap.sources.declarations.crop_codes import codes_answer
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import declarations_path, exclude_hint, read_declared
from cropmap.stages.last_load import load_key, remember_load, unchanged_load
from cropmap.stages.load_guard import against_doubles, against_losses, refuse
from cropmap.stages.open_season import OpenSeason, Rivals
from cropmap.store import Store

log = logging.getLogger(__name__)

CHEAP_TO_TRY: Final = frozenset(
    {
        QuarantineReason.UNREADABLE_FILE,
        QuarantineReason.MISSING_BAND,
        QuarantineReason.WRONG_CRS,
        QuarantineReason.WRONG_GRID,
    }
)
"""Reasons that a file's header or its absence gives: it may have been the network, and a repaired file has no name."""
SHOWN_ELSEWHERE: Final = frozenset({QuarantineReason.SUPERSEDED, QuarantineReason.DUPLICATE})
CHECKED_TOGETHER: Final = 8
"""observation files that are held against their digests at a time"""
UNREADABLE_TILES: Final = "unreadable_tiles"
NAMED: Final = 5


def load_declarations(context: SeasonContext, *, loaded_at: datetime, accept: str | None = None) -> dict[str, object]:
    """Reads the declarations file, assigns NUTS-3 regions and stores them, what is accepted and what is rejected.

    The same file again changes nothing, and is not read. Returns the counts, by reason for the rejections, and notes
    for a person. Where the file is still to come and an earlier season's parcels were carried forward, they stay.
    Raises DeclarationFileError, and writes nothing, for a load that takes too much from the register or declares much
    land twice; the message says the word (`accept`) with which this very file passes.
    """
    agency = context.agency
    path = declarations_path(agency, season=context.season.year)
    _refuse_erased_season(context)
    if not path.exists() and (carried := _carried_forward(context)):
        return {"carried_forward": carried}
    agency.read_names()  # what is wrong with them is said before hours of work, not at the publication
    key = load_key(context)
    if (unchanged := unchanged_load(context, key=key)) is not None:
        log.info("%s is loaded already: nothing changed since", path.name)
        return unchanged
    read = read_declared(
        agency,
        season=context.season.year,
        folder=context.datasets,
        erased=partial(erased_holdings, context.connect, **context.key),
    )
    return_unused_memory()
    if read.claims.empty:
        reasons = read.rejected["reason"].value_counts().to_dict()
        raise DeclarationFileError(
            f"no declaration could be accepted ({reasons or 'the file has no rows'})", where=str(path)
        )
    twice = against_doubles(read.doubles, exclude_hint(read.separator), agency.declarations)

    def check(losses: register.Losses) -> None:
        objections = [*against_losses(losses, agency.declarations), *twice]
        refuse(objections, accepted=accept, source_hash=read.source_hash, where=str(path))

    with context.connect() as connection, connection.transaction():
        ensure_season(connection, **context.key, simulated=agency.simulated, document=agency.model_dump(mode="json"))
        counts = register.store_declarations(
            connection,
            **context.key,
            accepted=read.claims,
            outlines=read.outlines,
            rejected=read.rejected,
            notices=read.notices,
            source_file=path.name,
            source_hash=read.source_hash,
            loaded_at=loaded_at,
            check=check,
        )
        store_regions(connection, **context.key, regions=read.regions, language=agency.region_language)
        subject = f"declarations {path.name}"
        audit.note(connection, **context.key, action=AuditAction.CHANGE, subject=subject, n_rows=read.row_count)
    noticed = {str(kind): int(rows) for kind, rows in read.notices["notice"].value_counts().sort_index().items()}
    answer = {
        "rows": read.row_count,
        **counts,
        "merged": read.merged,
        "notices": noticed,
        "notes": list(read.notes),
        **codes_answer(read.codes),
    }
    remember_load(context, answer, key=key)
    return answer


def _refuse_erased_season(context: SeasonContext) -> None:
    with context.connect() as connection:
        at = season_erased_at(connection, **context.key)
    if at is not None:
        raise InputError(
            f"the personal data of season {context.season.year} were removed on {at:%Y-%m-%d}: its retention has ended",
            where=context.agency.agency,
            mend="It is not loaded again; what was published of it stays (docs/erasure.md)",
        )


def _carried_forward(context: SeasonContext) -> int:
    """How many of an earlier season's outlines stand in for declarations that are still to come."""
    with context.connect() as connection:
        return register.count_carried(connection, **context.key)


def search_catalog(season: OpenSeason) -> dict[str, object]:
    """Finds the season's acquisitions over the declared parcels, records them, and gives each parcel its home tile.

    Outlines of an earlier day keep the home tile that they had then. Without a catalogue there is nothing to find: the
    season's observations are imported. An open season is searched once.
    """
    return season.once("catalogue", lambda: _search_catalog(season))


def _search_catalog(season: OpenSeason) -> dict[str, object]:
    context, section = season.context, season.context.agency.acquisitions
    if section.catalog is None:
        return {"found": 0}
    parcels, earlier = season.parcels, season.declared_until is not None
    with context.connect() as connection:
        unread = unread_items(ledger.read_reasons(connection, **context.key))
    known = KnownItems(context.store, f"items/{context.agency.agency}/{context.season.year}.txt")
    search = find_acquisitions(
        context.agency.resolve(section.catalog, season=context.season.year),
        collection=section.collection,
        bbox=search_boxes(season.outlines.bounds),
        season=context.season,
        access=_catalog_access(context),
        offset_by_baseline=section.offset == "baseline",
        known=known,
        unread=unread,
    )
    known.keep()
    context.store.clean()
    if not search.acquisitions:
        with context.connect() as connection:
            ledger.record_found(connection, **context.key, acquisitions=(), unusable=search.unusable)
        raise nothing_usable(search, season=context.season, where=section.catalog)
    homeless = parcels[parcels["home_tile"].isna()] if earlier else parcels
    candidates = tiles.candidate_tiles(season.outlines.bounds[homeless.index], search.acquisitions)
    grids, unreadable = _grids(context, candidates, search.acquisitions)
    home = _home_tiles(season, homeless, grids, candidates)
    with context.connect() as connection:
        listed = [a.item_id for a in search.acquisitions] + [item.item_id for item in search.unusable]
        season.rivals = _rivals(search, ledger.read_acquisitions(connection, **context.key, beside=listed), context)
        season.known_documents = ledger.record_found(
            connection, **context.key, acquisitions=search.acquisitions, unusable=search.unusable
        )
        season.set_home_tiles(connection, dict(zip(homeless["parcel_id"], home, strict=True)))
    return {
        "found": len(search.acquisitions),
        "unusable": len(search.unusable),
        "parcels outside all tiles": int(home.isna().sum()),
        **_needed(unreadable, candidates, homeless[home.isna()]["parcel_id"], homeless["parcel_id"]),
    }


def _rivals(search: CatalogSearch, unlisted: Sequence[ledger.LedgerEntry], context: SeasonContext) -> Rivals:
    window = context.season
    used = [e.acquisition for e in unlisted if e.document and e.status != AcquisitionStatus.QUARANTINED]
    gone = tuple(a for a in used if window.start <= a.day <= window.end)
    tiles_of_gone = {a.tile for a in gone}
    return Rivals(search.rivals, gone, tuple(a for a in search.acquisitions if a.tile in tiles_of_gone))


def settle_rivals(season: OpenSeason, parcel_sets: Mapping[str, str]) -> dict[str, str]:
    """After the season was observed: which of several products of one pass counts, now that it is known whose files
    can be read. Returns item_id -> tile of what is to be observed after all.

    Where the best product cannot be read, the one that it would replace counts until it can. What the catalogue no
    longer lists is set aside once what shows the same has been observed.
    """
    context, rivals = season.context, season.rivals
    if not rivals.listed and not rivals.gone:
        return {}
    with context.connect() as connection:
        reasons = ledger.read_reasons(connection, **context.key)
        kept, redundant = best_of(rivals.listed, unread=unread_items(reasons))
        back = [a for a in kept if reasons.get(a.item_id) in SHOWN_ELSEWHERE]
        aside = [item for item in redundant if reasons.get(item.item_id) not in SHOWN_ELSEWHERE]
        observed = [a for a in rivals.near if a.item_id not in reasons]
        aside += replaced([a for a in rivals.gone if a.item_id not in reasons], observed)
        if not back and not aside:
            return {}
        ledger.record_found(connection, **context.key, acquisitions=back, unusable=aside)
    names = {a.item_id for a in back}
    return {item: tile for item, tile in pending_acquisitions(season, parcel_sets).items() if item in names}


def unread_items(reasons: Mapping[str, str]) -> set[str]:
    """Items whose files could not be read when they were last tried."""
    return {item for item, reason in reasons.items() if reason in CHEAP_TO_TRY}


def _home_tiles(
    season: OpenSeason, parcels: pd.DataFrame, grids: Mapping[str, Grid], near: Mapping[str, Any]
) -> pd.Series[Any]:
    """Home tile of each parcel; `near` says which of them (bool, in their order) may have theirs in a tile."""
    homes = []
    for part in season.outlines.parts(parcels):
        at = parcels.index.get_indexer(part.index)
        homes.append(tiles.home_tiles(part, grids, near={tile: mask[at] for tile, mask in near.items()}))
    home: pd.Series[Any] = pd.concat(homes)
    return home


def _catalog_access(context: SeasonContext) -> CatalogAccess:
    return catalog_access(context.agency, context.catalog_headers)


def catalog_access(agency: Agency, headers: Mapping[str, str]) -> CatalogAccess:
    places = [place for known in agency.read_file_providers() for place in (*known.hosts, *known.buckets)]
    return CatalogAccess(
        headers=headers,
        trusted=[*agency.acquisitions.trusted, *places],
        folders=[folder.absolute() for folder in (agency.data, agency.file.parent) if folder is not None],
        provider=agency.read_provider(),
    )


def _grids(
    context: SeasonContext, candidates: Mapping[str, Any], acquisitions: Sequence[Acquisition]
) -> tuple[dict[str, Grid], dict[str, str]]:
    """The 10 m grid of each tile, and why a tile has none. Raises CatalogError where no tile has one."""
    grids, unreadable = {}, {}
    for tile in candidates:
        try:
            grids[tile] = tile_grids(context, tile, acquisitions)[10]
        except CatalogError as error:
            log.warning("%s", error)
            unreadable[tile] = error.what
    if unreadable and not grids:
        raise CatalogError("; ".join(unreadable.values()), where="acquisitions")
    return grids, unreadable


def _needed(
    unreadable: Mapping[str, str], candidates: Mapping[str, Any], homeless: pd.Series[Any], parcels: pd.Series[Any]
) -> dict[str, dict[str, str]]:
    """The unreadable tiles that parcels without another home need, for `raise_unreadable`."""
    needed = {}
    for tile, why in unreadable.items():
        left = sorted(set(parcels[candidates[tile]]) & set(homeless))
        if left:
            named = ", ".join(left[:NAMED]) + (", …" if len(left) > NAMED else "")
            needed[tile] = f"{len(left)} parcels are not observed ({named}): {why}"
    return {UNREADABLE_TILES: needed} if needed else {}


def raise_unreadable(summary: Mapping[str, Any]) -> None:
    """At the end of a run: PartialFailureError where parcels need a tile that could not be read."""
    failed = summary.get(UNREADABLE_TILES, {})
    if failed:
        raise PartialFailureError(failed, of=len(failed), unit="tiles", mend="Everything else is done; run it again")


def season_tiles(season: OpenSeason) -> list[str]:
    """Tiles that are home to a parcel."""
    return sorted(season.parcels["home_tile"].dropna().unique())


def cover_tile(season: OpenSeason, tile: str) -> str:
    """Computes (or finds in the store) which pixels the tile's parcels cover. Returns the name of the parcel set."""
    return _cover(season, tile).parcel_set


def _cover(season: OpenSeason, tile: str) -> TileCoverage:
    context, parcels = season.context, season.parcels_at_home(tile)
    section = context.agency.observations
    coverage = tile_coverage(
        context.store,
        parcels[["parcel_id", "geometry"]],
        tile=tile,
        grids=tile_grids(context, tile, ()),
        inner_buffer_10m_m=section.inner_buffer_10m_m,
        inner_buffer_20m_m=section.inner_buffer_20m_m,
    )
    season.coverages[tile, coverage.parcel_set] = coverage
    return coverage


def pending_acquisitions(season: OpenSeason, parcel_sets: Mapping[str, str]) -> dict[str, str]:
    """item_id -> tile of every acquisition without an observation of the tile's parcels as they are now.

    One that was quarantined is tried again where its cause may have changed: always where a file could not be read or
    was not what it should be, else when the item, a local file, the parcels or the rules changed. For an earlier
    register only the former: that its parcels are others does not change what was said of the season as it stands.
    """
    context = season.context
    checked = _checked(context)
    earlier = season.declared_until is not None

    unread: dict[str, tuple[str, dict[str, str]]] = {}
    """name of the file and what it should say, by item, where only the file itself tells whether it is whole"""

    def is_due(entry: ledger.LedgerEntry) -> bool:
        parcels = _TileParcels(entry.acquisition.tile, parcel_sets[entry.acquisition.tile])
        if entry.status == AcquisitionStatus.QUARANTINED:
            return _tried_again(entry, None if earlier else parcels.parcel_set)
        if entry.status != AcquisitionStatus.OBSERVED or not (earlier or entry.parcel_set == parcels.parcel_set):
            return True
        name = _name(context, entry, parcels.parcel_set, earlier=earlier)
        says = observation_metadata(entry.acquisition, parcels)
        if not checked.is_whole(name, says):
            unread[entry.item_id] = name, says
        return entry.item_id in unread

    def is_damaged(entry: ledger.LedgerEntry) -> bool:
        if entry.item_id not in unread:
            return True
        name, says = unread[entry.item_id]
        parcels = _TileParcels(entry.acquisition.tile, parcel_sets[entry.acquisition.tile])
        if whole := files.is_observed(context.store, name, entry.acquisition, parcels):
            checked.note(name, says)
        return not whole

    due = [entry for entry in _usable(season, parcel_sets) if is_due(entry)]
    with ThreadPoolExecutor(CHECKED_TOGETHER) as pool:  # only for what is read: a thread costs more than a look
        found = [entry for entry, damaged in zip(due, pool.map(is_damaged, due), strict=True) if damaged]
    checked.keep()
    return {entry.item_id: entry.acquisition.tile for entry in found}


def note_observed(season: OpenSeason, parcel_sets: Mapping[str, str], items: Collection[str]) -> None:
    """Records that the files of these acquisitions, which were just observed, are whole: the next run need not read
    them to know."""
    if not items:
        return
    context, earlier = season.context, season.declared_until is not None
    checked = _checked(context)
    for entry in _usable(season, parcel_sets):
        if entry.item_id in items and entry.status == AcquisitionStatus.OBSERVED:
            parcels = _TileParcels(entry.acquisition.tile, parcel_sets[entry.acquisition.tile])
            name = _name(context, entry, parcels.parcel_set, earlier=earlier)
            checked.note(name, observation_metadata(entry.acquisition, parcels))
    checked.keep()


@dataclass(frozen=True)
class _TileParcels:
    tile: str
    parcel_set: str


def _checked(context: SeasonContext) -> CheckedFiles:
    return CheckedFiles(context.store, context.agency.agency, context.season.year)


def _usable(season: OpenSeason, parcel_sets: Mapping[str, str]) -> list[ledger.LedgerEntry]:
    """What of the ledger can be observed over parcels within the season, by time of sensing."""
    context = season.context
    documents, season.known_documents = season.known_documents, {}
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key, documents=documents)
    return [
        e
        for e in known
        if e.tile in parcel_sets and e.document and e.sensed_at and e.sensed_at.date() <= context.season.end
    ]


def _tried_again(entry: ledger.LedgerEntry, parcel_set: str | None) -> bool:
    if entry.tried is None:  # the catalogue set it aside, and every search of it decides anew
        return False
    if entry.reason in CHEAP_TO_TRY:
        return True
    return parcel_set is not None and entry.tried != depends_on(entry.acquisition, parcel_set)


def observe_acquisition(
    season: OpenSeason,
    item_id: str,
    parcel_set: str,
    *,
    writing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> str:
    """Observes one acquisition, or quarantines it with its reason. Returns the status it ends in.

    Where it was observed before the declarations were amended, only parcels without rows of their outline are read.
    All that is written is written within `writing`: a process that works under another's claim holds it there.
    """
    context = season.context
    with context.connect() as connection:
        entry = ledger.read_acquisition(connection, **context.key, item_id=item_id)
    coverage = covered(season, entry.acquisition.tile, parcel_set)
    earlier = season.declared_until is not None
    name = _name(context, entry, coverage.parcel_set, earlier=earlier)
    try:
        missing = not files.is_observed(context.store, name, entry.acquisition, coverage)
        table = _observed(context, entry, coverage) if missing or _was_condemned(entry) else None
    except SceneError as error:
        if entry.status == AcquisitionStatus.OBSERVED and earlier:
            log.warning("%s is not observed over the register of %s: %s", item_id, season.context.as_of, error)
            return AcquisitionStatus.QUARANTINED  # the ledger keeps what was observed of the register as it stands
        log.warning("quarantined %s: %s (%s)", item_id, error, error.reason)
        with writing(), context.connect() as connection:
            ledger.mark_quarantined(
                connection,
                **context.key,
                item_id=item_id,
                reason=error.reason,
                detail=str(error),
                tried=depends_on(entry.acquisition, coverage.parcel_set),
            )
        return AcquisitionStatus.QUARANTINED
    correction = entry.offset_correction or 0.0
    with writing():
        if table is not None:
            files.write_observation(context.store, name, with_correction(table, correction))
        else:
            files.correct_observation(context.store, name, correction)
        if entry.status == AcquisitionStatus.OBSERVED and earlier:
            return AcquisitionStatus.OBSERVED  # the ledger names the observations of the register as it stands
        with context.connect() as connection:
            ledger.mark_observed(
                connection,
                **context.key,
                item_id=item_id,
                object_name=name,
                n_parcels=len(coverage.parcel_ids),
                parcel_set=coverage.parcel_set,
            )
    return AcquisitionStatus.OBSERVED


def _was_condemned(entry: ledger.LedgerEntry) -> bool:
    """Whether a file in the store may be of what the item's local files were once: it was kept as evidence."""
    return entry.status == AcquisitionStatus.QUARANTINED


def _observed(context: SeasonContext, entry: ledger.LedgerEntry, coverage: TileCoverage) -> pa.Table:
    """All parcels, or where an earlier file has rows of the same outlines, those and the others."""
    store, acquisition = context.store, entry.acquisition
    kept = entry.object_name or own_name(context, entry)
    before = None if _was_condemned(entry) else files.amendable(store, kept, acquisition, coverage)
    outlines, now = (read_outlines(store, name) if name else None for name in (before, coverage.parcel_set))
    if outlines is None or now is None:
        return extract.observe(acquisition, coverage, threads=1)
    return amended(acquisition, coverage, kept=store.read_table(kept), kept_outlines=outlines, outlines=now, threads=1)


def note_bytes_read(context: SeasonContext, *, at: datetime, begins: bool = False) -> None:
    """Adds what this process read since the last note to the database, for providers with a quota, and learns what all
    processes and runs have read in the period. `begins`: learns it although nothing was read yet.

    Where the database does not answer, the bytes are noted with the next ones.
    """
    day = at.astimezone(UTC).date()
    with_quota = [provider for provider in in_use() if provider.limits.quota]
    due = [provider for provider in with_quota if begins or used_of(provider).unnoted]
    if not due:
        return
    try:
        with context.connect() as connection:
            for provider in due:
                quota, used = provider.limits.quota, used_of(provider)
                assert quota is not None
                with used.noting:
                    if n_bytes := used.unnoted:
                        add_bytes_read(connection, provider.name, day=day, n_bytes=n_bytes)
                    used.note(n_bytes, in_period=bytes_read(connection, provider.name, until=day, days=quota.days))
    except DatabaseError as error:
        log.warning("what was read is not noted yet: %s", error)


def acquisition_counts(context: SeasonContext) -> dict[str, int]:
    """Acquisitions by status, the quarantined ones by reason and the observed ones by warning."""
    with context.connect() as connection:
        known = ledger.count_acquisitions(connection, **context.key)
    counts: Counter[str] = Counter()
    for (status, why), n in known.items():
        counts.update({status: n, **({f"{status}: {why}": n} if why else {})})
    return dict(sorted(counts.items()))


def tile_grids(context: SeasonContext, tile: str, acquisitions: Sequence[Acquisition]) -> dict[int, Grid]:
    """The 10 m and 20 m grid of a tile: what most of its first readable files say, kept so that it never changes."""
    name = _grids_name(context.agency.agency, context.season.year, tile)
    if (kept := kept_grids(context.store, context.agency.agency, context.season.year, tile)) is not None:
        return kept
    try:
        grids = tiles.tile_grids([a for a in acquisitions if a.tile == tile] or _known(context, tile))
    except SceneError as error:
        raise CatalogError(f"no acquisition of tile {tile} can be read ({error})", where="acquisitions") from error
    if not context.store.write_once(name, json.dumps({r: asdict(g) for r, g in grids.items()}).encode()):
        if (first := context.store.recall(name, _grids_from)) is not None:
            return first  # another worker's: every acquisition of the tile is read on one grid
        context.store.write_bytes(name, json.dumps({r: asdict(g) for r, g in grids.items()}).encode())
    return grids


def kept_grids(store: Store, agency: str, season_year: int, tile: str) -> dict[int, Grid] | None:
    """The grids of a tile that was looked at before."""
    return store.recall(_grids_name(agency, season_year, tile), _grids_from)


def _grids_name(agency: str, season_year: int, tile: str) -> str:
    return f"grids/{agency}/{season_year}/{tile}.json"


def _grids_from(data: bytes) -> dict[int, Grid]:
    kept = json.loads(data)
    return {int(resolution): Grid(**{**g, "transform": tuple(g["transform"])}) for resolution, g in kept.items()}


def _known(context: SeasonContext, tile: str) -> list[Acquisition]:
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key)
    return [entry.acquisition for entry in known if entry.tile == tile and entry.document]


def covered(season: OpenSeason, tile: str, parcel_set: str) -> TileCoverage:
    """The tile's coverage, in memory between the acquisitions of one run; another process finds it in the store.

    Raises CropmapError where the tile's parcels are no longer those of the set.
    """
    coverage = season.coverages.get((tile, parcel_set))
    if coverage is None:
        coverage = _cover(season, tile)  # another thread may drop it from the season's at once
    if coverage.parcel_set != parcel_set:
        raise CropmapError(
            "its parcels are no longer those that this work was planned for",
            where=f"tile {tile}",
            mend="Run the same command again",
        )
    return coverage


def _name(context: SeasonContext, entry: ledger.LedgerEntry, parcel_set: str, *, earlier: bool) -> str:
    """Of the observation file. An `earlier` register has files of its own, for outlines that are others by now."""
    name = own_name(context, entry)
    if not earlier:
        return name
    if entry.object_name and entry.parcel_set == parcel_set:
        return entry.object_name
    return files.earlier_name(name, parcel_set)


def own_name(context: SeasonContext, entry: ledger.LedgerEntry) -> str:
    """Of the observation file of an acquisition, of the parcels as they are now."""
    acquisition = entry.acquisition
    return files.observation_name(context.agency.agency, context.season.year, acquisition.tile, acquisition.item_id)
