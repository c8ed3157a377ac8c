"""`cropmap agency-keys`, `cropmap settings`: what can be set, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cropmap.terminal import AsJson, Home, say, table

AsMarkdown = Annotated[bool, typer.Option("--markdown", help="print the documentation page")]

AGENCY_PAGE = """# The agency file

One YAML file per agency: everything it decides about its seasons. An unknown key is an error. Relative paths start from
the data folder (`--data`, `CROPMAP_DATA`) when one is given, else from the folder of the file; a legend may also stand
beside the file. `{season}` in a path or a window stands for the campaign year. Examples: `infra/agencies/`.
This page is written by `make docs` from `cropmap/agency.py`.

"""
SETTINGS_PAGE = """# Settings of an installation

Environment variables; secrets come from nowhere else and are never shown or logged. `cropmap settings` prints the
values in force. This page is written by `make docs` from `cropmap/settings.py` and
`serving/settings.py`.

"""


def register(app: typer.Typer) -> None:
    app.command("agency-keys")(agency_keys)
    app.command("settings")(settings)


def agency_keys(as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """List every key of an agency file with its default and meaning."""
    from cropmap.agency import documented_keys

    rows = [{"key": key, "default": default, "meaning": text} for key, default, text in documented_keys()]
    _print(rows, ["key", "default", "meaning"], AGENCY_PAGE, as_json=as_json, markdown=markdown)


def settings(home: Home = None, as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """Show the settings of this installation (environment variables), secrets masked."""
    from cropmap.settings import Settings, documented_settings

    if markdown:
        from serving.settings import ServingSettings

        found = {**dict(documented_settings(ServingSettings)), **dict(documented_settings())}
        rows = [{"variable": name, "meaning": text} for name, text in found.items()]
        _print(rows, ["variable", "meaning"], SETTINGS_PAGE, as_json=False, markdown=True)
    else:
        shown = Settings.load(home=home).shown()
        if as_json:
            say(shown, as_json=True)
            return
        width = max(map(len, shown))
        for name, value in shown.items():
            print(f"{name:<{width}}  {value}")


def _print(rows: Sequence[dict[str, str]], columns: Sequence[str], page: str, *, as_json: bool, markdown: bool) -> None:
    if as_json:
        say({"rows": rows}, as_json=True)
    elif markdown:
        print(page + f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for row in rows:
            first, *others = (row[column].replace("|", "\\|") for column in columns)
            print(f"| `{first}` | {' | '.join(others)} |")
    else:
        table(rows, columns)
