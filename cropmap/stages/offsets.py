"""Offsets judged by the whole season: what the pixels prove wrong is corrected, what is unclear is quarantined.

The judgement follows from the observation files, in whatever order and in however many runs they were made. A file that
fails stays in the store as evidence, and takes its place again when later days speak for it. What the parcels of each
acquisition and pair of days show is kept beside the files (`offsets/<agency>/<season>/<tile>.json`), so a run reads
what is new. That object is there only while the files have the corrections that the ledger says: it is removed before
the first of them changes, and without it every file of the tile is looked at. What was said of a season is kept too
(`judged/<agency>/<season>.json`), with the state of the ledger that it was said of: a day on which nothing changed
reads neither files nor tiles (decision 0105).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.database import acquisitions as ledger
from cropmap.errors import DamagedObjectError, StoreError
from cropmap.observations.attempts import RULES, depends_on
from cropmap.observations.checked import forget
from cropmap.observations.corrections import correction_of
from cropmap.observations.files import correct_observation, kept_parcel_set
from cropmap.observations.offset_choice import Judgement, OffsetEvidence, judge_season, season_evidence, settled
from cropmap.observations.offsets import (
    AcquisitionMeans,
    Look,
    Looks,
    Step,
    looks_of,
    means_of,
    offset_of,
    step_between,
)
from cropmap.provenance import code_version, content_hash, rules_hash
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, AcquisitionStatus, AcquisitionWarning
from cropmap.schemas import QuarantineReason as Reason
from cropmap.stages.context import SeasonContext
from cropmap.stages.ingest import own_name
from cropmap.stages.open_season import OpenSeason

log = logging.getLogger(__name__)

SAMPLE: Final = 1_000
"""parcels of a tile that are looked at, all of them in its first row groups"""
SAMPLE_FROM: Final = 16_384
WARNINGS: Final = {
    OffsetEvidence.DOUBTFUL: AcquisitionWarning.OFFSET_DOUBTFUL,
    OffsetEvidence.CORRECTED: AcquisitionWarning.OFFSET_CORRECTED,
}


@dataclass(frozen=True)
class _File:
    """The observation file of one entry of the ledger."""

    entry: ledger.LedgerEntry
    name: str
    parcel_set: str


class _KeptLooks(TypedDict):
    """`Looks` as JSON."""

    day: str
    """ISO 8601"""
    offset: float
    other: float
    seen: bool
    stated: str
    corrected: str
    detail: str


@dataclass
class _Tile:
    """What is known of one tile: from the last run, and from the files that were read in this one."""

    context: SeasonContext
    name: str
    sample: pa.Array
    files: dict[str, _File]
    """by item, as are the others"""
    looks: dict[str, Looks] = field(default_factory=dict)
    steps: dict[tuple[str, str], Step] = field(default_factory=dict)
    is_kept: bool = False
    """whether the store has the object"""
    is_new: bool = True
    """whether more is known than the object says"""
    read: dict[str, AcquisitionMeans] = field(default_factory=dict)
    applied: dict[str, float] = field(default_factory=dict)
    """correction that was found in a file, by item"""

    @property
    def object_name(self) -> str:
        return f"offsets/{self.context.agency.agency}/{self.context.season.year}/{self.name}.json"

    def judge(self, neighbours: Mapping[str, bool] | None = None) -> dict[str, Judgement]:
        looks = {item: each for item in self.files if (each := self._looks(item)) is not None}
        evidence = season_evidence(looks, self._step)
        return judge_season(evidence, neighbours)

    def recall(self) -> None:
        """Takes over what was kept of files that nothing happened to since."""
        known = self.context.store.recall(self.object_name, json.loads)
        if known is None:
            return
        versions = self._versions() if known["about"] == self._about else {}
        same = {item for item in self.files if known["versions"].get(item, "") == versions.get(item)}
        self.looks = {item: _looks_from(each) for item, each in known["looks"].items() if item in same}
        self.steps = {
            (later, earlier): Step(*step)
            for later, earlier, *step in known["steps"]
            if later in same and earlier in same
        }
        self.is_kept, self.is_new = True, known["versions"].keys() != same

    def keep(self) -> None:
        versions = self._versions()
        record = {
            "about": self._about,
            "versions": {item: versions[item] for item in sorted(self.looks)},
            "looks": {item: {**asdict(each), "day": each.day.isoformat()} for item, each in sorted(self.looks.items())},
            "steps": [[*pair, step.shifts, step.parcels, step.of] for pair, step in sorted(self.steps.items())],
        }
        self.context.store.write_bytes(self.object_name, json.dumps(record).encode())
        self.is_kept, self.is_new = True, False

    def forget(self) -> None:
        self.context.store.remove(self.object_name)
        self.is_kept, self.is_new = False, True

    @property
    def _about(self) -> str:
        """What the evidence depends on beside the files."""
        return content_hash(rules_hash(RULES), *self.sample.to_pylist())

    def _versions(self) -> dict[str, str]:
        with self.context.connect() as connection:
            return ledger.read_versions(connection, **self.context.key, tile=self.name)

    def _looks(self, item: str) -> Looks | None:
        if item not in self.looks:
            means = self._means(item)
            if means is None:
                return None
            self.looks[item], self.is_new = looks_of(means), True
        return self.looks[item]

    def _step(self, later: str, earlier: str) -> Step:
        pair = later, earlier
        if pair not in self.steps:
            one, other = self._means(later), self._means(earlier)
            if one is None or other is None:
                return Step(None, 0, 0)
            self.steps[pair], self.is_new = step_between(one, other), True
        return self.steps[pair]

    def _means(self, item: str) -> AcquisitionMeans | None:
        if item not in self.read:
            file, ids = self.files[item], self.sample
            between = (pc.field("parcel_id") >= ids[0]) & (pc.field("parcel_id") <= ids[-1])
            try:
                table = self.context.store.read_table(file.name, rows=between)
            except StoreError as error:
                log.warning("%s", error)
                if isinstance(error, DamagedObjectError):
                    forget(self.context.store, file.name)
                return None
            acquisition = file.entry.acquisition
            self.applied[item] = correction_of(table.schema)
            self.read[item] = means_of(
                _rows_of(table, ids),
                day=acquisition.day,
                offset=offset_of(acquisition),
                baseline=acquisition.processing_baseline,
            )
        return self.read[item]


def judge_offsets(season: OpenSeason) -> dict[str, int]:
    """Judges every tile, and enters what changed in files and ledger. Returns the acquisitions by what is said.

    Each tile is judged by itself, and where that settles an acquisition, it speaks for the same datatake over the other
    tiles. Of a register of an earlier day nothing is judged: its files are no evidence for the season as it stands, and
    take over its corrections. A season on which nothing changed since its last judgement is not judged again.
    """
    context = season.context
    if season.declared_until is not None:
        _carry_corrections(season, _ledger(context))
        return {}
    name, state = f"judged/{context.agency.agency}/{context.season.year}.json", _state(season)
    kept = context.store.recall(name, json.loads)
    if kept is not None and kept["state"] == state:
        return dict(kept["counts"])
    counts = _judge(season)
    if _state(season) == state:  # one that changed the ledger is evidence for the next
        context.store.write_bytes(name, json.dumps({"state": state, "counts": counts}, sort_keys=True).encode())
    return counts


def _ledger(context: SeasonContext) -> list[ledger.LedgerEntry]:
    with context.connect() as connection:
        return ledger.read_acquisitions(connection, **context.key)


def _state(season: OpenSeason) -> str:
    """Of all that a judgement follows from: ledger and files, parcels, rules."""
    context, sets = season.context, season.parcel_sets
    with context.connect() as connection:
        state = ledger.ledger_state(connection, **context.key)
    return content_hash(code_version(), state, *(part for item in sorted(sets.items()) for part in item))


def _judge(season: OpenSeason) -> dict[str, int]:
    tiles = _tiles(season, _ledger(season.context))
    alone = {tile.name: tile.judge() for tile in tiles}
    by_datatake = _by_datatake(tiles, alone)
    counts: dict[str, int] = {}
    for tile in tiles:
        neighbours = _neighbours(tile, alone[tile.name], by_datatake)
        judged = tile.judge(neighbours) if neighbours else alone[tile.name]
        for judgement in judged.values():
            counts[judgement.evidence] = counts.get(judgement.evidence, 0) + 1
        _enter_all(tile, judged)
    return counts


def _tiles(season: OpenSeason, known: Sequence[ledger.LedgerEntry]) -> list[_Tile]:
    context, tiles = season.context, []
    for name, at_home in season.parcels.dropna(subset=["home_tile"]).groupby("home_tile"):
        ids = sorted(at_home["parcel_id"])[:SAMPLE_FROM]
        sample = pa.array(ids[:: max(len(ids) // SAMPLE, 1)], pa.string())
        entries = [entry for entry in known if entry.tile == name and entry.document and _is_evidence(entry)]
        files = {entry.item_id: file for entry in entries if (file := _file(context, entry)) is not None}
        tile = _Tile(context, str(name), sample, files)
        tile.recall()
        tiles.append(tile)
    return tiles


def _is_evidence(entry: ledger.LedgerEntry) -> bool:
    return entry.status == AcquisitionStatus.OBSERVED or entry.reason == Reason.OFFSET_CONTRADICTED


def _file(context: SeasonContext, entry: ledger.LedgerEntry) -> _File | None:
    """None for one that was refused before it became a file, or where what lies there is of the item as it was once."""
    acquisition, name = entry.acquisition, entry.object_name or own_name(context, entry)
    parcel_set = entry.parcel_set
    if entry.object_name is None and (parcel_set := kept_parcel_set(context.store, name, acquisition)) is None:
        return None
    return _File(entry, name, parcel_set or "")


def _by_datatake(
    tiles: Sequence[_Tile], judged: Mapping[str, Mapping[str, Judgement]]
) -> dict[tuple[str, float], dict[str, bool]]:
    """Datatake and stated offset -> tile -> whether it was clearly wrong there."""
    found: dict[tuple[str, float], dict[str, bool]] = {}
    for tile in tiles:
        for item, judgement in judged[tile.name].items():
            acquisition = tile.files[item].entry.acquisition
            if (is_wrong := settled(judgement)) is not None:
                found.setdefault((acquisition.datatake, offset_of(acquisition)), {})[tile.name] = is_wrong
    return found


def _neighbours(
    tile: _Tile, alone: Mapping[str, Judgement], by_datatake: Mapping[tuple[str, float], Mapping[str, bool]]
) -> dict[str, bool]:
    """Whether the datatake was wrong over other tiles, where they agree; of acquisitions that this tile leaves open."""
    agreed = {}
    for item in (item for item, judgement in alone.items() if settled(judgement) is None):
        file = tile.files[item]
        found = by_datatake.get((file.entry.acquisition.datatake, offset_of(file.entry.acquisition)), {})
        others = {is_wrong for other, is_wrong in found.items() if other != tile.name}
        if len(others) == 1:
            agreed[item] = others.pop()
    return agreed


def _rows_of(table: pa.Table, sample: pa.Array) -> pa.Table:
    """One row for each parcel of the sample, without a value where the file has none."""
    taken = table.take(pc.index_in(sample, table["parcel_id"].combine_chunks()))
    columns: dict[str, Any] = {"parcel_id": sample}
    for name in OBSERVATION_SCHEMA.names[1:]:
        columns[name] = pc.fill_null(taken[name], REFLECTANCE_NODATA if name in BANDS else np.float32(0))
    return pa.table(columns).replace_schema_metadata(table.schema.metadata)


def _looks_from(record: _KeptLooks) -> Looks:
    return Looks(
        day=date.fromisoformat(record["day"]),
        offset=record["offset"],
        other=record["other"],
        seen=record["seen"],
        stated=Look(record["stated"]),
        corrected=Look(record["corrected"]),
        detail=record["detail"],
    )


def _enter_all(tile: _Tile, judged: Mapping[str, Judgement]) -> None:
    changed = {item: judgement for item, judgement in judged.items() if not _stands(tile, item, judgement)}
    if changed and tile.is_kept:
        tile.forget()
    for item, judgement in changed.items():
        _enter(tile.context, tile.files[item], judgement)
    if tile.is_new:
        tile.keep()


def _stands(tile: _Tile, item: str, judgement: Judgement) -> bool:
    """Whether file and ledger say of an acquisition what the judgement says."""
    file = tile.files[item]
    entry = file.entry
    if tile.applied.get(item, entry.offset_correction or 0.0) != judgement.correction:
        return False
    if judgement.evidence == OffsetEvidence.CONTRADICTED:
        tried = depends_on(entry.acquisition, file.parcel_set)
        return (entry.reason, entry.detail, entry.tried) == (Reason.OFFSET_CONTRADICTED, judgement.detail, tried)
    warning = WARNINGS.get(judgement.evidence)
    return entry.status == AcquisitionStatus.OBSERVED and (
        entry.warning,
        entry.warning_detail,
        entry.offset_correction or 0.0,
    ) == (warning, judgement.detail if warning else None, judgement.correction)


def _enter(context: SeasonContext, file: _File, judgement: Judgement) -> None:
    """The file first: where this is killed before the ledger says so, the next run finds what the file says."""
    entry = file.entry
    key: dict[str, Any] = {**context.key, "item_id": entry.item_id}
    correct_observation(context.store, file.name, judgement.correction)
    with context.connect() as connection, connection.transaction():
        if judgement.evidence == OffsetEvidence.CONTRADICTED:
            if entry.status == AcquisitionStatus.OBSERVED:
                log.warning("quarantined %s: %s (%s)", entry.item_id, judgement.detail, Reason.OFFSET_CONTRADICTED)
            ledger.mark_quarantined(
                connection,
                **key,
                reason=Reason.OFFSET_CONTRADICTED,
                detail=judgement.detail,
                tried=depends_on(entry.acquisition, file.parcel_set),
            )
            return
        if entry.status != AcquisitionStatus.OBSERVED:
            log.info("%s is taken back: other days speak for its offset", entry.item_id)
            rows = context.store.read_table(file.name, columns=["parcel_id"]).num_rows
            ledger.mark_observed(
                connection, **key, object_name=file.name, n_parcels=rows, parcel_set=file.parcel_set or None
            )
        if judgement.evidence == OffsetEvidence.CORRECTED and entry.offset_correction != judgement.correction:
            log.warning("corrected %s: %s", entry.item_id, judgement.detail)
        ledger.mark_warned(
            connection,
            **key,
            detail=judgement.detail,
            warning=WARNINGS.get(judgement.evidence),
            offset_correction=judgement.correction or None,
        )


def _carry_corrections(season: OpenSeason, known: Sequence[ledger.LedgerEntry]) -> None:
    """Gives the files of an earlier register the corrections of the ledger."""
    observed = [entry for entry in known if entry.status == AcquisitionStatus.OBSERVED and entry.document]
    for entry, file in zip(observed, season.objects(observed), strict=True):
        if file.name != entry.object_name:
            correct_observation(season.context.store, file.name, entry.offset_correction or 0.0)
