"""The ledger of acquisitions for a person: what stands where and why, what is missing, what is to be tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, TypedDict

from cropmap.database import acquisitions as ledger
from cropmap.errors import ConfigurationError, InputError
from cropmap.observations.passes import (
    Flight,
    OrbitPasses,
    PassState,
    Sighting,
    calendar,
    flights_of,
    passes_by_orbit,
    window,
)
from cropmap.schemas import AcquisitionStatus, AcquisitionWarning, QuarantineReason
from cropmap.sources.catalogs.item_identity import UNNAMED
from cropmap.stages.context import SeasonContext
from cropmap.stages.ingest import own_name


class AcquisitionRow(TypedDict):
    item_id: str
    tile: str | None
    sensed_at: datetime | None
    baseline: str | None
    """processing baseline"""
    status: str
    """an AcquisitionStatus"""
    reason: str | None
    """a QuarantineReason or an AcquisitionWarning"""
    detail: str | None
    offset_correction: float | None
    """reflectance that was added to what the item's offset gives; None for most"""


class Retried(TypedDict):
    due_again: list[str]
    """names of acquisitions"""
    left_to_the_catalogue: list[str]


def list_acquisitions(
    context: SeasonContext,
    *,
    status: AcquisitionStatus | None = None,
    reason: str | None = None,
    tile: str | None = None,
) -> list[AcquisitionRow]:
    """One row per acquisition by time of sensing; `reason` is a QuarantineReason or an AcquisitionWarning."""
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key, status=status)
    return [
        {
            "item_id": entry.item_id,
            "tile": entry.tile,
            "sensed_at": entry.sensed_at,
            "baseline": entry.processing_baseline,
            "status": entry.status,
            "reason": entry.reason or entry.warning,
            "detail": entry.detail or entry.warning_detail,
            "offset_correction": entry.offset_correction,
        }
        for entry in known
        if reason in (None, entry.reason, entry.warning) and tile in (None, entry.tile)
    ]


def retry_acquisitions(
    context: SeasonContext, *, items: Collection[str] = (), reason: QuarantineReason | None = None
) -> Retried:
    """Makes quarantined acquisitions due again, of these names, or of this reason, or all: the next run reads them.

    One that the catalogue set aside is judged anew by every search of the catalogue and cannot be forced. Raises
    ConfigurationError for a name that is not quarantined.
    """
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key, status=AcquisitionStatus.QUARANTINED)
        if unknown := sorted(set(items) - {entry.item_id for entry in known}):
            raise ConfigurationError(
                f"{', '.join(unknown)} not quarantined in season {context.season.year}",
                where=context.agency.agency,
                mend="`cropmap acquisitions list --status quarantined` names what is",
            )
        chosen = [e for e in known if (not items or e.item_id in items) and reason in (None, e.reason)]
        again = [entry for entry in chosen if entry.tried is not None]
        for entry in again:
            context.store.remove(own_name(context, entry))  # its observations were quarantined
            ledger.find_again(connection, **context.key, item_id=entry.item_id)
    return {
        "due_again": [entry.item_id for entry in again],
        "left_to_the_catalogue": [entry.item_id for entry in chosen if entry.tried is None],
    }


class OrbitRow(TypedDict):
    """The passes of one relative orbit over one tile."""

    tile: str
    orbit: int | None
    """relative; None for items that name none and pass at no known time"""
    satellites: list[str]
    """those that are expected on it"""
    expected: int
    """passes that the orbit should have given"""
    catalogue: int
    """passes that the catalogue has, expected or not"""
    used: int
    corrected: int
    """of the used ones, those whose offset was corrected"""
    quarantined: int
    """passes of which no item could be used"""
    waiting: int
    """passes in the catalogue that are not observed yet"""
    missing: int
    reasons: dict[str, int]
    """why passes are quarantined"""
    missing_dates: list[date]
    longest_gap_days: int
    """longest time within the window without a pass that was used"""


class SatelliteRow(TypedDict):
    satellite: str
    orbit: int
    first_expected: date
    last_expected: date


class AcquisitionReport(TypedDict):
    start: date
    end: date
    """last day on which a pass is expected: of the window, or today"""
    orbits: list[OrbitRow]
    satellites: list[SatelliteRow]
    calendar: list[str]
    """lines of text (`passes.calendar`)"""


def report_acquisitions(context: SeasonContext, *, today: date, tile: str | None = None) -> AcquisitionReport:
    """What the orbits should have given of each tile, what the catalogue has, and what was used of it.

    Raises InputError where nothing was searched yet, or the tile has no item.
    """
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key)
    start, end = context.season.start, min(context.season.end, today)
    sightings = [seen for entry in known if (seen := _sighting(entry)) is not None]
    if not sightings or (tile is not None and tile not in {seen.tile for seen in sightings}):
        where = f" over tile {tile}" if tile else ""
        raise InputError(
            f"season {context.season.year} has no item of a catalogue{where}", mend="Run `cropmap observe` first"
        )
    moments = window(start, end)
    flights = flights_of(sightings, start=moments[0], end=moments[1])
    shown = [seen for seen in sightings if tile in (None, seen.tile)]
    orbits = passes_by_orbit(shown, flights, start=moments[0], end=moments[1])
    return {
        "start": start,
        "end": end,
        "orbits": [_orbit_row(orbit, flights, start=start, end=end) for orbit in orbits],
        "satellites": [
            {
                "satellite": flight.platform,
                "orbit": flight.relative_orbit,
                "first_expected": flight.start.date(),
                "last_expected": flight.end.date(),
            }
            for flight in flights
        ],
        "calendar": calendar(orbits, start=start, end=end),
    }


def _sighting(entry: ledger.LedgerEntry) -> Sighting | None:
    """None for what names no tile or time, for observations that another system made, and for an item that shows what
    another one shows."""
    if entry.reason in (QuarantineReason.SUPERSEDED, QuarantineReason.DUPLICATE):
        return None
    if entry.tile is None or entry.sensed_at is None or (entry.document is None and entry.reason is None):
        return None
    state = {
        AcquisitionStatus.OBSERVED: PassState.USED,
        AcquisitionStatus.QUARANTINED: PassState.QUARANTINED,
        AcquisitionStatus.FOUND: PassState.FOUND,
    }[AcquisitionStatus(entry.status)]
    if entry.warning == AcquisitionWarning.OFFSET_CORRECTED:
        state = PassState.CORRECTED
    document = entry.document or {}
    return Sighting(
        entry.item_id,
        entry.tile,
        entry.sensed_at.astimezone(UTC),
        _satellite(document),
        document.get("relative_orbit"),
        state,
        entry.reason,
    )


def _satellite(document: Mapping[str, Any]) -> str | None:
    """S2A to S2D, however the catalogue writes it: by the datatake. None where nothing names it."""
    named = str(document.get("datatake") or "").partition("_")[0]
    return named if named not in ("", UNNAMED) else None


def _orbit_row(orbit: OrbitPasses, flights: Collection[Flight], *, start: date, end: date) -> OrbitRow:
    states = Counter(each.state for each in orbit.passes)
    missing = [each.at.date() for each in orbit.passes if each.state == PassState.MISSING]
    kept_from = [each for each in orbit.passes if each.state == PassState.QUARANTINED]
    used = sorted(each.at.date() for each in orbit.passes if each.state in (PassState.USED, PassState.CORRECTED))
    days = [start, *used, end]
    return {
        "tile": orbit.tile,
        "orbit": orbit.relative_orbit,
        "satellites": sorted({f.platform for f in flights if f.relative_orbit == orbit.relative_orbit}),
        "expected": sum(each.is_expected for each in orbit.passes),
        "catalogue": len(orbit.passes) - len(missing),
        "used": len(used),
        "corrected": states[PassState.CORRECTED],
        "quarantined": states[PassState.QUARANTINED],
        "waiting": states[PassState.FOUND],
        "missing": len(missing),
        "reasons": dict(sorted(Counter(reason for each in kept_from for reason in each.reasons).items())),
        "missing_dates": missing,
        "longest_gap_days": max((after - before).days for before, after in pairwise(days)),
    }
