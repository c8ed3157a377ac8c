"""`cropmap bench NAME`: the speed and memory of this installation, as ratios against the floor and against peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from cropmap.terminal import AsJson, Home, prepare, say, table

bench: Final = typer.Typer(
    no_args_is_help=True, help="Measure this machine; peers come with `pip install 'cropmap[peers]'`."
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


@bench.command("memory")
def memory(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Memory of training on 608,000 series that are mapped from disk."""
    prepare(home)
    from cropmap.bench.memory import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("api")
def api(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """The REST API under load: 200 requests/s of all routes, 500 at once, clients that do not read."""
    prepare(home)
    from cropmap.bench.api import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("estimate")
def estimate(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Time and memory of the area estimate of 500,000 parcels, 60 crops and 1,500 regions."""
    prepare(home)
    from cropmap.bench.estimate import measure

    _print(measure(quick=quick), as_json=as_json)


def _print(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    say({"rows": rows}, as_json=True) if as_json else table(rows, list(rows[0]))
