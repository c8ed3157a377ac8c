"""Pages of features on a register that is large enough for a plan to matter, as a key of a controller reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import psycopg
import pytest
import shapely
from shapely.geometry import box

from cropmap.database import features, keys
from cropmap.database.connection import Connection, connect
from cropmap.database.features import FeatureKey, FeatureKind, Wanted
from cropmap.database.runs import begin_run, ensure_season
from cropmap.schemas import AccessRole
from tests.database_fixtures import _fresh as fresh_database

KINDS: Final = [FeatureKind.PARCELS, FeatureKind.ASSESSMENTS]
ROWS: Final = 60_000
WIDE: Final = 300
"""parcels of a row of the grid, from the west to the east; the rows go north with the identifiers"""
STEP: Final = 0.004
SIZE: Final = 0.003
WEST, SOUTH = -4.0, 47.0
FEW: Final = 20_000
"""up to which a box is answered from the index on boxes (0007_scope.sql)"""
REGISTER: Final = """
INSERT INTO parcel (agency, season, parcel_id, wkb, box)
SELECT %(agency)s, 2018, lpad(i::text, 8, '0'),
       '\\x00'::bytea || int4send(3) || int4send(1) || int4send(5) || float8send(x) || float8send(y)
       || float8send(x + s) || float8send(y) || float8send(x + s) || float8send(y + s)
       || float8send(x) || float8send(y + s) || float8send(x) || float8send(y), box(point(x, y), point(x + s, y + s))
FROM (SELECT i, %(west)s + (i %% %(wide)s) * %(step)s AS x, %(south)s + (i / %(wide)s) * %(step)s AS y, %(size)s AS s
      FROM generate_series(0, %(rows)s - 1) i) placed;
INSERT INTO declaration (agency, season, parcel_id, version, valid_from, crop_code, area_ha, repaired, content_hash,
                         source_file, source_hash)
SELECT agency, season, parcel_id, 1, now(), 'MIS', 1, false, 'c', 'a.gpkg', 'f00' FROM parcel
WHERE agency = %(agency)s;
INSERT INTO prediction (run_id, parcel_id, area_ha, crop, n_observations)
SELECT %(run_id)s, parcel_id, 1, 'maize', 9 FROM parcel WHERE agency = %(agency)s;
INSERT INTO assessment (run_id, parcel_id, area_ha, declared_code, verdict, reason)
SELECT %(run_id)s, parcel_id, 1, 'MIS', CASE WHEN parcel_id LIKE '%%00' THEN 'mismatch' ELSE 'conform' END,
       'DECLARED_CROP_SUPPORTED' FROM parcel WHERE agency = %(agency)s;
UPDATE run SET status = 'published', finished_at = now(), simulated = true WHERE run_id = %(run_id)s;
INSERT INTO published VALUES (%(agency)s, 2018, %(run_id)s, now());
"""
READ: Final = """
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables
"""


def fill(connection: Connection, agency: str, rows: int = ROWS) -> None:
    ensure_season(connection, agency=agency, season=2018)
    moment = datetime(2018, 11, 3, tzinfo=UTC)
    begin_run(
        connection,
        run_id=f"run of {agency}",
        agency=agency,
        season=2018,
        as_of=None,
        code_version="1",
        started_at=moment,
    )
    place = {"west": WEST, "south": SOUTH, "wide": WIDE, "step": STEP, "size": SIZE, "rows": rows}
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(REGISTER, {"agency": agency, "run_id": f"run of {agency}", **place})


@pytest.fixture(scope="module")
def url(cluster_url: str) -> Iterator[str]:
    """Two agencies with the same land."""
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            for agency in ("bayern", "bretagne", "wallonie"):
                fill(connection, agency)
            connection.execute("ANALYZE")
        yield database_url


@contextmanager
def controller(url: str, agency: str | None = "bretagne") -> Iterator[Connection]:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        secret = keys.create_key(connection, "desk", role=AccessRole.CONTROLLER, agency=agency)
        keys.enter(connection, secret)
        yield connection


def rows_read(connection: Connection) -> int:
    """As the login, whose role of the moment may not read counters."""
    role = connection.execute("SELECT current_setting('role'), set_config('role', 'none', true)").fetchone()
    row = connection.execute(READ).fetchone()
    assert role is not None
    assert row is not None
    connection.execute("SELECT set_config('role', %s, true)", role[:1])
    return int(row[0])


def mark_behind(connection: Connection, kind: FeatureKind, parcels: int) -> str | None:
    """The `next` behind this many features."""
    return features.features(connection, kind, Wanted(), limit=parcels).next if parcels else None


def parcel_ids(page: features.FeaturePage) -> list[str]:
    return [feature.key.identifier for feature in page.items]


def grid_box(first_row: int, rows: int, first_column: int, columns: int) -> shapely.Polygon:
    """An area that touches these parcels and no others."""
    west, south = WEST + first_column * STEP, SOUTH + first_row * STEP
    return box(west + SIZE / 2, south + SIZE / 2, west + columns * STEP - STEP / 2, south + rows * STEP - STEP / 2)


def in_grid(first_row: int, rows: int, first_column: int, columns: int) -> list[str]:
    return [
        f"{row * WIDE + column:08}"
        for row in range(first_row, first_row + rows)
        for column in range(first_column, first_column + columns)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("agency", ["bretagne", None])
def test_a_page_costs_the_same_wherever_it_begins(url: str, kind: FeatureKind, agency: str | None) -> None:
    with controller(url, agency) as connection:
        marks = [mark_behind(connection, kind, parcels) for parcels in (0, ROWS // 2, ROWS - 150)]
        cost = []
        for mark in marks:
            before = rows_read(connection)
            page = features.features(connection, kind, Wanted(agency=agency), after=mark, limit=100)
            cost.append(rows_read(connection) - before)
            assert len(page.items) == 100
        assert max(cost) < 1000, cost


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_small_box_costs_the_same_wherever_it_lies(url: str, kind: FeatureKind) -> None:
    with controller(url) as connection:
        for first_row in (0, 100, ROWS // WIDE - 4):
            before = rows_read(connection)
            wanted = Wanted(within=grid_box(first_row, 3, 20, 10))
            page = features.features(connection, kind, wanted, limit=1000)
            cost = rows_read(connection) - before
            assert (parcel_ids(page), page.next) == (in_grid(first_row, 3, 20, 10), None)
            assert cost < 1000, (first_row, cost)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_a_large_box_cost_the_same(url: str, kind: FeatureKind) -> None:
    wanted = Wanted(within=grid_box(0, ROWS // WIDE, 0, WIDE - 1))
    with controller(url) as connection:
        marks = [None, features.features(connection, kind, wanted, limit=ROWS - 2 * WIDE).next]
        cost = []
        for mark in marks:
            before = rows_read(connection)
            page = features.features(connection, kind, wanted, after=mark, limit=100)
            cost.append(rows_read(connection) - before)
            assert len(page.items) == 100
        # of each of the three agencies with this land as much of the index on boxes as shows that the box is large; how
        # their entries are mixed in it is chance
        assert max(cost) < 5 * FEW, cost
        assert max(cost) < 1.2 * min(cost) + 1000, cost


@pytest.mark.slow
@pytest.mark.parametrize("limit", [7, 1000])
@pytest.mark.parametrize("area", [(3, 2, 5, 11), (0, ROWS // WIDE, 4, 1), (10, 100, 0, WIDE)], ids=str)
def test_pages_of_a_box_have_every_parcel_once(url: str, limit: int, area: tuple[int, int, int, int]) -> None:
    wanted = Wanted(within=grid_box(*area))
    expected = in_grid(*area)
    if len(expected) > 100 * limit:
        pytest.skip("more pages than show anything")
    seen: list[str] = []
    with controller(url) as connection:
        mark = None
        while True:
            page = features.features(connection, FeatureKind.PARCELS, wanted, after=mark, limit=limit)
            seen += parcel_ids(page)
            mark = page.next
            if mark is None:
                break
            assert len(page.items) == limit
    assert seen == expected


@pytest.mark.slow
def test_a_page_of_a_box_is_full_although_a_filter_leaves_out_most(url: str) -> None:
    wanted = Wanted(within=grid_box(0, 100, 0, WIDE), equal={"verdict": "mismatch"})
    with controller(url) as connection:
        page = features.features(connection, FeatureKind.ASSESSMENTS, wanted, limit=50)
    assert parcel_ids(page) == [f"{100 * number:08}" for number in range(50)]
    assert page.next


@pytest.mark.slow
def test_only_outlines_that_touch_the_area_are_found(url: str) -> None:
    """Their boxes touch the triangle's box, all of them."""
    west, south = WEST, SOUTH
    east, north = WEST + 9 * STEP + SIZE, SOUTH + 9 * STEP + SIZE
    with controller(url) as connection:
        wanted = Wanted(within=shapely.Polygon([(west, south), (east, south), (west, north)]))
        found = parcel_ids(features.features(connection, FeatureKind.PARCELS, wanted, limit=1000))
    inside = {f"{row * WIDE + column:08}" for row in range(10) for column in range(10) if row + column < 9}
    outside = {f"{row * WIDE + column:08}" for row in range(10) for column in range(10) if row + column > 9}
    assert inside <= set(found)
    assert not outside & set(found)


@pytest.mark.slow
def test_features_of_another_agency_are_not_found(url: str) -> None:
    everywhere = box(-180, -90, 180, 90)
    with controller(url) as connection:
        for kind in KINDS:
            for wanted in (Wanted(agency="bayern"), Wanted(agency="bayern", within=everywhere)):
                assert features.features(connection, kind, wanted, limit=10).items == []
            assert features.feature(connection, kind, FeatureKey("bayern", 2018, "00000007")) is None
            own = features.features(connection, kind, Wanted(within=everywhere), limit=10)
            assert {feature.key.agency for feature in own.items} == {"bretagne"}
        assert features.bounds(connection, FeatureKind.PARCELS, agency="bayern", season=2018) is None
        found = features.bounds(connection, FeatureKind.PARCELS, agency="bretagne", season=2018)
        assert found == pytest.approx((WEST, SOUTH, WEST + (WIDE - 1) * STEP + SIZE, SOUTH + 199 * STEP + SIZE))


@pytest.mark.slow
def test_the_function_that_passes_the_policies_holds_the_scope_itself(url: str) -> None:
    call = "SELECT count(*) FROM parcels_in_box(%s, 2018, -180, -90, 180, 90, '', 10)"
    with controller(url) as connection:
        for agency, found in (("bretagne", 10), ("bayern", 0), ("nowhere", 0), ("*", 0), (None, 0)):
            assert connection.execute(call, (agency,)).fetchone() == (found,), agency
    for role in (AccessRole.STATISTICIAN, AccessRole.OPERATOR, AccessRole.PUBLIC):
        with connect(url) as connection, connection.transaction(force_rollback=True):
            keys.enter(connection, keys.create_key(connection, "other", role=role, agency="bretagne"))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(call, ("bretagne",))
