"""`cropmap breizhcrops` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropmap.cli import run
from tests.data.make_breizhcrops import CLASSES_9, make_breizhcrops

THREE = dict(list(CLASSES_9.items())[:3])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    return make_breizhcrops(tmp_path / "root", parcels=3, classes=THREE, troubles=True)


def test_a_folder_is_inspected(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["breizhcrops", "inspect", str(root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    region = answer["regions"]["frh03"]
    assert (region["series"], region["rows"], region["column_order"]) == (3, 120, "alphabetical")
    assert sum(region["left_out"].values()) == 4


def test_the_published_split_is_evaluated(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["breizhcrops", "evaluate", str(root), "--model", "transformer", "--test", "frh04", "--compat"]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "this run, frh04" in out
    assert "mean_precision" in out
    assert run([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["compat"], answer["network"], answer["table"][0]["n"]) == (True, "transformer", 3)


def test_bad_input_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["inspect", str(root / "nowhere")], "no region of 2017"),
        (["evaluate", str(root), "--year", "2018", "--compat"], "frh01, frh02, frh03, frh04 missing"),
        (["evaluate", str(root), "--year", "2020"], "no BreizhCrops of 2020"),
        (["inspect", str(root), "--legend", "fr_nothing"], "fr_nothing is no built-in legend"),
    ):
        assert run(["breizhcrops", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err.strip().splitlines()[-1]
