"""What it costs that agencies are apart.

In the database: the questions of the API as the owner of the tables, whom no policy binds, and as the API puts them,
with the key's role and agency. Both in a transaction of their own, in turn. Over HTTP: the same routes of one server,
with row-level security and without it, in turn.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from cropmap.bench.api import served
from cropmap.bench.api_season import AGENCY, SEASON, PublishedSeason, publish_season
from cropmap.database import keys, queries
from cropmap.database.acquisitions import observed_files
from cropmap.database.connection import Connection, open_pool
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
SECURED: Final = """
SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace ORDER BY 1
"""
ROUNDS: Final = 3
"""with row-level security and without it"""


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
    with open_pool(url, max_size=2) as pool, pool.connection() as connection, pool.connection() as entered:
        # two, because a change of role would throw the plans away
        connection.execute(EARLIER_RUNS, (AGENCY, SEASON, earlier_runs))
        connection.execute("ANALYZE")
        rows = []
        for question, ask in _questions(connection, season.parcel_ids).items():
            open_, closed = Way([]), Way([])
            for _ in range(repeats + WARM):
                open_.seconds.append(_asked(connection, None, ask))
                closed.seconds.append(_asked(entered, season.key, ask))
            for way in (open_, closed):
                del way.seconds[:WARM]  # plans and pages are cold
            rows.append(
                {
                    "question": question,
                    "without, ms": f"{open_.median_ms:.2f}",
                    "with, ms": f"{closed.median_ms:.2f}",
                    "ratio": f"{closed.median_ms / open_.median_ms:.2f}",
                    "target": "<= 1.15",
                }
            )
        return rows + _over_http(connection, settings, season, repeats)


def _asked(connection: Connection, key: str | None, ask: Ask) -> float:
    began = time.perf_counter()
    with connection.transaction():
        if key is None:  # the API looked the key up before it entered with it
            keys.valid_keys(connection)
        else:
            assert keys.enter(connection, key)
        ask(connection)
    return time.perf_counter() - began


def _over_http(
    connection: Connection, settings: Settings, season: PublishedSeason, repeats: int
) -> list[dict[str, Any]]:
    """The same as `measure`'s rows, of requests; the server has one connection, so that its plans are warm."""
    ways: dict[tuple[str, bool], Way] = {}
    paths = _paths(connection, season)
    tables = [name for (name,) in connection.execute(SECURED)]
    with served(settings.home_path, CROPMAP_POOL_SIZE="1") as port:
        client = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(ROUNDS):
            for is_secured in (True, False):
                _secure(connection, tables, is_secured)
                for name, path in paths.items():
                    seconds = [_fetched(client, season.key, path) for _ in range(repeats + WARM)][WARM:]
                    ways.setdefault((name, is_secured), Way([])).seconds.extend(seconds)
        client.close()
    _secure(connection, tables, True)
    return [
        {
            "question": f"HTTP: {name}",
            "without, ms": f"{ways[name, False].median_ms:.2f}",
            "with, ms": f"{ways[name, True].median_ms:.2f}",
            "ratio": f"{ways[name, True].median_ms / ways[name, False].median_ms:.2f}",
            "target": "<= 1.15",
        }
        for name in paths
    ]


def _paths(connection: Connection, season: PublishedSeason) -> dict[str, str]:
    about = {"agency": AGENCY, "season": SEASON}
    key, deep = f"agency={AGENCY}&season={SEASON}", _mark(connection, int(len(season.parcel_ids) * DEEP), about)
    return {
        "seasons": "/v1/seasons",
        "statistics": f"/v1/statistics?{key}",
        "statistics of a region": "/v1/statistics?nuts_id=FRH01",
        "first page of assessments": f"/v1/assessments?{key}&limit=100",
        "first page of mismatches": f"/v1/assessments?{key}&verdict=mismatch&limit=50",
        "a page far down": f"/v1/assessments?{key}&limit=100&after={deep}",
        "a parcel": f"/v1/parcels/{AGENCY}/{SEASON}/{season.parcel_ids[len(season.parcel_ids) // 2]}",
        "a box of parcels": "/v1/ogc/collections/parcels/items?limit=100",
    }


def _secure(connection: Connection, tables: list[str], is_secured: bool) -> None:
    for table in tables:
        how = sql.SQL("ENABLE" if is_secured else "DISABLE")
        connection.execute(sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY").format(sql.Identifier(table), how))


def _fetched(client: http.client.HTTPConnection, key: str, path: str) -> float:
    began = time.perf_counter()
    client.request("GET", path, headers={"X-API-Key": key})
    answer = client.getresponse()
    body = answer.read()
    assert answer.status == 200, (path, body[:300])
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
