"""Of which tiles the offsets were judged on what the ledger says now: those are not judged anew every day.

The judgement of a tile follows from its observation files, its parcels and the rules. A judgement that changed nothing
in the ledger is remembered with the state of the tile that it was made on (decision 0105).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cropmap.database import acquisitions as ledger
from cropmap.provenance import code_version, content_hash
from cropmap.stages.open_season import OpenSeason


class JudgedTiles:
    def __init__(self, season: OpenSeason) -> None:
        self._season = season
        self._name = f"judged/{season.context.agency.agency}/{season.context.season.year}.json"
        kept = season.context.store.recall(self._name, json.loads)
        self._kept: Mapping[str, tuple[str, Mapping[str, int]]] = kept or {}
        self._states = self._now()
        self._judged: dict[str, Mapping[str, int]] = {}

    def counts(self, tile: str) -> Mapping[str, int] | None:
        """Acquisitions by what was said of them, where nothing changed since; else None."""
        state, counts = self._kept.get(tile, ("", {}))
        return counts if state and state == self._states.get(tile) else None

    def note(self, tile: str, counts: Mapping[str, int]) -> None:
        """What was judged now."""
        self._judged[tile] = dict(counts)

    def keep(self) -> None:
        """Remembers the judgements that left the ledger as it was: one that changed it is evidence for the next."""
        if not self._judged:
            return
        now = self._now()
        settled = {
            tile: (self._states[tile], counts)
            for tile, counts in self._judged.items()
            if tile in now and now[tile] == self._states.get(tile)
        }
        others = {tile: known for tile, known in self._kept.items() if tile not in self._judged}
        if (record := {**others, **settled}) != self._kept:
            self._season.context.store.write_bytes(self._name, json.dumps(record, sort_keys=True).encode())

    def _now(self) -> dict[str, str]:
        context, sets = self._season.context, self._season.parcel_sets
        with context.connect() as connection:
            states = ledger.tile_states(connection, **context.key)
        return {tile: content_hash(code_version(), sets[tile], states[tile]) for tile in states.keys() & sets.keys()}
