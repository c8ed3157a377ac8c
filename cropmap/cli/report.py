"""`cropmap report`: the published areas of a region and a season as a page or a PDF, with a quality file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cropmap.terminal import AgencyFile, Data, Home, Out, SeasonYear, prepare, write_out


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    agency: AgencyFile,
    season: SeasonYear,
    nuts: Annotated[
        str | None,
        typer.Option(
            "--nuts", help="region, with all regions below it [default: the smallest that contains the whole season]"
        ),
    ] = None,
    format_: Annotated[
        Literal["html", "pdf"] | None,
        typer.Option("--format", help="format of the report [default: by the ending of --out, else html]"),
    ] = None,
    out: Out = None,
    quality: Annotated[
        Path | None,
        typer.Option(
            "--quality",
            help="file to write quality figures to, JSON under SIMS headings [default: OUT with .quality.json]",
        ),
    ] = None,
    release: Annotated[
        int | None,
        typer.Option(
            "--release", min=1, help="number of a release [default: the last one of the published run, if there is one]"
        ),
    ] = None,
    data: Data = None,
    home: Home = None,
) -> None:
    """Write the report of a season's crop areas.

    It has maps, bars, a table, revisions, quality and method. It needs no other file and no network. No figure of a
    confidential cell is in it.
    """
    chosen = format_ or ("pdf" if out is not None and out.suffix.lower() == ".pdf" else "html")
    if chosen == "pdf" and out is None and sys.stdout.isatty():
        raise typer.BadParameter("pdf is no text: give --out FILE")
    beside = quality or (out.with_suffix(".quality.json") if out is not None else None)
    if beside is not None and out is not None and beside.absolute() == out.absolute():
        raise typer.BadParameter("--out and --quality name the same file")
    settings = prepare(home)
    from cropmap.results.report import season_report
    from cropmap.stages.context import SeasonContext

    context = SeasonContext.open(settings, agency, season=season, data=data)
    written = season_report(settings, context, nuts=nuts, format_=chosen, release=release)
    write_out(written.data, out, read=[agency])
    if beside is not None:
        write_out(written.quality, beside, read=[agency])
        print(f"quality file: {beside}", file=sys.stderr)
