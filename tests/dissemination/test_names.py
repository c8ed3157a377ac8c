"""Names of codes in the languages of an agency: its file, and what formats and structures say."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sdmx
from jsonstat_validator import validate_jsonstat
from sdmx.message import StructureMessage

from cropmap.dissemination import json_stat, sdmx_json, sdmx_structure
from cropmap.dissemination.long_form import long_form
from cropmap.dissemination.names import CodeName, Names, code_lists, named_lists, read_names, untranslated
from cropmap.errors import ConfigurationError
from tests.dissemination.published import published

LANGUAGES = ["fr", "br"]
FLOW = "bretagne:CROP_AREA(1.0)"
PUBLISHED_AT = datetime(2018, 11, 7, tzinfo=UTC)
ROWS = [
    CodeName("concept", "CROP_AREA", "fr", "Superficies des cultures"),
    CodeName("concept", "geo", "fr", "Région NUTS"),
    CodeName("crops", "C1110", "br", "Gwinizh tener"),
    CodeName("crops", "C1110", "fr", "Blé tendre & épeautre"),
    CodeName("CONF_STATUS", "C", "fr", "confidentiel"),
    CodeName("OBS_FLAG", "e", "fr", "estimé"),
    CodeName("geo", "FRH0", "br", "Breizh"),
    CodeName("geo", "FRH0", "en", "Brittany"),
]
NAMES = Names.of(ROWS, regions=["FRH0", "FRH01", "FRH02"])
HEAD = "list,code,language,name\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "names.csv"


def test_a_file_names_codes_of_every_list(path: Path) -> None:
    path.write_text(
        "Language;list;code;name;english\nfr;crops;C1110; Blé  tendre ;Common wheat\nbr;geo;FRH0;Breizh;\n"
        "fr;crops;C1120;;Durum wheat\nfr;BASIS;register;registre;\nfr;concept;TIME_PERIOD;Campagne;\n"
    )
    assert read_names(path, languages=LANGUAGES) == [
        CodeName("BASIS", "register", "fr", "registre"),
        CodeName("concept", "TIME_PERIOD", "fr", "Campagne"),
        CodeName("crops", "C1110", "fr", "Blé tendre"),
        CodeName("geo", "FRH0", "br", "Breizh"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,language,name\nC1110,fr,Blé\n", r"missing columns list\. Needed: list, code, language, name"),
        (
            f"{HEAD}crops,C1110,fr,Blé\ncrops,C1110,de,Weizen\n",
            r"line 3: 'de' is no language of the agency\. languages: fr, br",
        ),
        (f"{HEAD}crop,C1110,fr,Blé\n", r"line 2: 'crop' is no list\. Lists: concept, freq, crops, .*geo"),
        (f"{HEAD}crops,C1111x,fr,Blé\n", r"line 2: 'C1111x' is no code of crops\. Near codes: C1111"),
        (f"{HEAD}geo,Brest,fr,Brest\n", r"line 2: .*'Brest'"),
        (f"{HEAD}crops,C1110,fr,Blé\ncrops,C1110,fr,Froment\n", r"line 3: crops C1110 has two names in fr"),
        (f"{HEAD}crops,C1110,fr,{'b' * 501}\n", r"line 2: the name has 501 characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_names(path, languages=LANGUAGES)
    assert (str(caught.value).count("\n"), caught.value.where) == (0, str(path))


def test_a_file_that_is_not_there_is_said(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"names\.csv"):
        read_names(path, languages=LANGUAGES)


def test_a_name_that_is_missing_is_the_english_one() -> None:
    assert NAMES.languages == ("en", "br", "fr")
    assert NAMES.best("crops", "C1110", "Common wheat", language="br") == "Gwinizh tener"
    assert NAMES.best("crops", "C1120", "Durum wheat", language="br") == "Durum wheat"
    assert NAMES.best("geo", "FRH0", "FRH0", language="fr") == "Brittany"
    assert NAMES.every("geo", "FRH0", "FRH0") == {"en": "Brittany", "br": "Breizh"}


def test_what_is_to_be_translated_can_be_filled_in_and_read(path: Path) -> None:
    rows = list(untranslated([row for row in ROWS if row.language != "en"], languages=LANGUAGES))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["list", "code", "language", "name", "english"])
        writer.writerows((*row, english) for row, english in rows)
    assert read_names(path, languages=LANGUAGES) == sorted(row for row in ROWS if row.language != "en")
    assert len(rows) == 2 * sum(map(len, named_lists().values())) + 1
    assert (CodeName("crops", "C1110", "br", "Gwinizh tener"), code_lists()["crops"]["C1110"]) in rows


def structures(names: Names | None) -> StructureMessage:
    known = None if names is None else {FLOW: names}
    data = sdmx_structure.write(dataflow=FLOW, label="Areas", prepared_at=PUBLISHED_AT, names=known)
    message = sdmx.read_sdmx(io.BytesIO(data))
    assert isinstance(message, StructureMessage)
    return message


def test_sdmx1_reads_every_language_of_a_structure() -> None:
    message = structures(NAMES)
    crops, regions = message.codelist["CL_CROPS"], message.codelist["CL_GEO"]
    english = code_lists()["crops"]["C1110"]
    assert crops["C1110"].name.localizations == {
        "en": english, "fr": "Blé tendre & épeautre", "br": "Gwinizh tener"
    }  # fmt: skip
    assert crops["C1120"].name.localizations == {"en": code_lists()["crops"]["C1120"]}
    assert regions["FRH0"].name.localizations == {"en": "Brittany", "br": "Breizh"}
    assert regions["FRH01"].name.localizations == {"en": "FRH01"}
    assert regions.name.localizations == {"en": "NUTS region", "fr": "Région NUTS"}
    assert message.concept_scheme["CS_CROP_AREA"]["geo"].name.localizations["fr"] == "Région NUTS"
    for one in (message.dataflow["CROP_AREA"], message.structure["CROP_AREA"]):
        assert one.name.localizations == {"en": "Areas", "fr": "Superficies des cultures"}
    geo = message.structure["CROP_AREA"].dimensions.get("geo")
    assert geo.local_representation.enumerated.id == "CL_GEO"


def test_a_structure_without_regions_has_them_as_text() -> None:
    message = structures(None)
    assert "CL_GEO" not in message.codelist
    assert message.structure["CROP_AREA"].dimensions.get("geo").local_representation.enumerated is None


def described(language: str) -> dict[str, Any]:
    table = long_form(published(), nuts_version=2024).table
    about: dict[str, Any] = {"names": NAMES, "language": language, "decimals": 5}
    data = json_stat.write(table, label="Areas", source="bretagne", updated=None, **about)
    found: dict[str, Any] = json.loads(data)
    assert validate_jsonstat(found)
    return found


@pytest.mark.parametrize(
    ("language", "wheat", "brittany", "region", "hidden"),
    [
        ("fr", "Blé tendre & épeautre", "Brittany", "Région NUTS", "confidentiel"),
        ("br", "Gwinizh tener", "Breizh", "Geopolitical entity (reporting)", "confidential"),
        ("en", code_lists()["crops"]["C1110"], "Brittany", "Geopolitical entity (reporting)", "confidential"),
    ],
)
def test_json_stat_speaks_one_language(language: str, wheat: str, brittany: str, region: str, hidden: str) -> None:
    found = described(language)
    assert found["dimension"]["crops"]["category"]["label"]["C1110"] == wheat
    assert found["dimension"]["geo"]["category"]["label"]["FRH0"] == brittany
    assert found["dimension"]["geo"]["label"] == region
    assert found["extension"]["status"]["label"]["C"].startswith(hidden)
    assert found["value"] == described("en")["value"]


@pytest.mark.parametrize("version", ["1.0", "2.0.0"])
def test_sdmx_json_has_the_best_name_and_every_one(version: sdmx_json.Version) -> None:
    table = long_form(published(), nuts_version=2024).table
    about: dict[str, Any] = {"version": version, "dataflow": FLOW, "prepared_at": PUBLISHED_AT, "decimals": 5}
    message = json.loads(sdmx_json.write(table, names=NAMES, language="br", **about))
    plain = json.loads(sdmx_json.write(table, **about))
    structure = message["data"]["structure"] if version == "1.0" else message["data"]["structures"][0]
    assert structure["name"] == "Crop areas by NUTS region"
    assert structure["names"] == {"en": "Crop areas by NUTS region", "fr": "Superficies des cultures"}
    by_id = {one["id"]: one for one in structure["dimensions"]["series"]}
    (wheat,) = (value for value in by_id["crops"]["values"] if value["id"] == "C1110")
    assert wheat["name"] == "Gwinizh tener"
    assert list(wheat["names"]) == ["en", "br", "fr"]
    assert "names" not in next(value for value in by_id["crops"]["values"] if value["id"] != "C1110")
    assert message["data"]["dataSets"] == plain["data"]["dataSets"]
    assert '"names"' not in json.dumps(plain)
    if version != "1.0":
        assert message["meta"]["contentLanguages"] == ["en", "br", "fr"]
