"""What each route answers, on a season whose rows are known."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from pydantic import BaseModel

from cropmap.database.connection import connect
from serving.answers import (
    Assessment,
    AssessmentPage,
    Parcel,
    PublishedAgency,
    PublishedSeason,
    ReleasedStatistic,
    Run,
    Statistic,
    StatisticRelease,
)
from serving.app import create_app
from serving.settings import ServingSettings
from serving.tables import to_csv
from tests.serving.conftest import BY_PRIORITY, DAY, HURTS, Desk, publish, running

ASSESSMENTS = "/assessments?agency=bretagne&season=2018"


def walk(api: httpx.Client, path: str | None) -> list[dict[str, object]]:
    """Follows `next` to the end."""
    rows = []
    while path:
        page = api.get(path).json()
        rows.extend(page["items"])
        path = page["next"]
    return rows


def test_health_names_the_newest_season(api: httpx.Client) -> None:
    answer = api.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["database"], body["migrations"]) == ("ok", "up", "up to date")
    assert (body["newest_season"]["agency"], body["newest_season"]["season"]) == ("bretagne", 2018)


def test_health_names_no_season_to_strangers(api: httpx.Client) -> None:
    for headers in ({}, {"X-API-Key": "cropmap_wrong"}):
        answer = httpx.get(api.base_url.join("/health"), headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["newest_season"]) == (200, None)


def test_health_of_a_database_that_is_down() -> None:
    settings = ServingSettings(database_url="postgresql://nobody@127.0.0.1:1/none", database_timeout_s=0.2)
    with running(create_app(settings)) as client:
        answer = client.get("/health")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unavailable",
            "database": "down",
            "migrations": "unknown",
            "newest_season": None,
        }
        keyed = client.get("/seasons", headers={"X-API-Key": "cropmap_x"})
        assert (keyed.status_code, keyed.headers["retry-after"]) == (503, "10")
        assert "nobody" not in keyed.text


def test_health_of_a_database_without_tables(empty_database_url: str) -> None:
    with running(create_app(ServingSettings(database_url=empty_database_url))) as client:
        answer = client.get("/health")
    assert (answer.status_code, answer.json()["database"], answer.json()["migrations"]) == (503, "up", "open")


def test_seasons_and_agencies_show_what_is_published_and_that_it_is_simulated(api: httpx.Client) -> None:
    (season,) = api.get("/seasons").json()
    assert season == {
        "agency": "bretagne",
        "season": 2018,
        "simulated": True,
        "as_of": None,
        "published_at": "2018-11-03T12:00:00Z",
        "model_version": "transformer 7",
        "run_id": "run-1",
    }
    assert api.get("/agencies").json() == [{"agency": "bretagne", "simulated": True, "seasons": [2018]}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [("FRH0", "C1500"), ("FRH01", "C1110"), ("FRH01", "C1500"), ("FRH02", "C1500")]),
        ("nuts_id=FRH01", [("FRH01", "C1110"), ("FRH01", "C1500")]),
        ("nuts_id=FRH0&level=3&crop=C1500", [("FRH01", "C1500"), ("FRH02", "C1500")]),
        ("level=2&season=2018&agency=bretagne", [("FRH0", "C1500")]),
        ("season=2019", []),
        ("nuts_id=ZZ99", []),
    ],
)
def test_statistics_filters(api: httpx.Client, query: str, expected: list[tuple[str, str]]) -> None:
    rows = api.get(f"/statistics?{query}").json()
    assert [(row["nuts_id"], row["crop"]) for row in rows] == expected


def test_statistics_hold_back_a_confidential_cell(api: httpx.Client) -> None:
    (row,) = api.get("/statistics?nuts_id=FRH02").json()
    assert row["conf_status"] == "C"
    assert [row[name] for name in ("estimate_ha", "declared_ha", "n_holdings")] == [None, None, None]


@pytest.mark.parametrize(
    ("query", "accept"),
    [("?format=csv", "application/json"), ("", "text/csv"), ("", "application/json;q=0.5, text/csv;q=0.9")],
)
def test_statistics_as_csv(api: httpx.Client, query: str, accept: str) -> None:
    answer = api.get(f"/statistics{query}", headers={"Accept": accept})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(rows[0]) == list(Statistic.model_fields)
    assert [(row["nuts_id"], row["estimate_ha"]) for row in rows] == [
        ("FRH0", "30.5"),
        ("FRH01", "7.0"),
        ("FRH01", "20.25"),
        ("FRH02", ""),
    ]


@pytest.mark.parametrize(
    ("accept", "status"), [("*/*", 200), ("text/html, */*;q=0.1", 200), ("image/png", 406), ("text/csv;q=0", 406)]
)
def test_forms_that_are_offered(api: httpx.Client, accept: str, status: int) -> None:
    answer = api.get("/statistics", headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_hold_every_assessment_once_the_most_urgent_first(api: httpx.Client, limit: int) -> None:
    assert [row["parcel_id"] for row in walk(api, f"{ASSESSMENTS}&limit={limit}")] == BY_PRIORITY


def test_pages_stay_with_their_run_when_the_season_is_published_anew(own_desk: Desk) -> None:
    api = own_desk.client
    first = api.get(f"{ASSESSMENTS}&limit=2").json()
    with connect(own_desk.database_url) as connection:
        publish(connection, "run-3", published_at=DAY + timedelta(days=1))
    rest = walk(api, first["next"])
    assert [row["parcel_id"] for row in [*first["items"], *rest]] == BY_PRIORITY
    assert {row["run_id"] for row in rest} == {"run-1"}
    assert {row["run_id"] for row in walk(api, ASSESSMENTS)} == {"run-3"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("verdict=mismatch", ["007", "B/2", "C 3"]),
        ("verdict=inconclusive&verdict=conform", [HURTS, "E5"]),
        ("nuts_id=FRH02", ["C 3", HURTS]),
        ("nuts_id=FRH0&verdict=not_assessable", ["G7"]),
        ("nuts_id=FRH0%25", []),
    ],
)
def test_assessment_filters_also_hold_on_the_next_page(api: httpx.Client, query: str, expected: list[str]) -> None:
    assert [row["parcel_id"] for row in walk(api, f"{ASSESSMENTS}&{query}&limit=1")] == expected


def test_an_assessment_names_its_holding(api: httpx.Client) -> None:
    row = api.get(f"{ASSESSMENTS}&limit=1").json()["items"][0]
    assert (row["parcel_id"], row["holding_id"], row["declared_code"]) == ("007", "H1", "MIS")
    assert (row["area_ha"], row["priority"], row["reason"]) == (1.25, 0.9, "OTHER_CROP_SUPPORTED")


def test_a_parcel_with_its_series(api: httpx.Client) -> None:
    parcel = api.get("/parcels/bretagne/2018/007").json()
    assert (parcel["parcel_id"], parcel["nuts_id"], parcel["area_ha"], parcel["simulated"]) == (
        "007",
        "FRH01",
        1.25,
        True,
    )
    assert parcel["declaration"] == {"crop_code": "MIS", "declared_area_ha": 1.3}
    assert parcel["prediction"]["crop"] == "corn"
    assert parcel["prediction"]["last_observation"] == "2018-10-30"
    assert parcel["assessment"]["verdict"] == "mismatch"
    clear, clouded = parcel["observations"]
    assert (clear["sensed_at"], clear["clear_fraction"]) == ("2018-05-05T11:06:00Z", 0.75)
    assert (clear["reflectance"]["B04"], clear["reflectance"]["B08"]) == (0.0412, None)
    assert (clouded["sensed_at"], clouded["clear_fraction"]) == ("2018-05-20T11:06:00Z", 0.0)
    assert clouded["reflectance"]["B04"] is None


def test_a_parcel_without_observations_keeps_its_register_entry(api: httpx.Client) -> None:
    parcel = api.get(f"/parcels/bretagne/2018/{quote('Ü6')}").json()
    assert (parcel["prediction"]["crop"], parcel["assessment"]["reason"]) == (None, "TOO_SMALL")
    assert (parcel["nuts_id"], parcel["observations"]) == (None, [])


@pytest.mark.parametrize("parcel_id", ["B/2", "C 3", HURTS])
def test_parcels_with_difficult_names(api: httpx.Client, parcel_id: str) -> None:
    answer = api.get(f"/parcels/bretagne/2018/{quote(parcel_id, safe='')}")
    assert answer.status_code == 200
    assert answer.json()["parcel_id"] == parcel_id


def test_personal_data_and_outlines_only_where_asked(api: httpx.Client) -> None:
    bare, outlined = (api.get(f"/parcels/bretagne/2018/007{query}") for query in ("", "?geometry=true"))
    assert "H1" not in outlined.text
    assert "holding_id" not in outlined.text
    assert bare.json()["geometry"] is None
    geometry = outlined.json()["geometry"]
    assert geometry["type"] == "Polygon"
    assert sorted({tuple(corner) for corner in geometry["coordinates"][0]})[0] == (-3.0, 48.0)


@pytest.mark.parametrize(
    "path",
    [
        "/parcels/bretagne/2018/7",
        "/parcels/bretagne/2019/007",
        "/parcels/bayern/2018/007",
        "/parcels/bretagne/2018/007'%20OR%20'1'='1",
        "/parcels/bretagne/2018/..%2F..%2F..%2Fetc%2Fpasswd",
    ],
)
def test_unknown_parcels_are_not_found(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/parcels/bretagne/2018/%00",
        "/parcels/bretagne/twenty/007",
        "/seasons?agency=a%00b",
        "/statistics?season=99999999999999999999",
        "/statistics?level=4",
        "/statistics?format=xml",
        "/assessments",
        f"{ASSESSMENTS}&verdict=guilty",
        f"{ASSESSMENTS}&limit=0",
        f"{ASSESSMENTS}&limit=1001",
    ],
)
def test_invalid_questions_are_told_so(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/seasons?agency=bayern", "bayern: nothing is published of this agency. See /agencies"),
        ("/statistics?agency=%27%20OR%201%3D1%20--", "' OR 1=1 --: nothing is published of this agency. See /agencies"),
        ("/statistics?agency=bretagne&season=2019", "bretagne 2019: this season is not published. See /seasons"),
        ("/assessments?agency=bayern&season=2018", "bayern: nothing is published of this agency. See /agencies"),
        ("/assessments?agency=bretagne&season=2019", "bretagne 2019: this season is not published. See /seasons"),
        ("/releases?agency=bayern", "bayern: there is no such agency. See /agencies"),
        ("/runs?agency=bayern", "bayern: there is no such agency. See /agencies"),
    ],
)
def test_unknown_agencies_and_seasons_are_not_found(api: httpx.Client, path: str, detail: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, detail)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/statistics?nuts=FRH01", ["nuts: no such parameter", "Did you mean nuts_id?"]),
        ("/statistics?crops=C1500", ["crops: no such parameter", "Did you mean crop?"]),
        ("/statistics?season=2018&season=2017", ["season: given 2 times"]),
        ("/statistics?level=3&level=3", ["level: given 2 times"]),
        ("/statistics?format=csv&format=json", ["format: given 2 times"]),
        (f"{ASSESSMENTS}&verdicts=mismatch", ["Did you mean verdict?"]),
        (f"{ASSESSMENTS}&offset=5", ["offset: no such parameter", "limit"]),
        ("/parcels/bretagne/2018/007?geom=true", ["Did you mean geometry?"]),
        ("/agencies?agency=bretagne", ["agency: no such parameter. This route knows none"]),
        ("/releases/bretagne/2018/1?crop=C1500", ["crop: no such parameter"]),
        ("/runs?api_key=x", ["api_key: no such parameter"]),
        ("/health?deep=1", ["deep: no such parameter"]),
    ],
)
def test_parameters_that_no_route_knows_and_repeated_ones_are_refused(
    api: httpx.Client, path: str, words: list[str]
) -> None:
    answer = api.get(path)
    assert answer.status_code == 400
    assert all(word in answer.json()["detail"] for word in words), answer.json()["detail"]


@pytest.mark.parametrize("path", ["/health", "/statistics?season=2018", ASSESSMENTS, "/statistics?format=csv", "/docs"])
def test_head_answers_as_get_without_the_body(api: httpx.Client, path: str) -> None:
    head, get = (api.request(method, path, headers={"Accept-Encoding": "identity"}) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_needs_a_key_too(api: httpx.Client) -> None:
    assert httpx.head(api.base_url.join("/statistics"), trust_env=False).status_code == 401


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_a_confidential_cell_says_nothing_of_its_basis(api: httpx.Client, format_: str) -> None:
    for path in ("/statistics", "/releases/bretagne/2018/1"):
        answer = api.get(f"{path}?nuts_id=FRH02&format={format_}")
        (row,) = answer.json() if format_ == "json" else list(csv.DictReader(io.StringIO(answer.text)))
        assert row["conf_status"] == "C"
        assert not any(row[name] for name in ("basis", "obs_flag", "estimate_ha", "n_parcels", "n_holdings"))


def test_counts_are_whole_numbers_where_others_are_hidden(api: httpx.Client) -> None:
    rows = list(csv.DictReader(io.StringIO(api.get("/statistics?format=csv").text)))
    assert [row["n_holdings"] for row in rows] == ["9", "9", "9", ""]


def test_answers_fit_their_models(api: httpx.Client) -> None:
    """What is sent is made without the models; it is what they describe."""
    for model, path in (
        (PublishedSeason, "/seasons"),
        (PublishedAgency, "/agencies"),
        (Statistic, "/statistics"),
        (Run, "/runs"),
        (StatisticRelease, "/releases"),
        (ReleasedStatistic, "/releases/bretagne/2018/1"),
    ):
        for row in api.get(path).json():
            assert list(row) == list(model.model_fields), path
            model.model_validate(row)
    page = api.get(ASSESSMENTS).json()
    AssessmentPage.model_validate(page)
    assert list(page["items"][0]) == list(Assessment.model_fields)
    Parcel.model_validate(api.get("/parcels/bretagne/2018/007?geometry=true").json())


def test_a_page_mark_of_another_season_is_refused(api: httpx.Client) -> None:
    for mark in (["no-such-run", 1.0, "y"], ["run-2", 0.4, "B/2"]):  # run-2 is of season 2019
        after = base64.urlsafe_b64encode(json.dumps(mark).encode()).decode()
        answer = api.get(f"{ASSESSMENTS}&after={after}")
        assert (answer.status_code, "after: " in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("mark", ["x", "e30=", "WzFd", "WyJydW4tMSIsMC40LCJhXHUwMDAwYiJd", "%C3%BC"])
def test_a_made_up_page_mark_is_refused(api: httpx.Client, mark: str) -> None:
    assert api.get(f"{ASSESSMENTS}&after={mark}").status_code == 400


def test_observations_that_the_store_lost_are_no_empty_series(own_desk: Desk) -> None:
    for name in own_desk.store.names("observations"):
        own_desk.store.remove(name)
    answer = own_desk.client.get("/parcels/bretagne/2018/007")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the store does not answer; try again later")
    assert own_desk.store.root not in answer.text


def test_without_a_store_a_parcel_has_no_series(desk: Desk) -> None:
    with running(create_app(ServingSettings(database_url=desk.database_url)), key=desk.key) as client:
        assert client.get("/parcels/bretagne/2018/007").json()["observations"] is None


def test_runs_show_what_failed(api: httpx.Client) -> None:
    runs = api.get("/runs").json()
    assert [(run["run_id"], run["season"], run["status"]) for run in runs] == [
        ("run-2", 2019, "failed"),
        ("run-1", 2018, "published"),
    ]
    assert (runs[0]["detail"], runs[0]["as_of"]) == ("30UVU: unreadable", "2019-06-30")
    assert [run["run_id"] for run in api.get("/runs?season=2018&agency=bretagne&limit=1").json()] == ["run-1"]


def test_a_release_is_answered_as_it_left(api: httpx.Client) -> None:
    (one,) = api.get("/releases?agency=bretagne").json()
    assert (one["number"], one["stage"], one["run_id"]) == (1, "provisional", "run-1")
    rows = api.get("/releases/bretagne/2018/1").json()
    assert [(row["nuts_id"], row["crop"], row["estimate_ha"], row["conf_status"]) for row in rows] == [
        ("FRH0", "C1500", 30.5, None),
        ("FRH01", "C1110", 7.0, None),
        ("FRH01", "C1500", 20.25, None),
        ("FRH02", "C1500", None, "C"),
    ]
    table = list(csv.DictReader(io.StringIO(api.get("/releases/bretagne/2018/1?format=csv").text)))
    assert [row["estimate_ha"] for row in table] == ["30.5", "7.0", "20.25", ""]
    missing = api.get("/releases/bretagne/2018/2")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "bretagne 2018: there is no release 2. See /releases",
    )


def test_a_spreadsheet_runs_nothing_of_a_csv_answer() -> None:
    class Row(BaseModel):
        parcel_id: str
        crop: str | None
        probability: float

    text = to_csv(Row, [{"parcel_id": "=HYPERLINK(1)", "crop": None, "probability": -0.5, "other": "@SUM(1)"}])
    assert list(csv.reader(io.StringIO(text))) == [["parcel_id", "crop", "probability"], ["'=HYPERLINK(1)", "", "-0.5"]]
