"""What any role reads gives no hidden figure back, and an attack on it finds every leak that is planted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from cropmap.database.connection import Connection, connect
from cropmap.legends import Legend
from cropmap.schemas import AccessRole
from tests.database_fixtures import _fresh as fresh_database
from tests.studies import confidential_catalogue as catalogue
from tests.studies.confidential_attack import Edition as Facts
from tests.studies.confidential_attack import Need, System, Table, attack, whole_regions
from tests.studies.confidential_reading import KEYS, NotThoughtOfError, Place, api_description, read_sql, requests
from tests.studies.confidential_seasons import Edition, agency_of, editions, write
from tests.studies.confidentiality import Outcome, World, attack_season, others, worlds
from tests.studies.small_seasons import LEGEND

BEFORE = 16
"""a season whose hidden figures followed from the ends of intervals, as long as these were cut at the region"""
COUNTED = 38
"""one of which a hidden count follows from the count of all parcels"""
SMALL = 27
"""of one region, with few parcels"""


@pytest.fixture(scope="module")
def databases(cluster_url: str) -> Iterator[tuple[str, str]]:
    database = contextmanager(fresh_database)
    with database(cluster_url, template="cropmap") as one, database(cluster_url, template="cropmap") as two:
        yield one, two


@pytest.fixture(scope="module")
def made() -> list[Edition]:
    return list(editions(COUNTED, Legend.read(LEGEND)))


def planted(databases: tuple[str, str], made: list[Edition], plant: Callable[[Connection], None]) -> Outcome:
    """What the attack finds of a season after something was planted in both databases."""
    found = Outcome()
    for url in databases:
        with connect(url) as connection:
            plant(connection)
    with worlds(*databases, [COUNTED]) as both:
        attack_season(both, made, found)
    return found


@pytest.fixture
def own(cluster_url: str) -> Iterator[tuple[str, str]]:
    """Two databases that a test may spoil."""
    database = contextmanager(fresh_database)
    with database(cluster_url, template="cropmap") as one, database(cluster_url, template="cropmap") as two:
        yield one, two


def test_no_role_gets_at_a_hidden_figure(databases: tuple[str, str], made: list[Edition]) -> None:
    found = Outcome()
    with worlds(*databases, (BEFORE, COUNTED)) as both:
        attack_season(both, editions(BEFORE, Legend.read(LEGEND)), found)
        attack_season(both, made, found)
    assert found.hidden > found.sensitive > 100
    assert min(found.figures.values()) > 1000
    assert found.differences == set()
    assert found.findings == []


def test_an_answer_depends_on_nothing_that_is_hidden(own: tuple[str, str]) -> None:
    """Every route, parameter and media type, as every role: the same bytes and headers, whatever was declared; and no
    table with parcels was looked at, so that neither does the time that it takes."""
    found = Outcome()
    with worlds(*own, [SMALL]) as both:
        attack_season(both, editions(SMALL, Legend.read(LEGEND)), found, whole=True)
    assert found.differences == set()
    assert min(found.answers.values()) > 100
    with connect(own[0]) as connection:
        looked_at = catalogue.scans(connection)
    assert looked_at["statistic"] > 0
    assert looked_at["released_row"] > 0
    assert {name: n for name, n in looked_at.items() if name in catalogue.OF_PARCELS and n} == {}


def test_a_view_of_hidden_counts_is_found(own: tuple[str, str], made: list[Edition]) -> None:
    def plant(connection: Connection) -> None:
        connection.execute(
            "CREATE TABLE planted (run_id text, agency text, season int, nuts_id text, crop text, n_parcels int);"
            " GRANT SELECT ON planted TO cropmap_reader"
        )
        for edition in made:
            rows = edition.truth.rows[["nuts_id", "crop", "n_parcels"]].astype(object).to_numpy().tolist()
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO planted VALUES (%s, %s, %s, %s, %s, %s)",
                    [(edition.run_id, edition.agency, edition.season, *row) for row in rows],
                )

    found = planted(own, made, plant)
    assert {(one.role, one.figure, one.kind) for one in found.findings} == {("statistician", "n_parcels", "recovered")}
    assert max(one.lost for one in found.findings) == 1.0


def test_a_count_over_all_crops_is_found(own: tuple[str, str], made: list[Edition]) -> None:
    def plant(connection: Connection) -> None:
        connection.execute("GRANT SELECT (n_parcels) ON run_log TO cropmap_reader")

    found = planted(own, made, plant)
    assert {(one.role, one.figure, one.kind) for one in found.findings} == {("statistician", "n_parcels", "recovered")}
    assert found.differences == {("statistician", "run_log.n_parcels")}


def test_words_of_a_run_with_a_hidden_area_are_found(own: tuple[str, str], made: list[Edition]) -> None:
    def plant(connection: Connection) -> None:
        first = made[0]
        hidden = first.truth.rows[(first.made.table["conf_status"] == "C").to_numpy()]
        area = hidden.loc[hidden["declared_ha"] > 0, "declared_ha"].iloc[0]
        connection.execute(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" NEW.detail := 'cannot be hidden by {area!r} ha'; RETURN NEW; END $$;"
            " CREATE TRIGGER tell BEFORE INSERT ON run FOR EACH ROW EXECUTE FUNCTION tell()"
        )

    found = planted(own, made, plant)
    assert {one.role for one in found.findings} == {"operator"}


def test_a_new_column_must_be_thought_of(own: tuple[str, str], made: list[Edition]) -> None:
    def plant(connection: Connection) -> None:
        connection.execute(
            "CREATE VIEW planted AS SELECT agency, season, n_parcels AS n_fields FROM run_log;"
            " GRANT SELECT ON planted TO cropmap_server_statistician"
        )

    with pytest.raises(NotThoughtOfError, match="n_fields"):
        planted(own, made, plant)


def test_a_new_parameter_must_be_thought_of() -> None:
    place = Place("a", 2018, ("FR", "C1500"), ("FR", "C1110"))
    asked = requests(place, api_description())
    for role in (AccessRole.PUBLIC, AccessRole.STATISTICIAN, AccessRole.OPERATOR):
        assert any(role in roles for roles in KEYS.values())
    assert len(set(asked)) > 100
    paths = {"/x": {"get": {"security": [], "parameters": [{"name": "new", "in": "query", "required": False}]}}}
    with pytest.raises(NotThoughtOfError, match="'new'"):
        requests(place, {"paths": paths})


def test_the_catalogue_tells_a_reader_nothing_of_parcels(
    own: tuple[str, str], fresh_database: str, made: list[Edition]
) -> None:
    """Three databases, two alike and one with other parcels: what is the same in the first two and not in the third
    tells of them."""
    rng = np.random.default_rng(1)
    for number, url in enumerate((*own, fresh_database)):
        with connect(url) as connection:
            for edition in made:
                shown = edition.small.parcels if number < 2 else others(edition.small.parcels, rng)
                write(connection, edition, parcels=shown)
            catalogue.settle(connection)
    with connect(own[0]) as one, connect(own[1]) as same, connect(fresh_database) as other:
        told = catalogue.tells(one, same, other)
        assert {name for name in told if not catalogue.is_size(name)} == set()
        estimates = [catalogue.estimates(each, made[-1].agency) for each in (one, same, other)]
        assert estimates[0] == estimates[1] == estimates[2]
    with connect(own[0]) as one, connect(own[1]) as same, connect(fresh_database) as other:
        for connection in (one, same, other):
            connection.execute("GRANT SELECT ON pg_class TO PUBLIC")
        assert "pg_class.reltuples" in catalogue.tells(one, same, other)


def test_statistics_of_columns_tell_no_figure_of_a_table_that_was_replaced(
    own: tuple[str, str], made: list[Edition]
) -> None:
    assert len(made) == 2
    for number, url in enumerate(own):
        with connect(url) as connection:
            for edition in made:
                write(connection, edition)
            if number:
                connection.execute("SET session_replication_role = replica")
                connection.execute(
                    "UPDATE statistic SET estimate_ha = estimate_ha * 7 WHERE run_id = %s", (made[0].run_id,)
                )
                connection.execute("RESET session_replication_role")
            connection.execute("ANALYZE")
    with connect(own[0]) as one, connect(own[1]) as other:
        agency = made[0].agency
        assert catalogue.estimates(one, agency) == catalogue.estimates(other, agency)
        for connection in (one, other):
            connection.execute("ALTER TABLE statistic ALTER COLUMN estimate_ha SET STATISTICS 100; ANALYZE statistic")
        assert catalogue.estimates(one, agency) != catalogue.estimates(other, agency)


def test_an_end_that_was_cut_gives_the_region_away() -> None:
    """The programme by hand: one region, two crops, one hidden; the interval of the other ends at the whole region."""
    shown = {"estimate_ha": 90.0, "ci95_low_ha": 70.0, "ci95_high_ha": 100.0}
    facts = Facts(cells={("FR", "C1500"): shown, ("FR", "C1110"): {}})
    assert whole_regions(facts) == {"FR": 100.0}
    table = Table.of(facts.cells, {})
    hidden = (("FR", "C1110"), "estimate_ha")
    (found,) = attack(System.of(table, facts, ["estimate_ha"]), {hidden: Need(10.0, 5.0, 5.0)})
    assert (found.low, found.high) == pytest.approx((10.0, 10.0))
    shown["ci95_high_ha"] = 110.0
    assert whole_regions(facts) == {}
    (found,) = attack(System.of(table, facts, ["estimate_ha"]), {hidden: Need(10.0, 5.0, 5.0)})
    assert found.low == 0
    assert found.high > 1000


def test_the_attack_asks_in_the_name_of_the_agency(databases: tuple[str, str]) -> None:
    """An attack that reads nothing finds nothing: each role reads rows of its agency, and of no other."""
    with worlds(*databases, [2]) as both:
        world: World = both[0]
        for edition in editions(2, Legend.read(LEGEND)):
            write(world.connection, edition)
        rows = {one.relation: one for one in read_sql(world.connection, "cropmap_reader", agency_of(2))}
        assert {record["agency"] for record in rows["crop_statistic"].records()} == {agency_of(2)}
        assert rows["released_statistic"].rows
