"""`cropmap declarations inspect` and `survey`: what a person and a program are told, and one line where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropmap.cli import run
from cropmap.legends import Legend
from tests.data.make_sources_declarations import make_frame, square

LIST = "original_code,original_name,HCAT3_name,HCAT3_code\n1,Barley,barley,3301010400\n2,Maize,grain_maize,3301010600\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows of 1 ha under codes 01, 02 and 09; the code list knows 1 and 2."""
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    rows = [(f"P{i}", code, square(i)) for i, code in enumerate(["01", "02", "09", "02"])]
    make_frame(rows, "parcel_id", "crop_code").to_file(tmp_path / "fields.gpkg")
    (tmp_path / "list.csv").write_text(LIST)
    return tmp_path / "fields.gpkg"


def test_inspect_says_what_a_load_would_do(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["declarations", "inspect", str(file), "--codes", str(file.with_name("list.csv")), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["looked_at"] == {"layer": "fields", "rows": 4, "crs": "EPSG:3035"}
    assert answer["read"]["accepted"] == 3
    assert answer["read"]["rejected"] == {"UNKNOWN_CODE": 1}
    assert answer["read"]["codes_found"] == {"leading zeros": 3, "unknown": 1}
    assert answer["read"]["unmapped_codes"] == [
        {"code": "09", "name": None, "why": "unknown", "rows": 1, "area_ha": 1.0}
    ]
    assert run(["declarations", "inspect", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "  crop_code: crop_code" in shown, "a profile to paste"
    assert "accepted     4" in shown, "without a list, every code of the file is taken as known"


def test_survey_counts_every_file_and_names_what_cannot_be_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = file.with_name("sources.csv")
    sources.write_text("authority;path;crop_code_list\nA;fields.gpkg;list.csv\nB;absent.gpkg\nC\n")
    assert run(["declarations", "survey", str(sources), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["sources"]
    assert (first["rows"], first["accepted"], first["declared"], first["harmonised"]) == (4, 3, 4, 3)
    assert first["share"] == 0.75
    assert second["reasons"].endswith("absent.gpkg: no such file. Check declarations.path")


@pytest.mark.parametrize("arguments", [["inspect", "absent.gpkg"], ["survey", "absent.csv"], ["inspect", "/dev/null"]])
def test_what_cannot_be_read_is_one_line(file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(["declarations", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("given", [True, False])
def test_inspect_writes_a_legend_to_fill_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: bool
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    rows = [
        (f"P{i}", code, name, square(i, width_m=width))
        for i, (code, name, width) in enumerate(
            [
                ("01", "Gerste", 100),
                ("02", "Mais", 100),
                ("02", "Mais", 100),
                ("09", "Winter wheat", 50),
                ("01", "Gerste", 10),
                ("77", "Sonstiges", 5),
            ]
        )
    ]
    make_frame(rows, "parcel_id", "crop_code", "crop_name").to_file(tmp_path / "fields.gpkg")
    (tmp_path / "list.csv").write_text(LIST)
    out = tmp_path / "legend.csv"
    command = ["declarations", "inspect", str(tmp_path / "fields.gpkg"), "--legend", str(out)]
    command += ["--codes", str(tmp_path / "list.csv")] if given else []
    assert run(command) == 0
    assert "legend to fill in" in capsys.readouterr().out
    legend = Legend.read("legend.csv", base=tmp_path)
    assert [entry.crop_code for entry in legend.entries] == ["02", "01", "09", "77"], "the largest area first"
    maize, barley, wheat, other = legend.entries
    assert (maize.crop, barley.eurostat_code) == (("maize", "C1300") if given else (None, None))
    assert (wheat.crop, wheat.eurostat_code, wheat.hcat3_code) == ("winter wheat", "C1111", "3301010101")
    assert (other.crop_name, other.crop) == ("Sonstiges", None)
    assert run(command) == 2
    assert "is there already" in capsys.readouterr().err


def test_inspect_says_what_is_declared_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    rows = [(f"{use}{i}", code, use, square(i)) for use, code in (("catch", "09"), ("main", "01")) for i in range(4)]
    make_frame(rows, "parcel_id", "crop_code", "use").to_file(tmp_path / "fields.gpkg")
    assert run(["declarations", "inspect", str(tmp_path / "fields.gpkg"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["declared_twice"]
    assert said["share"] == 0.5
    assert "`declarations.exclude: {use: [catch]}`" in said["hint"]
