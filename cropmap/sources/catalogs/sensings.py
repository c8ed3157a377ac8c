"""Which items show the same photons: one pass over one tile may come in parts, in processings, and from two stations.

A pass over a tile lasts 16 seconds. Where the downlink was cut within it, the tile comes as two products, each with
a part of it, and both count. Where the same part comes again, from a later processing or from a second ground
station, the best one counts. Three things distinguish the two: the sensing starts of the datastrips, which lie
minutes apart for parts and seconds apart for stations; the footprints, which overlap by a fifth for parts and wholly
for stations; and the baseline, which says what is best.

An item that names no satellite belongs to the pass over its tile that is nearest in time. Two satellites are over a
tile within minutes only while a new one flies behind another.

| datastrip starts | footprints | what it is |
|---|---|---|
| at most STATIONS_APART apart, or unknown | the best items show this one whole | the same part again: set aside |
| at most STATIONS_APART apart, or unknown | it shows more | a part of its own |
| farther apart | of about the same size | parts whose footprints are not those of the data: both count |
| farther apart | it lies within a larger one | the larger one holds all parts: set aside |
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

import shapely
from shapely.geometry.base import BaseGeometry

from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition, UnusableItem
from cropmap.sources.catalogs.footprints import in_tile_metres
from cropmap.sources.catalogs.item_identity import UNNAMED

ONE_PASS: Final = timedelta(minutes=30)
"""The same satellite is back over a tile after 100 minutes at the earliest; a datatake lasts 40 at most, and some
catalogues give its start as the time of all its tiles."""
STATIONS_APART: Final = timedelta(seconds=30)
"""Two stations begin to record within seconds of each other; 30 s are two tiles."""
WHOLE: Final = 0.95
"""share of a footprint that has to be shown elsewhere: footprints of one part differ by a pixel's rounding"""
SAME_SIZE: Final = 0.8


@dataclass(frozen=True)
class Candidate:
    acquisition: Acquisition

    @cached_property
    def footprint(self) -> BaseGeometry | None:
        """In metres of the tile; None where it has no area."""
        return in_tile_metres(self.acquisition.footprint_wkt, self.acquisition.epsg)

    @property
    def area(self) -> float:
        return 0.0 if self.footprint is None else float(self.footprint.area)

    @property
    def satellite(self) -> str:
        return self.acquisition.datatake.partition("_")[0]

    @property
    def baseline(self) -> str:
        return self.acquisition.processing_baseline or ""


def best_of(
    candidates: Iterable[Candidate], *, unread: Collection[str] = ()
) -> tuple[list[Acquisition], list[UnusableItem]]:
    """What counts, and what shows nothing that a better item does not show: SUPERSEDED under a lower baseline, else
    DUPLICATE.

    Items whose files could not be read (`unread`, by id) may be tried again, and meanwhile show nothing.
    """
    kept: list[Acquisition] = []
    redundant: list[UnusableItem] = []
    for sensing in _passes(candidates):
        chosen: list[Candidate] = []
        for candidate in _ranked(sensing):
            read = [other for other in chosen if len(sensing) > 1 and other.acquisition.item_id not in unread]
            better = [other for other in read if _may_show(other, candidate)]
            if better and _shown_share(candidate, better) >= WHOLE:
                redundant.append(_redundant(candidate, better[0]))
            else:
                chosen.append(candidate)
        kept += [candidate.acquisition for candidate in chosen]
    return kept, redundant


def rivals(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those of which another one shows the same pass over the same tile, or a part of it."""
    return [candidate for sensing in _passes(candidates) if len(sensing) > 1 for candidate in sensing]


def replaced(gone: Iterable[Acquisition], listed: Sequence[Acquisition]) -> list[UnusableItem]:
    """Which acquisitions that a catalogue no longer lists are shown whole by what it lists: SUPERSEDED or DUPLICATE.

    Some providers remove a product where they add the one that was processed again, and under another id. What nothing
    that is listed shows stays: it was there once, and a catalogue may forget it for a day.
    """
    by_tile: dict[str, list[Candidate]] = defaultdict(list)
    for acquisition in listed:
        by_tile[acquisition.tile].append(Candidate(acquisition))
    found = []
    for lost in (Candidate(acquisition) for acquisition in gone):
        over_tile = by_tile[lost.acquisition.tile]
        named = [other for other in over_tile if other.satellite != UNNAMED]
        satellite = _satellite(lost, named)
        near = [
            other
            for other in over_tile
            if _satellite(other, named) == satellite
            and abs(other.acquisition.sensed_at - lost.acquisition.sensed_at) <= ONE_PASS
            and _may_show(other, lost)
        ]
        if near and _shown_share(lost, near) >= WHOLE:
            best = max(near, key=lambda other: _shown_share(lost, [other]))
            found.append(_redundant(lost, best))
    return found


def _passes(candidates: Iterable[Candidate]) -> Iterable[list[Candidate]]:
    """Candidates of one tile, one satellite and one pass."""
    by_tile: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_tile[candidate.acquisition.tile].append(candidate)
    by_satellite: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for tile, over_tile in by_tile.items():
        named = [candidate for candidate in over_tile if candidate.satellite != UNNAMED]
        for candidate in over_tile:
            by_satellite[tile, _satellite(candidate, named)].append(candidate)
    for several in by_satellite.values():
        several.sort(key=lambda c: c.acquisition.sensed_at)
        group = several[:1]
        for candidate in several[1:]:
            if candidate.acquisition.sensed_at - group[-1].acquisition.sensed_at > ONE_PASS:
                yield group
                group = []
            group.append(candidate)
        yield group


def _satellite(candidate: Candidate, named: Sequence[Candidate]) -> str:
    """Of an item that names none: that of the nearest in time over the tile, within one pass."""
    if candidate.satellite != UNNAMED or not named:
        return candidate.satellite
    apart, satellite = min(
        (abs(other.acquisition.sensed_at - candidate.acquisition.sensed_at), other.satellite) for other in named
    )
    return satellite if apart <= ONE_PASS else UNNAMED


def _ranked(sensing: Sequence[Candidate]) -> list[Candidate]:
    """Best first: baseline, then the larger footprint, then the time of processing where all say it, then the id, which
    ends in a counter or that time."""
    if len(sensing) == 1:
        return list(sensing)
    largest = max(candidate.area for candidate in sensing) or 1.0
    times = [candidate.acquisition.generated_at for candidate in sensing]
    dated = None not in times

    def rank(candidate: Candidate) -> tuple[Any, ...]:
        generated_at = candidate.acquisition.generated_at if dated else None
        return candidate.baseline, round(candidate.area / largest, 1), generated_at, _counted(candidate)

    return sorted(sensing, key=rank, reverse=True)


def _counted(candidate: Candidate) -> list[str | int]:
    """The id with its numbers as such: _10 comes after _9."""
    parts = re.split(r"(\d+)", candidate.acquisition.item_id)
    return [int(part) if n % 2 else part for n, part in enumerate(parts)]


def _may_show(shown: Candidate, other: Candidate) -> bool:
    """Whether the datastrips leave open that `shown` shows what `other` shows."""
    starts = shown.acquisition.strip_start, other.acquisition.strip_start
    if starts[0] is None or starts[1] is None:
        return True
    return abs(starts[0] - starts[1]) <= STATIONS_APART or other.area < SAME_SIZE * shown.area


def _shown_share(candidate: Candidate, better: Sequence[Candidate]) -> float:
    """Share of the candidate's footprint that better ones show; all of it where a footprint says nothing."""
    footprints = [other.footprint for other in better if other.footprint is not None]
    if candidate.footprint is None or len(footprints) < len(better):
        return 1.0
    return float(candidate.footprint.intersection(shapely.union_all(footprints)).area) / candidate.area


def _redundant(candidate: Candidate, better: Candidate) -> UnusableItem:
    lower = candidate.baseline < better.baseline
    reason = QuarantineReason.SUPERSEDED if lower else QuarantineReason.DUPLICATE
    best, worse = better.acquisition, candidate.acquisition
    detail = f"{best.item_id} shows the same sensing under baseline {best.processing_baseline or 'not given'}"
    return UnusableItem(worse.item_id, worse.tile, worse.sensed_at, reason, detail)
