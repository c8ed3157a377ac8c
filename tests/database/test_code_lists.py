"""Regions and names of codes in the database: written once, replaced as a whole, seen by those who see figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import shapely
from shapely.geometry import box

from cropmap.database import features, keys
from cropmap.database.code_lists import read_names, region_edition, released_regions, store_names, store_regions
from cropmap.database.connection import Connection, connect
from cropmap.database.features import FeatureKey, FeatureKind, Wanted
from cropmap.dissemination.names import CodeName
from cropmap.schemas import AccessRole
from cropmap.sources.regions import Regions
from tests.database.seasons import KEY, everything, load, regions
from tests.database.two_agencies import MARK, OTHER, fill
from tests.database_fixtures import _fresh as fresh_database

REGIONS = FeatureKind.REGIONS


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT nuts_id, level, name, national_name, nuts_version, outline, ARRAY[west, south, east, north] FROM region"
        " WHERE agency = 'bretagne' AND season = 2018 ORDER BY nuts_id"
    ).fetchall()


def test_regions_are_stored_with_names_and_outlines(connection: Connection) -> None:
    load(connection)
    assert region_edition(connection, **KEY) is None
    assert store_regions(connection, **KEY, regions=regions()) == 3
    assert region_edition(connection, **KEY) == 2024
    found = stored(connection)
    assert [row[:5] for row in found] == [
        ("FRH0", 2, "Bretagne", "Bretagne", 2024),
        ("FRH01", 3, "Cotes-d'Armor", "Côtes-d’Armor", 2024),
        ("FRH02", 3, "FRH02", "FRH02", 2024),  # the file has no name of it
    ]
    for row, outline in zip(found, regions().table.geometry, strict=True):
        assert shapely.from_wkb(row[5]).equals(outline)
        assert tuple(row[6]) == outline.bounds


def test_the_same_regions_again_change_no_row(connection: Connection) -> None:
    load(connection)
    store_regions(connection, **KEY, regions=regions())
    before = everything(connection, "region")
    assert store_regions(connection, **KEY, regions=regions()) == 0
    assert everything(connection, "region") == before


def test_other_regions_take_the_place_of_all(connection: Connection) -> None:
    load(connection)
    store_regions(connection, **KEY, regions=regions())
    table = regions().table.iloc[[0, 2]].assign(name=["Bretagne", "Finistère"])
    assert store_regions(connection, **KEY, regions=Regions(table, 2024)) == 2  # one gone, one renamed
    assert [(row[0], row[2]) for row in stored(connection)] == [("FRH0", "Bretagne"), ("FRH02", "Finistère")]
    assert store_regions(connection, **KEY, regions=replace(regions(), nuts_version=2021)) == 3
    assert store_regions(connection, **KEY, regions=replace(regions(), nuts_version=2021), language="fr") == 3
    assert {row[4] for row in stored(connection)} == {2021}


NAMES = [
    CodeName("crops", "C1110", "br", "Gwinizh"),
    CodeName("crops", "C1110", "fr", "Blé tendre"),
    CodeName("geo", "FRH0", "fr", "Région Bretagne"),
]


def test_names_are_replaced_as_a_whole_and_written_once(connection: Connection) -> None:
    load(connection)
    assert store_names(connection, agency="bretagne", names=NAMES) == 3
    before = everything(connection, "code_name")
    assert store_names(connection, agency="bretagne", names=NAMES) == 0
    assert everything(connection, "code_name") == before
    others = [NAMES[0], NAMES[1]._replace(name="Froment"), CodeName("freq", "A", "fr", "annuel")]
    assert store_names(connection, agency="bretagne", names=others) == 3  # one gone, one changed, one more
    assert read_names(connection, agency="bretagne") == sorted(others)
    assert store_names(connection, agency="bretagne", names=[]) == 3
    assert read_names(connection, agency="bretagne") == []


def test_regions_are_called_as_the_agency_and_then_as_the_latest_boundaries_say(connection: Connection) -> None:
    load(connection)
    store_names(connection, agency="bretagne", names=NAMES)
    connection.execute("INSERT INTO season (agency, season) VALUES ('bretagne', 2017), ('bretagne', 2016)")
    store_regions(connection, **KEY, regions=regions(), language="fr")
    older = regions().table.assign(name="old", national_name="ancien")
    store_regions(connection, agency="bretagne", season=2017, regions=Regions(older, 2021), language="fr")
    silent = regions().table.assign(nuts_id=["FRH0", "FRH03", "FRH04"], name="silent")
    store_regions(connection, agency="bretagne", season=2016, regions=Regions(silent, 2021))
    found = {(one.code, one.language): one.name for one in read_names(connection, agency="bretagne") if one[0] == "geo"}
    assert found == {
        ("FRH0", "en"): "Bretagne",
        ("FRH0", "fr"): "Région Bretagne",
        ("FRH01", "en"): "Cotes-d'Armor",
        ("FRH01", "fr"): "Côtes-d’Armor",
        ("FRH02", "en"): "FRH02",
        ("FRH02", "fr"): "FRH02",
        ("FRH03", "en"): "silent",  # of no language that the agency named
        ("FRH04", "en"): "silent",
    }


@pytest.fixture(scope="module")
def url(cluster_url: str) -> Iterator[str]:
    """Two agencies, 2018 published and released; and of bretagne 2019 loaded alone, 2020 published alone."""
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            fill(connection)
            for season in (2019, 2020):
                connection.execute("INSERT INTO season (agency, season) VALUES ('bretagne', %s)", (season,))
                store_regions(connection, agency="bretagne", season=season, regions=regions())
            connection.execute(
                "INSERT INTO run (run_id, agency, season, status, started_at, finished_at, code_version, simulated)"
                " VALUES ('run of 2020', 'bretagne', 2020, 'published', now(), now(), '1', true);"
                "INSERT INTO published VALUES ('bretagne', 2020, 'run of 2020', now())"
            )
        yield database_url


SEEN = {AccessRole.PUBLIC: [2018], AccessRole.STATISTICIAN: [2018, 2020], AccessRole.CONTROLLER: [2018, 2020]}


@pytest.mark.parametrize("role", SEEN)
@pytest.mark.parametrize("agency", ["bretagne", None])
def test_a_key_sees_regions_of_the_seasons_whose_figures_it_sees(
    url: str, role: AccessRole, agency: str | None
) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        keys.enter(connection, keys.create_key(connection, "desk", role=role, agency=agency))
        seasons = [(row["agency"], row["season"]) for row in features.seasons(connection, REGIONS)]
        own = [("bretagne", season) for season in SEEN[role]]
        assert seasons == ([] if agency else [(OTHER, 2018)]) + own
        found = features.features(connection, REGIONS, Wanted(), limit=100).items
        assert [(one.key.agency, one.key.season) for one in found[::3]] == seasons
        assert any(MARK in one.properties["name"] for one in found) is (agency is None)
        assert connection.execute("SELECT count(*) FROM region").fetchone() == (3 * len(seasons),)


def test_an_operator_reads_no_region_and_no_name(url: str) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        keys.enter(connection, keys.create_key(connection, "desk", role=AccessRole.OPERATOR, agency="bretagne"))
        for table in ("region", "code_name"):
            assert connection.execute("SELECT has_any_column_privilege(%s, 'SELECT')", (table,)).fetchone() == (False,)


@pytest.mark.parametrize("role", SEEN)
def test_a_key_reads_the_names_of_its_agency(url: str, role: AccessRole) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        keys.enter(connection, keys.create_key(connection, "desk", role=role, agency="bretagne"))
        own = read_names(connection, agency="bretagne")
        assert CodeName("crops", "C1500", "fr", "Maïs grain") in own
        assert CodeName("geo", "FRH0", "en", "Bretagne") in own
        assert read_names(connection, agency=OTHER) == []
        assert released_regions(connection, agency="bretagne") == ["FRH01", "FRH02"]
        assert released_regions(connection, agency=OTHER) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_pages_of_a_box_have_every_region_once(url: str, limit: int) -> None:
    """The parent's hole touches nothing; its box does."""
    in_hole, over_both = box(-1.45, 48.1, -1.3, 48.4), box(-2.9, 47.4, -2.8, 47.6)
    with connect(url) as connection, connection.transaction(force_rollback=True):
        keys.enter(connection, keys.create_key(connection, "desk", role=AccessRole.STATISTICIAN, agency="bretagne"))
        assert features.features(connection, REGIONS, Wanted(within=in_hole), limit=limit).items == []
        seen: list[FeatureKey] = []
        mark = None
        while True:
            page = features.features(connection, REGIONS, Wanted(within=over_both), after=mark, limit=limit)
            seen += [one.key for one in page.items]
            mark = page.next
            if mark is None:
                break
        expected = [FeatureKey("bretagne", year, code) for year in (2018, 2020) for code in ("FRH0", "FRH01", "FRH02")]
        assert seen == expected
        assert features.bounds(connection, REGIONS, agency="bretagne", season=2018) == (-3.5, 43.0, 6.5, 49.0)
        assert features.bounds(connection, REGIONS, agency=OTHER, season=2018) is None
