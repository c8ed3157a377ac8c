"""Whether the offsets of a season were judged on what the ledger says now: then they are not judged anew every day.

The judgement follows from the observation files, the parcels and the rules. A judgement that changed nothing in the
ledger is remembered with the state that it was made on (decision 0105).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from cropmap.store import Store


class JudgedSeason:
    def __init__(self, store: Store, agency: str, season_year: int, state: Callable[[], str]) -> None:
        """`state` gives another text wherever the judgement might be another."""
        self._store, self._name, self._now = store, f"judged/{agency}/{season_year}.json", state
        self._before = state()

    def counts(self) -> dict[str, int] | None:
        """Acquisitions by what was said of them, where nothing changed since; else None."""
        kept = self._store.recall(self._name, json.loads)
        if not isinstance(kept, Mapping) or kept.get("state") != self._before:
            return None
        return {str(evidence): int(n) for evidence, n in kept["counts"].items()}

    def keep(self, counts: Mapping[str, int]) -> None:
        """Remembers a judgement that left the ledger as it was: one that changed it is evidence for the next."""
        if self._now() == self._before:
            document = {"state": self._before, "counts": dict(counts)}
            self._store.write_bytes(self._name, json.dumps(document, sort_keys=True).encode())
