from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from cropmap.database.connection import Connection
from cropmap.database.runs import begin_run, fail_run, finish_run, read_run
from cropmap.errors import DatabaseError
from tests.database.seasons import (
    AWKWARD,
    PUBLISHED,
    accepted,
    assessments,
    begin,
    everything,
    load,
    predictions,
    publish_run,
    statistics,
)

PRODUCTS = ("prediction", "assessment", "statistic", "published")


@pytest.fixture
def season(connection: Connection) -> Connection:
    load(connection)
    begin(connection, "run-1")
    return connection


def first(columns: int, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """A column that joins a view stands behind those that are known here."""
    return [row[:columns] for row in rows]


def test_published_rows_are_what_the_views_show(season: Connection) -> None:
    assert publish_run(season)
    assert first(16, season.execute('SELECT * FROM crop_prediction ORDER BY parcel_id COLLATE "C"').fetchall()) == [
        (
            "bretagne",
            2018,
            "007",
            "FRH01",
            1.4,
            "wheat",
            0.75,
            "maize",
            0.125,
            12,
            date(2018, 9, 30),
            "fold 2",
            "lstm-1",
            "run-1",
            0.5,
            False,
        ),
        (
            "bretagne",
            2018,
            "7",
            "FRH02",
            2.0,
            "maize",
            0.5,
            "wheat",
            0.25,
            3,
            date(2018, 8, 1),
            "mean of 4 folds",
            "lstm-1",
            "run-1",
            0.999,
            False,
        ),
        (
            "bretagne",
            2018,
            AWKWARD,
            "FRH02",
            0.25,
            None,
            None,
            None,
            None,
            0,
            None,
            None,
            "lstm-1",
            "run-1",
            None,
            False,
        ),
    ]
    assert first(15, season.execute("SELECT * FROM crop_assessment WHERE verdict = 'mismatch'").fetchall()) == [
        (
            "bretagne",
            2018,
            "007",
            "0001",
            "FRH01",
            1.4,
            "056",
            "maize",
            "wheat",
            0.125,
            "mismatch",
            "OTHER_CROP_SUPPORTED",
            1.05,
            "run-1",
            False,
        )
    ]
    assert first(24, season.execute("SELECT * FROM crop_statistic ORDER BY nuts_id").fetchall()) == [
        (
            "bretagne",
            2018,
            date(2018, 10, 31),
            2024,
            "FRH01",
            3,
            "maize",
            "AR",
            "main",
            "model_assisted",
            1.5,
            1.25,
            1.375,
            0.5,
            0.375,
            2.5,
            0.36,
            5,
            4,
            "e",
            None,
            "run-1",
            False,
            False,
        ),
        (
            "bretagne",
            2018,
            date(2018, 10, 31),
            2024,
            "FRH02",
            3,
            "maize",
            "AR",
            "main",
            "synthetic",
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            "C",
            "run-1",
            False,
            False,
        ),
    ]
    run = read_run(season, "run-1")
    assert run is not None
    assert (run.status, run.finished_at, run.n_acquisitions, run.n_parcels) == ("published", PUBLISHED, 70, 3)
    assert run.report == {"estimated_rate": 0.1}


def test_rows_in_any_order_and_of_some_parcels_get_what_their_own_parcel_has(season: Connection) -> None:
    query = "SELECT parcel_id, holding_id, nuts_id, area_ha FROM assessment WHERE run_id = %s ORDER BY parcel_id"
    about = "SELECT parcel_id, nuts_id, area_ha FROM prediction WHERE run_id = %s ORDER BY parcel_id"
    assert publish_run(season)
    wanted = season.execute(query, ["run-1"]).fetchall()
    begin(season, "run-2", hour=11)
    assert publish_run(season, "run-2", predictions=predictions().iloc[[2, 0]], assessments=assessments().iloc[::-1])
    assert season.execute(query, ["run-2"]).fetchall() == wanted
    first_run, second_run = (season.execute(about, [run]).fetchall() for run in ("run-1", "run-2"))
    assert second_run == [row for row in first_run if row[0] in set(predictions()["parcel_id"].iloc[[2, 0]])]
    begin(season, "run-3", hour=12)
    with pytest.raises(DatabaseError, match="1 parcels are not in the register, '7' among them"):
        publish_run(season, "run-3", parcels=accepted().query("parcel_id != '7'"))


def test_publishing_twice_changes_nothing(season: Connection) -> None:
    publish_run(season)
    before = everything(season, *PRODUCTS, "run")
    assert not publish_run(season, predictions=predictions("rapeseed"))
    assert everything(season, *PRODUCTS, "run") == before


def test_a_later_run_takes_over_and_the_former_stays_readable(season: Connection) -> None:
    publish_run(season)
    begin(season, "run-2")
    publish_run(season, "run-2", predictions=predictions("rapeseed"))
    published = season.execute("SELECT crop FROM crop_prediction ORDER BY parcel_id").fetchall()
    assert published == [("rapeseed",), ("maize",), (None,)]
    before = season.execute("SELECT crop FROM prediction WHERE run_id = 'run-1' ORDER BY parcel_id").fetchall()
    assert before == [("wheat",), ("maize",), (None,)]


def test_what_is_loaded_later_changes_no_published_row(season: Connection) -> None:
    publish_run(season)
    before = season.execute("SELECT * FROM crop_prediction").fetchall()
    load(season, accepted().assign(area_ha=99.0, nuts_id="FRH04"), datetime(2019, 1, 1, tzinfo=UTC))
    assert season.execute("SELECT * FROM crop_prediction").fetchall() == before


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("statistics", "basis", "guess"),
        ("statistics", "conf_status", "C"),  # with figures in the row
        ("assessments", "verdict", "maybe"),
        ("predictions", "probability", 1.5),
        ("predictions", "parcel_id", "nobody's"),
        ("predictions", "crop", "nul \0 byte"),
    ],
)
def test_a_bad_row_publishes_nothing(season: Connection, table: str, column: str, value: Any) -> None:
    publish_run(season)
    begin(season, "run-2")
    before = everything(season, *PRODUCTS)
    frame = {"statistics": statistics(), "assessments": assessments(), "predictions": predictions()}[table]
    frame.loc[0, column] = value
    with pytest.raises(DatabaseError) as caught:
        publish_run(season, "run-2", **{table: frame})
    assert "\n" not in str(caught.value)
    assert everything(season, *PRODUCTS) == before
    run = read_run(season, "run-2")
    assert run is not None
    assert run.status == "running"


def test_a_run_that_was_not_begun_or_is_empty_is_refused(season: Connection) -> None:
    with pytest.raises(DatabaseError, match="was not begun"):
        publish_run(season, "run-9")
    with pytest.raises(DatabaseError, match="without predictions"):
        publish_run(season, predictions=predictions().iloc[:0])


def test_attempts_are_counted_and_published_stays_published(season: Connection) -> None:
    fail_run(season, run_id="run-1", detail="2 of 9 acquisitions failed", finished_at=PUBLISHED)
    run = read_run(season, "run-1")
    assert run is not None
    assert (run.status, run.attempts, run.detail) == ("failed", 1, "2 of 9 acquisitions failed")
    begin(season, "run-1", hour=11)
    begin(season, "run-1", hour=11)  # the next step of the same command
    publish_run(season)
    begin(season, "run-1", hour=12)
    fail_run(season, run_id="run-1", detail="catalogue away", finished_at=PUBLISHED)
    finish_run(season, run_id="run-1", finished_at=PUBLISHED, n_acquisitions=71)
    run = read_run(season, "run-1")
    assert run is not None
    assert (run.status, run.attempts, run.detail, run.n_acquisitions) == ("published", 3, "catalogue away", 71)


def test_a_run_belongs_to_one_season(season: Connection) -> None:
    load_key: dict[str, Any] = {"agency": "bretagne", "season": 2019}
    from cropmap.database.runs import ensure_season

    ensure_season(season, **load_key)
    with pytest.raises(DatabaseError, match="another season"):
        begin_run(season, run_id="run-1", **load_key, as_of=None, code_version="x", started_at=PUBLISHED)
