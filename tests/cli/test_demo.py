"""The hints on the demo's last page: what a shell makes of them is the command that is meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer

from cropmap.cli import app
from cropmap.cli.demo import hints, program_name
from tests.cli.test_help import commands

KNOWN = {path for path, _ in commands(typer.main.get_command(app))}
FLAGGED = {"parcel_id": "it's 7", "verdict": "mismatch"}


@pytest.mark.parametrize("home", [None, Path("/tmp/a home")])  # noqa: S108  a name
def test_every_hint_is_a_command_of_this_program(home: Path | None) -> None:
    for what, command in hints(["cropmap"], Path("a folder/agency.yaml"), home=home, first=FLAGGED):
        words = shlex.split(command)
        assert words[0] == "cropmap", what
        assert any(tuple(words[1 : 1 + depth]) in KNOWN - {()} for depth in (1, 2)), command
        assert ("--home" in words) == (home is not None)
        assert home is None or str(home) in words


def test_hints_show_the_best_results_and_how_to_stop_the_server() -> None:
    found = [shlex.split(command) for _, command in hints(["x"], Path("agency.yaml"), home=None, first=FLAGGED)]
    assert {"report", "evidence", "explain", "mlflow", "serve"} <= {words[1] for words in found}
    assert found[-1][1:] == ["db", "stop"]


def test_without_a_list_the_evidence_is_of_the_parcel_that_comes_first() -> None:
    for verdict, named in (("mismatch", False), ("inconclusive", True)):
        found = dict(hints(["x"], Path("a.yaml"), home=None, first={"parcel_id": "7", "verdict": verdict}))
        (evidence,) = (shlex.split(command) for command in found.values() if " evidence " in command)
        assert ("--parcel" in evidence) == named


def test_the_program_is_named_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / ".venv" / "bin" / "cropmap"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert program_name() == [".venv/bin/cropmap"]
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin")
    assert program_name() == ["cropmap"]
    monkeypatch.setattr("sys.argv", [str(tmp_path / "cropmap" / "__main__.py")])
    assert program_name()[1:] == ["-m", "cropmap"]
