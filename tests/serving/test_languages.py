"""Names in the languages of an agency over HTTP: read by sdmx1, pysdmx and pyjstat, and which one a request gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from pyjstat import pyjstat
from pysdmx.io import read_sdmx

from cropmap.database import keys
from cropmap.database.code_lists import store_names, store_regions
from cropmap.database.connection import connect
from cropmap.dissemination.names import CodeName, code_lists
from cropmap.schemas import AccessRole
from serving.app import create_app
from serving.languages import best_language
from serving.settings import ServingSettings
from tests.database.seasons import regions
from tests.database_fixtures import _fresh as fresh_database
from tests.serving import released_seasons
from tests.serving.conftest import running
from tests.serving.released_seasons import OTHER, Service
from tests.serving.test_sdmx import client_of

JSON_STAT: Final = "/statistics/1.0/data/CROP_AREA"
DATA: Final = "/sdmx/2.1/data/bretagne,CROP_AREA/A.C1110.AR_THS_HA.FRH01"
WHEAT: Final = code_lists()["crops"]["C1110"]
NAMES: Final = [
    CodeName("crops", "C1110", "fr", "Blé tendre"),
    CodeName("crops", "C1110", "br", "Gwinizh"),
    CodeName("geo", "FRH0", "br", "Breizh"),
    CodeName("concept", "crops", "fr", "Culture"),
]


@pytest.fixture(scope="module")
def named(cluster_url: str) -> Iterator[Service]:
    """The releases of two agencies, of which one has names in French, from its boundaries too, and in Breton."""
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            released_seasons.fill(connection)
            store_regions(connection, agency="bretagne", season=2018, regions=regions(), language="fr")
            store_names(connection, agency="bretagne", names=NAMES)
            store_names(connection, agency=OTHER, names=[CodeName("crops", "C1110", "de", "Weichweizen")])
            made = {role.value: keys.create_key(connection, role, role=role, agency="bretagne") for role in AccessRole}
            made["everything"] = keys.create_key(connection, "all", role=AccessRole.STATISTICIAN, agency=None)
        with running(create_app(ServingSettings(database_url=database_url))) as client:
            yield Service(str(client.base_url).rstrip("/"), database_url, made)


def ask(service: Service, path: str, language: str | None, accept: str = "*/*", key: str = "public") -> httpx.Response:
    headers = {"X-API-Key": service.keys[key], "Accept": accept}
    if language is not None:
        headers["Accept-Language"] = language
    answer = httpx.get(f"{service.url}{path}", headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    ("accepted", "spoken"),
    [
        ("fr", "fr"),
        ("FR-be, en;q=.5", "fr"),
        ("br;q=0.3, fr;q=0.8", "fr"),
        ("br, fr", "br"),
        ("de, br;q=0.1", "br"),
        ("sr-Latn-RS", "sr-Latn"),
        ("sr", "en"),
        ("zh-Hant-x-fr", "en"),
        ("fr;q=0, de", "en"),
        ("*, fr;q=0.1", "en"),
        ("en-GB, fr", "en"),
        ("", "en"),
        (";;q=x,,", "en"),
        ("de," * 1000 + "fr", "en"),
    ],
)
def test_the_best_language_is_spoken(accepted: str, spoken: str) -> None:
    assert best_language(accepted, ["en", "br", "fr", "sr-Latn"]) == spoken


@pytest.mark.parametrize("key", ["public", "statistician", "controller"])
def test_sdmx1_reads_the_languages_of_the_agency(named: Service, key: str) -> None:
    message = client_of(named, key=key).dataflow("CROP_AREA")
    wheat = message.codelist["CL_CROPS"]["C1110"].name.localizations
    assert wheat == {"en": WHEAT, "fr": "Blé tendre", "br": "Gwinizh"}
    places = {code: one.name.localizations for code, one in message.codelist["CL_GEO"].items.items()}
    assert places == {
        "FRH0": {"en": "Bretagne", "fr": "Bretagne", "br": "Breizh"},
        "FRH01": {"en": "Cotes-d'Armor", "fr": "Côtes-d’Armor"},
        "FRH02": {"en": "FRH02", "fr": "FRH02"},
    }
    assert message.response.headers["content-language"] == "en, br, fr"


def test_sdmx1_reads_the_list_of_regions_alone(named: Service) -> None:
    message = client_of(named).codelist("CL_GEO", params={"references": "none"})
    assert set(message.codelist["CL_GEO"].items) == {"FRH0", "FRH01", "FRH02"}
    of_3_0 = client_of(named, version="3.0").codelist("CL_GEO", params={"references": "none"})
    assert set(of_3_0.codelist["CL_GEO"].items) == {"FRH0", "FRH01", "FRH02"}


@pytest.mark.parametrize("version", ["2.1/dataflow", "3.0/structure/dataflow"])
def test_pysdmx_reads_a_structure_with_several_languages(named: Service, version: str) -> None:
    path = f"/sdmx/{version}/bretagne/CROP_AREA/1.0?references=descendants"
    message = read_sdmx(ask(named, path, "fr").text, validate=True)
    lists = {one.id: {code.id: code.name for code in one.items} for one in message.get_codelists()}
    assert lists["CL_CROPS"]["C1110"] == WHEAT, "pysdmx keeps the first name alone"
    assert lists["CL_CROPS"]["C1120"] == code_lists()["crops"]["C1120"]
    assert set(lists["CL_GEO"]) == {"FRH0", "FRH01", "FRH02"}
    (structure,) = message.get_data_structure_definitions()
    assert structure.components["geo"].local_codes.id == "CL_GEO"


def test_each_agency_has_its_own_names(named: Service) -> None:
    both = client_of(named, key="everything")
    other = both.dataflow("CROP_AREA", agency_id=OTHER)
    assert other.codelist["CL_CROPS"]["C1110"].name.localizations == {"en": WHEAT, "de": "Weichweizen"}
    assert {code: str(one.name) for code, one in other.codelist["CL_GEO"].items.items()} == {"DE211": "DE211"}
    everything = ask(named, "/sdmx/2.1/codelist/all/CL_CROPS/latest", None, key="everything")
    assert everything.text.count("Weichweizen") == everything.text.count("Gwinizh") == 1
    own = ask(named, "/sdmx/2.1/codelist/all/CL_CROPS/latest", "de")
    assert "Weichweizen" not in own.text


@pytest.mark.filterwarnings("ignore:Shouldn't use this function:DeprecationWarning")  # pyjstat to itself
@pytest.mark.parametrize(
    ("asked", "language", "spoken", "wheat"),
    [
        ("", None, "en", WHEAT),
        ("", "fr-FR,fr;q=0.9,en;q=0.8", "fr", "Blé tendre"),
        ("", "de", "en", WHEAT),
        ("?lang=BR", "fr", "br", "Gwinizh"),
        ("?lang=EN", "fr", "en", WHEAT),
        ("?lang=xx", "fr", "en", WHEAT),
    ],
)
def test_json_stat_is_answered_in_the_best_language(
    named: Service, asked: str, language: str | None, spoken: str, wheat: str
) -> None:
    answer = ask(named, f"{JSON_STAT}{asked}", language)
    assert answer.headers["content-language"] == spoken
    assert "Accept-Language" in answer.headers["vary"]
    frame = pyjstat.Dataset.read(answer.text).write("dataframe")
    assert wheat in set(frame[{"fr": "Culture"}.get(spoken, "Crops")])
    assert answer.json()["value"] == ask(named, JSON_STAT, None).json()["value"]


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_sdmx_json_is_answered_in_the_best_language(named: Service, version: str) -> None:
    accept = f"application/vnd.sdmx.data+json;version={version}"
    answer = ask(named, DATA, "br", accept)
    assert (answer.headers["content-language"], "Accept-Language" in answer.headers["vary"]) == ("br", True)
    data = answer.json()["data"]
    series = (data.get("structure") or data["structures"][0])["dimensions"]["series"]
    values = {one["id"]: one["values"][0] for one in series}
    every = {"en": WHEAT, "br": "Gwinizh", "fr": "Blé tendre"}
    assert values["crops"] == {"id": "C1110", "name": "Gwinizh", "names": every}
    assert values["geo"]["name"] == "Cotes-d'Armor"
    assert "names" not in values["freq"]
    tags = {ask(named, DATA, language, accept).headers["etag"] for language in ("br", "fr", "en", "de")}
    assert len(tags) == 3, "an answer in another language is another answer"


def test_other_formats_speak_no_language(named: Service) -> None:
    answer = ask(named, DATA, "br", "application/vnd.sdmx.data+csv;version=2.0.0")
    assert "content-language" not in answer.headers
    assert "Gwinizh" not in answer.text


def test_names_are_told_to_those_who_read_statistics_alone(named: Service) -> None:
    headers = {"X-API-Key": named.keys["operator"]}
    path = f"{named.url}/sdmx/2.1/codelist/bretagne/CL_CROPS/latest"
    assert httpx.get(path, headers=headers, trust_env=False).status_code == 403


def test_an_agency_without_names_speaks_english(service: Service) -> None:
    answer = ask(service, JSON_STAT, "fr")
    assert answer.headers["content-language"] == "en"
    found: dict[str, Any] = json.loads(answer.text)
    assert found["dimension"]["crops"]["category"]["label"]["C1110"] == WHEAT
