"""`cropmap flags export`: published assessments as files."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from cropmap.cli.options import Home, Out, SeasonYear, prepare, write_out
from cropmap.schemas import Verdict

flags: Final = typer.Typer(no_args_is_help=True, help="Assessments of declarations.")


def register(app: typer.Typer) -> None:
    app.add_typer(flags, name="flags")


@flags.command("export")
def export_flags(
    season: SeasonYear,
    agency: Annotated[str, typer.Option("--agency", help="the agency's short name")],
    format_: Annotated[Literal["csv", "gpkg", "parquet", "json"], typer.Option("--format")] = "csv",
    verdict: Annotated[
        list[Verdict] | None, typer.Option("--verdict", help="only this verdict; may be repeated [default: mismatch]")
    ] = None,
    certified: Annotated[
        bool, typer.Option("--certified", help="only the mismatches that reviews certified, less those found right")
    ] = False,
    out: Out = None,
    home: Home = None,
) -> None:
    """Write the published assessments, most urgent first; gpkg adds the parcels' outlines."""
    settings = prepare(home)
    from cropmap.stages.exchange import export_flags as export

    if certified and verdict not in (None, [], [Verdict.MISMATCH]):
        raise typer.BadParameter("only mismatches are certified: leave --verdict out")
    verdicts = [str(one) for one in verdict or [Verdict.MISMATCH]]
    file = export(
        settings, agency=agency, season=season, verdicts=verdicts, format_=format_, certified=certified
    )  # fmt: skip
    write_out(file, out)
