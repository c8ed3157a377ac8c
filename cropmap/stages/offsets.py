"""Offsets judged by the whole season: what contradicts the other days is quarantined, what is doubtful is marked.

The judgement of a tile follows from its observation files, in whatever order and in however many runs they were made.
A file that fails stays in the store as evidence, and takes its place again when later days are evidence for it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.database import acquisitions as ledger
from cropmap.errors import DamagedObjectError, StoreError
from cropmap.observations.attempts import depends_on
from cropmap.observations.checked import forget
from cropmap.observations.files import kept_parcel_set
from cropmap.observations.judged import JudgedTiles
from cropmap.observations.offsets import AcquisitionMeans, Judgement, OffsetEvidence, judge_season, means_of, offset_of
from cropmap.provenance import code_version, content_hash
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, AcquisitionStatus, AcquisitionWarning
from cropmap.schemas import QuarantineReason as Reason
from cropmap.stages.context import SeasonContext
from cropmap.stages.ingest import own_name
from cropmap.stages.open_season import OpenSeason

log = logging.getLogger(__name__)

SAMPLE: Final = 1_000
"""parcels of a tile that are looked at, all of them in its first row groups"""
SAMPLE_FROM: Final = 16_384


def judge_offsets(season: OpenSeason) -> dict[str, int]:
    """Judges every tile anew, and enters what changed in the ledger. Returns the acquisitions by what is said of them.

    Says nothing of a register of an earlier day: its files are no evidence for the season as it stands.
    """
    counts: dict[str, int] = {}
    if season.declared_until is not None:
        return counts
    context, parcels = season.context, season.parcels
    agency, year = context.agency.agency, context.season.year
    judged, known = JudgedTiles(context.store, agency, year, lambda: _states(season)), _Known(context)
    for tile, at_home in parcels.dropna(subset=["home_tile"]).groupby("home_tile"):
        if (of_tile := judged.counts(tile)) is None:
            of_tile = _judge_tile(context, sorted(at_home["parcel_id"])[:SAMPLE_FROM], known.of(tile))
            judged.note(tile, of_tile)
        for evidence, n in of_tile.items():
            counts[evidence] = counts.get(evidence, 0) + n
    judged.keep()
    return counts


def _judge_tile(context: SeasonContext, ids: Sequence[str], entries: Sequence[ledger.LedgerEntry]) -> dict[str, int]:
    """Judges what is evidence of a tile by some of its parcels; acquisitions by what is said of them."""
    counts: dict[str, int] = {}
    sample = pa.array(ids[:: max(len(ids) // SAMPLE, 1)], pa.string())
    evidence = {e.item_id: e for e in entries if e.document and _is_evidence(e)}
    acquisitions = {item: means for item, e in evidence.items() if (means := _means(context, e, sample)) is not None}
    for item, judgement in judge_season(acquisitions).items():
        counts[judgement.evidence] = counts.get(judgement.evidence, 0) + 1
        _enter(context, evidence[item], judgement)
    return counts


def _states(season: OpenSeason) -> dict[str, str]:
    """Tile -> another text where its ledger, its parcels or the rules are others."""
    context, sets = season.context, season.parcel_sets
    with context.connect() as connection:
        states = ledger.tile_states(connection, **context.key)
    return {tile: content_hash(code_version(), sets[tile], states[tile]) for tile in states.keys() & sets.keys()}


class _Known:
    """The ledger, read where a tile is to be judged."""

    def __init__(self, context: SeasonContext) -> None:
        self._context = context

    @cached_property
    def _entries(self) -> list[ledger.LedgerEntry]:
        with self._context.connect() as connection:
            return ledger.read_acquisitions(connection, **self._context.key)

    def of(self, tile: str) -> list[ledger.LedgerEntry]:
        return [entry for entry in self._entries if entry.tile == tile]


def _is_evidence(entry: ledger.LedgerEntry) -> bool:
    return entry.status == AcquisitionStatus.OBSERVED or entry.reason == Reason.OFFSET_CONTRADICTED


def _means(context: SeasonContext, entry: ledger.LedgerEntry, sample: pa.Array) -> AcquisitionMeans | None:
    name = entry.object_name or own_name(context, entry)
    if entry.object_name is None and kept_parcel_set(context.store, name, entry.acquisition) is None:
        return None  # refused before it became a file, or what lies there is of the item as it was once
    try:
        between = (pc.field("parcel_id") >= sample[0]) & (pc.field("parcel_id") <= sample[-1])
        table = context.store.read_table(name, rows=between)
    except StoreError as error:
        log.warning("%s", error)
        if isinstance(error, DamagedObjectError):
            forget(context.store, name)
        return None
    return means_of(_rows_of(table, sample), day=entry.acquisition.day, offset=offset_of(entry.acquisition))


def _rows_of(table: pa.Table, sample: pa.Array) -> pa.Table:
    """One row for each parcel of the sample, without a value where the file has none."""
    taken = table.take(pc.index_in(sample, table["parcel_id"].combine_chunks()))
    columns: dict[str, Any] = {"parcel_id": sample}
    for name in OBSERVATION_SCHEMA.names[1:]:
        columns[name] = pc.fill_null(taken[name], REFLECTANCE_NODATA if name in BANDS else np.float32(0))
    return pa.table(columns)


def _enter(context: SeasonContext, entry: ledger.LedgerEntry, judgement: Judgement) -> None:
    key: dict[str, Any] = {**context.key, "item_id": entry.item_id}
    contradicted = judgement.evidence == OffsetEvidence.CONTRADICTED
    name = entry.object_name or own_name(context, entry)
    parcel_set = entry.parcel_set or kept_parcel_set(context.store, name, entry.acquisition)
    with context.connect() as connection:
        if contradicted:
            if entry.status == AcquisitionStatus.OBSERVED:
                log.warning("quarantined %s: %s (%s)", entry.item_id, judgement.detail, Reason.OFFSET_CONTRADICTED)
            ledger.mark_quarantined(
                connection,
                **key,
                reason=Reason.OFFSET_CONTRADICTED,
                detail=judgement.detail,
                tried=depends_on(entry.acquisition, parcel_set or ""),
            )
            return
        if entry.status != AcquisitionStatus.OBSERVED:
            log.info("%s is taken back: other days speak for its offset", entry.item_id)
            rows = context.store.read_table(name, columns=["parcel_id"]).num_rows
            ledger.mark_observed(connection, **key, object_name=name, n_parcels=rows, parcel_set=parcel_set)
        doubtful = judgement.evidence == OffsetEvidence.DOUBTFUL
        ledger.mark_warned(
            connection, **key, detail=judgement.detail, warning=AcquisitionWarning.OFFSET_DOUBTFUL if doubtful else None
        )
