"""What the program says of itself: nothing of a help text is swallowed, and its version is told."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cropmap.cli import app, run

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?:\.venv/bin/)?cropmap ([a-z0-9-]+(?:[ \n]+[^`]*)?)`|^cropmap ([a-z0-9-]+.*)$", re.MULTILINE)
"""a command between back quotes, and a line of a block"""
BRACKETED = re.compile(r"\[[^\]]+\]")


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", list(EVERY), ids=" ".join)
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


def texts() -> Iterator[Path]:
    """Everything that names commands to people: sources with their errors and help texts, and the documents."""
    for room in ("cropmap", "flows", "serving", "infra"):
        yield from sorted((ROOT / room).rglob("*.py"))
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield from (ROOT / name for name in ("README.md", "ARCHITECTURE.md"))


def wrong_parts(command: str) -> Iterator[str]:
    """Words and options of a named command that the program does not have."""
    words = command.partition("#")[0].split()
    path: tuple[str, ...] = ()
    while words and getattr(EVERY[path], "commands", None):
        if (*path, words[0]) not in EVERY:
            if re.fullmatch(r"[a-z][a-z0-9-]*", words[0]):
                yield words[0]
            return
        path = (*path, words.pop(0))
    known = {option for parameter in EVERY[path].params for option in parameter.opts + parameter.secondary_opts}
    for word in words:
        option = re.match(r"--[a-z][a-z0-9-]*", word)
        if option and option.group() not in known | {"--help"}:
            yield option.group()


def test_every_command_that_is_named_exists() -> None:
    """`cropmap turns a season …` and the like are sentences of a document, not commands."""
    sentences = {"turns", "records"}
    wrong = [
        f"{path.relative_to(ROOT)}: cropmap {command}: {part}"
        for path in texts()
        for found in NAMED.finditer(path.read_text(encoding="utf-8"))
        if (command := found.group(1) or found.group(2)).split()[0] not in sentences
        for part in wrong_parts(command)
    ]
    assert wrong == []


def test_a_command_that_is_not_there_would_be_seen() -> None:
    assert list(wrong_parts("retrain AGENCY.yaml")) == ["retrain"]
    assert list(wrong_parts("db psql --all")) == ["--all"]
    assert list(wrong_parts("bench observe --jp2 --jp3")) == ["--jp3"]
    assert list(wrong_parts("season run AGENCY.yaml --season 2018  # `--more`")) == []
