"""`cropmap flags export`: published assessments as files."""

from __future__ import annotations

import sys
from typing import Annotated, Final, Literal

import typer

from cropmap.cli.statistics import AgencyName, SomeAgencyFile, agency_name
from cropmap.schemas import CsvDialect, Verdict
from cropmap.terminal import CsvOption, Data, Home, Out, SeasonYear, prepare, write_out

flags: Final = typer.Typer(no_args_is_help=True, help="Export the assessments of declarations.")


def register(app: typer.Typer) -> None:
    app.add_typer(flags, name="flags")


@flags.command("export")
def export_flags(
    season: SeasonYear,
    agency_file: SomeAgencyFile = None,
    agency: AgencyName = None,
    format_: Annotated[
        Literal["csv", "xlsx", "gpkg", "parquet", "json"], typer.Option("--format", help="format of the file")
    ] = "csv",
    csv: CsvOption = CsvDialect.PLAIN,
    verdict: Annotated[
        list[Verdict] | None,
        typer.Option("--verdict", help="only declarations with this verdict; may be repeated [default: mismatch]"),
    ] = None,
    certified: Annotated[
        bool, typer.Option("--certified", help="only mismatches that reviews certified, without those found right")
    ] = False,
    out: Out = None,
    data: Data = None,
    home: Home = None,
) -> None:
    """Write published assessments, highest priority first.

    The format gpkg includes the outlines of the parcels.
    """
    settings = prepare(home)
    name = agency_name(agency_file, agency, data=data)
    if name is None:
        raise typer.BadParameter("give AGENCY.yaml, or --agency NAME")
    if format_ in {"xlsx", "gpkg", "parquet"} and out is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{format_} is no text: give --out FILE")
    from cropmap.results.exports import export_flags as export

    if certified and verdict not in (None, [], [Verdict.MISMATCH]):
        raise typer.BadParameter("only mismatches are certified: leave --verdict out")
    verdicts = [str(kind) for kind in verdict or [Verdict.MISMATCH]]
    file = export(
        settings, agency=name, season=season, verdicts=verdicts, format_=format_, certified=certified, dialect=csv
    )
    write_out(file, out, read=[agency_file])
