"""Released crop areas as JSON-stat over HTTP, read by pyjstat and checked by jsonstat-validator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonstat_validator import validate_jsonstat
from pyjstat import pyjstat

from cropmap.results.dissemination import export_statistics
from cropmap.settings import Settings
from tests.dissemination.published import EXPECTED
from tests.serving.released_seasons import Service

PATH = "/statistics/1.0/data/CROP_AREA"
WHEAT = ("C1110", "AR_THS_HA", "FRH0")

pytestmark = pytest.mark.filterwarnings("ignore:Shouldn't use this function:DeprecationWarning")  # pyjstat to itself


def figures(text: str) -> dict[tuple[str, str, str, str], float]:
    frame = pyjstat.Dataset.read(text).write("dataframe", naming="id")
    rows = frame[frame["value"].notna()].to_dict("records")
    return {(row["crops"], row["strucpro"], row["geo"], row["time"]): row["value"] for row in rows}


def test_pyjstat_reads_the_latest_releases(service: Service) -> None:
    answer = service.get(PATH)
    assert answer.headers["content-type"] == "application/json"
    assert validate_jsonstat(answer.json())
    shown = {(*key, "2018"): value for key, (value, _, _) in EXPECTED.items() if value is not None}
    before = {(*WHEAT, "2017"): 290.0, ("C1110", "AR_THS_HA", "FRH01", "2017"): 1.5}
    assert figures(answer.text) == shown | {(*WHEAT, "2018"): 302.0} | before
    assert answer.json()["note"] == ["season 2017: release 1 (final)", "season 2018: release 2 (provisional)"]


def test_a_hidden_cell_has_its_status_alone(service: Service) -> None:
    document: dict[str, Any] = service.get(f"{PATH}?geo=FRH02&crops=C1110").json()
    assert (document["value"], document["status"]) == ({}, {"0": "C"})
    assert validate_jsonstat(document)


def test_an_answer_has_the_cube_of_the_file(service: Service) -> None:
    file = export_statistics(
        Settings(database_url=service.database_url),
        agency="bretagne",
        season=2018,
        nuts=None,
        format_="json-stat",
        release=1,
    )
    answered, written = service.get(f"{PATH}?time=2018&asOf=2018-11-08").json(), json.loads(file.data)
    for name in ("value", "status", "id", "size", "dimension", "role", "extension", "updated", "source", "label"):
        assert answered[name] == written[name], name


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("geo=FRH0&crops=C1110", {(*WHEAT, "2017"), (*WHEAT, "2018")}),
        ("geo=FRH0&crops=C1110&time=2017", {(*WHEAT, "2017")}),
        ("geo=FRH0&crops=C1110&lastTimePeriod=1", {(*WHEAT, "2018")}),
        ("geo=FRH0&crops=C1110&sinceTimePeriod=2018", {(*WHEAT, "2018")}),
        ("geoLevel=nuts2&crops=C1110&untilTimePeriod=2017&format=JSON&lang=EN", {(*WHEAT, "2017")}),
        (
            "geo=FRH0&geo=FRH01&crops=C1110&freq=A&strucpro=AR_THS_HA&time=2018",
            {(*WHEAT, "2018"), ("C1110", "AR_THS_HA", "FRH01", "2018")},
        ),
    ],
)
def test_dimensions_are_parameters(service: Service, query: str, found: set[tuple[str, str, str, str]]) -> None:
    assert set(figures(service.get(f"{PATH}?{query}").text)) == found


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("crop=C1110", 400, "Did you mean crops?"),
        ("geo=FR99", 404, "no figure is released for this selection"),
        ("format=TSV", 422, "query.format"),
        ("asOf=1999-01-01", 404, "nothing was released then"),
    ],
)
def test_a_wrong_request_is_told(service: Service, query: str, status: int, said: str) -> None:
    answer = service.get(f"{PATH}?{query}")
    assert answer.status_code == status
    assert said in answer.json()["detail"]
