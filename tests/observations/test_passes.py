"""Which passes there should have been, computed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

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

START, END = date(2025, 1, 1), date(2025, 6, 30)
FIRST, LAST = window(START, END)


def seen(
    platform: str | None,
    orbit: int | None,
    days: Iterable[int],
    *,
    tile: str = "32UPU",
    state: PassState = PassState.USED,
    reason: str | None = None,
    minute: int = 20,
) -> list[Sighting]:
    """Items on these days after 1 January."""
    times = [datetime(2025, 1, 1, 10, minute, 31, tzinfo=UTC) + timedelta(days=day) for day in days]
    return [
        Sighting(f"{platform}_{tile}_{orbit}_{time:%Y%m%d}", tile, time, platform, orbit, state, reason)
        for time in times
    ]


def report(sightings: list[Sighting]) -> tuple[list[Flight], list[OrbitPasses]]:
    flights = flights_of(sightings, start=FIRST, end=LAST)
    return flights, passes_by_orbit(sightings, flights, start=FIRST, end=LAST)


def missing(orbit: OrbitPasses) -> list[int]:
    """Days after 1 January."""
    return [(each.at.date() - START).days for each in orbit.passes if each.state == PassState.MISSING]


def every(first: int, last: int = 180, step: int = 10) -> list[int]:
    return list(range(first, last + 1, step))


def test_two_satellites_take_turns_and_nothing_is_missing() -> None:
    flights, (orbit,) = report(seen("S2A", 65, every(3)) + seen("S2B", 65, every(8)))
    assert [(each.platform, each.start, each.end) for each in flights] == [("S2A", FIRST, LAST), ("S2B", FIRST, LAST)]
    assert len(orbit.passes) == 18 + 18  # days 3 to 173 and 8 to 178
    assert missing(orbit) == []


def test_missing_weeks_and_both_ends_of_the_window() -> None:
    there = [day for day in every(3) if day not in (3, 63, 73, 83, 173)]
    _, (orbit,) = report(seen("S2A", 65, there) + seen("S2B", 65, every(8)))
    assert missing(orbit) == [3, 63, 73, 83, 173]
    assert sum(each.is_expected for each in orbit.passes) == 36


def test_another_tile_of_the_orbit_says_when_it_passes() -> None:
    sparse = seen("S2A", 65, [3], tile="32UPV")
    _, orbits = report(seen("S2A", 65, every(3)) + sparse)
    assert [orbit.tile for orbit in orbits] == ["32UPU", "32UPV"]
    assert missing(orbits[1]) == every(13, 173)


def test_a_satellite_that_is_decommissioned_is_expected_no_longer() -> None:
    flights, (orbit,) = report(seen("S2A", 65, every(3, 93)) + seen("S2B", 65, every(8)))
    assert missing(orbit) == []
    assert flights[0].end.date() == date(2025, 4, 4)  # day 93
    late, (other,) = report(seen("S2A", 65, every(3)) + seen("S2C", 65, every(108)))
    assert missing(other) == []
    assert late[1].start.date() == date(2025, 4, 19)  # day 108


def test_a_satellite_that_flies_on_elsewhere_is_missing_here() -> None:
    sightings = seen("S2A", 65, every(3, 93)) + seen("S2B", 65, every(8)) + seen("S2A", 22, every(5), tile="33UUP")
    _, orbits = report(sightings)
    here = next(orbit for orbit in orbits if orbit.relative_orbit == 65)
    assert missing(here) == every(103, 173)


def test_a_satellite_that_was_moved_has_two_phases() -> None:
    flights, (orbit,) = report(seen("S2A", 65, [*every(3, 83), *every(91)]) + seen("S2B", 65, every(8)))
    assert [(each.platform, each.start.date(), each.end.date()) for each in flights] == [
        ("S2A", START, date(2025, 3, 25)),  # day 83
        ("S2A", date(2025, 4, 2), END),  # day 91
        ("S2B", START, END),
    ]
    assert missing(orbit) == []


def test_where_no_satellite_was_seen_it_is_a_hole() -> None:
    _, (orbit,) = report(seen("S2A", 65, every(3, 93)) + seen("S2B", 65, every(8, 98)))
    assert missing(orbit) == [day for day in every(3, 180, 5) if day > 98]


def test_overlap_of_two_orbits_and_a_tile_that_one_sees() -> None:
    both = seen("S2A", 65, every(3)) + seen("S2A", 108, every(6), minute=10)
    one = seen("S2A", 65, [day for day in every(3) if day != 53], tile="32UPV")
    _, orbits = report(both + one)
    assert [(orbit.tile, orbit.relative_orbit, missing(orbit)) for orbit in orbits] == [
        ("32UPU", 65, []),
        ("32UPU", 108, []),
        ("32UPV", 65, [53]),
    ]


def test_what_cannot_be_read_counts_as_the_pass_at_its_time() -> None:
    unreadable = seen(None, None, [53], state=PassState.QUARANTINED, reason="INCOMPLETE_METADATA")
    elsewhere = seen(None, None, [55], state=PassState.QUARANTINED, reason="INCOMPLETE_METADATA")
    _, orbits = report(seen("S2A", 65, [day for day in every(3) if day != 53]) + unreadable + elsewhere)
    assert [orbit.relative_orbit for orbit in orbits] == [65, None]
    assert missing(orbits[0]) == []
    (bad,) = [each for each in orbits[0].passes if each.state == PassState.QUARANTINED]
    assert (bad.at.date(), bad.reasons) == (date(2025, 2, 23), ("INCOMPLETE_METADATA",))
    assert [each.is_expected for each in orbits[1].passes] == [False]


def test_two_parts_of_one_pass_are_one_pass() -> None:
    parts = seen("S2A", 65, every(3)) + seen("S2A", 65, [3], state=PassState.QUARANTINED, reason="WRONG_GRID")
    _, (orbit,) = report(parts)
    assert len(orbit.passes) == 18
    assert (orbit.passes[0].state, len(orbit.passes[0].items)) == (PassState.USED, 2)
    assert orbit.passes[0].reasons == ("WRONG_GRID",)


def test_one_sighting_says_nothing_of_others() -> None:
    flights, (orbit,) = report(seen("S2A", 65, every(3)) + seen("S2B", 65, [8]))
    assert [each.platform for each in flights] == ["S2A"]
    assert missing(orbit) == []
    assert len(orbit.passes) == 19


def test_the_start_of_the_datatake_as_time_is_the_same_phase() -> None:
    sightings = seen("S2A", 65, every(3, 83)) + seen("S2A", 65, every(93), minute=16)
    flights, (orbit,) = report(sightings)
    assert len(flights) == 1
    assert missing(orbit) == []


@pytest.mark.parametrize("state", PassState)
def test_the_calendar_shows_what_is_worst(state: PassState) -> None:
    if state == PassState.MISSING:
        sightings = seen("S2A", 65, [0, 10, 30])
    else:
        sightings = seen("S2A", 65, [0, 10, 30]) + seen("S2A", 65, [20], state=state, reason="WRONG_GRID")
    flights = flights_of(sightings, start=FIRST, end=window(START, date(2025, 1, 31))[1])
    orbits = passes_by_orbit(sightings, flights, start=FIRST, end=window(START, date(2025, 1, 31))[1])
    mark = {"used": "#", "corrected": "c", "quarantined": "q", "found": "o", "missing": "-"}[state]
    assert calendar(orbits, start=START, end=date(2025, 1, 31)) == ["            Jan", f"32UPU R065  # # {mark} #"]
