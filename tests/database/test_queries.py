from __future__ import annotations

import base64

import pytest

from cropmap.database import queries
from cropmap.database.connection import Connection
from cropmap.database.runs import ensure_season
from cropmap.errors import InputError
from tests.database.seasons import AWKWARD, KEY, PUBLISHED, assessments, begin, load, predictions, publish_run


@pytest.fixture
def season(connection: Connection) -> Connection:
    ensure_season(connection, **KEY, simulated=True, document={"agency": "bretagne"})
    load(connection)
    begin(connection, "run-1")
    publish_run(connection)
    return connection


def test_published_seasons(season: Connection) -> None:
    (row,) = queries.published_seasons(season, agency="bretagne")
    assert (row["season"], row["simulated"], row["run_id"], row["published_at"]) == (2018, True, "run-1", PUBLISHED)
    assert queries.published_seasons(season, agency="' OR true --") == []


def test_statistics_of_a_region_and_all_below(season: Connection) -> None:
    assert [r["nuts_id"] for r in queries.statistics(season, nuts_id="FRH")] == ["FRH01", "FRH02"]
    assert [r["estimate_ha"] for r in queries.statistics(season, nuts_id="FRH01", crop="maize")] == [1.375]
    assert queries.statistics(season, level=2) == []
    assert queries.statistics(season, nuts_id="FRH%") == []


def test_assessments_come_by_priority_in_pages(season: Connection) -> None:
    first = queries.assessments(season, **KEY, limit=2)
    assert [row["parcel_id"] for row in first.items] == ["007", "7"]
    begin(season, "run-2")
    publish_run(season, "run-2", assessments=assessments().assign(priority=9.0))
    last = queries.assessments(season, **KEY, after=first.next, limit=2)
    assert [(row["parcel_id"], row["run_id"]) for row in last.items] == [(AWKWARD, "run-1")]
    assert last.next is None


def test_pages_hold_every_row_once_where_priorities_are_equal_or_missing(season: Connection) -> None:
    begin(season, "run-2")
    publish_run(season, "run-2", assessments=assessments().assign(priority=[float("nan"), 2.0, float("nan")]))
    seen, after = [], None
    for _ in range(3):
        page = queries.assessments(season, **KEY, after=after, limit=1)
        seen += [row["parcel_id"] for row in page.items]
        after = page.next
    assert seen == ["7", "007", AWKWARD]
    assert after is None


def test_assessments_by_verdict_and_holding(season: Connection) -> None:
    page = queries.assessments(season, **KEY, verdicts=["mismatch", "not_assessable"], limit=None)
    assert [row["verdict"] for row in page.items] == ["mismatch", "not_assessable"]
    assert [r["parcel_id"] for r in queries.assessments(season, **KEY, holding_id='O"Neil\\n').items] == [AWKWARD]


def test_predictions_beside_declarations_by_holding(season: Connection) -> None:
    # of three declarations one was scored by all folds together, and one has no class
    expected = ["0001", "maize", "wheat", 1]
    assert [list(row.values()) for row in queries.agreement(season, run_id="run-1")] == [expected]
    assert queries.agreement(season, run_id="run-0") == []
    begin(season, "run-2")
    publish_run(season, "run-2", predictions=predictions().assign(scored_by="fold 1"))
    # the second names no holding, so it is one of its own
    assert [list(row.values()) for row in queries.agreement(season, run_id="run-2")] == [
        expected,
        ["parcel 7", "maize", "maize", 1],
    ]


def _mark(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "after",
    [
        "nonsense",
        "e30=",
        "ünïcode",
        "WzEsMl0=",
        pytest.param(_mark("[" * 50_000), id="deep"),
        pytest.param(_mark(f'["r", {"9" * 400}, "p"]'), id="huge"),
        _mark('["r", 1, "\\ud800"]'),
        _mark('["r", 1, "\\u0000"]'),
    ],
)
def test_a_made_up_mark_is_refused(season: Connection, after: str) -> None:
    with pytest.raises(InputError, match="not the mark of a page"):
        queries.assessments(season, **KEY, after=after)


def test_parcel_with_all_that_is_known(season: Connection) -> None:
    row = queries.parcel(season, **KEY, parcel_id="007")
    assert row is not None
    assert (row["area_ha"], row["nuts_id"], row["run_id"], row["simulated"]) == (1.4, "FRH01", "run-1", True)
    assert row["declaration"]["crop_code"] == "056"
    assert row["prediction"]["last_observation"] == "2018-09-30"
    assert row["prediction"]["out_of_distribution"] == 0.5
    assert row["prediction"]["model_version"] == "lstm-1"
    assert row["assessment"]["verdict"] == "mismatch"
    assert row["geometry"]["type"] == "Polygon"
    assert queries.parcel(season, **KEY, parcel_id=AWKWARD) is not None
    assert queries.parcel(season, **KEY, parcel_id="07") is None


def test_parcel_of_a_season_without_a_run(connection: Connection) -> None:
    load(connection)
    row = queries.parcel(connection, **KEY, parcel_id="7")
    assert row is not None
    assert (row["run_id"], row["prediction"], row["assessment"], row["area_ha"]) == (None, None, None, 2.0)


def test_run_log_and_rejections(season: Connection) -> None:
    assert [(row["run_id"], row["status"]) for row in queries.run_log(season, season=2018)] == [("run-1", "published")]
    rejected = season.execute("SELECT row_number FROM rejected_declaration ORDER BY row_number").fetchall()
    assert rejected == [(4,), (6,)]
