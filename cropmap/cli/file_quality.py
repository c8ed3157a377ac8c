"""`cropmap declarations quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cropmap.cli.inputs import declarations
from cropmap.terminal import AgencyFile, AsJson, Data, Home, SeasonYear, prepare, say


def register(_app: typer.Typer) -> None:
    declarations.command("quality")(quality)


def quality(
    agency: AgencyFile,
    season: SeasonYear,
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for quality.html, quality.json and rejects.gpkg")],
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check the declarations file before it is loaded: a page with a map, and what to look at as a GeoPackage."""
    settings = prepare(home)
    from cropmap.agency import Agency
    from cropmap.results.file_quality import report_quality

    say(report_quality(Agency.read(agency, data=data or settings.data), season=season, out=out), as_json=as_json)
