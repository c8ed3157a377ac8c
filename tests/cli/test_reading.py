"""Whoever asks in the wrong folder is told so, and leaves nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.cli import run

QUESTIONS = [
    "season status {agency} --season 2018",
    "predict {agency} --season 2018",
    "assess {agency} --season 2018",
    "publish {agency} --season 2018",
    "flags export --agency x --season 2018",
    "stats export --nuts FRH0 --season 2018",
    "stats export {agency} --season 2018",
    "models list {agency}",
    "models rollback {agency} --model lstm",
    "review sample {agency} --season 2018 --budget 10 --out sample.csv",
    "review report {agency} --season 2018",
    "observations export {agency} --season 2018 --out o.parquet",
    "report {agency} --season 2018 --out report.html",
    "drift {agency} --season 2018",
    "explain {agency} --parcel 0001 --season 2018",
    "evidence {agency} --season 2018 --out pages",
    "evaluate {agency} --season 2018",
    "db url",
    "db status",
    "api-key create me --role controller --all-agencies",
    "serve",
]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CROPMAP_DATABASE_URL", "CROPMAP_HOME", "CROPMAP_DATA", "CROPMAP_STORE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_makes_no_home_and_no_database(
    question: str, nowhere: Path, simulated_inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(question.format(agency=simulated_inputs / "agency.yaml").split())
    out, err = capsys.readouterr()
    assert list(nowhere.iterdir()) == []
    assert code == 2, err
    assert out == ""
    line = err.strip().splitlines()[-1]
    assert "there is no database here" in line, err
    assert str(nowhere / ".cropmap") in line


def test_the_doctor_examines_an_installation_without_a_home(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    assert "none yet" in capsys.readouterr().out
    assert list(nowhere.iterdir()) == []
