"""`cropmap demo`: a simulated season, all of it, and where to look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cropmap.cli.options import AsJson, Home, Verbose, prepare, say, table

SEASON = 2018


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    parcels: Annotated[int, typer.Option("--parcels", min=200, help="declared parcels to simulate")] = 2_500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="the same seed gives the same season")] = 0,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Simulate a season in Brittany, run all of it on the embedded database, and say where to look."""
    settings = prepare(home, verbose=verbose)
    inputs = settings.home_path / "demo" / f"{parcels}-parcels-seed-{seed}"
    from cropmap.simulation.season import simulate_season

    simulate_season(inputs, parcels=parcels, seed=seed, season=SEASON)
    from cropmap.stages.context import SeasonContext
    from cropmap.stages.truth import check_against_truth
    from flows.request import SeasonRequest
    from flows.season import season as flow

    agency_file = inputs / "agency.yaml"
    summary = flow(SeasonRequest(agency_file=agency_file, season=SEASON, home=settings.home_path, data=inputs))
    context = SeasonContext.open(settings, agency_file, season=SEASON, data=inputs)
    summary["mismatches against the planted truth"] = check_against_truth(context, inputs / "truth" / "truth.parquet")
    if as_json:
        say(summary, as_json=True)
    else:
        _show(summary, agency=context.agency.agency, agency_file=agency_file)


def _show(summary: dict[str, Any], *, agency: str, agency_file: Path) -> None:
    print("SIMULATION: nothing below describes real farms.\n")
    counts = summary["ingest"]
    say({"declarations": counts["declarations"], "acquisitions": counts["acquisitions"]}, as_json=False)
    print("\nOut-of-fold accuracy against the declarations, leaving one NUTS-3 region out")
    networks = summary["networks"]
    rows = [{"network": name, **metrics} for name, metrics in networks.items()]
    table(rows, ["network", "n", "oa", "kappa", "macro_f1", "ece"])
    print()
    rest = {key: value for key, value in summary.items() if key not in {"ingest", "networks"}}
    say(rest, as_json=False)
    print(
        f"""
Where to look
  the tables        psql "$(cropmap db url)" -c "table crop_statistic"
  wrong declarations cropmap flags export --agency {agency} --season {SEASON} --format csv
  areas             cropmap stats export {agency_file} --season {SEASON} --format csv
  the REST API      cropmap api-key create me; cropmap serve      then http://127.0.0.1:8000/docs
  the season        cropmap season status {agency_file} --season {SEASON}
  every model       MLflow, in the same database: cropmap doctor prints its address"""
    )
