"""`cropmap simulate`, `cropmap declarations load`, `cropmap observations export | import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cropmap.cli.declarations import register as register_files
from cropmap.terminal import Accept, AgencyFile, AsJson, AsOf, Data, Home, SeasonYear, open_season, prepare, say

declarations: Final = typer.Typer(no_args_is_help=True, help="Declarations of an agency.")
observations: Final = typer.Typer(no_args_is_help=True, help="Parcel observations, out of the store and into it.")


def register(app: typer.Typer) -> None:
    app.command()(simulate)
    register_files(declarations)
    app.add_typer(declarations, name="declarations")
    app.add_typer(observations, name="observations")


def simulate(
    out: Annotated[Path, typer.Option("--out", help="folder to write into")],
    parcels: Annotated[int, typer.Option("--parcels", min=40, help="number of declared parcels")] = 2_500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="the same seed gives the same season")] = 0,
    season: Annotated[int, typer.Option("--season", help="campaign year")] = 2018,
    wrong_share: Annotated[
        float, typer.Option("--wrong-share", min=0, max=0.5, help="share of planted wrong declarations")
    ] = 0.03,
    direct: Annotated[
        bool, typer.Option("--direct", help="for scale: parcel observations in OUT/store instead of painted scenes")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Simulate the inputs of a season in Brittany: scenes (STAC + COG), declarations, NUTS; the truth apart."""
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
    """Load the declarations file: accepted rows, and rejected ones with their reasons.

    A load that would withdraw much of the register, or declares much land twice, stops before anything is written.
    """
    from datetime import UTC, datetime

    context = open_season(agency, season=season, home=home, data=data, create=True)
    from cropmap.stages.ingest import load_declarations

    say(load_declarations(context, loaded_at=datetime.now(UTC), accept=accept), as_json=as_json)


@declarations.command("carry-forward")
def carry(
    agency: AgencyFile,
    season: SeasonYear,
    from_season: Annotated[
        int | None, typer.Option("--from", help="season to take the parcels from; default: the one before")
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Start a season before anything is declared: an earlier season's parcels, for the champion to predict.

    Nothing is assessed and no area is estimated until the declarations file is there and takes their place.
    """
    from datetime import UTC, datetime

    context = open_season(agency, season=season, home=home, data=data)
    from cropmap.stages.forecast import carry_forward

    before = season - 1 if from_season is None else from_season
    say(carry_forward(context, from_season=before, loaded_at=datetime.now(UTC)), as_json=as_json)


@observations.command("export")
def export(
    agency: AgencyFile,
    season: SeasonYear,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write")],
    as_of: AsOf = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write all observations as one tidy table: parcel_id, datetime, clear_fraction, n_pixels, reflectance 0-1."""
    context = open_season(agency, season=season, home=home, data=data, as_of=as_of)
    from cropmap.results.exchange import export_observations

    say({"rows": export_observations(context, out), "file": str(out)}, as_json=as_json)


@observations.command("import")
def import_(
    agency: AgencyFile,
    season: SeasonYear,
    source: Annotated[Path, typer.Argument(metavar="F.parquet", help="tidy parcel statistics made elsewhere")],
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take in parcel statistics that another system made; the season goes on from there without scenes."""
    context = open_season(agency, season=season, home=home, data=data, create=True)
    from cropmap.results.exchange import import_observations

    say(import_observations(context, source), as_json=as_json)
