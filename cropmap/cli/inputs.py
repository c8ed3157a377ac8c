"""`cropmap simulate`, `cropmap declarations load`, `cropmap observations export | import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cropmap.cli.declarations import register as register_files
from cropmap.terminal import Accept, AgencyFile, AsJson, AsOf, Data, Home, SeasonYear, prepare, say, season_context

declarations: Final = typer.Typer(no_args_is_help=True, help="Inspect, check and load files of declarations.")
observations: Final = typer.Typer(no_args_is_help=True, help="Export or import parcel observations as a table.")


def register(app: typer.Typer) -> None:
    app.command()(simulate)
    register_files(declarations)
    app.add_typer(declarations, name="declarations")
    app.add_typer(observations, name="observations")


def simulate(
    out: Annotated[Path, typer.Option("--out", help="folder to write to")],
    parcels: Annotated[int, typer.Option("--parcels", min=40, help="number of declared parcels to simulate")] = 2_500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="the same seed gives the same season")] = 0,
    season: Annotated[int, typer.Option("--season", help="campaign year")] = 2018,
    wrong_share: Annotated[
        float, typer.Option("--wrong-share", min=0, max=0.5, help="share of the declarations that are made wrong")
    ] = 0.03,
    direct: Annotated[
        bool,
        typer.Option(
            "--direct", help="write parcel observations to OUT/store instead of scenes; for large numbers of parcels"
        ),
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Simulate the input files of a season in Brittany.

    They are scenes (STAC and COG), declarations and NUTS regions. The truth is written to a folder of its own.
    """
    prepare(home)
    from dataclasses import asdict

    if direct:
        from cropmap.simulation.direct import simulate_observations
        from cropmap.store import Store

        summary: Any = simulate_observations(
            Store(out.absolute() / "store"),
            out / "inputs",
            agency="simulated-bretagne",
            season=season,
            parcels=parcels,
            seed=seed,
            wrong_share=wrong_share,
        )
    else:
        from cropmap.simulation.season import simulate_season

        summary = simulate_season(out, parcels=parcels, seed=seed, season=season, wrong_share=wrong_share)
    say(asdict(summary), as_json=as_json)


@declarations.command("load")
def load(
    agency: AgencyFile,
    season: SeasonYear,
    accept: Accept = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Load the declarations file of a season.

    Rejected rows are stored with their reasons. A load that would withdraw too much of the register, or in which too
    much land is declared twice, stops before anything is written.
    """
    from datetime import UTC, datetime

    context = season_context(agency, season=season, home=home, data=data, create=True)
    from cropmap.stages.ingest import load_declarations

    say(load_declarations(context, loaded_at=datetime.now(UTC), accept=accept), as_json=as_json)


@declarations.command("quality")
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


@declarations.command("carry-forward")
def carry(
    agency: AgencyFile,
    season: SeasonYear,
    from_season: Annotated[
        int | None, typer.Option("--from", help="season whose parcels are copied [default: the one before]")
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Start a season with the parcels of an earlier one.

    The champion can then predict crops before anything is declared. Nothing is assessed and no area is estimated until
    the declarations file is loaded and replaces these parcels.
    """
    from datetime import UTC, datetime

    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.stages.forecast import carry_forward

    before = season - 1 if from_season is None else from_season
    say(carry_forward(context, from_season=before, loaded_at=datetime.now(UTC)), as_json=as_json)


@observations.command("export")
def export(
    agency: AgencyFile,
    season: SeasonYear,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write to")],
    as_of: AsOf = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write all observations as one tidy table.

    Its columns are parcel_id, datetime, clear_fraction, n_pixels, and reflectance from 0 to 1 per band.
    """
    context = season_context(agency, season=season, home=home, data=data, as_of=as_of)
    from cropmap.results.exports import export_observations

    say({"rows": export_observations(context, out), "file": str(out)}, as_json=as_json)


@observations.command("import")
def import_(
    agency: AgencyFile,
    season: SeasonYear,
    source: Annotated[Path, typer.Argument(metavar="F.parquet", help="tidy table of parcel statistics")],
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Import parcel statistics from another system.

    The season then needs no scenes.
    """
    context = season_context(agency, season=season, home=home, data=data, create=True)
    from datetime import UTC, datetime

    from cropmap.stages.imported import import_observations
    from cropmap.stages.work import claimed

    with claimed(context, "import of observations", clock=lambda: datetime.now(UTC)):
        say(import_observations(context, source), as_json=as_json)
