"""Which passes a season should have, by tile and relative orbit, beside those that the catalogue has: holes are seen.

No table of launches and orbits is kept. A Sentinel-2 satellite is over a place again after exactly REPEAT_DAYS, at the
same time of day. So every satellite that was seen on a relative orbit, over whichever tile, says when it passes: its
phase, the time modulo REPEAT_DAYS. A satellite that was moved has two phases, one after the other. It is expected from
the first day of the window to the last, except before it came and after it went: where it was not seen anywhere for
GONE_DAYS, or not in this phase, while another satellite, or its new phase, was. Where no satellite was seen, that is a
hole. Pure functions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

REPEAT_DAYS: Final = 10.0
SAME_PHASE_DAYS: Final = 0.25
"""passes of one phase differ by seconds, and catalogues give the start of the datatake as the time of its tiles"""
GONE_DAYS: Final = 20.0
"""two repeats in which each orbit should have been seen twice"""
SEEN_TWICE: Final = 2
"""one sighting says nothing: a wrong name of the satellite would be an orbit of its own"""


class PassState(StrEnum):
    """The state of one pass over one tile, the most telling first where several items show it."""

    USED = "used"
    CORRECTED = "corrected"
    """used, with its offset corrected"""
    QUARANTINED = "quarantined"
    FOUND = "found"
    """in the catalogue, and not observed yet"""
    MISSING = "missing"
    """the orbit should have given it, and the catalogue has none"""


@dataclass(frozen=True)
class Sighting:
    """One item of the catalogue."""

    item_id: str
    tile: str
    sensed_at: datetime
    """UTC"""
    platform: str | None
    """S2A; None where the item does not say, or could not be read"""
    relative_orbit: int | None
    state: PassState
    reason: str | None
    """why it is quarantined"""


@dataclass(frozen=True)
class Flight:
    """One satellite on one relative orbit, in one phase."""

    platform: str
    relative_orbit: int
    anchor: datetime
    """one of its passes; the others lie whole repeats before and after"""
    start: datetime
    """expected from here"""
    end: datetime
    """to here"""

    def passes(self, start: datetime, end: datetime) -> list[datetime]:
        """Times at which it passes between two moments, both included."""
        first, last = max(start, self.start), min(end, self.end)
        slack = timedelta(days=SAME_PHASE_DAYS)
        repeats = -(-(first - slack - self.anchor) // timedelta(days=REPEAT_DAYS))
        times = []
        while (at := self.anchor + repeats * timedelta(days=REPEAT_DAYS)) <= last + slack:
            if start - slack <= at:
                times.append(at)
            repeats += 1
        return times


@dataclass(frozen=True)
class TilePass:
    """One pass over one tile: expected, seen, or both."""

    at: datetime
    platform: str | None
    state: PassState
    items: tuple[str, ...]
    reasons: tuple[str, ...]
    """why items of it are quarantined"""
    is_expected: bool


@dataclass(frozen=True)
class OrbitPasses:
    tile: str
    relative_orbit: int | None
    """None for items that name none and pass at no known time"""
    passes: tuple[TilePass, ...]
    """in order of time"""


def flights_of(sightings: Iterable[Sighting], *, start: datetime, end: datetime) -> list[Flight]:
    """What flew during the window (UTC, both ends included), by the items of all tiles; sorted by orbit, satellite."""
    seen: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    for sighting in sightings:
        if sighting.platform is not None and sighting.relative_orbit is not None:
            seen[sighting.relative_orbit, sighting.platform].append(sighting.sensed_at)
    everywhere = {
        platform: sorted(t for (_, p), times in seen.items() if p == platform for t in times) for _, platform in seen
    }
    flights = []
    for (orbit, platform), times in sorted(seen.items()):
        phases = [phase for phase in _phases(times) if len({t.date() for t in phase}) >= SEEN_TWICE]
        for phase in phases:
            others = [t for other in phases if other is not phase for t in other]
            others += [t for name, all_times in everywhere.items() if name != platform for t in all_times]
            own = everywhere[platform] if len(phases) == 1 else phase
            first = _edge(min(phase), own, others, start, forward=False)
            last = _edge(max(phase), own, others, end, forward=True)
            flights.append(Flight(platform, orbit, min(phase), first, last))
    return flights


def _phases(times: Sequence[datetime]) -> list[list[datetime]]:
    """The times of each phase; a day's phase lies on a circle of REPEAT_DAYS."""
    phases: list[list[datetime]] = []
    for time in sorted(times):
        for phase in phases:
            apart = (time - phase[-1]) / timedelta(days=REPEAT_DAYS)
            if abs(apart - round(apart)) * REPEAT_DAYS <= SAME_PHASE_DAYS:
                phase.append(time)
                break
        else:
            phases.append([time])
    return phases


def _edge(
    seen: datetime, own: Sequence[datetime], others: Sequence[datetime], limit: datetime, *, forward: bool
) -> datetime:
    """To where a flight is expected beyond its last sighting (or before its first): to the window's end, or no farther
    than it was seen where others were seen and it was not."""
    gone = timedelta(days=GONE_DAYS)
    known = max(own) if forward else min(own)
    beyond = limit - known if forward else known - limit
    if beyond <= gone:
        return limit
    replaced = any((t - known if forward else known - t) > gone for t in others)
    return (max(seen, known) if forward else min(seen, known)) if replaced else limit


def passes_by_orbit(
    sightings: Sequence[Sighting], flights: Sequence[Flight], *, start: datetime, end: datetime
) -> list[OrbitPasses]:
    """By tile and relative orbit what should be there and what is. An orbit that never gave a tile an item is none of
    its orbits."""
    by_tile: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        by_tile[sighting.tile].append(sighting)
    found = []
    for tile, over_tile in sorted(by_tile.items()):
        orbits = {sighting.relative_orbit for sighting in over_tile} - {None}
        own = [flight for flight in flights if flight.relative_orbit in orbits]
        by_orbit: dict[int | None, list[Sighting]] = {orbit: [] for orbit in orbits}
        for sighting in over_tile:
            by_orbit.setdefault(_orbit_of(sighting, own), []).append(sighting)
        for orbit, seen in sorted(by_orbit.items(), key=lambda pair: (pair[0] is None, pair[0] or 0)):
            expected = {
                (at, flight.platform)
                for flight in own
                if flight.relative_orbit == orbit
                for at in flight.passes(start, end)
            }
            found.append(OrbitPasses(tile, orbit, tuple(_joined(seen, sorted(expected)))))
    return found


def _orbit_of(sighting: Sighting, flights: Sequence[Flight]) -> int | None:
    """Its own; of an item that names none that of the pass at its time."""
    if sighting.relative_orbit is not None:
        return sighting.relative_orbit
    near = [(_apart(sighting.sensed_at, flight), flight.relative_orbit) for flight in flights]
    days, orbit = min(near, default=(REPEAT_DAYS, 0))
    return orbit if days <= SAME_PHASE_DAYS else None


def _apart(at: datetime, flight: Flight) -> float:
    repeats = (at - flight.anchor) / timedelta(days=REPEAT_DAYS)
    return abs(repeats - round(repeats)) * REPEAT_DAYS


def _joined(seen: Sequence[Sighting], expected: Sequence[tuple[datetime, str]]) -> list[TilePass]:
    """Each expected pass with its items, and the items that nothing expected."""
    left = sorted(seen, key=lambda sighting: (sighting.sensed_at, sighting.item_id))
    passes = []
    for at, platform in expected:
        items = [s for s in left if _shows(s, at, platform)]
        left = [s for s in left if s not in items]
        passes.append(_pass(at, platform, items, is_expected=True))
    by_pass: dict[tuple[date, str | None], list[Sighting]] = defaultdict(list)
    for sighting in left:
        by_pass[sighting.sensed_at.date(), sighting.platform].append(sighting)
    for (_, platform_or_none), items in by_pass.items():
        passes.append(_pass(items[0].sensed_at, platform_or_none, items, is_expected=False))
    return sorted(passes, key=lambda each: (each.at, each.platform or ""))


def _shows(sighting: Sighting, at: datetime, platform: str) -> bool:
    return sighting.platform in (None, platform) and abs(sighting.sensed_at - at) <= timedelta(days=SAME_PHASE_DAYS)


def _pass(at: datetime, platform: str | None, items: Sequence[Sighting], *, is_expected: bool) -> TilePass:
    states = {item.state for item in items} or {PassState.MISSING}
    state = next(each for each in PassState if each in states)
    reasons = sorted({item.reason for item in items if item.reason and item.state == PassState.QUARANTINED})
    return TilePass(at, platform, state, tuple(item.item_id for item in items), tuple(reasons), is_expected)


MARKS: Final[Mapping[PassState, str]] = {
    PassState.USED: "#",
    PassState.CORRECTED: "c",
    PassState.QUARANTINED: "q",
    PassState.FOUND: "o",
    PassState.MISSING: "-",
}
COLUMN_DAYS: Final = 5
"""of the calendar: two satellites take turns on an orbit"""


def calendar(orbits: Sequence[OrbitPasses], *, start: date, end: date) -> list[str]:
    """Lines of text: one per tile and orbit, a column of COLUMN_DAYS each; of two passes in a column the worse."""
    columns = (end - start).days // COLUMN_DAYS + 1
    worst = [PassState.MISSING, PassState.QUARANTINED, PassState.FOUND, PassState.CORRECTED, PassState.USED]
    months = [" "] * columns
    last = ""
    for column in range(columns):
        name = f"{start + timedelta(days=column * COLUMN_DAYS):%b}"
        if name != last and column + 3 <= columns:
            months[column : column + 3] = name
        last = name
    lines = [f"{'':<12}{''.join(months)}".rstrip()]
    for orbit in orbits:
        cells = [" "] * columns
        shown: dict[int, PassState] = {}
        for each in orbit.passes:
            column = (each.at.date() - start).days // COLUMN_DAYS
            if 0 <= column < columns:
                before = shown.get(column, each.state)
                shown[column] = min(before, each.state, key=worst.index)
                cells[column] = MARKS[shown[column]]
        number = "R?" if orbit.relative_orbit is None else f"R{orbit.relative_orbit:03d}"
        lines.append(f"{orbit.tile:<6}{number:<6}{''.join(cells)}".rstrip())
    return lines


def window(start: date, end: date) -> tuple[datetime, datetime]:
    """First and last moment of the days from `start` to `end`, UTC."""
    first = datetime(start.year, start.month, start.day, tzinfo=UTC)
    return first, datetime(end.year, end.month, end.day, 23, 59, 59, tzinfo=UTC)
