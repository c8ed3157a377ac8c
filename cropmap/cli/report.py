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
        typer.Option("--nuts", help="region, with all below it [default: the smallest that holds all of the season]"),
    ] = None,
    format_: Annotated[
        Literal["html", "pdf"] | None, typer.Option("--format", help="[default: by the ending of --out, else html]")
    ] = None,
    out: Out = None,
    quality: Annotated[
        Path | None,
        typer.Option("--quality", help="quality file, JSON under SIMS headings [default: OUT with .quality.json]"),
    ] = None,
    release: Annotated[
        int | None,
        typer.Option("--release", min=1, help="number [default: the last release of what is published, if it has one]"),
    ] = None,
    data: Data = None,
    home: Home = None,
) -> None:
    """Write the report of a published season: maps, bars, table, revisions, quality, method. It needs no other file and
    no network. Confidential cells have no figure anywhere in it."""
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
