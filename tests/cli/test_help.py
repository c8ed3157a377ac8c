"""What the program says of itself: nothing of a help text is swallowed, and its version is told."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cropmap.cli import app, run

BRACKETED = re.compile(r"\[[^\]]+\]")


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_shows_every_word_that_was_written(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    shown = "".join(capsys.readouterr().out.split())
    command = EVERY[path]
    texts = [command.help or "", *(getattr(option, "help", None) or "" for option in command.params)]
    for text in texts:
        for bracketed in BRACKETED.findall(inspect.cleandoc(text)):
            assert "".join(bracketed.split()) in shown


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"cropmap \d+\.\d+\.\d+\+[0-9a-f]{8}\n", capsys.readouterr().out)


def test_settings_are_shown_under_names_that_can_be_copied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path))
    assert run(["settings"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"CROPMAP_HOME", "CROPMAP_DATABASE_URL", "MLFLOW_TRACKING_URI"} <= set(names)
