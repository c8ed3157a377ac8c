"""Holdings that name nobody are missing; those that name somebody stay."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cropmap.agency import Agency
from cropmap.sources.declarations.identifiers import is_rounded, placeholders, stands_for_nothing
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import read_declarations
from tests.data.make_sources_declarations import make_frame, make_legend, square


@pytest.mark.parametrize(
    "text",
    [
        "NULL",
        "null",
        "(null)",
        "None",
        "0",
        "000000",
        "0.0",
        "-",
        "--",
        "n/a",
        "N/A",
        "unknown",
        "XXXX",
        "xxx",
        "?",
        "...",
        "'NULL'",
        "999999999",
        "Unbekannt",
        "keine Angabe",
        "INCONNU",
        "Non renseigné",
        "desconocido",
        "Okänd",
        "sconosciuto",
        "Neznámý",
        "neuvedené",
        "nežinomas",
        "Ismeretlen",
        "Άγνωστο",
        "неизвестен",
        "brak danych",
        "nezināms",
        "-1",
        "-9999",
        "(blank)",
        "nicht zugeordnet",
        "niet bekend",
        "non communiqué",
        "sin NIF",
        "não identificado",
        "non assegnato",
        "ikke oplyst",
        "uppgift saknas",
        "ei tietoa",
        "ei määratud",
        "nav datu",
        "nėra duomenų",
        "nie dotyczy",
        "nepřiděleno",
        "bez IČO",
        "ni podatka",
        "nema podataka",
        "nincs adat",
        "fără date",
        "няма данни",
        "δεν υπάρχει",
        "gan ainm",
        "mhux magħruf",
    ],
)
def test_words_that_name_nobody(text: str) -> None:
    assert stands_for_nothing(text)


@pytest.mark.parametrize("text", ["1", "H0", "0001", "X1", "100", "99", "DE-07", "FR000", "Nullmeier", "A-0"])
def test_names_stay(text: str) -> None:
    assert not stands_for_nothing(text)


def test_one_holding_on_much_of_the_file_is_taken_for_a_placeholder() -> None:
    many = pd.Series(["ESTATE"] * 30 + [f"H{i}" for i in range(30)])
    why = placeholders(many, max_share=0.25)
    assert why.notna().sum() == 30
    assert why.iloc[0] == "'ESTATE' stands on 30 of 60 rows: taken for a placeholder"
    assert placeholders(many).isna().all(), "an agency may say that it is one"
    few = pd.Series(["H1"] * 10 + ["H2"] * 9)
    assert placeholders(few, max_share=0.25).isna().all(), "a pilot area may have two holdings"
    assert placeholders(many, also=["h7"])[37] == "'H7' names nobody"


def test_placeholders_are_missing_and_counted(tmp_path: Path) -> None:
    farms = ["NULL", "H1", None, "Fiktiv", "0"]
    make_frame([(f"P{i}", "056", farm, square(i)) for i, farm in enumerate(farms)], "id", "code", "farm").to_file(
        tmp_path / "d.gpkg"
    )
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code", "holding_id": "farm"}, no_holding=["fiktiv"])
    found = read_declarations(tmp_path / "d.gpkg", legend=make_legend("056"), profile=profile)
    assert found.accepted["holding_id"].tolist() == [None, "H1", None, None, None]
    assert found.notices[["row_number", "notice", "detail"]].to_numpy().tolist() == [
        [1, "PLACEHOLDER_HOLDING", "'NULL' names nobody"],
        [4, "PLACEHOLDER_HOLDING", "'Fiktiv' names nobody"],
        [5, "PLACEHOLDER_HOLDING", "'0' names nobody"],
    ]


@pytest.mark.shared_data
def test_the_reported_file(shared_data: Path) -> None:
    folder = shared_data / "cases/input/39-placeholder-holdings"
    agency = Agency.read(folder / "agency.yaml")
    found = read_declarations(folder / "fields.gpkg", legend=agency.read_legend(), profile=agency.read_profile())
    assert found.accepted["holding_id"].notna().sum() == 10
    assert found.notices["notice"].value_counts().to_dict() == {"PLACEHOLDER_HOLDING": 50}


ROUNDED = ["1,23E+11", "1.23E+11", "1E+12", "2.76E+011", "1.2345678901234568e+17", "'1,23E+11"]


@pytest.mark.parametrize("text", ROUNDED)
def test_what_a_spreadsheet_leaves_of_a_long_number_names_nobody(text: str) -> None:
    assert is_rounded(text)
    assert "is a rounded number" in placeholders(pd.Series([text, "276091234567"]))[0]


@pytest.mark.parametrize("text", ["3E10", "123E", "E+10", "12E+10", "123", "DE1E+10", "1,23"])
def test_identifiers_with_an_e_stay(text: str) -> None:
    assert not is_rounded(text)


def test_parcels_that_a_spreadsheet_gave_one_number_are_not_one_parcel(tmp_path: Path) -> None:
    rows = [("1,23E+11", "056"), ("1,23E+11", "056"), ("123456789012", "056")]
    make_frame([(*row, square(i)) for i, row in enumerate(rows)], "id", "code").to_file(tmp_path / "d.gpkg")
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"})
    found = read_declarations(tmp_path / "d.gpkg", legend=make_legend("056"), profile=profile)
    assert found.accepted["area_ha"].tolist() == pytest.approx([1.0])
    assert found.rejected[["row_number", "reason", "detail"]].to_numpy().tolist() == [
        [row, "MISSING_PARCEL_ID", "'1,23E+11' is a rounded number: export identifiers as text"] for row in (1, 2)
    ]


def test_long_numbers_that_a_table_keeps_as_floating_point_are_rounded(tmp_path: Path) -> None:
    outlines = [square(0).wkb, square(1).wkb]
    table = pa.table({"id": [123456789012345670.0, 123456789012345671.0], "code": ["056", "056"], "geometry": outlines})
    pq.write_table(table, tmp_path / "d.parquet")
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, crs="EPSG:3035")
    found = read_declarations(tmp_path / "d.parquet", legend=make_legend("056"), profile=profile)
    assert found.rejected["reason"].tolist() == ["MISSING_PARCEL_ID"] * 2
