"""`cropmap declarations quality`: the quality of a declarations file before it is loaded."""

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
    out: Annotated[
        Path, typer.Option("--out", "-o", help="folder to write quality.html, quality.json and rejects.gpkg to")
    ],
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check a declarations file before it is loaded.

    Writes a page with a map, the same figures as JSON, and a GeoPackage of the rows to examine.
    """
    settings = prepare(home)
    from cropmap.agency import Agency
    from cropmap.results.file_quality import report_quality

    say(report_quality(Agency.read(agency, data=data or settings.data), season=season, out=out), as_json=as_json)
