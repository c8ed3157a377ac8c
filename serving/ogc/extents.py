"""Where features lie. A season's parcels are read once for each of its runs, and not for each request; regions are few
and read each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cropmap.database import features
from cropmap.database.connection import Connection
from cropmap.database.features import Bounds, FeatureKind


class Extents:
    def __init__(self) -> None:
        self._known: dict[str, Bounds | None] = {}
        """by run; another run is published after the register changed"""

    def of(self, connection: Connection, kind: FeatureKind, seasons: Sequence[Mapping[str, Any]]) -> Bounds | None:
        """West, south, east and north of all these seasons; None where they have no feature."""
        found = [one for season in seasons if (one := self._of(connection, kind, season)) is not None]
        if not found:
            return None
        west, south, east, north = zip(*found, strict=True)
        return min(west), min(south), max(east), max(north)

    def _of(self, connection: Connection, kind: FeatureKind, season: Mapping[str, Any]) -> Bounds | None:
        run_id = season.get("run_id")
        if run_id in self._known:
            return self._known[run_id]
        bounds = features.bounds(connection, kind, agency=season["agency"], season=season["season"])
        if run_id is not None:
            self._known[run_id] = bounds
        return bounds
