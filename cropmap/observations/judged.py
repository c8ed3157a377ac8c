"""Of which tiles the offsets were judged on what the ledger says now: those are not judged anew every day.

The judgement of a tile follows from its observation files, its parcels and the rules. A judgement that changed nothing
in the ledger is remembered with the state of the tile that it was made on (decision 0105).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from cropmap.store import Store


class JudgedTiles:
    def __init__(self, store: Store, agency: str, season_year: int, states: Callable[[], Mapping[str, str]]) -> None:
        """`states` gives tile -> another text wherever a judgement might be another."""
        self._store, self._name, self._now = store, f"judged/{agency}/{season_year}.json", states
        self._kept: Mapping[str, list[object]] = store.recall(self._name, json.loads) or {}
        self._states = states()
        self._judged: dict[str, dict[str, int]] = {}

    def counts(self, tile: str) -> dict[str, int] | None:
        """Acquisitions by what was said of them, where nothing changed since; else None."""
        state, counts = self._kept.get(tile, ("", None))
        return counts if isinstance(counts, dict) and state == self._states.get(tile) else None

    def note(self, tile: str, counts: Mapping[str, int]) -> None:
        """What was judged now."""
        self._judged[tile] = dict(counts)

    def keep(self) -> None:
        """Remembers the judgements that left the ledger as it was: one that changed it is evidence for the next."""
        if not self._judged:
            return
        now = self._now()
        settled: dict[str, list[object]] = {
            tile: [self._states[tile], counts]
            for tile, counts in self._judged.items()
            if tile in now and now[tile] == self._states.get(tile)
        }
        others = {tile: known for tile, known in self._kept.items() if tile not in self._judged}
        if (record := {**others, **settled}) != self._kept:
            self._store.write_bytes(self._name, json.dumps(record, sort_keys=True).encode())
