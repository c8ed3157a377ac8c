"""`cropmap declarations inspect` and `survey`: what a person and a program are told, and one line where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropmap.cli import run
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
    sources.write_text("authority,path,crop_code_list\nA,fields.gpkg,list.csv\nB,absent.gpkg,\n")
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
