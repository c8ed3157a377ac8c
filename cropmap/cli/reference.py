"""`cropmap commands`: every command and option of the program, as a table or as the page `docs/commands.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import typer

from cropmap.cli.agencies import AsMarkdown
from cropmap.cli.groups import GROUPS
from cropmap.terminal import AsJson, say, table

SHARED_BY: Final = 6
"""an option of at least as many commands is described once, at the beginning of the page"""

PAGE: Final = """# Commands

Every command of `cropmap` with its arguments and options, grouped by the people who use it. The option
`--help` of a command prints the same. `make docs` writes this page from the program itself (`cropmap/cli/`).

Answers are written to stdout, progress and messages to stderr. The exit codes are:

| code | meaning |
|---|---|
| 0 | done |
| 1 | the run failed, and the message names what failed |
| 2 | wrong input or configuration, in one line |
| 3 | another command works on the agency at this moment, on this machine or on another; nothing was done |
| 130 | stopped by Ctrl-C, SIGTERM or SIGHUP; the same command continues |

Options that many commands have:

"""


def register(app: typer.Typer) -> None:
    app.command("commands")(commands)


def commands(context: typer.Context, as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """List every command, or write the reference page."""
    program: Any = context.find_root().command
    if markdown:
        print(reference_page(program, context), end="")
        return
    rows = [{"command": " ".join(path), "meaning": _paragraphs(command)[0]} for path, command in leaves(program)]
    say({"rows": rows}, as_json=True) if as_json else table(rows, ["command", "meaning"])


def leaves(program: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words, command) of every command that is no group of others, in the order of `cropmap --help`."""
    for names in GROUPS.values():
        for name in names:
            yield from _below((name,), program.commands[name])


def _below(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from _below((*path, name), inner)


def reference_page(program: Any, context: Any) -> str:
    """The page in Markdown. `context`: any click context; options are worded by it as in `--help`."""
    counts = Counter(record for _, command in leaves(program) for record in _records(command, context))
    shared = {record for record, commands in counts.items() if commands >= SHARED_BY}
    parts = [PAGE, _rows(record for record in counts if record in shared)]
    for heading, names in GROUPS.items():
        parts.append(f"## {heading}\n\n")
        for name in names:
            if hasattr(program.commands[name], "commands"):
                parts.append(_heading((name,), program.commands[name]))
            for path, command in _below((name,), program.commands[name]):
                parts.append(_heading(path, command))
                records = list(_records(command, context))
                if own := [record for record in records if record not in shared]:
                    parts.append(_rows(own))
                if also := [record[0].partition(" <")[0] for record in records if record in shared]:
                    parts.append(f"Also `{'`, `'.join(also)}`.\n\n")
    return "".join(parts).rstrip("\n") + "\n"


def _records(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """(words, meaning) of every argument and option, as `--help` has them."""
    for parameter in command.params:
        words, meaning = parameter.get_help_record(context)
        yield words, " ".join(meaning.split())


def _heading(path: tuple[str, ...], command: Any) -> str:
    level = "#" * (len(path) + 2)
    return "\n\n".join([f"{level} `cropmap {' '.join(path)}`", *_paragraphs(command), ""])


def _rows(records: Iterable[tuple[str, str]]) -> str:
    cells = ((words.replace("|", "\\|"), meaning.replace("|", "\\|")) for words, meaning in records)
    rows = "".join(f"| `{words}` | {meaning} |\n" for words, meaning in cells)
    return f"| argument or option | meaning |\n|---|---|\n{rows}\n"


def _paragraphs(command: Any) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n")]
