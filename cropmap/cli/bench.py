"""`cropmap bench NAME`: speed and memory of this installation, as ratios to a lower bound and to other packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from cropmap.terminal import AsJson, Home, prepare, say, table

bench: Final = typer.Typer(
    no_args_is_help=True,
    help="Measure speed and memory on this machine.\n\nThe packages for comparison are installed by "
    "`pip install 'cropmap[peers]'`.",
)
Quick = Annotated[bool, typer.Option("--quick", help="a small size, to check that the measurement works")]


def register(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.command("observe")
def observe(
    quick: Quick = False,
    jp2: Annotated[bool, typer.Option("--jp2", help="JPEG 2000 beside decoding alone, instead of GeoTIFFs")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure parcel means of one whole tile.

    They are compared with decoding alone, exactextract and rasterstats.
    """
    prepare(home)
    from cropmap.bench.observe import measure

    _print(measure(quick=quick, jp2=jp2), as_json=as_json)


@bench.command("predict")
def predict(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Measure the speed of prediction.

    ONNX Runtime is compared with torch eager, for both networks, in parcels per second.
    """
    prepare(home)
    from cropmap.bench.predict import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("train")
def train(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Measure training.

    Compatibility mode is compared with the breizhcrops package; the loader's share of a step is given.
    """
    prepare(home)
    from cropmap.bench.train import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("memory")
def memory(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Measure memory while training on 608,000 memory-mapped series."""
    prepare(home)
    from cropmap.bench.memory import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("api")
def api(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Measure the REST API under load.

    The load is 200 requests/s of all routes, 500 requests at once, and clients that do not read.
    """
    prepare(home)
    from cropmap.bench.api import measure

    _print(measure(quick=quick), as_json=as_json)


@bench.command("estimate")
def estimate(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """Measure time and memory of the area estimate.

    It has 500,000 parcels, 60 crops and 1,500 regions.
    """
    prepare(home)
    from cropmap.bench.estimate import measure

    _print(measure(quick=quick), as_json=as_json)


def _print(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    say({"rows": rows}, as_json=True) if as_json else table(rows, list(rows[0]))
