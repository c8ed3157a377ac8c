"""What the README, the docs and the demo's last page print can be typed: known commands with options that they have."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from cropmap.cli import app
from cropmap.cli.demo import _show_hints, hints
from tests.cli.test_help import commands

ROOT = Path(__file__).parents[2]
EVERY = dict(commands(typer.main.get_command(app)))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FIRST = {"parcel_id": "it's 7", "verdict": "mismatch"}


@pytest.fixture(scope="module")
def newcomer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("newcomer", ROOT / ".ci" / "newcomer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["newcomer"] = module
    spec.loader.exec_module(module)
    return module


def typed(page: Path) -> list[str]:
    """Every `cropmap ...` of a page: lines of its blocks, and code within its sentences."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    sentences = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [" ".join(one.split()) for one in re.findall(r"`(cropmap [^`]+)`", sentences)]
    return [line for line in lines if line.startswith("cropmap ")]


def fault(line: str) -> str:
    """What a shell or the program would refuse; empty where nothing is wrong."""
    line = re.sub(r"\s\((?!e).*$|\s{2,}[^-\s].*$", "", line.partition(" #")[0])
    words = shlex.split(re.sub(r"[\[\]]", " ", line))[1:]
    found: tuple[str, ...] = ()
    for word in words:
        if (*found, word) not in EVERY:
            break
        found = (*found, word)
    command: Any = EVERY[found]
    below = words[len(found) :][:1]
    if getattr(command, "commands", None) and below and not below[0].startswith("-"):
        return f"no command: {line}"
    if command.context_settings.get("ignore_unknown_options"):
        return ""
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
    return f"no option {unknown}: {line}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_docs_is_one_of_this_program(page: Path) -> None:
    assert [said for said in map(fault, typed(page)) if said] == []


@pytest.mark.parametrize(
    "line", ["cropmap review sample|import AGENCY.yaml", "cropmap serve --prot 1", "cropmap nothing"]
)
def test_what_is_no_command_is_found(line: str) -> None:
    assert fault(line)


@pytest.mark.parametrize("home", [None, Path("/a home")])
def test_the_script_reads_every_hint_of_the_last_page(
    newcomer: ModuleType, capsys: pytest.CaptureFixture[str], home: Path | None
) -> None:
    found = hints(["../a b/bin/cropmap"], Path("a folder/agency.yaml"), home=home, first=FIRST)
    _show_hints(found)
    assert newcomer.hinted(capsys.readouterr().out) == [command for _, command in found]
    assert newcomer.words_of([command for _, command in found])["ID"] == shlex.quote("it's 7")


def test_the_script_types_every_line_of_the_readme(newcomer: ModuleType) -> None:
    export, lines = newcomer.described((ROOT / "README.md").read_text(encoding="utf-8"))
    assert export == 'export PATH="$PWD/.venv/bin:$PATH"'
    words = newcomer.words_of(["cropmap explain a.yaml --season 2018 --parcel 7"])
    said = [newcomer.filled(line, words).partition("#")[0] for line in lines]
    assert len(said) > 15
    assert [line for line in said if re.search(r"[A-Z]{2,}", line.replace("MLFLOW", ""))] == []
    assert {newcomer.serves(line) for line in said} == {"", "serve", "mlflow"}
