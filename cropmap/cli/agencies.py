"""`cropmap agency-keys`, `catalog-keys` and `settings`: the reference of everything that can be configured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cropmap.terminal import AsJson, Home, say, table

AsMarkdown = Annotated[bool, typer.Option("--markdown", help="print the reference page in Markdown")]

AGENCY_PAGE = """# The agency file

An agency file contains all decisions of one agency about its seasons. It is a YAML file; examples are in
`infra/agencies/`. An unknown key is an error.

Relative paths refer to the data folder (`--data` or `CROPMAP_DATA`) where one is given, else to the folder of the
agency file. A legend may also lie in the folder of the agency file. `{season}` in a path or a window is replaced by the
campaign year. A key `a.b` of this page is the key `b` in the section `a` of the file.

`make docs` writes this page from `cropmap/agency/`.

"""
CATALOGUE_PAGE = """# The file of a catalogue

How the items of a catalogue are laid out, how it is entered and what it allows stands in one YAML file. The built-in
files lie in `cropmap/sources/catalogs/providers/`. An agency names a file of its own with `acquisitions.provider`, and
files for further places of rasters with `acquisitions.file_providers` ([catalogues](catalogues.md)). An unknown key is
an error, and no file holds a secret.

Of `assets` and `fields`, the names of the file are looked for first, then those of `generic.yaml`. A key `a.b` of this
page is the key `b` in the section `a` of the file.

`make docs` writes this page from `cropmap/sources/catalogs/providers/__init__.py`.

"""
SETTINGS_PAGE = """# Settings of an installation

Settings are environment variables. Secrets are read only from them, and are neither shown nor logged.
`cropmap settings` prints the current values.

In `CROPMAP_CATALOG_<NAME>_…`, `<NAME>` is the name of a catalogue in capital letters, such as `CDSE`
([catalogues](catalogues.md)).

`make docs` writes this page from `cropmap/settings.py`, `cropmap/buckets.py`, `serving/settings.py` and
`cropmap/sources/catalogs/sign_in/secrets.py`.

"""


def register(app: typer.Typer) -> None:
    app.command("agency-keys")(agency_keys)
    app.command("catalog-keys")(catalog_keys)
    app.command("settings")(settings)


def agency_keys(as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """List every key of an agency file with its meaning."""
    from cropmap.agency import documented_keys

    rows = [{"key": key, "default": default, "meaning": text} for key, default, text in documented_keys()]
    print_reference(rows, ["key", "default", "meaning"], AGENCY_PAGE, as_json=as_json, markdown=markdown)


def catalog_keys(as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """List every key of a catalogue's file with its meaning."""
    from cropmap.sources.catalogs.providers import documented_provider_keys

    rows = [{"key": key, "meaning": text} for key, text in documented_provider_keys()]
    print_reference(rows, ["key", "meaning"], CATALOGUE_PAGE, as_json=as_json, markdown=markdown)


def settings(home: Home = None, as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """Show the settings of this installation.

    Settings are environment variables. Secrets are masked.
    """
    from cropmap.settings import Settings, documented_settings

    if markdown:
        from cropmap.buckets import StoreSettings
        from cropmap.sources.catalogs.sign_in.secrets import VARIABLES, variable
        from serving.settings import ServingSettings

        meanings = dict(documented_settings()) | dict(documented_settings(StoreSettings))
        meanings |= {name: text for name, text in documented_settings(ServingSettings) if name not in meanings}
        meanings |= {variable("<NAME>", what): text for what, text in VARIABLES.items()}
        rows = [{"variable": name, "meaning": text} for name, text in meanings.items()]
        print_reference(rows, ["variable", "meaning"], SETTINGS_PAGE, as_json=False, markdown=True)
    else:
        shown = Settings.load(home=home).shown()
        if as_json:
            say(shown, as_json=True)
            return
        width = max(map(len, shown))
        for name, value in shown.items():
            print(f"{name:<{width}}  {value}")


def print_reference(
    rows: Sequence[dict[str, str]], columns: Sequence[str], page: str, *, as_json: bool, markdown: bool
) -> None:
    """The rows as a table or as JSON; or as a table in Markdown below `page`, with the first column as code."""
    if as_json:
        say({"rows": rows}, as_json=True)
    elif markdown:
        print(page + f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for row in rows:
            first, *others = (row[column].replace("|", "\\|") for column in columns)
            print(f"| `{first}` | {' | '.join(others)} |")
    else:
        table(rows, columns)
