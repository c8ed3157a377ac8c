"""Released crop areas as SDMX over HTTP, asked for by sdmx1 and pysdmx, against the files of `stats export`."""

from __future__ import annotations

import csv
import io
import math
from typing import Any, Final

import httpx
import pytest
import requests
import sdmx
from sdmx.format import Version
from sdmx.message import DataMessage, StructureMessage
from sdmx.source import Source

from cropmap.dissemination import vocabulary
from cropmap.dissemination.long_form import DIMENSIONS
from cropmap.dissemination.sdmx_structure import LISTS
from cropmap.results.dissemination import export_statistics
from cropmap.settings import Settings
from tests.dissemination.published import EXPECTED
from tests.serving.released_seasons import OTHER, OTHERS_REGION, Service

FLOW: Final = "bretagne:CROP_AREA(1.0)"
WHEAT: Final = ("C1110", "AR_THS_HA", "FRH0")
LATEST: Final = EXPECTED | {WHEAT: (302.0, "e", "")}
"""2018 as it was released last"""
Figures = dict[tuple[str, str, str, str], tuple[float | None, str, str]]


def client_of(service: Service, *, version: str = "2.1", key: str = "public") -> sdmx.Client:
    """sdmx1 with this service among its sources; the key goes in a header of its session."""
    names: dict[str, Any] = {"id": "bretagne", "name": "bretagne", "url": f"{service.url}/sdmx/{version}"}
    session = requests.Session()
    session.trust_env = False
    session.headers["X-API-Key"] = service.keys[key]
    sdmx.source.sources["bretagne"] = Source(**names, versions={Version[version]})
    return sdmx.Client("bretagne", session=session)


def of_message(message: Any) -> Figures:
    """What sdmx1 has read: series or observations alone."""
    assert isinstance(message, DataMessage)
    found: Figures = {}
    for data_set in message.data:
        for one in data_set.obs:
            codes = [str(one.key[name].value) for name in DIMENSIONS]
            texts = {name: str(attribute.value) for name, attribute in one.attached_attribute.items()}
            value = None if one.value in (None, "") else float(str(one.value))
            key = (codes[1], codes[2], codes[3], codes[4])
            found[key] = (value, texts.get("OBS_FLAG", ""), texts.get("CONF_STATUS", ""))
    return found


def of_csv(answer: httpx.Response) -> Figures:
    rows = csv.DictReader(io.StringIO(answer.text))
    return {
        (row["crops"], row["strucpro"], row["geo"], row["TIME_PERIOD"]): (
            float(row["OBS_VALUE"]) if row["OBS_VALUE"] else None,
            row["OBS_FLAG"],
            row["CONF_STATUS"],
        )
        for row in rows
    }


def in_2018(figures: Figures) -> dict[tuple[str, str, str], tuple[float | None, str, str]]:
    return {key[:3]: value for key, value in figures.items() if key[3] == "2018"}


@pytest.mark.parametrize("key", ["public", "statistician", "controller"])
def test_sdmx1_reads_structure_and_data_of_2_1(service: Service, key: str) -> None:
    client = client_of(service, key=key)
    message = client.dataflow("CROP_AREA")
    assert isinstance(message, StructureMessage)
    structure = message.structure["CROP_AREA"]
    assert [one.id for one in structure.dimensions.components] == list(DIMENSIONS)
    assert set(message.codelist) == set(LISTS.values())
    assert set(message.codelist["CL_CROPS"].items) == set(vocabulary.crop_items())
    figures = of_message(client.data("CROP_AREA", key="all"))
    assert in_2018(figures) == LATEST
    assert figures["C1110", "AR_THS_HA", "FRH0", "2017"] == (290.0, "e", "")
    assert len(figures) == len(LATEST) + 2


def test_sdmx1_asks_for_a_key_with_a_structure(service: Service) -> None:
    """It then accepts structure-specific data alone."""
    client = client_of(service)
    structure = client.datastructure("CROP_AREA").structure["CROP_AREA"]
    message = client.data("CROP_AREA", key={"crops": ["C1110"], "geo": ["FRH0", "FRH02"]}, dsd=structure)
    assert "structurespecificdata" in message.response.headers["content-type"]
    assert in_2018(of_message(message)) == {WHEAT: (302.0, "e", ""), ("C1110", "AR_THS_HA", "FRH02"): (None, "", "C")}


@pytest.mark.parametrize(
    ("key", "params", "years"),
    [
        ("A.C1110.AR_THS_HA.FRH0", {}, ["2017", "2018"]),
        ("A..AR_THS_HA.FRH0", {"startPeriod": "2018"}, ["2018"]),
        ("A.C1110+C1500.AR_THS_HA.FRH0", {"endPeriod": "2017-12-31"}, ["2017"]),
        ("A.C1110.AR_THS_HA.FRH0", {"lastNObservations": 1}, ["2018"]),
        ("A.C1110.AR_THS_HA.FRH0", {"firstNObservations": 1}, ["2017"]),
    ],
)
def test_sdmx1_asks_for_keys_and_periods(service: Service, key: str, params: dict[str, Any], years: list[str]) -> None:
    found = of_message(client_of(service).data("CROP_AREA", key=key, params=params))
    assert sorted(found) == [(*WHEAT, year) for year in years]


def test_sdmx1_lists_series(service: Service) -> None:
    keys_ = client_of(service).series_keys("CROP_AREA", use_cache=False)
    assert {tuple(str(one[name].value) for name in ("crops", "strucpro", "geo")) for one in keys_} == set(LATEST)


def test_sdmx1_reads_a_code_list(service: Service) -> None:
    message = client_of(service).codelist("CL_STRUCPRO", params={"references": "none"})
    assert list(message.codelist) == ["CL_STRUCPRO"]
    assert message.codelist["CL_STRUCPRO"].maintainer.id == "bretagne"


def test_sdmx1_reads_structure_and_data_of_3_0(service: Service) -> None:
    client = client_of(service, version="3.0")
    assert list(client.dataflow("CROP_AREA").dataflow) == ["CROP_AREA"]
    found = of_message(client.data("CROP_AREA", key="A.C1110.AR_THS_HA.*"))
    assert in_2018(found) == {key: value for key, value in LATEST.items() if key[0] == "C1110"}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("c[TIME_PERIOD]=ge:2018", {("FRH0", "2018"), ("FRH01", "2018"), ("FRH02", "2018")}),
        ("c[TIME_PERIOD]=ge:2017%2Ble:2017", {("FRH0", "2017"), ("FRH01", "2017")}),
        ("c[TIME_PERIOD]=ge:2017+lt:2018", {("FRH0", "2017"), ("FRH01", "2017")}),
        ("c[geo]=FRH02", {("FRH02", "2018")}),
        ("c[geo]=FRH02,FRH0&c[TIME_PERIOD]=2018", {("FRH02", "2018"), ("FRH0", "2018")}),
        ("c[geo]=ne:FRH0&c[TIME_PERIOD]=gt:2017", {("FRH01", "2018"), ("FRH02", "2018")}),
        ("c[geo]=sw:FRH0%2Bnc:1&lastNObservations=1", {("FRH0", "2018"), ("FRH02", "2018")}),
    ],
)
def test_conditions_of_3_0(service: Service, condition: str, found: set[tuple[str, str]]) -> None:
    answer = service.get(f"/sdmx/3.0/data/*/bretagne/CROP_AREA/+/A.C1110..?{condition}", "text/csv")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.sdmx.data+csv;version=2.0.0"
    assert {(key[2], key[3]) for key in of_csv(answer)} == found


@pytest.mark.parametrize(
    ("media_type", "format_"),
    [
        ("genericdata+xml;version=2.1", "sdmx-ml"),
        ("structurespecificdata+xml;version=2.1", "sdmx-ml-structured"),
        ("data+csv;version=1.0.0", "sdmx-csv"),
        ("data+csv;version=2.0.0", "sdmx-csv-2"),
        ("data+json;version=1.0.0", "sdmx-json"),
        ("data+json;version=2.0.0", "sdmx-json-2"),
    ],
)
@pytest.mark.parametrize("release", [1, 2])
def test_an_answer_is_the_file_of_stats_export(service: Service, media_type: str, format_: str, release: int) -> None:
    at = "2018-11-07" if release == 1 else "2019-01-01T00:00:00Z"
    path = f"/sdmx/2.1/data/CROP_AREA/all?startPeriod=2018&asOf={at}"
    answer = service.get(path, f"application/vnd.sdmx.{media_type}")
    assert answer.headers["content-type"] == f"application/vnd.sdmx.{media_type}"
    settings = Settings(database_url=service.database_url)
    file = export_statistics(
        settings, agency="bretagne", season=2018, nuts=None, format_=format_, dataflow=FLOW, release=release
    )
    assert answer.content == file.data


def test_as_of_answers_the_release_of_a_moment(service: Service) -> None:
    def wheat(at: str) -> float | None:
        path = f"/sdmx/2.1/data/CROP_AREA/A.C1110.AR_THS_HA.FRH0?startPeriod=2018&asOf={at}"
        return of_csv(service.get(path, "text/csv"))[*WHEAT, "2018"][0]

    assert wheat("2018-11-07T09:30:00Z") == 301.59
    assert wheat("2018-12-20") == 302.0, "a day is meant with its end"
    early = service.get("/sdmx/2.1/data/CROP_AREA/all?asOf=2010-01-01")
    assert (early.status_code, "nothing was released then" in early.json()["detail"]) == (404, True)


def test_observations_without_series(service: Service) -> None:
    for kind in ("genericdata", "structurespecificdata"):
        answer = service.get(
            "/sdmx/2.1/data/CROP_AREA/all?startPeriod=2018&dimensionAtObservation=AllDimensions",
            f"application/vnd.sdmx.{kind}+xml;version=2.1",
        )
        structure = client_of(service).datastructure("CROP_AREA").structure["CROP_AREA"]
        message = sdmx.read_sdmx(io.BytesIO(answer.content), structure=structure)
        assert in_2018(of_message(message)) == LATEST


def test_figures_without_attributes(service: Service) -> None:
    answer = service.get("/sdmx/2.1/data/CROP_AREA/A.C1110.AR_THS_HA.FRH0?detail=dataonly")
    assert b"OBS_FLAG" not in answer.content
    assert b'"302.00000"' in answer.content


@pytest.mark.parametrize(
    ("path", "accept", "status", "said"),
    [
        ("/sdmx/2.1/data/NOTHING/all", "*/*", 404, "there is no such dataflow. See /sdmx/2.1/dataflow/all/all/latest"),
        ("/sdmx/2.1/dataflow/bretagne/NOTHING/latest", "*/*", 404, "Known: CROP_AREA"),
        ("/sdmx/2.1/codelist/bretagne/CL_NOTHING/latest", "*/*", 404, "Known: CL_FREQ"),
        ("/sdmx/2.1/dataflow/bretagne/CROP_AREA/7.0", "*/*", 404, "there is no such dataflow"),
        ("/sdmx/2.1/categoryscheme/all/all/latest", "*/*", 404, "Known: dataflow, codelist"),
        ("/sdmx/2.1/data/CROP_AREA/A.C9999..", "*/*", 404, "no figure is released for this selection"),
        ("/sdmx/2.1/data/CROP_AREA/all/eurostat", "*/*", 404, "there is no such dataflow"),
        ("/sdmx/2.1/data/CROP_AREA/A.C1110", "*/*", 400, "has 2 dimensions, and the dataflow has 4"),
        ("/sdmx/2.1/data/CROP_AREA/A.C1110...2018", "*/*", 400, "Write freq.crops.strucpro.geo"),
        ("/sdmx/2.1/data/CROP_AREA/all?startPeriod=soon", "*/*", 400, "'soon' is no period. Write a year"),
        ("/sdmx/2.1/data/CROP_AREA/all?asOf=soon", "*/*", 400, "'soon' is no moment"),
        ("/sdmx/2.1/data/CROP_AREA/all?updatedAfter=2018", "*/*", 400, "no such parameter"),
        ("/sdmx/2.1/data/CROP_AREA/all?detail=nodata", "text/csv", 400, "Ask for SDMX-ML"),
        ("/sdmx/3.0/data/*/bretagne/CROP_AREA/+/*?c[geo]=like:FR", "*/*", 400, "'like' is no operator. Known are: eq"),
        ("/sdmx/3.0/data/*/bretagne/CROP_AREA/+/*?c[unit]=HA", "*/*", 400, "no such parameter"),
        ("/sdmx/2.1/data/CROP_AREA/all", "image/png", 406, "Offered are: application/vnd.sdmx.genericdata+xml"),
        ("/sdmx/2.1/data/CROP_AREA/all", "application/vnd.sdmx.data+csv;version=9", 406, "version=1.0.0"),
        ("/sdmx/2.1/dataflow/all/all/latest", "application/json", 406, "structure+xml;version=2.1"),
    ],
)
def test_a_wrong_request_is_told_how_to_mend_it(
    service: Service, path: str, accept: str, status: int, said: str
) -> None:
    answer = service.get(path, accept)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("references", "kinds"),
    [
        ("none", {"Dataflow"}),
        ("children", {"Dataflow", "DataStructure"}),
        ("descendants", {"Dataflow", "DataStructure", "ConceptScheme", "Codelist"}),
        ("all", {"Dataflow", "DataStructure", "ConceptScheme", "Codelist"}),
        ("codelist", {"Dataflow", "Codelist"}),
    ],
)
def test_references_say_what_comes_along(service: Service, references: str, kinds: set[str]) -> None:
    for path in ("/sdmx/2.1/dataflow/bretagne/CROP_AREA/latest", "/sdmx/3.0/structure/dataflow/bretagne/CROP_AREA/+"):
        text = service.get(f"{path}?references={references}").text
        assert {
            kind for kind in ("Dataflow", "DataStructure", "ConceptScheme", "Codelist") if f"str:{kind} " in text
        } == kinds


def test_a_structure_is_answered_with_its_dataflow(service: Service) -> None:
    text = service.get("/sdmx/2.1/datastructure/bretagne/CROP_AREA/latest?references=parents").text
    assert "<str:Dataflow " in text
    assert "<str:Codelist " not in text


def test_another_agency_is_not_told(service: Service) -> None:
    paths = [
        "/sdmx/2.1/data/{},CROP_AREA/all",
        "/sdmx/2.1/data/{},CROP_AREA,1.0/all",
        "/sdmx/2.1/data/CROP_AREA/all/{}",
        "/sdmx/2.1/dataflow/{}/CROP_AREA/latest",
        "/sdmx/2.1/datastructure/{}/CROP_AREA/latest?references=all",
        "/sdmx/2.1/codelist/{}/CL_CROPS/latest",
        "/sdmx/3.0/data/*/{}/CROP_AREA/+/*",
        "/sdmx/3.0/structure/dataflow/{}/CROP_AREA/+",
        "/statistics/1.0/data/{},CROP_AREA",
    ]
    for path in paths:
        others, nobodys = service.get(path.format(OTHER)), service.get(path.format("nowhere"))
        assert (others.status_code, nobodys.status_code) == (404, 404), path
        assert others.text.replace(OTHER, "nowhere") == nobodys.text
        assert service.get(path.format(OTHER), key="everything").status_code == 200, path
    everything = [
        "/sdmx/2.1/data/CROP_AREA/all",
        "/sdmx/2.1/data/all,CROP_AREA/all",
        f"/sdmx/2.1/data/CROP_AREA/...FRH0+{OTHERS_REGION}",
        "/sdmx/2.1/dataflow/all/all/latest?references=all",
        "/sdmx/3.0/data/*/*/CROP_AREA/+/*",
        "/sdmx/3.0/structure/codelist",
        "/statistics/1.0/data/CROP_AREA",
    ]
    for path in everything:
        answer = service.get(path)
        assert answer.status_code == 200, path
        assert OTHER not in answer.text
        assert OTHERS_REGION not in answer.text


def test_a_key_of_every_agency_names_one(service: Service) -> None:
    answer = service.get("/sdmx/2.1/data/CROP_AREA/all", key="everything")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("*:CROP_AREA: bayern, bretagne have it. Name one agency")
    message = sdmx.read_sdmx(io.BytesIO(service.get("/sdmx/2.1/dataflow", key="everything").content))
    assert isinstance(message, StructureMessage)
    assert set(message.dataflow) == {"bayern:CROP_AREA", "bretagne:CROP_AREA"}
    found = of_csv(service.get(f"/sdmx/2.1/data/{OTHER},CROP_AREA/all", "text/csv", key="everything"))
    assert found == {("C1110", "AR_THS_HA", OTHERS_REGION, "2018"): (99.999, "e", "")}


def test_an_operator_is_refused(service: Service) -> None:
    for path in ("/sdmx/2.1/data/CROP_AREA/all", "/sdmx/2.1/dataflow", "/statistics/1.0/data/CROP_AREA"):
        assert service.get(path, key="operator").status_code == 403


def test_no_figure_is_not_a_number(service: Service) -> None:
    found = of_csv(service.get("/sdmx/2.1/data/CROP_AREA/all", "text/csv"))
    assert all(value is None or math.isfinite(value) for value, _, _ in found.values())
