"""A release is numbered, frozen, and notices when somebody touches it."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from cropmap.database.connection import Connection
from cropmap.database.releases import Release, count_rows, read_releases, read_rows, rows_hash, store_release
from cropmap.errors import DatabaseError
from tests.database.seasons import KEY, PUBLISHED, begin, everything, load, publish_run, statistics

FIRST = Release(
    **KEY,
    number=1,
    stage="first",
    run_id="run-1",
    as_of=None,
    nuts_version=2024,
    note=None,
    content_hash=rows_hash(statistics()),
    released_at=PUBLISHED,
)


@pytest.fixture
def season(connection: Connection) -> Connection:
    load(connection)
    begin(connection, "run-1")
    publish_run(connection)
    store_release(connection, FIRST, statistics())
    return connection


def test_what_was_released_is_read_back(season: Connection) -> None:
    assert read_releases(season, **KEY) == [replace(FIRST, model_version="lstm-1")]
    rows = read_rows(season, FIRST)
    assert rows[["nuts_id", "estimate_ha", "conf_status", "number", "stage"]].astype(object).where(
        rows[["nuts_id", "estimate_ha", "conf_status", "number", "stage"]].notna(), None
    ).to_numpy().tolist() == [["FRH01", 1.375, None, 1, "first"], ["FRH02", None, "C", 1, "first"]]
    assert count_rows(season, FIRST) == {"cells": 2, "confidential": 1, "intact": True}


def test_the_hash_is_of_the_figures_not_of_their_order(season: Connection) -> None:
    assert rows_hash(statistics().iloc[::-1]) == FIRST.content_hash
    assert rows_hash(statistics().assign(estimate_ha=[1.376, float("nan")])) != FIRST.content_hash


def test_a_number_is_taken_once_and_in_order(season: Connection) -> None:
    before = everything(season, "release", "released_row")
    for number in (1, 3):
        with pytest.raises(DatabaseError, match="is not the next, 2 is"):
            store_release(season, replace(FIRST, number=number), statistics())
    assert everything(season, "release", "released_row") == before
    store_release(season, replace(FIRST, number=2, stage="final"), statistics())
    assert [one.name for one in read_releases(season, **KEY)] == ["release 1 (first)", "release 2 (final)"]


def test_rows_that_somebody_changed_are_not_given_out(season: Connection) -> None:
    season.execute("UPDATE released_row SET estimate_ha = 99 WHERE nuts_id = 'FRH01'")
    with pytest.raises(DatabaseError, match="not those that were released"):
        read_rows(season, FIRST)
    assert not count_rows(season, FIRST)["intact"]


def test_a_hidden_cell_stays_empty_and_the_writer_cannot_change_a_release(season: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        season.execute("UPDATE released_row SET n_parcels = 3 WHERE nuts_id = 'FRH02'")
    season.execute("SET cropmap.agency = 'bretagne'; SET ROLE cropmap_writer")
    for statement in ("UPDATE released_row SET obs_flag = 'e'", "DELETE FROM released_row", "DELETE FROM release"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            season.execute(statement)
    season.execute("RESET ROLE")
