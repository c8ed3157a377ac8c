"""The reference pages are those that the program writes, and nothing in them lacks a meaning."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cropmap.cli import run
from cropmap.cli.groups import GROUPS
from cropmap.settings import documented_settings
from cropmap.sources.catalogs.sign_in.secrets import PREFIX
from serving.settings import ServingSettings
from tests.cli.test_help import EVERY

ROOT = Path(__file__).parents[2]
PAGES = {
    "agency-keys": "agency-file.md",
    "catalog-keys": "catalogue-files.md",
    "commands": "commands.md",
    "settings": "settings.md",
    "stats formats": "export-formats.md",
}
ROLLBACK = """#### `cropmap models rollback`

Make the previous champion the champion again.

| argument or option | meaning |
|---|---|
| `--model <lstm\\|transformer>` | network [required] |
| `--reason <str>` | reason, stored with the version that is replaced |

Also `AGENCY.yaml`, `--data`, `--home`, `--json`.

"""


@pytest.mark.parametrize("command", PAGES)
def test_the_page_is_what_the_program_writes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--markdown"]) == 0
    committed = (ROOT / "docs" / PAGES[command]).read_text(encoding="utf-8")
    assert committed == capsys.readouterr().out, f"docs/{PAGES[command]} is out of date; run `make docs`"


@pytest.mark.parametrize("path", list(EVERY), ids=" ".join)
def test_every_command_and_option_has_a_meaning(path: tuple[str, ...]) -> None:
    command: Any = EVERY[path]
    assert command.help
    assert [one.name for one in command.params if not one.help] == []


def test_every_setting_has_a_meaning() -> None:
    for settings in (documented_settings(), documented_settings(ServingSettings)):
        assert [name for name, meaning in settings if not meaning] == []


def test_every_variable_that_the_code_names_is_on_the_page() -> None:
    """Passwords of the containers are settings of `infra/compose.yaml`, not of the program. Those of a catalogue are
    made from its name."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ("cropmap", "flows", "serving")
        for path in (ROOT / room).rglob("*.py")
    )
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    named = {name.replace("_CDSE_", "_<NAME>_") for name in re.findall(r"CROPMAP_[A-Z_]*[A-Z]", code)}
    assert named - {PREFIX.rstrip("_")} <= set(re.findall(r"^\| `([\w<>]+)`", page, re.MULTILINE))


def test_every_command_stands_in_one_group() -> None:
    grouped = Counter(name for names in GROUPS.values() for name in names)
    assert set(grouped) == set(EVERY[()].commands)
    assert max(grouped.values()) == 1


@pytest.mark.parametrize("path", [path for path, one in EVERY.items() if hasattr(one, "commands")], ids=" ".join)
def test_a_terminal_of_80_columns_shows_every_first_sentence_whole(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in EVERY[path].commands.items():
        first = " ".join(command.help.split()).partition(". ")[0].rstrip(".")
        assert f"{name} " in shown
        assert first in shown, f"{name}: {len(first)} characters do not fit"


def test_a_section_has_the_usage_of_its_command() -> None:
    """Options of many commands are named in it, and described at the beginning of the page."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert ROLLBACK in page
    assert page.count("| `--json` |") == page.count("| `AGENCY.yaml <path>` |") == 1
    assert page.index("| `--json` |") < page.index("## To begin")


def test_every_command_is_listed_in_the_order_of_the_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["commands", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["command"] for row in rows][:4] == ["demo", "commands", "doctor", "settings"]
    assert {tuple(row["command"].split()) for row in rows} == {
        path for path, one in EVERY.items() if path and not hasattr(one, "commands")
    }
