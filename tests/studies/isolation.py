"""What it costs that agencies are apart: the questions of the API as the owner of the tables, whom no policy binds, and
as the API puts them, with the key's role and agency. Both in a transaction of their own, in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cropmap.bench.api_season import AGENCY, SEASON, publish_season
from cropmap.database import keys, queries
from cropmap.database.acquisitions import observed_files
from cropmap.database.connection import Connection, connect
from cropmap.schemas import Verdict
from cropmap.settings import Settings
from cropmap.stages.context import ready_database

Ask = Callable[[Connection], object]
EARLIER_RUNS: Final = """
INSERT INTO run (run_id, agency, season, status, started_at, finished_at, code_version)
SELECT 'earlier-' || n, %s, %s, 'published', now(), now() - n * interval '1 day', '1' FROM generate_series(1, %s) n
"""
WARM: Final = 8
DEEP: Final = 0.9
"""how far down the list of assessments its deep page lies"""


@dataclass(frozen=True)
class Way:
    """Seconds of every repetition."""

    seconds: list[float]

    @property
    def median_ms(self) -> float:
        return 1000 * statistics.median(self.seconds)


def measure(settings: Settings, *, parcels: int, repeats: int, earlier_runs: int) -> list[dict[str, Any]]:
    """A row per question; `earlier_runs` were published before, as after years of daily runs."""
    season = publish_season(settings, parcels=parcels, acquisitions=2)
    url = ready_database(settings)
    with connect(url) as connection, connect(url) as served:  # a change of role would throw the plans away
        connection.execute(EARLIER_RUNS, (AGENCY, SEASON, earlier_runs))
        connection.execute("ANALYZE")
        rows = []
        for question, ask in _questions(connection, season.parcel_ids).items():
            open_, closed = Way([]), Way([])
            for _ in range(repeats + WARM):
                open_.seconds.append(_asked(connection, None, ask))
                closed.seconds.append(_asked(served, season.key, ask))
            for way in (open_, closed):
                del way.seconds[:WARM]  # plans and pages are cold
            rows.append(
                {
                    "question": question,
                    "owner, ms": f"{open_.median_ms:.2f}",
                    "key, ms": f"{closed.median_ms:.2f}",
                    "ratio": f"{closed.median_ms / open_.median_ms:.2f}",
                    "target": "<= 1.15",
                }
            )
    return rows


def _asked(connection: Connection, key: str | None, ask: Ask) -> float:
    began = time.perf_counter()
    with connection.transaction():
        if key is None:  # the API looked the key up before it entered with it
            keys.valid_keys(connection)
        else:
            assert keys.enter(connection, key)
        ask(connection)
    return time.perf_counter() - began


def _questions(connection: Connection, parcel_ids: tuple[str, ...]) -> dict[str, Ask]:
    about: dict[str, Any] = {"agency": AGENCY, "season": SEASON}
    deep = _mark(connection, int(len(parcel_ids) * DEEP), about)
    return {
        "seasons": lambda c: queries.published_seasons(c),
        "statistics": lambda c: queries.statistics(c, **about),
        "statistics of a region": lambda c: queries.statistics(c, nuts_id="FRH01"),
        "first page of assessments": lambda c: queries.assessments(c, **about, limit=100),
        "first page of mismatches": lambda c: queries.assessments(c, **about, verdicts=[Verdict.MISMATCH], limit=50),
        "a page far down": lambda c: queries.assessments(c, **about, after=deep, limit=100),
        "all assessments": lambda c: queries.assessments(c, **about, limit=None),
        "a parcel": lambda c: queries.parcel(c, **about, parcel_id=parcel_ids[len(parcel_ids) // 2]),
        "files of a tile": lambda c: observed_files(c, **about, tiles=["30UVU"]),
    }


def _mark(connection: Connection, position: int, about: dict[str, Any]) -> str:
    """The mark of the page after so many assessments."""
    page = queries.assessments(connection, **about, limit=position)
    assert page.next is not None, "the list has more"
    return page.next
