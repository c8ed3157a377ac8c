"""Where the parcels of published seasons lie. A season is read once for each of its runs, and not for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cropmap.database import features
from cropmap.database.connection import Connection
from cropmap.database.features import Bounds


class Extents:
    def __init__(self) -> None:
        self._known: dict[str, Bounds | None] = {}
        """by run; another run is published after the register changed"""

    def of(self, connection: Connection, seasons: Sequence[Mapping[str, Any]]) -> Bounds | None:
        """West, south, east and north of all these published seasons; None where they have no parcel."""
        found = [one for season in seasons if (one := self._of(connection, season)) is not None]
        if not found:
            return None
        west, south, east, north = zip(*found, strict=True)
        return min(west), min(south), max(east), max(north)

    def _of(self, connection: Connection, season: Mapping[str, Any]) -> Bounds | None:
        run_id = season["run_id"]
        if run_id not in self._known:
            self._known[run_id] = features.bounds(connection, agency=season["agency"], season=season["season"])
        return self._known[run_id]
