from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from cropmap.database import reviews
from cropmap.database.connection import Connection
from cropmap.database.reviews import Campaign
from cropmap.errors import DatabaseError
from tests.database.seasons import AWKWARD, KEY, begin, everything, load, publish_run

DRAWN = datetime(2018, 11, 6, tzinfo=UTC)
TABLES = ("review_campaign", "review_parcel", "review", "review_certificate")


def campaign(name: str = "c1", seed: int = 0) -> Campaign:
    return Campaign(
        name,
        **KEY,
        run_id="run-1",
        budget=2,
        seed=seed,
        list_share=0.5,
        target=0.1,
        delta=0.1,
        estimated_rate=0.08,
        list_size=1,
        grid=[1],
        drawn_at=DRAWN,
    )


def sample() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "parcel_id": ["007", AWKWARD],
            "part": ["list", "control"],
            "stratum": ["list", "other"],
            "stratum_size": [1, 2],
            "list_rank": pd.array([1, None], dtype="Int64"),
            "inclusion_probability": [1.0, 0.5],
        }
    )


def findings(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["parcel_id", *reviews.FOUND], dtype=object)


def store(connection: Connection, frame: pd.DataFrame, *, day: int, name: str = "c1") -> dict[str, int]:
    at = datetime(2018, 11, day, tzinfo=UTC)
    return reviews.store_findings(connection, name, frame, source_file="field.csv", imported_at=at)


@pytest.fixture
def season(connection: Connection) -> Connection:
    load(connection)
    begin(connection, "run-1")
    publish_run(connection)
    assert reviews.store_campaign(connection, campaign(), sample())
    return connection


def test_a_sample_is_recorded_once_with_what_the_run_said(season: Connection) -> None:
    before = everything(season, *TABLES)
    assert not reviews.store_campaign(season, campaign(), sample())
    assert everything(season, *TABLES) == before
    assert reviews.read_campaigns(season, **KEY) == [campaign()]
    drawn = reviews.read_sample(season, "c1")
    assert drawn[["parcel_id", "list_rank", "declared_code", "verdict", "finding"]].to_numpy().tolist() == [
        ["007", 1, "056", "mismatch", None],
        [AWKWARD, None, "BTH", "not_assessable", None],
    ]


def test_corrections_are_later_versions_and_the_same_again_is_nothing(season: Connection) -> None:
    first = findings(("007", "wrong", "BTH", "Ann", date(2018, 7, 1), None), (AWKWARD, "right", None, None, None, None))
    assert store(season, first, day=7) == {"new": 2, "corrected": 0, "unchanged": 0}
    before = everything(season, *TABLES)
    assert store(season, first, day=8) == {"new": 0, "corrected": 0, "unchanged": 2}
    assert everything(season, *TABLES) == before
    second = findings(("007", "right", None, "Ann", date(2018, 7, 1), "looked again"))
    assert store(season, second, day=9) == {"new": 0, "corrected": 1, "unchanged": 0}
    assert season.execute("SELECT version, finding FROM review WHERE parcel_id = '007' ORDER BY 1").fetchall() == [
        (1, "wrong"),
        (2, "right"),
    ]
    assert season.execute("SELECT parcel_id, finding, version FROM reviewed_parcel ORDER BY 1").fetchall() == [
        ("007", "right", 2),
        (AWKWARD, "right", 1),
    ]
    assert reviews.read_campaigns(season, **KEY)[0].first_review == datetime(2018, 11, 7, tzinfo=UTC)


def test_the_last_finding_of_a_parcel_counts_whichever_sample_it_came_with(season: Connection) -> None:
    assert reviews.read_findings(season, **KEY).empty
    assert reviews.store_campaign(season, campaign("c2", seed=1), sample())
    store(season, findings(("007", "right", None, None, None, None)), day=7)
    store(season, findings(("007", "wrong", "BTH", None, None, None)), day=8, name="c2")
    assert reviews.read_findings(season, **KEY).to_dict("records") == [
        {"parcel_id": "007", "declared_code": "056", "declared_crop": "maize", "finding": "wrong", "found_code": "BTH"}
    ]


def test_only_drawn_parcels_and_possible_findings_are_stored(season: Connection) -> None:
    before = everything(season, *TABLES)
    for bad in (
        ("7", "right", None, None, None, None),
        ("007", "maybe", None, None, None, None),
        ("007", "right", "BTH", None, None, None),
    ):
        with pytest.raises(DatabaseError):
            store(season, findings((AWKWARD, "right", None, None, None, None), bad), day=7)
    assert everything(season, *TABLES) == before, "not even the good row of a bad file"


def test_what_may_be_said_of_a_list_is_kept_with_its_history(season: Connection) -> None:
    assert reviews.run_statement(season, "run-1") is None
    refused: dict[str, Any] = {
        "certified": False,
        "reason": "TOO_FEW_REVIEWED",
        "certified_size": 0,
        "sampled": 1,
        "reviewed": 0,
        "found_right": 0,
        "statement": "Could not be certified.",
    }
    passed = refused | {"certified": True, "reason": "CERTIFIED", "certified_size": 1, "statement": "With 90 %."}
    assert reviews.store_certificate(season, "c1", refused, stated_at=DRAWN)
    assert not reviews.store_certificate(season, "c1", refused, stated_at=DRAWN)
    assert reviews.store_certificate(season, "c1", passed, stated_at=DRAWN)
    assert reviews.run_statement(season, "run-1") == "With 90 %."
    assert season.execute(
        "SELECT run_id, certified, target, confidence, list_size, certified_size FROM list_certification"
    ).fetchall() == [("run-1", True, 0.1, 0.9, 1, 1)]
    assert season.execute("SELECT count(*) FROM review_certificate").fetchone() == (2,)
    with pytest.raises(DatabaseError, match="review_certificate_check"):
        reviews.store_certificate(season, "c1", passed | {"certified_size": 0}, stated_at=DRAWN)


def test_writers_add_reviews_and_change_none(season: Connection) -> None:
    season.execute("SET cropmap.agency = 'bretagne'; SET ROLE cropmap_writer")
    assert reviews.store_campaign(season, campaign("c2", seed=1), sample())
    store(season, findings(("007", "right", None, None, None, None)), day=7, name="c2")
    for statement in (
        "UPDATE review SET finding = 'wrong'",
        "DELETE FROM review_parcel",
        "TRUNCATE review_certificate",
    ):
        with pytest.raises(Exception, match="permission denied"):
            season.execute(statement.encode())
