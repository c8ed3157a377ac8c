"""`cropmap stats` on a published season: files that agree with each other, a comparison, one line where it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from cropmap.cli import run
from cropmap.dissemination import formats
from tests.dissemination.published import EXPECTED, write_agency

EUROSTAT = (
    "freq,crops,strucpro,geo\\TIME_PERIOD\t2017 \t2018 \n"
    "A,C1110,AR,FRH0\t297.66 \t297.15 \nA,C1110,AR,FRK2\t1.00 \t: \nA,G0000,MA,FRH0\t19.00 b\t20.00 p\n"
)


@pytest.fixture
def season(published_season: Path) -> Path:
    """A folder with Eurostat's file, beside a database with `published()`."""
    (published_season / "eurostat.tsv").write_text(EUROSTAT)
    return published_season


def _exported(out: Path, *arguments: str) -> pd.DataFrame:
    assert run(["stats", "export", "--season", "2018", "--out", str(out), *arguments]) == 0
    table = formats.read(out.read_bytes(), name=str(out)).table.astype({"OBS_VALUE": object})
    return table.set_index(["crops", "strucpro", "geo"])[["OBS_VALUE", "OBS_FLAG", "CONF_STATUS"]]


def test_every_format_leaves_with_the_same_figures(season: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = pd.DataFrame.from_dict(EXPECTED, orient="index", columns=["OBS_VALUE", "OBS_FLAG", "CONF_STATUS"])
    expected["OBS_FLAG"] = [  # the season is a simulation: every figure that is shown says so
        flag if status == "C" else flag.replace("n", "") + "d" + ("n" if "n" in flag else "")
        for flag, status in zip(expected["OBS_FLAG"], expected["CONF_STATUS"], strict=True)
    ]
    for format_ in ("tsv", "sdmx-csv", "sdmx-csv-2", "json-stat", "csv", "parquet"):
        found = _exported(season / "file", "--format", format_)
        assert found.where(found.notna(), None).to_dict("index") == expected.astype(object).where(
            expected.notna(), None
        ).to_dict("index")
    assert "left out: 2 NO_ITEM_OF_ITS_OWN (C1500+G3000, local:other)" in capsys.readouterr().err
    assert run(["stats", "export", "--season", "2018", "--format", "xlsx", "--out", "book.xlsx"]) == 0
    assert (season / "book.xlsx").read_bytes().startswith(b"PK")
    # a region, a level, an agency by its file
    assert set(_exported(season / "file", "--nuts", "FRH01", "--format", "tsv").index.get_level_values("geo")) == {
        "FRH01"
    }
    write_agency(season / "agency.yaml")
    by_file = _exported(season / "file", "agency.yaml", "--level", "2", "--format", "tsv")
    assert set(by_file.index.get_level_values("geo")) == {"FRH0"}


def test_names_are_filled_in_and_written_again(season: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_agency(season / "agency.yaml")
    assert run(["stats", "names", "agency.yaml"]) == 2
    assert "the agency names no language beside English. Set languages: [fr]" in capsys.readouterr().err
    with (season / "agency.yaml").open("a") as file:
        file.write("languages: [fr]\n")
    assert run(["stats", "names", "agency.yaml", "--csv", "semicolon", "--out", "names.csv"]) == 0
    filled = pd.read_csv(season / "names.csv", sep=";", dtype=str, keep_default_na=False)
    assert list(filled.columns) == ["list", "code", "language", "name", "english"]
    assert set(filled["name"]) == {""}
    filled.loc[filled["code"] == "C1110", "name"] = "Blé tendre"
    filled.to_csv(season / "names.csv", sep=";", index=False, encoding="cp1252")
    with (season / "agency.yaml").open("a") as file:
        file.write("names: names.csv\n")
    assert run(["stats", "names", "agency.yaml", "--out", "names.csv"]) == 0
    again = pd.read_csv(season / "names.csv", dtype=str, keep_default_na=False)
    assert again[again["name"] != ""].to_dict("records") == [
        {"list": "crops", "code": "C1110", "language": "fr", "name": "Blé tendre", "english": "Common wheat and spelt"}
    ]


def test_areas_are_held_against_eurostats_file(season: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare = ["stats", "compare", "--eurostat", "eurostat.tsv"]
    assert run([*compare, "--season", "2018", "--figure", "picture.png", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["compared"], answer["outliers"]) == (2, 1)
    fodder, wheat = answer["rows"]
    assert (fodder["crops"], fodder["ratio"], fodder["flags"], fodder["outlier"]) == ("G0000", 2.0, "p", "RATIO")
    assert (season / "picture.png").read_bytes().startswith(b"\x89PNG")

    assert run(["stats", "export", "--season", "2018", "--format", "sdmx-csv-2", "--out", "ours.csv"]) == 0
    assert run([*compare, "--statistics", "ours.csv"]) == 0
    said = capsys.readouterr().out
    assert "2 compared" in said
    assert "left out: 1 HIDDEN_HERE (FRH02 C1110)" in said
    assert wheat["crops"] == "C1110"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--season", "2018", "--nuts", "DE21"], "nothing is published for DE21"),
        (["export", "--season", "2018", "--recode-to", "2021", "--weights", "none.csv"], "none.csv: cannot be read"),
        (["export", "--season", "2018", "--recode-to", "2024", "--weights", "eurostat.tsv"], "is in NUTS 2024"),
        (["export", "--season", "2018", "--recode-to", "2021", "--weights", "eurostat.tsv"], "is no table of weights"),
        (["compare", "--season", "2018", "--eurostat", "none.tsv"], "none.tsv: cannot be read"),
        (["compare", "--season", "2018", "--eurostat", "eurostat.tsv", "--figure", "a.pdf"], "cannot draw a pdf"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], said: str, season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stats", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.strip().splitlines()[-1]
    assert "Traceback" not in err
