"""`cropmap demo`: a whole simulated season, and the commands that show its results."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cropmap.interruption import settle
from cropmap.schemas import Verdict
from cropmap.terminal import AsJson, Home, Verbose, prepare, say, table

SEASON: Final = 2018


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    parcels: Annotated[int, typer.Option("--parcels", min=200, help="number of declared parcels to simulate")] = 2_500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="the same seed gives the same season")] = 0,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Simulate a season in Brittany and run all of it.

    The season runs on the embedded database. The answer ends with commands that show the results.
    """
    settings = prepare(home, verbose=verbose, create=True)
    inputs = settings.home_path / "demo" / f"{parcels}-parcels-seed-{seed}"
    from cropmap.simulation.season import simulate_season

    simulate_season(inputs, parcels=parcels, seed=seed, season=SEASON)
    from cropmap.database import queries
    from cropmap.results.truth import check_against_truth
    from cropmap.stages.context import SeasonContext
    from flows.request import SeasonRequest
    from flows.season import season as flow
    from flows.server import ensure_server

    settle()
    ensure_server(settings.home_path / "logs")
    agency_file = inputs / "agency.yaml"
    summary = flow(SeasonRequest(agency_file=agency_file, season=SEASON, home=settings.home_path, data=inputs))
    context = SeasonContext.open(settings, agency_file, season=SEASON, data=inputs)
    check = check_against_truth(context, inputs / "truth" / "truth.parquet")
    summary["mismatches against the planted truth"] = asdict(check)
    if as_json:
        say(summary, as_json=True)
    else:
        _show(summary)
        with context.connect() as connection:
            (first,) = queries.assessments(connection, **context.key, limit=1).items
        _show_hints(hints(program_name(), _from_here(agency_file), home=home, first=first))


def _show(summary: Mapping[str, Any]) -> None:
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


def _show_hints(shown: list[tuple[str, str]]) -> None:
    print("\nWhere to look: each line can be typed as it stands, from this folder")
    width = max(len(what) for what, _ in shown)
    for what, command in shown:
        print(f"  {what:<{width}}  {command}")
    print("\nThe embedded PostgreSQL goes on running, so that these commands answer at once; the last line stops it.")


def hints(
    program: list[str], agency_file: Path, *, home: Path | None, first: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What to look at, and the command that shows it, as a shell takes it; what serves until Ctrl-C comes late.

    `first`: the assessment that is looked at first. Where no list of mismatches stands, its page is the evidence.
    """
    where = [] if home is None else ["--home", str(home)]
    season = [str(agency_file), "--season", str(SEASON)]
    parcel, results = ["--parcel", str(first["parcel_id"])], agency_file.parent / "results"
    flagged = [] if first["verdict"] == Verdict.MISMATCH else parcel
    commands: list[tuple[str, list[str]]] = [
        ("the season", ["season", "status", *season]),
        ("the report: maps, areas, quality", ["report", *season, "--out", str(results / "areas.html")]),
        ("a page for each wrong declaration", ["evidence", *season, *flagged, "--out", str(results / "evidence")]),
        ("the list of them", ["flags", "export", *season, "--format", "xlsx", "--out", str(results / "flags.xlsx")]),
        ("how one parcel came to its rows", ["explain", *season, *parcel]),
        (
            "crop areas as a table",
            ["stats", "export", *season, "--format", "xlsx", "--out", str(results / "areas.xlsx")],
        ),
        ("the models, and what the gate said", ["models", "list", str(agency_file)]),
        ("the tables, in SQL", ["db", "psql", "-c", "SELECT * FROM crop_statistic LIMIT 20"]),
        ("a key for the REST API", ["api-key", "create", "me", "--role", "controller", "--all-agencies"]),
        ("the REST API (Ctrl-C ends it)", ["serve"]),
        ("every training, in MLflow (Ctrl-C)", ["mlflow"]),
        ("stop the database", ["db", "stop"]),
    ]
    return [(what, shlex.join([*program, *_with_home(command, where)])) for what, command in commands]


def _with_home(command: list[str], where: list[str]) -> list[str]:
    """psql takes what follows its own options for itself."""
    return [*command[:2], *where, *command[2:]] if command[:2] == ["db", "psql"] else [*command, *where]


def program_name() -> list[str]:
    """How this program is called from the present folder: by its name where the PATH finds it, else by its path."""
    own = Path(sys.argv[0]).absolute()
    if own.name == "__main__.py":
        return [str(_from_here(Path(sys.executable))), "-m", "cropmap"]
    on_path = shutil.which(own.name)
    if on_path and Path(on_path).absolute() == own:
        return [own.name]
    return [str(_from_here(own))]


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
