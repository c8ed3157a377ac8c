"""Which observation files were found whole, and in what version: those are not read every day.

A file counts as whole while it has the version that it had when it was written or last held against its digest
(decision 0105). One listing gives the versions. Whoever finds a damaged file removes the record, and the next run
reads every file against its digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from cropmap.errors import CropmapError
from cropmap.provenance import value_hash
from cropmap.store import Store

FOLDER: Final = "observations"


class CheckedFiles:
    """The record of one season, and one listing of its files; threads may share it."""

    def __init__(self, store: Store, agency: str, season_year: int) -> None:
        season = f"{agency}/{season_year}"
        self._store, self._name = store, _record_name(season)
        self._versions = store.versions(f"{FOLDER}/{season}")
        kept = store.recall(self._name, _from_bytes) or {}
        self._kept = {name: known for name, known in kept.items() if self._versions.get(name) == known[1]}
        self._changed = len(self._kept) < len(kept)

    def is_whole(self, name: str, says: Mapping[str, str]) -> bool:
        """Whether the file is there in the version that was found whole, and said this of itself."""
        return self._kept.get(name, ("", ""))[0] == value_hash(says)

    def note(self, name: str, says: Mapping[str, str]) -> None:
        """The file was written, or read whole, since the listing at the latest, and says this of itself."""
        if name in self._versions:
            self._kept[name] = value_hash(says), self._versions[name]
            self._changed = True

    def keep(self) -> None:
        """Writes the record where anything in it changed."""
        if self._changed:
            self._store.write_bytes(self._name, json.dumps(self._kept, sort_keys=True).encode())
            self._changed = False


def forget(store: Store, name: str) -> None:
    """After a file of this name was found damaged: removes the record of its season, where this process may.

    A service that may only read the store is told of the damaged file all the same.
    """
    folder, agency, season, *_ = [*name.split("/"), "", "", ""]
    if folder == FOLDER:
        with suppress(CropmapError):
            store.remove(_record_name(f"{agency}/{season}"))


def _record_name(season: str) -> str:
    return f"checked/{season}.json"


def _from_bytes(data: bytes) -> dict[str, tuple[str, str]]:
    kept: Mapping[str, Iterable[Any]] = json.loads(data)
    return {name: (str(says), str(version)) for name, (says, version) in kept.items()}
