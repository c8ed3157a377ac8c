"""`cropmap bench NAME`: speed as a ratio against the floor and peers, accuracy beside a peer; one run each."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from cropmap.cli.options import AgencyFile, AsJson, Data, Home, SeasonYear, open_season, prepare, say, table

bench: Final = typer.Typer(
    no_args_is_help=True, help="Measure this machine and the models; peers come with `pip install 'cropmap[peers]'`."
)
Quick = Annotated[bool, typer.Option("--quick", help="a small size, to see that it works")]


def register(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.command("observe")
def observe(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Parcel means from pixels: against bare decoding, exactextract and rasterstats, on one whole tile."""
    prepare(home)
    from cropmap.bench.observe import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("predict")
def predict(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Parcels per second: ONNX Runtime against torch eager, both networks."""
    prepare(home)
    from cropmap.bench.predict import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("train")
def train(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Training: compatibility mode against the breizhcrops package, and the loader's share of a step."""
    prepare(home)
    from cropmap.bench.train import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("accuracy")
def accuracy(
    agency: AgencyFile, season: SeasonYear, data: Data = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Out-of-fold accuracy of both networks and a random forest on the same parcels and folds."""
    context = open_season(agency, season=season, home=home, data=data)
    from cropmap.bench.accuracy import measure

    _print(measure(context), as_json=as_json)


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    say({"rows": rows}, as_json=True) if as_json else table(rows, list(rows[0]))
