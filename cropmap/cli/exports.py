"""`cropmap flags export`, `cropmap stats export`: what is published, as files."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from cropmap.cli.options import Home, Out, SeasonYear, prepare, write_out
from cropmap.schemas import Verdict

flags: Final = typer.Typer(no_args_is_help=True, help="Assessments of declarations.")
stats: Final = typer.Typer(no_args_is_help=True, help="Crop statistics per NUTS region.")


def register(app: typer.Typer) -> None:
    app.add_typer(flags, name="flags")
    app.add_typer(stats, name="stats")


@flags.command("export")
def export_flags(
    season: SeasonYear,
    agency: Annotated[str, typer.Option("--agency", help="the agency's short name")],
    format_: Annotated[Literal["csv", "gpkg", "parquet", "json"], typer.Option("--format")] = "csv",
    verdict: Annotated[
        list[Verdict] | None, typer.Option("--verdict", help="only this verdict; may be repeated [default: mismatch]")
    ] = None,
    out: Out = None,
    home: Home = None,
) -> None:
    """Write the published assessments, most urgent first; gpkg adds the parcels' outlines."""
    settings = prepare(home)
    from cropmap.stages.exchange import export_flags as export

    verdicts = [str(one) for one in verdict or [Verdict.MISMATCH]]
    write_out(export(settings, agency=agency, season=season, verdicts=verdicts, format_=format_), out)


@stats.command("export")
def export_stats(
    season: SeasonYear,
    nuts: Annotated[str, typer.Option("--nuts", help="region; all regions below it are included")],
    agency: Annotated[
        str | None, typer.Option("--agency", help="the agency's short name, where several publish")
    ] = None,
    format_: Annotated[Literal["csv", "parquet", "json"], typer.Option("--format")] = "csv",
    out: Out = None,
    home: Home = None,
) -> None:
    """Write the published statistics of a region and all below it. Confidential cells stay empty, CONF_STATUS C."""
    settings = prepare(home)
    from cropmap.stages.exchange import export_statistics as export

    write_out(export(settings, agency=agency, season=season, nuts=nuts, format_=format_), out)
